"""`relay deliveries`: asks the running relay, or the store when none runs, and prints what it says."""

import json
from argparse import Namespace
from typing import Any

from relay.cli.asking import answered
from relay.cli.table import line, moment, print_table

_COLUMNS = ("ID", "KIND", "STATE", "ENVIRONMENT", "CREATED", "TRIES", "NEXT", "LAST ERROR")


def list_page(parsed: Namespace) -> int:
    """List deliveries, newest first."""
    facts = {"state": parsed.state or "", "after": parsed.after, "limit": str(parsed.limit)}
    return answered(parsed, "deliveries.list", facts, lambda found: _print_page(parsed, found))


def show(parsed: Namespace) -> int:
    """Show one delivery."""
    return answered(parsed, "deliveries.show", {"id": parsed.id}, _print_whole)


def retry(parsed: Namespace) -> int:
    """Send a failed delivery again."""
    return answered(
        parsed,
        "deliveries.retry",
        {"id": parsed.id},
        lambda found: print(f"sending {found['retried']} again"),
    )


def _print_page(parsed: Namespace, found: dict[str, Any]) -> None:
    rows = [_row(delivery) for delivery in found["deliveries"]]
    print_table([_COLUMNS, *rows] if rows else [("no deliveries",)])
    if found["more"]:
        state = f" --state {parsed.state}" if parsed.state else ""
        limit = f" --limit {parsed.limit}"
        count = f"{found['more']} more" if found["more_is_exact"] else f"over {found['more']} more"
        print(f"{count}: relay deliveries list{state}{limit} --after {found['after']}")


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
