"""The HTTP routes: Slack's arrivals, and the two questions a supervisor asks."""

import hashlib
import hmac
import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from slack_bolt import BoltResponse
from slack_bolt.async_app import AsyncBoltRequest
from yarl import URL

from relay.slack.arrivals import Takes
from relay.slack.installing.pages import InstallPages, Page

_LARGEST_BODY = 4 * 1024 * 1024
_STALE = 5 * 60  # seconds, as Slack advises: what was signed before may be a replay
_LONGEST_TIMESTAMP = 12
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

    bolt: Takes
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


_BOLT: web.AppKey[Takes] = web.AppKey("bolt")
_SIGNING: web.AppKey[hmac.HMAC] = web.AppKey("signing", hmac.HMAC)
_REFUSED: web.AppKey[RefusedSignatures] = web.AppKey("refused", RefusedSignatures)


def web_app(
    readiness: Callable[[], Any],
    slack: SlackRoute | None,
    warn: Callable[..., Any],
    install: InstallPages | None = None,
) -> web.Application:
    """Return the application. Without `slack` (Socket Mode) Slack's route is not mounted.

    `readiness` is awaited and returns the health of each part by its name; `warn` is the log's; `install`
    answers whoever installs the app.
    """
    app = web.Application(client_max_size=_LARGEST_BODY)
    app.router.add_get("/healthz", _healthz)
    app.router.add_get("/readyz", _readyz(readiness))
    if slack is not None:
        app[_BOLT] = slack.bolt
        # Begun once: to take in the secret costs a fifth of what a signature does.
        app[_SIGNING] = hmac.new(slack.signing_secret.encode(), digestmod=hashlib.sha256)
        app[_REFUSED] = RefusedSignatures(warn)
        app.router.add_post("/slack/events", _slack)
    if install is not None:
        _mount(app, install)
    return app


def _mount(app: web.Application, install: InstallPages) -> None:
    async def begin(_: web.Request) -> web.Response:
        return _shown(install.install())

    async def end(request: web.Request) -> web.Response:
        return _shown(await install.redirected(request.query, request.cookies))

    # No HEAD: what only looks whether the page is there begins no install.
    app.router.add_get("/slack/install", begin, allow_head=False)
    app.router.add_get("/slack/oauth_redirect", end, allow_head=False)


def _shown(page: Page) -> web.Response:
    return web.Response(status=page.status, body=page.body.encode(), headers=page.headers)


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
    if _SSL_CHECK in body and _SSL_CHECK in body.split(b"&"):
        return web.Response()
    # The signature is over the bytes: nothing is parsed for anybody who cannot sign.
    if not _is_signed(request.app[_SIGNING], body, request.headers):
        request.app[_REFUSED].add(_why_refused(request.headers))
        return web.json_response({"error": "invalid request"}, status=401)
    try:
        # As over a socket: already parsed, because Bolt finds nothing in a command that says "payload".
        arrival = AsyncBoltRequest(mode="socket_mode", body=_read(body.decode()))
    except Exception:  # noqa: BLE001 - the reading of anybody's bytes: no JSON, no object, none of Slack's
        return _strange()
    try:
        answer = await request.app[_BOLT].async_dispatch(arrival)
    except Exception as problem:  # noqa: BLE001 - a boundary: Bolt's own middleware trips over what is strange
        request.app[_REFUSED].warn("arrival.defect", kind="request", exc_info=problem)
        return _strange()
    if answer.status in (404, 500):
        # Signed by Slack, but of no kind there is: asking for it again would not help.
        return web.json_response({"error": "nothing here takes that"}, status=200)
    return _written(answer)


def _read(body: str) -> dict[str, Any]:
    """Return what Slack sent: an event as JSON, a press as JSON in a form, a command as a form."""
    if body.startswith("{"):
        return _object(body)
    form = dict(URL.build(query_string=body, encoded=True).query)
    return _object(form["payload"]) if "payload" in form else form


def _object(text: str) -> dict[str, Any]:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise TypeError("no object")
    return found


def _strange() -> web.Response:
    return web.json_response({"error": "the body is not what Slack sends"}, status=400)


def _written(answer: BoltResponse) -> web.Response:
    """Return Bolt's answer as the server's: no cookies, for nothing here sets any."""
    kind = answer.headers["content-type"][0]
    body = answer.body.encode("utf-8", "backslashreplace")  # half a character, as JSON writes it
    return web.Response(status=answer.status, body=body, headers={"Content-Type": kind})


def _is_signed(begun: hmac.HMAC, body: bytes, headers: Mapping[str, str]) -> bool:
    """Whether Slack signed these bytes just now. Slack's own verifier takes no body that is not UTF-8.

    https://docs.slack.dev/authentication/verifying-requests-from-slack
    """
    timestamp = headers.get("X-Slack-Request-Timestamp", "")
    age = _age(timestamp)
    if age is None or age > _STALE:
        return False
    signing = begun.copy()
    signing.update(b"v0:" + timestamp.encode() + b":" + body)
    signature = headers.get("X-Slack-Signature", "").encode(errors="surrogateescape")
    return hmac.compare_digest(b"v0=" + signing.hexdigest().encode(), signature)


def _age(timestamp: str) -> float | None:
    """Return how many seconds ago that was, or will be; None: it is no time at all."""
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= _LONGEST_TIMESTAMP):
        return None
    return abs(time.time() - int(timestamp))


def _why_refused(headers: Mapping[str, str]) -> str:
    timestamp = headers.get("X-Slack-Request-Timestamp")
    if not timestamp or not headers.get("X-Slack-Signature"):
        return "absent"
    age = _age(timestamp)
    return "stale" if age is not None and age > _STALE else "bad"
