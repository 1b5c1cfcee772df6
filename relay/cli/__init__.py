"""The command line: every error is one clear line on stderr; exit status 0, 1 or 2.

What a command needs is imported when it is asked for, inside `main`: `--help` answers at once, and
Ctrl-C ends quietly also in the second that the libraries take.
"""

from __future__ import annotations

import gc
import os
import sys

TYPE_CHECKING = False  # as type checkers know it; `typing` takes a hundredth of a second to import
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Sequence

_INTERRUPTED, _UNREAD = 130, 141  # as a shell says it: 128 and the number of SIGINT or SIGPIPE


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    try:
        from relay.cli.arguments import parser

        parsed = parser().parse_args(arguments)
        status = _command(parsed.command)(parsed)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has enough of it; the interpreter must not say so at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _UNREAD
    return status


def _command(name: str) -> Callable[[Namespace], int]:
    if name == "serve":
        # Nothing that a start makes is garbage: the collector, let loose on it, takes a tenth of the time.
        gc.disable()
        from relay.cli.serve import serve

        return serve
    if name == "check":
        from relay.cli.check import check

        return check
    if name == "doctor":
        from relay.cli.doctor import doctor

        return doctor
    if name in ("backup", "copy"):
        from relay.cli import store

        return {"backup": store.backup, "copy": store.copy}[name]
    if name == "environments":
        from relay.cli.environments import environments

        return environments
    if name == "demo":
        from relay.demo import demo

        return demo
    if name in ("explain", "replay"):
        from relay.cli import policy

        return {"explain": policy.explain, "replay": policy.replay}[name]
    if name in ("export", "verify", "accept"):
        from relay.cli import audit

        return {"export": audit.export, "verify": audit.verify, "accept": audit.accept}[name]
    if name in ("grants.list", "grants.revoke"):
        from relay.cli import grants

        return {"grants.list": grants.list_page, "grants.revoke": grants.revoke}[name]
    from relay.cli import deliveries

    return {
        "list": deliveries.list_page,
        "show": deliveries.show,
        "retry": deliveries.retry,
        "drop": deliveries.drop,
    }[name]
