"""The device's side of the wire: numbers what it says and hands it to the router."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import uuid4

from relay.sandbox.environment import frames
from relay.sandbox.environment.script import Json

Sink = Callable[[Json], None]


@dataclass
class Wire:
    """Stamps events with runtime, event_seq, time and idempotency key."""

    sink: Sink
    event_seq: int = 0
    _counted: Counter[str] = field(default_factory=Counter)

    def say(self, frame: Json, runtime: Json) -> None:
        """Send one event to everyone who listens to the runtime."""
        self.event_seq += 1
        stamp = {
            "runtime": runtime,
            "event_seq": self.event_seq,
            "emitted_at": frames.now(),
            "idempotency_key": f"{frame['type']}:{self.event_seq}:{uuid4()}",
        }
        self.sink({**frame, **stamp})

    def count(self, what: str) -> int:
        """The next number of a series, from 1."""
        self._counted[what] += 1
        return self._counted[what]

    def restart(self) -> None:
        """Begin again at event 1; the model server's call numbers begin again too."""
        self.event_seq = 0
        self._counted.pop("call", None)
