"""`relay environments`: asks the running relay, or else the API and the store, and prints what they say."""

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


def _listened(conversations: list[dict[str, Any]] | None) -> str:
    if conversations is None:
        return "-"
    heard = sum(one["listening"] for one in conversations)
    return f"{heard} of {len(conversations)}" if heard < len(conversations) else str(heard)


def _why(found: dict[str, Any]) -> str:
    """Return why it is offline, why what it says is not heard here, or why nothing is sent there."""
    unheard = [one["reason"] for one in found["conversations"] or () if not one["listening"]]
    return found["reason"] or next(iter(unheard), _held(found) or found.get("elsewhere", ""))


def _held(found: dict[str, Any]) -> str:
    """Return how many deliveries are held back, and why."""
    held = found.get("held")
    if not held:
        return ""
    number = f" ({held['count']})" if held["count"] else ""
    return f"deliveries held back{number}{': ' if held['reason'] else ''}{held['reason']}"
