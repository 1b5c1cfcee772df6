"""Puts frames back in order that overtook each other on the way through two sockets."""

import heapq
from collections import OrderedDict

from relay.environment.frames import Frame

_REMEMBERED = 4096
_FURTHEST = 1000  # a jump beyond this is a device that started again, not a frame overtaken


class Sequencer:
    """Gives each frame once, in the order of `event_seq` where that is to be had soon.

    A frame that comes early waits for those before it until `release`, which the carrier calls
    after a moment: the positions count for the whole device, so a gap may be another's frame.
    """

    def __init__(self) -> None:
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._last = 0
        self._newest = Frame(type="")
        self._early: list[tuple[int, int, float, Frame]] = []
        self._count = 0

    @property
    def waiting(self) -> bool:
        """Whether a frame waits for one before it."""
        return bool(self._early)

    @property
    def oldest(self) -> float | None:
        """When the first of those that wait came; None when none does."""
        return min((came for _, _, came, _ in self._early), default=None)

    def starts_again(self, frame: Frame) -> bool:
        """Whether `frame` is of a device that counts anew: behind in its number, ahead in time."""
        newest = self._newest
        return 0 < frame.event_seq < newest.event_seq and frame.emitted_at > newest.emitted_at > ""

    def restart(self) -> list[Frame]:
        """Count anew, and return what waited; a duplicate of what came before stays one."""
        waited = self.release()
        self._last, self._newest = 0, Frame(type="")
        return waited

    def take(self, frame: Frame, came: float = 0.0) -> list[Frame]:
        """Return what may be handled now that `frame` is here, since `came`; nothing for a duplicate."""
        if self._is_duplicate(frame):
            return []
        if frame.event_seq <= 0:
            return [frame]
        if frame.event_seq > self._newest.event_seq:
            self._newest = frame
        if not self._early and frame.event_seq == self._last + 1:
            self._last = frame.event_seq
            return [frame]
        self._count += 1
        heapq.heappush(self._early, (frame.event_seq, self._count, came, frame))
        if self._last == 0 or frame.event_seq > self._last + _FURTHEST:
            return self.release()
        return self._in_order()

    def release(self) -> list[Frame]:
        """Return every frame that waits, in order: what is missing is not coming."""
        released = [heapq.heappop(self._early)[3] for _ in range(len(self._early))]
        if released:
            self._last = max(self._last, released[-1].event_seq)
        return released

    def _in_order(self) -> list[Frame]:
        ready: list[Frame] = []
        while self._early and self._early[0][0] <= self._last + 1:
            frame = heapq.heappop(self._early)[3]
            self._last = max(self._last, frame.event_seq)
            ready.append(frame)
        return ready

    def _is_duplicate(self, frame: Frame) -> bool:
        key = frame.idempotency_key
        if key is None:
            return False
        if key in self._seen:
            return True
        self._seen[key] = None
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        return False
