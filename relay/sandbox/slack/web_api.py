"""The Web API's door: tokens, arguments, rate limits, trouble on demand, then the method itself."""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any

from aiohttp import web

from relay.sandbox.slack import chat, reading, streams, surfaces
from relay.sandbox.slack.refusals import RefusedError
from relay.sandbox.slack.rights import Rates, check_scope
from relay.sandbox.slack.workspace import ApiCall, Json, Workspace

_STRUCTURED = {"blocks", "view", "metadata", "message", "attachments", "loading_messages"}


def _open_connection(workspace: Workspace, _arguments: Json) -> Json:
    """apps.connections.open"""
    return {"url": workspace.new_ticket_url()}


METHODS: dict[str, Callable[[Workspace, Json], Json]] = {
    **chat.METHODS,
    **reading.METHODS,
    **streams.METHODS,
    **surfaces.METHODS,
    "apps.connections.open": _open_connection,
}


@dataclass
class Trouble:
    """How the next calls of one method go wrong."""

    method: str
    error: str
    times: int
    status: int
    retry_after: int | None
    hang: bool
    after: bool
    when: Callable[[Json], bool] | None

    def strikes(self, method: str, arguments: Json) -> bool:
        """Whether this call is one that goes wrong."""
        return self.times > 0 and method == self.method and (self.when is None or self.when(arguments))


class WebApi:
    """Answers `/api/METHOD` for one workspace."""

    def __init__(self, workspace: Workspace, rates: Rates) -> None:
        self.troubles: list[Trouble] = []
        self.stopping = asyncio.Event()
        self._workspace = workspace
        self._rates = rates

    async def answer(self, request: web.Request) -> web.Response:
        """Answer one call, and record it."""
        method = request.match_info["method"]
        arguments = await _arguments(request)
        token = _token(request, arguments)
        call = ApiCall(method, arguments, None, time.time())
        self._workspace.calls.append(call)
        trouble = next((one for one in self.troubles if one.strikes(method, arguments)), None)
        if trouble is None:
            response = self._respond(call, token)
        else:
            trouble.times -= 1
            response = await self._spoil(trouble, call, token, request)
        response.headers["Date"] = formatdate(time.time() + self._workspace.clock_ahead, usegmt=True)
        self._workspace.changed()
        return response

    async def _spoil(self, trouble: Trouble, call: ApiCall, token: str, request: web.Request) -> web.Response:
        if trouble.after:
            self._respond(call, token)
        call.error = trouble.error
        self._workspace.changed()
        if trouble.hang:
            await self.stopping.wait()
        if (trouble.hang or trouble.after) and request.transport is not None:
            request.transport.abort()
        return _failure(trouble)

    def _respond(self, call: ApiCall, token: str) -> web.Response:
        try:
            self._admit(call, token)
            answer = {"ok": True, **METHODS[call.method](self._workspace, call.arguments)}
            return web.json_response(answer, headers=self._allowed(token))
        except RefusedError as refused:
            call.error = refused.error
            if refused.error == "ratelimited":
                headers = {"Retry-After": str(refused.retry_after)}
                return web.json_response(refused.body(), status=429, headers=headers)
            return web.json_response(refused.body())

    def _allowed(self, token: str) -> dict[str, str]:
        """Return the header that tells what a token may be used for."""
        of_bot = self._workspace.takes(token)
        scopes = sorted(self._workspace.scopes) if of_bot else ["connections:write"]
        return {"X-OAuth-Scopes": ",".join(scopes)}

    def _admit(self, call: ApiCall, token: str) -> None:
        if call.method not in METHODS:
            raise RefusedError("unknown_method")
        if not token:
            raise RefusedError("not_authed")
        of_app, of_bot = token == self._workspace.app_token, self._workspace.takes(token)
        if not (of_app or of_bot):
            raise RefusedError("invalid_auth")
        if not (of_app if call.method == "apps.connections.open" else of_bot):
            raise RefusedError("not_allowed_token_type")
        check_scope(self._workspace, call.method, call.arguments)
        self._rates.check(call.method, call.arguments)


def _failure(trouble: Trouble) -> web.Response:
    limited = trouble.error == "ratelimited"
    status = 429 if limited and trouble.status == 200 else trouble.status
    headers = {}
    if limited or trouble.retry_after is not None:
        headers["Retry-After"] = str(1 if trouble.retry_after is None else trouble.retry_after)
    return web.json_response({"ok": False, "error": trouble.error}, status=status, headers=headers)


async def _arguments(request: web.Request) -> Json:
    arguments: Json = dict(request.query)
    if request.content_type == "application/json":
        body = await request.read()
        try:
            sent = json.loads(body or b"{}")
        except ValueError:
            sent = {}
        return arguments | (sent if isinstance(sent, dict) else {})
    arguments |= dict(await request.post())
    return {name: _structured(name, value) for name, value in arguments.items()}


def _structured(name: str, value: Any) -> Any:
    if name not in _STRUCTURED or not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _token(request: web.Request, arguments: Json) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    given = str(arguments.pop("token", ""))
    return token.strip() if scheme.lower() == "bearer" else given
