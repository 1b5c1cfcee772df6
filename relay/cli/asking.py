"""A question of the command line: to the running relay, or to the store when none runs."""

import asyncio
import json
import os
from argparse import Namespace
from collections.abc import Callable, Coroutine
from typing import Any

from relay.cli.ending import failed, misused
from relay.config import ConfigError, audit_keys, store_url
from relay.control import ControlError, ask
from relay.store import StoreError


def answered(
    parsed: Namespace, question: str, facts: dict[str, str], tell: Callable[[dict[str, Any]], None]
) -> int:
    """Ask and print the answer, for a script or by `tell` for a person."""
    return told(parsed, lambda: ask(store_url(os.environ), question, facts, audit_keys(os.environ)), tell)


def told(
    parsed: Namespace,
    asking: Callable[[], Coroutine[Any, Any, dict[str, Any]]],
    tell: Callable[[dict[str, Any]], None],
) -> int:
    """Print what is found by `asking`, for a script or by `tell` for a person."""
    try:
        found = asyncio.run(asking())
    except ConfigError as problem:
        return misused(problem)
    except (ControlError, StoreError) as problem:
        return failed(problem)
    if parsed.json:
        print(json.dumps(found, ensure_ascii=False))
    else:
        tell(found)
    return 0
