"""What was said while nobody listened, read from the conversation itself. Pure."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from relay.environment.frames import Delta
from relay.environment.turns import Exchange


@dataclass
class _Open:
    message_ids: list[str] = field(default_factory=list)
    answers: list[tuple[str, str]] = field(default_factory=list)


def exchanges(newest_first: Iterable[Delta], wanted: Collection[str]) -> tuple[Exchange, ...]:
    """Return what was answered to the messages `wanted`, oldest first, each with all that followed it.

    Messages with no words of the agent between them were taken into one turn, and share its words.
    """
    found = [_Open()]
    for one in reversed(list(newest_first)):
        if one.message_type == "user_message":
            if found[-1].answers:
                found.append(_Open())
            if one.otid in wanted:
                found[-1].message_ids.append(one.otid)
        elif one.message_type == "assistant_message" and one.text.strip():
            found[-1].answers.append((one.id, one.text))
    return tuple(Exchange(tuple(one.message_ids), tuple(one.answers)) for one in found if one.message_ids)
