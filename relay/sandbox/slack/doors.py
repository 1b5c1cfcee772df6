"""What both ways from Slack to an app have in common, and the one by signed HTTP requests."""

import hashlib
import hmac
import json
import time
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlencode

import aiohttp

from relay.sandbox.slack.workspace import Json

Kind = Literal["command", "action", "view_submission", "view_closed", "shortcut", "event"]
Retry = tuple[int, str]
# An event that is not acknowledged comes again at once, a minute later and five minutes later.
MOST_RETRIES = 3


@dataclass(frozen=True)
class Answer:
    """What came back on one delivery; `status` None when nothing did."""

    status: int | None
    body: Json | str | None = None


NOBODY = Answer(None)


def sign(secret: str, body: bytes, timestamp: int | None = None) -> dict[str, str]:
    """Return the headers of https://docs.slack.dev/authentication/verifying-requests-from-slack."""
    at = str(int(time.time()) if timestamp is None else timestamp)
    mark = hmac.new(secret.encode(), b"v0:" + at.encode() + b":" + body, hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": at, "X-Slack-Signature": f"v0={mark}"}


def encoded(kind: str, payload: Json) -> tuple[bytes, str]:
    """Return a payload as bytes for HTTP, and its content type."""
    if kind == "event":
        return json.dumps(payload).encode(), "application/json"
    form = payload if kind == "command" else {"payload": json.dumps(payload)}
    return urlencode(form).encode(), "application/x-www-form-urlencoded"


class HttpDoor:
    """Posts signed requests to one URL."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._session: aiohttp.ClientSession | None = None

    async def send(
        self,
        url: str,
        kind: str,
        payload: Json,
        retry: Retry | None,
        headers: dict[str, str] | None,
        body: bytes | None,
    ) -> Answer:
        """Deliver one payload; `headers` replace the signature, `body` the encoded payload."""
        usual, content_type = encoded(kind, payload)
        body = usual if body is None else body
        sent = {"Content-Type": content_type, "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)"}
        sent |= sign(self._secret, body) if headers is None else headers
        if retry is not None:
            sent |= {"X-Slack-Retry-Num": str(retry[0]), "X-Slack-Retry-Reason": retry[1]}
        try:
            async with self._open().post(url, data=body, headers=sent, allow_redirects=False) as response:
                return Answer(response.status, await _read(response))
        except (aiohttp.ClientError, OSError, ValueError):
            return NOBODY

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        return self._session

    async def close(self) -> None:
        """Let go of all connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()


async def _read(response: aiohttp.ClientResponse) -> Json | str | None:
    text = await response.text(errors="replace")
    if response.content_type != "application/json":
        return text or None
    try:
        return mapping(json.loads(text)) or text
    except ValueError:
        return text or None


def mapping(value: object) -> Json | None:
    """Return an object of JSON that holds something, or None."""
    return value if isinstance(value, dict) and value else None
