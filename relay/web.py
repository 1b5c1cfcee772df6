"""The HTTP routes: Slack's arrivals, and the two questions a supervisor asks."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response, to_bolt_request
from slack_bolt.async_app import AsyncApp

_LARGEST_BODY = 4 * 1024 * 1024


@dataclass(frozen=True)
class Health:
    """Whether one part is ready, and how it fares in a few words."""

    ready: bool
    words: str


_BOLT: web.AppKey[AsyncApp] = web.AppKey("bolt", AsyncApp)


def web_app(readiness: Callable[[], Any], bolt: AsyncApp | None) -> web.Application:
    """Return the application. Without `bolt` (Socket Mode) Slack's route is not mounted.

    `readiness` is awaited and returns the health of each part by its name.
    """
    app = web.Application(client_max_size=_LARGEST_BODY)
    app.router.add_get("/healthz", _healthz)
    app.router.add_get("/readyz", _readyz(readiness))
    if bolt is not None:
        app[_BOLT] = bolt
        app.router.add_post("/slack/events", _slack)
    return app


async def _healthz(_: web.Request) -> web.Response:
    return web.json_response({"status": "ok"})


def _readyz(readiness: Callable[[], Any]) -> Callable[[web.Request], Any]:
    async def readyz(_: web.Request) -> web.Response:
        parts: dict[str, Health] = await readiness()
        ready = all(part.ready for part in parts.values())
        body = {"ready": ready, **{name: part.words for name, part in parts.items()}}
        return web.json_response(body, status=200 if ready else 503)

    return readyz


async def _slack(request: web.Request) -> web.StreamResponse:
    try:
        arrival = await to_bolt_request(request)
    except ValueError:  # no JSON, no UTF-8: nothing Slack ever sent
        return web.json_response({"error": "the body is not what Slack sends"}, status=400)
    answer = await request.app[_BOLT].async_dispatch(arrival)
    if answer.status in (404, 500):
        # Signed by Slack, but of no kind there is: asking for it again would not help.
        return web.json_response({"error": "nothing here takes that"}, status=200)
    return await to_aiohttp_response(answer)
