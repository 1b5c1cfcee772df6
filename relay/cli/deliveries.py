"""`relay deliveries`: asks the running relay, or the store when none runs, and prints what it says."""

import asyncio
import json
import os
import shlex
import sys
from argparse import Namespace
from typing import Any

from relay.cli.asking import answered
from relay.cli.ending import failed, misused
from relay.cli.moments import MisuseError, moment_of
from relay.cli.table import line, moment, print_table
from relay.config import ConfigError, audit_keys, store_url
from relay.control import COUNT, DROP, RETRY, Ask, ControlError, asking
from relay.store import StoreError

_COLUMNS = ("ID", "KIND", "STATE", "ENVIRONMENT", "CREATED", "TRIES", "NEXT", "LAST ERROR")
_FILTERS = ("state", "kind", "environment", "team", "subject", "channel", "older_than", "newer_than")


def list_page(parsed: Namespace) -> int:
    """List deliveries, newest first."""
    try:
        facts = {**_filters(parsed), "after": parsed.after, "limit": str(parsed.limit)}
    except MisuseError as problem:
        return misused(problem)
    return answered(parsed, "deliveries.list", facts, lambda found: _print_page(parsed, found))


def show(parsed: Namespace) -> int:
    """Show one delivery."""
    return answered(parsed, "deliveries.show", {"id": parsed.id}, _print_whole)


def retry(parsed: Namespace) -> int:
    """Send again what failed: one delivery, or all that are meant."""
    return _one_or_many(parsed, RETRY, lambda found: print(f"sending {found['retried']} again"), _retry_all)


def drop(parsed: Namespace) -> int:
    """Give up what waits or failed, for good: one delivery, or all that are meant."""
    return _one_or_many(parsed, DROP, lambda found: print(f"dropped {found['dropped']}"), _drop_all)


def _one_or_many(parsed: Namespace, question: str, tell: Any, all_of_them: Any) -> int:
    try:
        if _is_one(parsed):
            return answered(parsed, question, {"id": parsed.id}, tell)
        return asyncio.run(_ask(all_of_them, parsed, _filters(parsed)))
    except (ConfigError, MisuseError) as problem:
        return misused(problem)
    except (ControlError, StoreError) as problem:
        return failed(problem)


def _is_one(parsed: Namespace) -> bool:
    """Return whether one delivery is named. Raises MisuseError where nothing says which are meant, or two."""
    filtered = any(getattr(parsed, name, None) for name in _FILTERS)
    ways = {"an ID": bool(parsed.id), "--all": parsed.all, "filters": filtered}
    said = [way for way, is_said in ways.items() if is_said]
    if not said:
        raise MisuseError("name one delivery, or say by filters which are meant; --all means all of them")
    if len(said) > 1:
        raise MisuseError(f"{' and '.join(said)} exclude each other: keep one")
    return bool(parsed.id)


def _filters(parsed: Namespace) -> dict[str, str]:
    """Return what the filters leave, as the relay is asked for it. Raises MisuseError."""
    plain = {name: getattr(parsed, name, None) or "" for name in _FILTERS[:-2]}
    times = {"until": moment_of(parsed.older_than), "since": moment_of(parsed.newer_than)}
    return {name: value for name, value in {**plain, **times}.items() if value}


async def _ask(all_of_them: Any, parsed: Namespace, facts: dict[str, str]) -> int:
    async with asking(store_url(os.environ), audit_keys(os.environ)) as put:
        status: int = await all_of_them(parsed, put, facts)
        return status


async def _retry_all(parsed: Namespace, put: Ask, facts: dict[str, str]) -> int:
    counted = await put(COUNT, {**facts, "state": "failed"})
    done, left = await _page_by_page(put, RETRY, {**facts, "end": counted["end"]}, "1")
    if parsed.json:
        print(json.dumps({"retried_count": done, "not_wanted": left}))
    else:
        print(f"sending {_deliveries(done)} again" if done or left else f"none {_are(['failed'], facts)}")
        if left:
            print(f"{_deliveries(left)} not sent again: over by now, or without the texts they carried")
    return 0


async def _drop_all(parsed: Namespace, put: Ask, facts: dict[str, str]) -> int:
    states = [facts["state"]] if "state" in facts else ["pending", "failed"]
    counted = [await put(COUNT, {**facts, "state": state}) for state in states]
    number = sum(one["count"] for one in counted)
    if number and not parsed.yes and not _is_confirmed(number, states):
        return 1
    # What is made from now on is not meant.
    done, left = await _page_by_page(put, DROP, facts, counted[0]["end"])
    if parsed.json:
        print(json.dumps({"dropped_count": done, "under_way": left}))
    else:
        print(f"dropped {_deliveries(done)}" if done or left else f"none {_are(states, facts)}")
        if left:
            print(f"{_deliveries(left)} being sent right now: not dropped, look again in a moment")
    return 0


async def _page_by_page(put: Ask, question: str, facts: dict[str, str], place: str) -> tuple[int, int]:
    """Have all pages mended from a place on; return how many were, and how many were left."""
    done = left = 0
    while place:
        found = await put(question, {**facts, "place": place})
        done, left, place = done + found["done"], left + found["left"], found["next"]
    return done, left


def _is_confirmed(number: int, states: list[str]) -> bool:
    """Ask whoever sits there. Raises MisuseError where nobody does."""
    if not sys.stdin.isatty():
        raise MisuseError(f"this would drop {_deliveries(number)} for good: say --yes to have it done")
    said = f"{_deliveries(number)} ({' or '.join(states)}) will never be sent. Drop them? [y/N] "
    print(said, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _are(states: list[str], facts: dict[str, str]) -> str:
    """Return in words what none of those meant is."""
    such = " of those that the filters leave" if facts.keys() - {"state"} else ""
    return f"{such} {' or '.join('waits' if one == 'pending' else one for one in states)}".strip()


def _deliveries(number: int) -> str:
    return f"{number} deliver{'y' if number == 1 else 'ies'}"


def _print_page(parsed: Namespace, found: dict[str, Any]) -> None:
    rows = [_row(delivery) for delivery in found["deliveries"]]
    print_table([_COLUMNS, *rows] if rows else [("no deliveries",)])
    if found["more"]:
        count = f"{found['more']} more" if found["more_is_exact"] else f"over {found['more']} more"
        print(
            f"{count}: relay deliveries list{_typed(parsed)} --limit {parsed.limit} --after {found['after']}"
        )


def _typed(parsed: Namespace) -> str:
    """Return the filters as they were typed."""
    given = {name: getattr(parsed, name) for name in _FILTERS if getattr(parsed, name)}
    return "".join(f" --{name.replace('_', '-')} {shlex.quote(value)}" for name, value in given.items())


def _row(delivery: dict[str, Any]) -> tuple[str, ...]:
    return (
        delivery["id"],
        delivery["kind"],
        delivery["state"],
        delivery["environment"] or "-",
        moment(delivery["created_at"]),
        str(delivery["attempts"]),
        moment(delivery["next_attempt_at"]),
        line(delivery["last_error"]),
    )


def _print_whole(found: dict[str, Any]) -> None:
    print_table([(f"{name}:", json.dumps(value, ensure_ascii=False)) for name, value in found.items()])
