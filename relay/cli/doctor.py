"""`relay doctor`: whether everything is there that a relay needs, before anybody depends on it."""

import asyncio
import json
import os
from argparse import Namespace
from collections import Counter
from pathlib import Path

from relay.app.doctor import examined
from relay.cli.ending import misused
from relay.cli.table import line
from relay.config import ConfigError, load, settings_given
from relay.domain.findings import Finding, Level


def doctor(parsed: Namespace) -> int:
    """Say of everything whether it is right; exit status 1 where something is wrong."""
    try:
        config = load(os.environ, Path.cwd())
    except ConfigError as problem:
        return misused(problem)
    findings = asyncio.run(examined(config, settings_given(os.environ)))
    if parsed.json:
        print(json.dumps(_found(findings), ensure_ascii=False))
    else:
        _say(findings)
    return 1 if _counted(findings)[Level.WRONG] else 0


def _counted(findings: list[Finding]) -> Counter[Level]:
    return Counter(one.level for one in findings)


def _found(findings: list[Finding]) -> dict[str, object]:
    counted = _counted(findings)
    return {
        "good": not counted[Level.WRONG],
        "wrong": counted[Level.WRONG],
        "warnings": counted[Level.WARNING],
        "findings": [{**vars(one), "level": one.level.value} for one in findings],
    }


def _say(findings: list[Finding]) -> None:
    widest = max(map(len, Level))
    for one in findings:
        fix = f". {one.fix}" if one.fix else ""
        print(f"{one.level.value.ljust(widest)}  {line(f'{one.about}: {one.found}{fix}')}")
    counted = _counted(findings)
    warnings = f"{counted[Level.WARNING]} warning{'' if counted[Level.WARNING] == 1 else 's'}"
    print(f"{counted[Level.OK]} ok, {warnings}, {counted[Level.WRONG]} wrong")
