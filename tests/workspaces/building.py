"""Two workspaces that install the app of one relay, each with an environment of its own; and a browser."""

import contextlib
import io
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp
from cryptography.fernet import Fernet

from relay.sandbox.environment import FakeEnvironment
from relay.sandbox.slack import Consent, FakeSlackCloud
from tests.world import World

ALPHA, BETA, ORG = "T0ALPHA", "T0BETA", "E0ORG"
PUBLIC = "https://relay.example.com"
TOML = """
[environments.alpha]
agent_id = "agent-alpha"
device_id = "{alpha.device_id}"
base_url = "{alpha.base_url}"
api_key = {{ env = "ALPHA_KEY" }}

[environments.beta]
agent_id = "agent-beta"
device_id = "{beta.device_id}"
base_url = "{beta.base_url}"
api_key = {{ env = "BETA_KEY" }}

[[routes]]
team = "T0ALPHA"
environment = "alpha"
approvals = ["C0APPROVALS"]

[[routes]]
team = "T0BETA"
environment = "beta"
approvals = ["C0APPROVALS"]
"""


class LoudLog(io.StringIO):
    """A log that wakes whoever waits for the workspace to look different."""

    def __init__(self, changed: Callable[[], None]) -> None:
        super().__init__()
        self._changed = changed

    def write(self, text: str) -> int:
        written = super().write(text)
        self._changed()
        return written


@dataclass
class Shown:
    """What a browser was answered."""

    status: int
    text: str
    location: str
    headers: dict[str, str]


@dataclass
class Browser:
    """Somebody's browser: it keeps cookies, and goes to relay's public address through its proxy."""

    relay_url: str
    cookies: dict[str, str] = field(default_factory=dict)
    set_cookies: list[str] = field(default_factory=list)
    _session: aiohttp.ClientSession = field(init=False)

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def go(self, address: str) -> Shown:
        """Go to an address, and no further than where it leads."""
        ours = address.startswith(PUBLIC)
        url = address.replace(PUBLIC, self.relay_url, 1)
        sent = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers = {"Cookie": sent} if ours and sent else {}
        async with self._session.get(url, headers=headers, allow_redirects=False) as answer:
            for cookie in answer.headers.getall("Set-Cookie", []):
                self._keep(cookie)
            shown = dict(answer.headers)
            return Shown(answer.status, await answer.text(), answer.headers.get("Location", ""), shown)

    def _keep(self, cookie: str) -> None:
        self.set_cookies.append(cookie)
        for name, one in SimpleCookie(cookie).items():
            if one["max-age"] == "0":
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = one.value

    async def install(self) -> Shown:
        """Install the app: to Slack, where somebody consents, and back."""
        return await self.go(await self.way_back())

    async def way_back(self) -> str:
        """Return where Slack leads back to."""
        begun = await self.go(f"{PUBLIC}/slack/install")
        assert begun.status == 302, begun.text
        return (await self.go(begun.location)).location


@dataclass
class Building:
    """One relay that two workspaces may install."""

    cloud: FakeSlackCloud
    alpha: World
    beta: World

    async def start_relay(self, extra: dict[str, str] | None = None) -> None:
        """Start the relay and wait until it serves."""
        await self.alpha.start_relay(extra)
        for one in self.cloud.workspaces.values():
            one.request_url = self.alpha.slack.request_url

    async def stop_relay(self) -> None:
        """Stop the relay as SIGTERM does."""
        await self.alpha.stop_relay()

    @property
    def log(self) -> str:
        """Everything that the relay has logged."""
        return self.alpha.log.getvalue()

    @contextlib.asynccontextmanager
    async def browser(self) -> AsyncIterator[Browser]:
        """Give somebody's browser."""
        async with Browser(self.alpha.url) as made:
            yield made

    async def install(self, whose: str, user: str = "U0APPROVER") -> Shown:
        """Have somebody install the app, in a browser of their own."""
        self.cloud.consent = Consent(whose, user)
        async with self.browser() as browser:
            return await browser.install()

    async def until(self, seen: Callable[[], object]) -> None:
        """Wait until something is so, asked again at every line of the log."""
        await self.alpha.slack.wait_for(lambda _: seen())

    def secrets(self) -> list[str]:
        """Return every token that Slack has given out, and what goes with them."""
        return [*self.cloud.tokens, *self.cloud.refresh_tokens, *self.cloud.used_refresh_tokens,
                self.cloud.client_secret, self.alpha.variables["RELAY_TOKEN_KEYS"]]  # fmt: skip


@contextlib.asynccontextmanager
async def building(
    folder: Path, *, socket_mode: bool = False, rotates: bool = False, org: bool = False
) -> AsyncIterator[Building]:
    """Give both workspaces, and a relay that is not started yet; stop everything at the end."""
    async with (
        FakeSlackCloud(rotates=rotates) as cloud,
        FakeEnvironment(agent_id="agent-alpha") as alpha,
        FakeEnvironment(agent_id="agent-beta") as beta,
    ):
        enterprise = ORG if org else None
        slacks = [cloud.add(team_id, enterprise_id=enterprise) for team_id in (ALPHA, BETA)]
        variables = {
            "SLACK_CLIENT_ID": cloud.client_id,
            "SLACK_CLIENT_SECRET": cloud.client_secret,
            "SLACK_API_URL": cloud.api_url,
            "RELAY_TOKEN_KEYS": Fernet.generate_key().decode(),
            "RELAY_PUBLIC_URL": PUBLIC,
            "RELAY_STORE_URL": f"sqlite:///{folder}/relay.db",
            "RELAY_PORT": "0",
            "ALPHA_KEY": alpha.api_key,
            "BETA_KEY": beta.api_key,
        }
        way = {"SLACK_APP_TOKEN": cloud.app_token} if socket_mode else {}
        variables |= way or {"SLACK_SIGNING_SECRET": cloud.signing_secret}
        (folder / "relay.toml").write_text(TOML.format(alpha=alpha, beta=beta), encoding="utf-8")
        worlds = [
            World(slack, folder, variables, LoudLog(slack.workspace.changed), environment=environment)
            for slack, environment in zip(slacks, (alpha, beta), strict=True)
        ]
        made = Building(cloud, *worlds)
        try:
            yield made
        finally:
            await made.stop_relay()
