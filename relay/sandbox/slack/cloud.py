"""FakeSlackCloud: Slack with several workspaces at one address, and an app that each of them can install.

https://docs.slack.dev/authentication/installing-with-oauth
https://docs.slack.dev/authentication/using-token-rotation
"""

import asyncio
import base64
import binascii
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlencode, urlsplit

from aiohttp import web

from relay.sandbox.slack.fake import FakeSlack
from relay.sandbox.slack.workspace import Json

CODE_LASTS = 600.0
TOKEN_LASTS = 43_200
_LARGEST_BODY = 10_000_000


@dataclass
class Grant:
    """What one installation gave the app; `teams` are the workspaces that its token opens."""

    whose: str
    is_org: bool
    teams: tuple[str, ...]
    scope: str
    expires: float | None = None
    error: str = ""  # what Slack says to a token that is no longer good


@dataclass
class _Code:
    whose: str
    is_org: bool
    scope: str
    redirect_uri: str
    issued: float


@dataclass
class Consent:
    """Who consents to the next install, for which workspace or organisation; `cancels`: they do not."""

    whose: str
    user: str = "U0APPROVER"
    cancels: bool = False


@dataclass
class Held:
    """Requests that wait: that the first has come, when they may go on, and that one was answered."""

    begun: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    answered: bool = False


