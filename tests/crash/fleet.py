"""Several relays on one store behind one address, of which some are killed or stopped in their tracks."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Sequence

import aiohttp
from aiohttp import web

from tests.crash.relay_process import SERVE, RelayProcess
from tests.store.beside import rows
from tests.world import World

_HOLDER = "SELECT epoch FROM leases WHERE name = 'environment/default' AND holder <> ''"
_HANDED_OVER_WITHIN = 20.0
_ANSWERED_WITHIN = 3.0  # seconds: Slack's own


class Fleet:
    """Relays of one world. Slack calls them in turn; not those that are stopped, as a balancer sees soon."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._turn = 0
        self.all: list[RelayProcess] = []
        self.frozen: list[RelayProcess] = []
        self.url = ""

    @property
    def serving(self) -> list[RelayProcess]:
        """Those that answer."""
        return [one for one in self.all if one.is_alive and one not in self.frozen]

    async def add(self, arguments: Sequence[str] = SERVE) -> RelayProcess:
        """Start one more."""
        relay = RelayProcess(self._world, arguments)
        self.all.append(relay)
        await relay.start()
        self._world.slack.request_url = f"{self.url}/slack/events"
        return relay

    async def holder(self, besides: RelayProcess | None = None) -> RelayProcess:
        """Wait until one that answers holds the environment, and return it; another one than `besides`."""
        async with asyncio.timeout(_HANDED_OVER_WITHIN):
            while True:
                epochs = await asyncio.to_thread(self._epochs)
                for relay in self.serving:
                    if relay is not besides and epochs and epochs[0] in taken(relay):
                        return relay
                await asyncio.sleep(0.05)

    def _epochs(self) -> list[int]:
        return [epoch for (epoch,) in rows(self._world.variables["RELAY_STORE_URL"], _HOLDER)]

    def freeze(self, relay: RelayProcess) -> None:
        """Stop one in its tracks."""
        self.frozen.append(relay)
        relay.send(signal.SIGSTOP)

    def wake(self, relay: RelayProcess) -> None:
        """Let it go on."""
        relay.send(signal.SIGCONT)
        self.frozen.remove(relay)

    async def pass_on(self, request: web.Request) -> web.Response:
        """Hand what Slack sends to the next relay that answers."""
        body = await request.read()
        headers = {
            name: value for name, value in request.headers.items() if name.startswith(("X-", "Content-"))
        }
        headers.pop("Content-Length", None)
        self._turn += 1
        serving = self.serving
        if not serving:
            return web.Response(status=503)
        url = serving[self._turn % len(serving)].url + request.path
        limits = aiohttp.ClientTimeout(total=_ANSWERED_WITHIN)
        try:
            async with (
                aiohttp.ClientSession(timeout=limits) as session,
                session.post(url, data=body, headers=headers) as answer,
            ):
                kind = answer.headers.get("Content-Type", "text/plain")
                return web.Response(
                    status=answer.status, body=await answer.read(), headers={"Content-Type": kind}
                )
        except (aiohttp.ClientError, TimeoutError):
            return web.Response(status=502)


def taken(relay: RelayProcess) -> list[int]:
    """Return the epochs in which a relay took the environment."""
    return [line["epoch"] for line in relay.log if line["event"] == "environment.taken"]


@contextlib.asynccontextmanager
async def fleet(world: World, number: int) -> AsyncIterator[Fleet]:
    """Give so many relays that serve; all are dead at the end."""
    made = Fleet(world)
    app = web.Application()
    app.router.add_post("/{path:.*}", made.pass_on)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        await asyncio.gather(*(made.add() for _ in range(number)))
        yield made
    finally:
        for relay in made.all:
            if relay.is_alive:
                relay.send(signal.SIGKILL)
        for relay in made.all:
            await relay.ended()
        await runner.cleanup()
