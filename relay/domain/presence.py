"""What can be shown of a conversation while a turn of it runs."""

from dataclasses import dataclass


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