class FakeSlackCloud:
    """A stand-in for all of Slack on 127.0.0.1, as an app that many workspaces install sees it.

    `rotates`: tokens expire and come with a refresh token. `clock_ahead` makes them older, in seconds.
    """

    client_id = "1.2"
    client_secret = "sandbox-client-secret"  # noqa: S105 - opens nothing but this stand-in
    signing_secret = "sandbox-signing-secret"  # noqa: S105 - the same
    app_token = "xapp-sandbox"  # noqa: S105 - the same

    def __init__(self, *, rotates: bool = False) -> None:
        self.rotates = rotates
        self.token_lasts = TOKEN_LASTS
        self.clock_ahead = 0.0
        self.workspaces: dict[str, FakeSlack] = {}
        self.consent = Consent("")
        self.tokens: dict[str, Grant] = {}
        self.refresh_tokens: dict[str, str] = {}  # and the bot token that each came with
        self.used_refresh_tokens: set[str] = set()
        self.refreshed = 0
        self.asked_to_refresh = 0
        self._held: Held | None = None
        self.lose_answers = 0  # of the next exchanges and refreshes: they take effect, and nobody hears
        self.exchange_error = ""  # what the next exchanges and refreshes are answered with, instead
        self.url = ""
        self._codes: dict[str, _Code] = {}
        self._runner: web.AppRunner | None = None

    def add(self, team_id: str, *, enterprise_id: str | None = None) -> FakeSlack:
        """Add a workspace; nobody has installed the app there yet."""
        sockets = next((one.sockets for one in self.workspaces.values()), None)
        made = FakeSlack(
            signing_secret=self.signing_secret,
            bot_token=f"xoxb-never-{team_id}",
            app_token=self.app_token,
            team_id=team_id,
            sockets=sockets,
        )
        made.workspace.url = self.url
        made.workspace.enterprise_id = enterprise_id
        made.workspace.domain = f"workspace-{team_id.lower()}"
        self.workspaces[team_id] = made
        return made

    @property
    def api_url(self) -> str:
        """Where the Web API is: the base URL for a client."""
        return f"{self.url}/api/"

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=_LARGEST_BODY)
        app.router.add_get("/oauth/v2/authorize", self._authorize)
        app.router.add_post("/api/oauth.v2.access", self._access)
        app.router.add_route("*", "/api/{method}", self._call)
        app.router.add_post("/response/{team}/{secret}", self._respond)
        app.router.add_get("/files-pri/{file}/{name}", self._file)
        app.router.add_get("/link", self._link)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for one in self.workspaces.values():
            await one.stop()
        if self._runner is not None:
            await self._runner.cleanup()

    # Installing.

    async def _authorize(self, request: web.Request) -> web.Response:
        """Show who installs the app what it asks for; they consent at once, or cancel."""
        asked = request.query
        if asked.get("client_id") != self.client_id:
            return web.Response(status=400, text="invalid_client_id")
        back = asked["redirect_uri"]
        if self.consent.cancels:
            led = {"error": "access_denied", "state": asked.get("state", "")}
        else:
            code = secrets.token_urlsafe(16)
            is_org = self.consent.whose.startswith("E")
            self._codes[code] = _Code(self.consent.whose, is_org, asked.get("scope", ""), back, time.time())
            led = {"code": code, "state": asked.get("state", "")}
        return web.Response(status=302, headers={"Location": f"{back}?{urlencode(led)}"})

    async def _access(self, request: web.Request) -> web.StreamResponse:
        """oauth.v2.access: for a code, or for a refresh token."""
        given = {name: str(value) for name, value in (await request.post()).items()}
        if self._held is not None:
            self._held.begun.set()
            await self._held.go_on.wait()
        answer = self._exchanged(given, request.headers)
        if self._held is not None:
            self._held.answered = True
        for one in self.workspaces.values():
            one.workspace.changed()
        if self.lose_answers and request.transport is not None:
            self.lose_answers -= 1
            request.transport.abort()
        return web.json_response(answer)

    def _exchanged(self, given: Mapping[str, str], headers: Mapping[str, str]) -> Json:
        if self.exchange_error:
            return _no(self.exchange_error)
        if _basic(headers) != (self.client_id, self.client_secret):
            return _no("bad_client_secret")
        if given.get("grant_type") == "refresh_token":
            return self._refreshed(given.get("refresh_token", ""))
        code = self._codes.pop(given.get("code", ""), None)
        if code is None or time.time() - code.issued > CODE_LASTS:
            return _no("invalid_code")
        if code.redirect_uri != given.get("redirect_uri"):
            return _no("bad_redirect_uri")
        teams = tuple(
            team_id
            for team_id, one in self.workspaces.items()
            if code.whose in (team_id, one.workspace.enterprise_id)
        )
        for team_id in teams:
            self.workspaces[team_id].workspace.org_wide = code.is_org
        return self._granted(Grant(code.whose, code.is_org, teams, code.scope))

    def _refreshed(self, refresh_token: str) -> Json:
        self.asked_to_refresh += 1
        before = self.refresh_tokens.pop(refresh_token, None)
        if before is None:
            return _no("invalid_refresh_token")
        self.used_refresh_tokens.add(refresh_token)
        self.refreshed += 1
        grant = self.tokens[before]  # which goes on to work until it expires
        if grant.error:
            return _no("invalid_refresh_token")
        return self._granted(Grant(grant.whose, grant.is_org, grant.teams, grant.scope))

    def _granted(self, grant: Grant) -> Json:
        prefix = "xoxe.xoxb" if self.rotates else "xoxb"
        token = f"{prefix}-{grant.whose}-{secrets.token_hex(12)}"
        self.tokens[token] = grant
        told: Json = {}
        if self.rotates:
            grant.expires = self.now + self.token_lasts
            told = {"expires_in": self.token_lasts, "refresh_token": f"xoxe-1-{secrets.token_hex(12)}"}
            self.refresh_tokens[told["refresh_token"]] = token
        for team_id in grant.teams:
            self.workspaces[team_id].workspace.other_tokens.add(token)
        org = self.workspaces[grant.teams[0]].workspace.enterprise_id
        return {
            "ok": True,
            "access_token": token,
            "token_type": "bot",
            "scope": grant.scope,
            "bot_user_id": self.workspaces[grant.teams[0]].workspace.bot_user,
            "app_id": self.workspaces[grant.teams[0]].workspace.app_id,
            "team": None if grant.is_org else {"id": grant.whose, "name": f"Workspace <{grant.whose}>"},
            "enterprise": {"id": org, "name": "Org"} if org else None,
            "is_enterprise_install": grant.is_org,
            "authed_user": {"id": self.consent.user},
            **told,
        }

    def installed(self, whose: str) -> Json:
        """Install the app by its own page in Slack, and return what an exchange would."""
        return self._granted(Grant(whose, whose.startswith("E"), (whose,), ""))

    def use_up(self, refresh_token: str) -> None:
        """Have a refresh token used by somebody who tells nobody what came for it."""
        self._refreshed(refresh_token)
        self.asked_to_refresh = 0

    def hold_refreshes(self) -> Held:
        """Let exchanges and refreshes wait, until they may go on."""
        self._held = Held()
        return self._held

    @property
    def now(self) -> float:
        """The time as this Slack has it."""
        return time.time() + self.clock_ahead

    def take_away(self, whose: str, error: str = "account_inactive") -> None:
        """Take the app away from a workspace or organisation: its tokens are good for nothing any more."""
        for token, grant in self.tokens.items():
            if grant.whose == whose:
                grant.error = error
                for team_id in grant.teams:
                    self.workspaces[team_id].workspace.other_tokens.discard(token)

    async def uninstall(self, team_id: str, event: Json | None = None) -> None:
        """Tell the app that it is taken away from a workspace, and take its tokens away with that."""
        place = self.workspaces[team_id]
        await place.event(event or {"type": "app_uninstalled"})
        self.take_away(place.workspace.enterprise_id or "" if place.workspace.org_wide else team_id)

    # Everything else, by whose token it comes with.

    async def _call(self, request: web.Request) -> web.StreamResponse:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        if request.match_info["method"] == "apps.connections.open":
            return await next(iter(self.workspaces.values())).answer(request)
        grant = self.tokens.get(token)
        if grant is None:
            return web.json_response(_no("invalid_auth" if token else "not_authed"))
        if grant.error:
            return web.json_response(_no(grant.error))
        if grant.expires is not None and self.now >= grant.expires:
            return web.json_response(_no("token_expired"))
        return await (await self._place(grant, request)).answer(request)

    async def _place(self, grant: Grant, request: web.Request) -> FakeSlack:
        """Return the workspace that a call is for: of an organisation's, the one that it names."""
        asked = {**request.query, **{name: str(value) for name, value in (await request.post()).items()}}
        if request.content_type == "application/json" and request.can_read_body:
            asked |= {name: str(value) for name, value in (await request.json()).items()}
        named = asked.get("team_id", "")
        return self.workspaces[named if grant.is_org and named in grant.teams else grant.teams[0]]

    async def _respond(self, request: web.Request) -> web.StreamResponse:
        place = self.workspaces.get(request.match_info["team"])
        return web.Response(status=404) if place is None else await place.answer_response_url(request)

    async def _file(self, request: web.Request) -> web.StreamResponse:
        for place in self.workspaces.values():
            if request.match_info["file"] in place.workspace.files:
                return await place.file_store.answer(request)
        return web.Response(status=404)

    async def _link(self, request: web.Request) -> web.StreamResponse:
        return await next(iter(self.workspaces.values())).sockets.link(request)


def scope_of(address: str) -> list[str]:
    """Return the scopes that an address of the page of consent asks for."""
    return parse_qs(urlsplit(address).query)["scope"][0].split(",")


def _no(error: str) -> Json:
    return {"ok": False, "error": error}


def _basic(headers: Mapping[str, str]) -> tuple[str, str]:
    scheme, _, given = headers.get("Authorization", "").partition(" ")
    try:
        name, _, secret = base64.b64decode(given).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return (name, secret) if scheme.lower() == "basic" else ("", "")
