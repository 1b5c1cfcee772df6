"""What was said while nobody listened, read from the conversation itself. Pure."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from relay.environment.frames import Delta
from relay.environment.turns import Exchange


@dataclass
class _Open:
    """A message, or several that were taken in together, and what followed; `bare`: nothing did yet."""

    message_ids: list[str] = field(default_factory=list)
    answers: list[tuple[str, str]] = field(default_factory=list)
    bare: bool = False


def exchanges(
    newest_first: Iterable[Delta], wanted: Collection[str], together: Collection[str] = ()
) -> tuple[Exchange, ...]:
    """Return what was answered to the messages `wanted`, oldest first, each with all that followed it.

    Messages share words only where they are known to be `together` in one turn, or where nothing at all
    stands between them: a turn that was stopped may leave no words, and the next words answer another.
    """
    found = [_Open()]
    for one in reversed(list(newest_first)):
        if one.message_type == "user_message":
            if not _joins(found[-1], one.otid, wanted, together):
                found.append(_Open())
            found[-1].bare = True
            if one.otid in wanted:
                found[-1].message_ids.append(one.otid)
            continue
        found[-1].bare = False
        if one.message_type == "assistant_message" and one.text.strip():
            found[-1].answers.append((one.id, one.text))
    return tuple(Exchange(tuple(one.message_ids), tuple(one.answers)) for one in found if one.message_ids)


def _joins(before: _Open, otid: str, wanted: Collection[str], together: Collection[str]) -> bool:
    if otid not in wanted or not before.message_ids or before.answers:
        return False
    return before.bare or (otid in together and before.message_ids[-1] in together)
