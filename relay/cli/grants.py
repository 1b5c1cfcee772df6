"""`relay grants`: what is allowed for a while, and an end to it, beside a running relay or without one."""

from argparse import Namespace
from typing import Any

from relay.cli.asking import answered
from relay.cli.table import line, moment, print_table
from relay.control import GRANTS, REVOKE

_COLUMNS = ("ID", "TOOL", "ENVIRONMENT", "FOR", "BY", "USES", "UNTIL")


def list_page(parsed: Namespace) -> int:
    """List the grants that may be used, those that end first first."""
    return answered(parsed, GRANTS, {}, _print)


def revoke(parsed: Namespace) -> int:
    """Revoke a grant: people are asked again from now on."""
    return answered(parsed, REVOKE, {"id": parsed.id}, lambda found: print(f"revoked {found['revoked']}"))


def _print(found: dict[str, Any]) -> None:
    rows = [_row(grant) for grant in found["grants"]]
    print_table([_COLUMNS, *rows] if rows else [("nothing is allowed for a while",)])
    if found["more"]:
        print("and more, which end later")


def _row(grant: dict[str, Any]) -> tuple[str, ...]:
    likes = ", ".join(f"{key} like {glob}" for key, glob in grant["like"].items())
    return (
        grant["id"],
        line(grant["tool"]),
        grant["environment"],
        "exactly one input" if grant["exactly"] else line(likes),
        grant["granted_by"],
        f"{grant['uses']} of {grant['most_uses']}",
        moment(grant["expires_at"]),
    )
