"""`relay audit`: the record as lines to keep elsewhere, and whether it is as it was written."""

import asyncio
import csv
import difflib
import json
import os
import sys
from argparse import Namespace
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from relay.cli.asking import answered
from relay.cli.ending import failed, misused
from relay.cli.moments import MisuseError, moment_of
from relay.cli.table import line
from relay.config import ConfigError, audit_keys, store_url
from relay.control import ACCEPT, AUDIT_KEY, AUDIT_PAGE, Answer, Ask, ControlError, asking
from relay.domain.audit import ACTIONS, ANCHOR, Anchor, Entry, Keys, anchors_in
from relay.domain.canonical import canonical_json
from relay.domain.verification import Seen, Verification
from relay.store import StoreError

_COLUMNS = ("chain", "number", "at", "team_id", "action", "actor", "subject_id", "facts", "mac")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # what a spreadsheet takes for more than text
_STORE_KEY = "the store's own"


def export(parsed: Namespace) -> int:
    """Write the entries, oldest first, and then the anchors of every chain."""
    return _ended(lambda: asyncio.run(_export(parsed)))


def verify(parsed: Namespace) -> int:
    """Say whether the record is as it was written; exit status 1 when it is not."""
    return _ended(lambda: asyncio.run(_verify(parsed)))


def accept(parsed: Namespace) -> int:
    """Stand for a chain that a relay wrote which ran without RELAY_AUDIT_KEY."""
    return answered(
        parsed,
        ACCEPT,
        {"chain": parsed.chain},
        lambda found: print(f"accepted {found['accepted']} up to its number {found['up_to']}"),
    )


def _ended(run: Callable[[], int]) -> int:
    try:
        return run()
    except (ConfigError, MisuseError) as problem:
        return misused(problem)
    except (ControlError, StoreError) as problem:
        return failed(problem)


async def _export(parsed: Namespace) -> int:
    wanted = {"subject": parsed.subject, "action": parsed.action}
    wanted |= {"since": moment_of(parsed.since), "until": moment_of(parsed.until)}
    write = _csv_writer() if parsed.format == "csv" else _write_json
    anchors: dict[str, Answer] = {}
    found = 0
    async with asking(store_url(os.environ), audit_keys(os.environ)) as put:
        async for page in _pages(put, wanted):
            for entry in page["entries"]:
                write(entry)
            found += len(page["entries"])
            anchors |= {anchor["chain"]: anchor for anchor in page["anchors"]}
    if parsed.action and not found and parsed.action not in (*ACTIONS, ANCHOR):
        raise MisuseError(_no_action(parsed.action))
    for anchor in anchors.values():
        write({"action": ANCHOR, **anchor})
    return 0


def _no_action(written: str) -> str:
    """Return that relay records nothing by that name, and by which names like it, or at all."""
    near = difflib.get_close_matches(written, ACTIONS) or sorted(ACTIONS)
    return f'no entry is called "{line(written)}"; there are: {", ".join(near)}'


async def _pages(put: Ask, wanted: dict[str, str]) -> AsyncIterator[Answer]:
    """Yield the record page by page: what people send is stored in between."""
    after, more = "", True
    while more:
        page = await put(AUDIT_PAGE, {**wanted, "after": after})
        yield page
        after = page["after"]
        more = bool(after)


def _write_json(entry: Mapping[str, Any]) -> None:
    print(_printable(json.dumps(entry, ensure_ascii=False)))


def _printable(text: str) -> str:
    """Return a text without halves of letters, which a file edited by hand may hold, and no line may."""
    return text.encode("utf-8", "backslashreplace").decode()


def _csv_writer() -> Callable[[Mapping[str, Any]], None]:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(_COLUMNS)
    return lambda entry: writer.writerow([_cell(entry.get(name, "")) for name in _COLUMNS])


def _cell(value: Any) -> str:
    """Return a value as a spreadsheet may have it: text that begins like a formula is told apart."""
    text = _printable(canonical_json(value) if isinstance(value, dict) else str(value))
    return f"'{text}" if text.startswith(_FORMULA) else text


async def _verify(parsed: Namespace) -> int:
    keys = audit_keys(os.environ)
    anchors = [anchor for path in parsed.anchors for anchor in _anchors(path)]
    async with asking(store_url(os.environ), keys) as put:
        own = bytes.fromhex((await put(AUDIT_KEY, {}))["key"])
        known = Keys((*keys, own))
        verification = Verification(known, anchors, never_pruned=parsed.never_pruned)
        async for page in _pages(put, {}):
            for written in page["entries"]:
                verification.take(Entry.read(written))
    names = dict.fromkeys(known.by_id, "RELAY_AUDIT_KEY") | {known.weak_id: _STORE_KEY}
    problems = verification.finish()
    if parsed.json:
        print(json.dumps(_found(verification, names), ensure_ascii=False))
    else:
        _tell(verification, names)
    return 1 if problems else 0


def _anchors(path: str) -> Iterator[Anchor]:
    """Yield the anchors in a file: an export of either format, or a log."""
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as problem:
        raise MisuseError(
            f"cannot read {path}: {getattr(problem, 'strerror', None) or 'not UTF-8'}"
        ) from None
    is_csv = bool(lines) and lines[0].split(",") == list(_COLUMNS)
    found = list(anchors_in(csv.DictReader(lines) if is_csv else _json_lines(lines)))
    if not found:
        raise MisuseError(f"{path} names no anchors: give an export, or a log with its audit.anchor lines")
    yield from found


def _json_lines(lines: list[str]) -> Iterator[Mapping[str, Any]]:
    for one in lines:
        try:
            written = json.loads(one)
        except ValueError:
            continue
        if isinstance(written, dict):
            yield written


def _found(verification: Verification, names: Mapping[str, str]) -> Answer:
    return {
        "good": not verification.problems,
        "entries": sum(seen.entries for seen in verification.chains.values()),
        "before_chains": verification.before_chains,
        "chains": [
            {**_chain(seen, names), "accepted": seen.id in verification.accepted}
            for seen in verification.chains.values()
        ],
        "problems": [
            {**vars(one), "wrong": one.wrong.value, "words": str(one)} for one in verification.problems
        ],
    }


def _chain(seen: Seen, names: Mapping[str, str]) -> Answer:
    return {
        "chain": seen.id,
        "entries": seen.entries,
        "first": seen.first,
        "last": seen.last,
        "closed": seen.closed,
        "key": names.get(seen.key_id, "unknown"),
        "pruned_to": seen.pruned_to,
        "pruned_at": seen.pruned_at.isoformat() if seen.pruned_at else None,
    }


def _tell(verification: Verification, names: Mapping[str, str]) -> None:
    chains = list(verification.chains.values())
    for problem in verification.problems:
        print(line(str(problem)))
    for seen in chains:
        if seen.pruned_at is not None and seen.entries:
            print(f"{line(seen.id)}: pruned before number {seen.pruned_to + 1} on {seen.pruned_at:%Y-%m-%d}")
    if verification.before_chains:
        print(f"{verification.before_chains} entries are from before the record was chained")
    weak = sum(names.get(seen.key_id) == _STORE_KEY for seen in chains)
    if weak:
        print(f"{weak} of {len(chains)} chains are signed with the store's own key: who has the file has it")
    for chain in sorted(verification.accepted):
        print(f"{line(chain)}: RELAY_AUDIT_KEY stands for it as it ended, by `relay audit accept`")
    entries = sum(seen.entries for seen in chains)
    verdict = "the record is NOT as it was written" if verification.problems else "nothing was changed"
    print(f"{entries} entries in {len(chains)} chains: {verdict}")
