"""`relay environments`: asks the running relay, or the API itself when none runs, and prints what it says."""

import asyncio
import json
import os
from argparse import Namespace
from pathlib import Path
from typing import Any

from relay.app.overview import reports
from relay.cli.ending import failed, misused
from relay.cli.table import line, moment, print_table
from relay.config import ConfigError, load, store_url
from relay.control import ENVIRONMENTS, ControlError, ask_running
from relay.environment.overview import written
from relay.store import StoreError

_COLUMNS = ("NAME", "STATE", "SINCE", "DEVICE", "MODE", "AGENT", "LISTENS TO", "PENDING", "WHY")


def environments(parsed: Namespace) -> int:
    """List the environments, and how each is."""
    try:
        found = asyncio.run(_found())
    except ConfigError as problem:
        return misused(problem)
    except (ControlError, StoreError) as problem:
        return failed(problem)
    if parsed.json:
        print(json.dumps(found, ensure_ascii=False))
    else:
        print_table([_COLUMNS, *(_row(one) for one in found["environments"])])
    return 0


async def _found() -> dict[str, Any]:
    found = await ask_running(store_url(os.environ), ENVIRONMENTS, {})
    if found is not None:
        return found
    config = load(os.environ, Path.cwd())
    return {"environments": [written(one) for one in await reports(config)]}


def _row(found: dict[str, Any]) -> tuple[str, ...]:
    device = "(App Server)" if found["app_server"] else found["device_id"] or "-"
    return (
        found["name"],
        "online" if found["online"] else "offline",
        moment(found["since"]),
        line(device),
        line(found["mode"]) or "-",
        found["agent_id"],
        _listened(found["conversations"]),
        str(found["pending"]),
        line(_why(found)) or "-",
    )


def _listened(conversations: list[dict[str, Any]]) -> str:
    heard = sum(one["listening"] for one in conversations)
    return f"{heard} of {len(conversations)}" if heard < len(conversations) else str(heard)


def _why(found: dict[str, Any]) -> str:
    """Return why it is offline, or why what it says is not heard."""
    unheard = [one["reason"] for one in found["conversations"] if not one["listening"]]
    return found["reason"] or next(iter(unheard), "")
