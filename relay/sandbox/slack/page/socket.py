"""One WebSocket a tab: what its person sees goes out piece by piece, what the person does comes in."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web

from relay.sandbox.slack.page.acts import ActError, Acts
from relay.sandbox.slack.workspace import Json, Workspace

# At most about twenty times a second, however fast the workspace changes.
PAUSE = 0.05
LARGEST_ACT = 1_000_000


@dataclass(eq=False)
class Tab:
    """One tab: its socket, who the person is there, and what it was told so far, as JSON by piece."""

    socket: web.WebSocketResponse
    user: str
    told: dict[str, str] = field(default_factory=dict)

    def news(self, seen: Mapping[str, object]) -> str | None:
        """Return what is new since the last time as a message to the tab, None where nothing is."""
        now = {name: json.dumps(piece, separators=(",", ":")) for name, piece in seen.items()}
        new = [f"{json.dumps(name)}:{piece}" for name, piece in now.items() if self.told.get(name) != piece]
        gone = [name for name in self.told if name not in now]
        if not new and not gone:
            return None
        # A tab that comes back after a break holds pieces of before: the first message is the whole.
        whole = "true" if not self.told else "false"
        self.told = now
        return f'{{"whole":{whole},"set":{{{",".join(new)}}},"gone":{json.dumps(gone)}}}'


class Tabs:
    """All open tabs; `seen` tells all pieces that a person sees."""

    def __init__(
        self,
        workspace: Workspace,
        acts: Acts,
        people: Callable[[], list[str]],
        seen: Callable[[str], Mapping[str, object]],
    ) -> None:
        self._workspace = workspace
        self._acts = acts
        self._people = people
        self._seen = seen
        self._tabs: set[Tab] = set()
        self._running: set[asyncio.Task[None]] = set()

    @property
    def number(self) -> int:
        """How many tabs are open."""
        return len(self._tabs)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Be with one tab until it goes."""
        socket = web.WebSocketResponse(heartbeat=20, timeout=0.5, max_msg_size=LARGEST_ACT, compress=False)
        await socket.prepare(request)
        asked = request.query.get("user", "")
        people = self._people()
        tab = Tab(socket, asked if asked in people else people[0])
        self._tabs.add(tab)
        telling = asyncio.create_task(self._tell(tab))
        try:
            async for frame in socket:
                if frame.type is aiohttp.WSMsgType.TEXT:
                    await self._take(tab, frame.data)
        finally:
            self._tabs.discard(tab)
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)
            self._workspace.changed()
        return socket

    async def close(self) -> None:
        """Send every tab away and give up what is still being done for them."""
        for one in self._running:
            one.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await asyncio.gather(*(tab.socket.close(code=1001) for tab in [*self._tabs]))

    async def _tell(self, tab: Tab) -> None:
        while True:
            news = await self._workspace.until(lambda: tab.news(self._seen(tab.user)))
            await _send(tab, news)
            await asyncio.sleep(PAUSE)

    async def _take(self, tab: Tab, text: str) -> None:
        try:
            act = json.loads(text)
        except ValueError:
            act = None
        if not isinstance(act, dict):
            await _send(tab, json.dumps({"id": None, "ok": False, "error": "An act must be a JSON object."}))
        elif act.get("act") == "be":
            await self._be(tab, act)
        else:
            # Acts wait for the app, and more of them may come meanwhile, as two quick clicks do.
            doing = asyncio.create_task(self._do(tab, tab.user, act))
            self._running.add(doing)
            doing.add_done_callback(self._running.discard)

    async def _be(self, tab: Tab, act: Json) -> None:
        answer: Json = {"id": act.get("id"), "ok": act.get("user") in self._people()}
        if answer["ok"]:
            tab.user = act["user"]
            self._workspace.changed()
        else:
            answer["error"] = f"There is nobody called {act.get('user')!r} to be."
        await _send(tab, json.dumps(answer))

    async def _do(self, tab: Tab, user: str, act: Json) -> None:
        answer: Json = {"id": act.get("id"), "ok": True}
        try:
            await self._acts.do(user, act)
        except ActError as refused:
            answer |= {"ok": False, "error": str(refused)}
            if refused.errors:
                answer["errors"] = refused.errors
        self._workspace.changed()
        # What came of an act is on the screen before the act is over.
        if news := tab.news(self._seen(tab.user)):
            await _send(tab, news)
        await _send(tab, json.dumps(answer))


async def _send(tab: Tab, text: str) -> None:
    """Send to a tab; one that is going hears no more."""
    try:
        await tab.socket.send_str(text)
    except (ConnectionError, RuntimeError):
        return
