"""The command line: every error is one clear line on stderr; exit status 0, 1 or 2."""

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from relay import __version__
from relay.app import App, PartEndedError, StartError, json_log
from relay.config import Config, ConfigError, load, store_url
from relay.control import ControlError, ask
from relay.store import StoreError

_FAILED, _MISUSED = 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    parsed = _parser().parse_args(arguments)
    try:
        status: int = parsed.run(parsed)
        sys.stdout.flush()
    except ConfigError as problem:
        print(f"relay: {problem}", file=sys.stderr)
        return _MISUSED
    except (StartError, PartEndedError, StoreError, ControlError) as problem:
        print(f"relay: {problem}", file=sys.stderr)
        return _FAILED
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:
        # Whoever read our output has enough of it; the interpreter must not say so at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="relay", description="Puts people in the loop of a Letta agent, in Slack."
    )
    parser.add_argument("--version", action="version", version=f"relay {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add(commands, "serve", "serve one workspace until stopped", _serve)
    _add(commands, "demo", "walk through the whole job between stand-ins, with no account", _demo)
    _add(commands, "check", "check the configuration and say what it comes to", _check)
    deliveries = commands.add_parser("deliveries", help="see and mend what has to leave")
    verbs = deliveries.add_subparsers(required=True, metavar="VERB")
    listing = _add(verbs, "list", "list deliveries, newest first", _list)
    listing.add_argument("--state", choices=["pending", "sending", "delivered", "failed"])
    listing.add_argument("--after", default="", metavar="ID", help="the page after this delivery")
    for name, text, run in (
        ("show", "show one delivery", _show),
        ("retry", "send a failed delivery again", _retry),
    ):
        _add(verbs, name, text, run).add_argument("id")
    return parser


def _add(
    commands: Any, name: str, text: str, run: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=text[:1].upper() + text[1:] + "."
    )
    parser.set_defaults(run=run)
    if run in (_list, _show, _retry):
        parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _config() -> Config:
    return load(os.environ, Path.cwd())


def _serve(_: argparse.Namespace) -> int:
    app = App(_config(), json_log(sys.stdout))
    asyncio.run(_until_signalled(app))
    return 0


async def _until_signalled(app: App) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await app.serve(stop)


def _demo(_: argparse.Namespace) -> int:
    from relay.demo import demo  # noqa: PLC0415 - the stand-ins are no part of a serving relay

    return demo()


def _check(_: argparse.Namespace) -> int:
    config = _config()
    print("The configuration is good.")
    print(f"  Slack: {'Socket Mode' if config.slack.app_token else 'HTTP'}, command {config.slack.command}")
    for route in config.routes:
        places = ", ".join(route.places)
        where = f"{route.runtime.environment}, conversation {route.runtime.conversation_id}"
        print(f"  channel {route.channel} -> {where}; cards: {places}")
    approvers = ", ".join(sorted(config.approvers)) or "any full member"
    print(f"  approvers: {approvers}\n  store: {config.store_url}")
    return 0


def _asked(question: str, facts: dict[str, str]) -> dict[str, Any]:
    return asyncio.run(ask(store_url(os.environ), question, facts))


def _list(parsed: argparse.Namespace) -> int:
    found = _asked("deliveries.list", {"state": parsed.state or "", "after": parsed.after})
    if parsed.json:
        print(json.dumps(found, ensure_ascii=False))
        return 0
    rows = [
        (row["id"], row["kind"], row["state"], str(row["attempts"]), row["last_error"])
        for row in found["deliveries"]
    ]
    _print_table([("ID", "KIND", "STATE", "TRIES", "LAST ERROR"), *rows] if rows else [("no deliveries",)])
    if found["after"]:
        print(f"more: relay deliveries list --after {found['after']}")
    return 0


def _show(parsed: argparse.Namespace) -> int:
    found = _asked("deliveries.show", {"id": parsed.id})
    if parsed.json:
        print(json.dumps(found, ensure_ascii=False))
    else:
        _print_table([(f"{name}:", json.dumps(value, ensure_ascii=False)) for name, value in found.items()])
    return 0


def _retry(parsed: argparse.Namespace) -> int:
    found = _asked("deliveries.retry", {"id": parsed.id})
    print(json.dumps(found) if parsed.json else f"sending {found['retried']} again")
    return 0


def _print_table(rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
