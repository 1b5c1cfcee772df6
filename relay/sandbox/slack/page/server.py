"""The page's server: the files, the socket, and the checks that keep other web sites out."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from aiohttp import web
from aiohttp.typedefs import Handler

from relay.sandbox.slack.fake import FakeSlack
from relay.sandbox.slack.page import state
from relay.sandbox.slack.page.acts import Acts
from relay.sandbox.slack.page.scenario import Command, Lessons, Scenario
from relay.sandbox.slack.page.socket import Tabs

_STATIC = Path(__file__).parent / "static"
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_LOOK_EVERY = 0.5


class Page:
    """A local workspace in the browser, for one FakeSlack; it is served on 127.0.0.1 alone."""

    def __init__(
        self,
        slack: FakeSlack,
        *,
        commands: Sequence[Command] = (),
        scenarios: Sequence[Scenario] = (),
        port: int = 0,
        people: Sequence[str] = (),
        title: str = "A local workspace",
        kinds: Mapping[str, str] | None = None,
    ) -> None:
        """`people` are who one can be, else all but bots and deleted; `kinds` says what some are."""
        self._slack = slack
        self._commands = commands
        self._lessons = Lessons(slack, scenarios)
        self._port = port
        self._asked_people = people
        self._title = title
        self._kinds = dict(kinds or {})
        acts = Acts(slack, commands, self._lessons)
        self._tabs = Tabs(slack.workspace, acts, self._people, self._seen)
        self._runner: web.AppRunner | None = None
        self._watching: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Where the page is, with a slash at the end."""
        return f"http://127.0.0.1:{self._port}/"

    @property
    def tabs(self) -> int:
        """How many tabs look at the page."""
        return self._tabs.number

    async def start(self) -> None:
        """Serve; OSError says that the port is taken."""
        app = web.Application(middlewares=[self._own_host])
        app.on_response_prepare.append(self._add_headers)
        app.router.add_get("/", self._index)
        app.router.add_get("/static/{name}", self._file)
        app.router.add_get("/socket", self._socket)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", self._port).start()
        except OSError:
            await runner.cleanup()
            raise
        self._runner, self._port = runner, runner.addresses[0][1]
        self._watching = asyncio.create_task(self._lessons.watch(_LOOK_EVERY))

    async def stop(self) -> None:
        """Send all tabs away and stop serving."""
        watching, self._watching = self._watching, None
        if watching is not None:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        await self._tabs.close()
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def _people(self) -> list[str]:
        usual = [one.id for one in self._slack.people.values() if not (one.is_bot or one.deleted)]
        return [one for one in self._asked_people if one in self._slack.people] or usual

    def _seen(self, user: str) -> dict[str, object]:
        everyone = [
            one | {"kind": self._kinds.get(one["id"], one["kind"])} for one in state.people(self._slack)
        ]
        seen: dict[str, object] = {
            "me": user,
            "people": everyone,
            "page": {
                "title": self._title,
                "switch": self._people(),
                "app": self._slack.workspace.bot_user,
                "workspace": self._slack.workspace.url,
                "commands": [
                    {"command": one.command, "about": one.about, "usage": one.usage, "words": list(one.words)}
                    for one in self._commands
                ],
            },
            "scenarios": self._lessons.told(),
        }
        return seen | state.seen_by(self._slack, user)

    # What comes in.

    def _hosts(self) -> set[str]:
        return {f"127.0.0.1:{self._port}", f"localhost:{self._port}"}

    @web.middleware
    async def _own_host(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        # A foreign name that is made to point at this machine would let that name's site read the page.
        if request.headers.get("Host", "") not in self._hosts():
            raise web.HTTPForbidden(text="This page answers under its own address alone.")
        return await handler(request)

    async def _index(self, _request: web.Request) -> web.StreamResponse:
        return _answer("index.html")

    async def _file(self, request: web.Request) -> web.StreamResponse:
        return _answer(request.match_info["name"])

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        origin = request.headers.get("Origin")
        if origin is not None and origin not in {f"http://{host}" for host in self._hosts()}:
            raise web.HTTPForbidden(text="Another site's page may not act here.")
        return await self._tabs.serve(request)

    async def _add_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        response.headers["Content-Security-Policy"] = (
            f"default-src 'self'; connect-src 'self' ws://{request.host}; object-src 'none'; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cache-Control"] = "no-store"


def _answer(name: str) -> web.Response:
    """Return one of the page's own files; nothing else of the disk is reached by a name."""
    found = next((file for file in _STATIC.iterdir() if file.name == name and file.suffix in _TYPES), None)
    if found is None:
        raise web.HTTPNotFound(text="There is no such file.")
    return web.Response(text=found.read_text("utf-8"), content_type=_TYPES[found.suffix], charset="utf-8")
