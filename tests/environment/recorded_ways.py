"""The ways in which the frames of a recording may come over two sockets."""

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

Json = dict[str, Any]
Kind = Literal["as recorded", "shuffled", "apart", "repeated"]
WINDOW = 6  # how far a frame fell behind in the recordings, and no further
_BEHIND = 3
# What overtook the words it came after, where a device has two sockets of its own.
_QUICK = {"control_request", "turn_finished"}


@dataclass(frozen=True)
class Way:
    """How frames come: `cut` drops both sockets after the frame of that number."""

    kind: Kind = "as recorded"
    seed: int = 0
    cut: int | None = None

    def __str__(self) -> str:
        return f"{self.kind}, seed {self.seed}" + (f", cut after {self.cut}" if self.cut is not None else "")


Send = Callable[[str, Json], None]  # a socket's channel, and the frame


class Carrier:
    """Takes frames in the order of a recording and sends them over two sockets in its way."""

    def __init__(self, way: Way, send: Send) -> None:
        self._way = way
        self._send = send
        self._chance = Random(way.seed)
        self._count = 0
        self._late: dict[str, list[tuple[int, int, Json]]] = {"control": [], "stream": []}

    def take(self, frame: Json) -> None:
        """Send a frame, or keep it back for a few others."""
        self._count += 1
        for channel, lag in self._lags(frame):
            heapq.heappush(self._late[channel], (self._count + lag, self._count, frame))
        for channel in self._late:
            self._give(channel, self._count)

    def flush(self) -> None:
        """Send whatever was kept back: nothing comes after it for a while."""
        for channel in self._late:
            self._give(channel, self._count + WINDOW)

    def forget(self) -> None:
        """Lose whatever was kept back."""
        for late in self._late.values():
            late.clear()

    def _lags(self, frame: Json) -> Iterator[tuple[str, int]]:
        quick = frame["type"] in _QUICK
        if self._way.kind == "apart":
            yield ("control", 0) if quick else ("stream", self._chance.randint(0, 1))
            return
        for channel in ("control", "stream"):
            lag = 0 if quick or self._way.kind != "shuffled" else self._chance.randint(0, WINDOW)
            yield channel, lag
            if self._way.kind == "repeated":
                yield channel, lag
                yield channel, lag + _BEHIND

    def _give(self, channel: str, until: int) -> None:
        late = self._late[channel]
        while late and late[0][0] <= until:
            self._send(channel, heapq.heappop(late)[2])
