"""The HTTP routes: Slack's arrivals, and the two questions a supervisor asks."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from slack_bolt import BoltResponse
from slack_bolt.async_app import AsyncApp, AsyncBoltRequest
from slack_sdk.signature import SignatureVerifier

_LARGEST_BODY = 4 * 1024 * 1024
_STALE = 5 * 60  # seconds, as the verifier has it: what was signed before may be a replay
_SILENCE = 5.0  # seconds between two lines about refused signatures: strangers must not fill a disk
_SSL_CHECK = b"ssl_check=1"  # Slack looks at the certificate, unsigned, and wants nothing but a 200


@dataclass(frozen=True)
class Health:
    """Whether one part is ready, and how it fares in a few words."""

    ready: bool
    words: str


@dataclass(frozen=True)
class SlackRoute:
    """Who takes Slack's requests, and the secret that tells them from anybody else's."""

    bolt: AsyncApp
    signing_secret: str


@dataclass
class RefusedSignatures:
    """Says that signatures are refused, a line in a while; the next line counts those that had none."""

    warn: Callable[..., Any]
    clock: Callable[[], float] = time.monotonic
    _unsaid: Counter[str] = field(default_factory=Counter)
    _said_at: float | None = None

    def add(self, reason: str) -> None:
        """Count one that was refused because it was `absent`, `stale` or `bad`."""
        self._unsaid[reason] += 1
        now = self.clock()
        if self._said_at is not None and now - self._said_at < _SILENCE:
            return
        self._said_at = now
        self.warn("slack.refused_signature", reason=reason, refused=dict(self._unsaid))
        self._unsaid.clear()


_BOLT: web.AppKey[AsyncApp] = web.AppKey("bolt", AsyncApp)
_VERIFIER: web.AppKey[SignatureVerifier] = web.AppKey("verifier", SignatureVerifier)
_REFUSED: web.AppKey[RefusedSignatures] = web.AppKey("refused", RefusedSignatures)


def web_app(
    readiness: Callable[[], Any], slack: SlackRoute | None, warn: Callable[..., Any]
) -> web.Application:
    """Return the application. Without `slack` (Socket Mode) Slack's route is not mounted.

    `readiness` is awaited and returns the health of each part by its name; `warn` is the log's.
    """
    app = web.Application(client_max_size=_LARGEST_BODY)
    app.router.add_get("/healthz", _healthz)
    app.router.add_get("/readyz", _readyz(readiness))
    if slack is not None:
        app[_BOLT], app[_VERIFIER] = slack.bolt, SignatureVerifier(slack.signing_secret)
        app[_REFUSED] = RefusedSignatures(warn)
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
    body = await request.read()
    if _SSL_CHECK in body.split(b"&"):
        return web.Response()
    # The signature is over the bytes: nothing is parsed for anybody who cannot sign.
    if not _is_signed(request.app[_VERIFIER], body, request.headers):
        request.app[_REFUSED].add(_why_refused(request.headers))
        return web.json_response({"error": "invalid request"}, status=401)
    try:
        arrival = AsyncBoltRequest(
            body=body.decode(), query=request.query_string, headers=dict(request.headers)
        )
    except (ValueError, AttributeError, RecursionError):  # no JSON, or none of an object
        return web.json_response({"error": "the body is not what Slack sends"}, status=400)
    answer = await request.app[_BOLT].async_dispatch(arrival)
    if answer.status in (404, 500):
        # Signed by Slack, but of no kind there is: asking for it again would not help.
        return web.json_response({"error": "nothing here takes that"}, status=200)
    return _written(answer)


def _written(answer: BoltResponse) -> web.Response:
    """Return Bolt's answer as the server's: no cookies, for nothing here sets any."""
    kind = answer.headers["content-type"][0]
    return web.Response(status=answer.status, body=answer.body.encode(), headers={"Content-Type": kind})


def _is_signed(verifier: SignatureVerifier, body: bytes, headers: Mapping[str, str]) -> bool:
    timestamp, signature = headers.get("X-Slack-Request-Timestamp"), headers.get("X-Slack-Signature")
    try:
        return verifier.is_valid(body, timestamp, signature)
    except (ValueError, TypeError, OverflowError):  # no number, no ASCII, no UTF-8: nothing Slack ever signed
        return False


def _why_refused(headers: Mapping[str, str]) -> str:
    timestamp, signature = headers.get("X-Slack-Request-Timestamp"), headers.get("X-Slack-Signature")
    if not timestamp or not signature:
        return "absent"
    try:
        age = abs(time.time() - int(timestamp))
    except (ValueError, OverflowError):
        return "bad"
    return "stale" if age > _STALE else "bad"
