"""`relay environments`: asks the running relay, or the API itself when none runs, and prints what it says."""

import os
from argparse import Namespace
from pathlib import Path
from typing import Any

from relay.app.overview import reports
from relay.cli.asking import told
from relay.cli.table import line, moment, print_table
from relay.config import load, store_url
from relay.control import ENVIRONMENTS, ask_running
from relay.environment.overview import written

_COLUMNS = ("NAME", "STATE", "SINCE", "DEVICE", "MODE", "AGENT", "LISTENS TO", "PENDING", "WHY")


def environments(parsed: Namespace) -> int:
    """List the environments, and how each is."""
    return told(parsed, _found, _listed)


def _listed(found: dict[str, Any]) -> None:
    print_table([_COLUMNS, *(_row(one) for one in found["environments"])])


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
