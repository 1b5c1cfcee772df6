"""What a part tells whoever counts: how much it saw of something. Nobody counts unless asked to."""

from typing import Protocol


class Seen(Protocol):
    """Takes one figure: its name, how much of it, and labels out of a few known words.

    It is called from any thread and raises nothing. A label never names a person or a channel, nor says
    what somebody wrote.
    """

    def __call__(self, name: str, value: float = 1.0, /, **labels: str) -> None: ...


def unseen(_name: str, _value: float = 1.0, /, **_labels: str) -> None:
    """Count nothing."""
