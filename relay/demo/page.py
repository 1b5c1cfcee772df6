"""`relay demo`'s workspace in the browser: a world that goes on until somebody ends it."""

import gc
import io
import os
import shlex
import shutil
import socket
import sys
import threading
import webbrowser
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from relay.demo.places import ADA, GRACE, GUEST, LINUS, STRANGER
from relay.demo.scenarios import commands, scenarios
from relay.demo.world import Pace, World, store_url, world
from relay.sandbox.slack.page import Page

USUAL_PORT = 8420
_HOST = "127.0.0.1"
_PEOPLE = (ADA, GRACE, LINUS, GUEST, STRANGER)


class PortTakenError(Exception):
    """The chosen port cannot be listened on."""


def check_port(port: int) -> None:
    """Raise PortTakenError where a port cannot be listened on."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trying:
        trying.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trying.bind((_HOST, port))
        except OSError as problem:
            reason = (problem.strerror or str(problem)).lower()
            raise PortTakenError(
                f"port {port} of {_HOST} cannot be used: {reason}; choose another with --port"
            ) from None


async def serve_page(folder: Path, log: io.StringIO, port: int | None, *, browser: bool) -> None:
    """Serve the page until the relay ends or this is cancelled."""
    async with world(folder, Pace(), log) as made, opened(made, port) as page:
        gc.freeze()  # what stands now stands until the end, which then comes at once
        print(_record(store_url(folder)))
        print(f"The workspace is open at {page.url} — Ctrl-C ends it.", flush=True)
        if browser:
            _open_browser(page.url)
        await made.running


@asynccontextmanager
async def opened(made: World, port: int | None) -> AsyncIterator[Page]:
    """Give the page of a world: on the port that is asked for, else on the usual one or any that is free."""
    async with Page(
        made.slack,
        commands=commands(),
        scenarios=scenarios(made),
        port=_free(USUAL_PORT) if port is None else port,
        people=_PEOPLE,
        title="relay demo",
        kinds={LINUS: "approver"},
    ) as page:
        yield page


def _record(url: str) -> str:
    """Return where the record is kept, and what reads it from another terminal."""
    where = f"RELAY_STORE_URL={shlex.quote(url)} {_relay()} audit"
    return f"Until it ends, its record is kept in {url}; another terminal reads it:\n  {where} export\n  {where} verify"


def _relay() -> str:
    """Return how this program is called, as it was called here."""
    called = Path(sys.argv[0])
    if called.name != "relay":
        return f"{shlex.quote(sys.executable)} -m relay"
    on_the_path = shutil.which("relay")
    same = on_the_path is not None and Path(on_the_path).resolve() == called.resolve()
    return "relay" if same else shlex.quote(sys.argv[0])


def _free(port: int) -> int:
    try:
        check_port(port)
    except PortTakenError:
        return 0
    return port


def _open_browser(url: str) -> None:
    """Show the page where a person looks at the terminal and has a desktop: no browser within the terminal."""
    has_desktop = sys.platform in ("darwin", "win32") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    )
    if sys.stdout.isatty() and has_desktop:
        # Some browsers hold whoever opened them: that must not keep anything from ending.
        threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
