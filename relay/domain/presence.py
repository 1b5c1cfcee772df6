"""What can be shown of a conversation while a turn of it runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Glimpse:
    """How a conversation is at one moment: what runs for which of our messages, and the words so far.

    `key` is that of the reply the words will be; it is empty while nothing is being said.
    """

    running: bool = False
    message_ids: tuple[str, ...] = ()
    asking: bool = False  # people have to decide something first
    tool: str = ""  # the name of the tool that runs
    key: str = ""
    words: str = ""


@dataclass(frozen=True)
class UnderWay:
    """What is known of the turn that runs in a conversation, as its environment told it without a gap.

    `runs` are the messages of each of its runs of which that was told; `asked` are the tool calls that
    were asked for in it, each with the messages of the run that asked.
    """

    running: bool = False
    runs: tuple[tuple[str, ...], ...] = ()
    asked: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
