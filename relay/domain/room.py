"""How many attempts may be under way at once, so that no slow destination holds up the others."""

from collections import Counter
from dataclasses import dataclass, field

from relay.domain.deliveries import Kind

MOST = 256  # bounds open requests, and so memory, when a neighbour is slow
MOST_MESSAGES = 128  # decisions, cards and words always find room
MOST_MESSAGES_EACH = 96  # environments that take and never answer leave room for the others
_FEW = 8


@dataclass
class Room:
    """What is under way, and what may be begun beside it."""

    all: int = 0
    messages: Counter[str] = field(default_factory=Counter)  # by environment
    # What is held back from an environment that takes nothing: but for the one delivery named, "" any one.
    held: dict[tuple[Kind, str], str] = field(default_factory=dict)
    # The environments to which others send: nothing of theirs is begun here.
    elsewhere: frozenset[str] = frozenset()

    @property
    def free(self) -> int:
        """How many attempts may be begun at most."""
        return max(0, MOST - self.all)

    @property
    def takes_messages(self) -> bool:
        """Whether a message may be begun to some environment."""
        return self.messages.total() < MOST_MESSAGES

    @property
    def full(self) -> list[str]:
        """The environments to which no message may be begun."""
        return [name for name, number in self.messages.items() if number >= MOST_MESSAGES_EACH]

    def of_any(self, most: int) -> int:
        """Return how many of `most` are worth claiming: all may be messages to one environment."""
        left = [MOST_MESSAGES_EACH - number for number in self.messages.values()]
        return min([most, self.free, *(max(number, _FEW) for number in left if number > 0)])

    @property
    def short(self) -> bool:
        """Whether something of some kind or environment would find no room."""
        return not self.free or not self.takes_messages or bool(self.full)

    def take(self, kind: Kind, environment: str, which: str = "") -> bool:
        """Begin the attempt at a delivery, if there is room for it."""
        if self.held.get((kind, environment), "") not in ("", which):
            return False
        if not self.free:
            return False
        if kind is Kind.MESSAGE and not (
            self.takes_messages and self.messages[environment] < MOST_MESSAGES_EACH
        ):
            return False
        if (kind, environment) in self.held:
            self.held[kind, environment] = which
        self.enter(kind, environment)
        return True

    def enter(self, kind: Kind, environment: str) -> None:
        """Begin an attempt for which there was room."""
        self.all += 1
        if kind is Kind.MESSAGE:
            self.messages[environment] += 1

    def leave(self, kind: Kind, environment: str) -> None:
        """End an attempt."""
        self.all -= 1
        if kind is Kind.MESSAGE:
            self.messages[environment] -= 1
            if not self.messages[environment]:
                del self.messages[environment]

    def copy(self) -> "Room":
        """Return another one with the same under way."""
        return Room(self.all, self.messages.copy(), self.held.copy(), self.elsewhere)

    def to(self, environment: str) -> int:
        """Return how many more messages may be begun to an environment."""
        return max(
            0, min(MOST_MESSAGES_EACH - self.messages[environment], MOST_MESSAGES - self.messages.total())
        )
