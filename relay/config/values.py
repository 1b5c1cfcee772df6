"""What a relay is configured with: frozen values, made by `load` alone."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cached_property
from typing import Literal

from pydantic import SecretStr

from relay.config.tables import ANY_TEAM
from relay.config.variables import is_socket_url
from relay.domain.matching import Policy
from relay.domain.policy import Rights
from relay.domain.runtime import Runtime


class ConfigError(Exception):
    """The configuration cannot be used; the message lists every problem, a line each."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__(
            "\n".join(["the configuration cannot be used:", *(f"  - {one}" for one in problems)])
        )


@dataclass(frozen=True)
class OAuthConfig:
    """How workspaces install the app; the first of `keys` seals their tokens, and each opens them."""

    client_id: str
    client_secret: SecretStr
    keys: tuple[SecretStr, ...]
    public_url: str

    @property
    def redirect_uri(self) -> str:
        """Where Slack leads a browser back to; it stands in the manifest, too."""
        return f"{self.public_url}/slack/oauth_redirect"

    @property
    def install_url(self) -> str:
        """Where an install begins."""
        return f"{self.public_url}/slack/install"


@dataclass(frozen=True)
class SlackConfig:
    """How Slack is reached, and what it may ask. Without `app_token` Slack calls us over HTTP.

    With `oauth` every workspace that installs the app is served, and `bot_token` is empty.
    """

    bot_token: SecretStr
    signing_secret: SecretStr | None
    app_token: SecretStr | None
    api_url: str
    command: str
    quote_commands: bool
    oauth: OAuthConfig | None = None


@dataclass(frozen=True)
class Listening:
    """How many conversations are listened to at once, and for how long without a turn, in minutes."""

    most: int
    rest_after: int


@dataclass(frozen=True)
class AuditConfig:
    """What signs the record (the first of `keys`; none: a key of the store's), and how long it is kept."""

    keys: tuple[SecretStr, ...] = ()
    retention: timedelta | None = None


@dataclass(frozen=True)
class RetentionConfig:
    """How long the store keeps the texts of what is settled; None: for ever."""

    texts: timedelta | None = None


@dataclass(frozen=True)
class MetricsConfig:
    """Where figures are told: on a port of their own, 0 for any; without one nowhere."""

    port: int | None = None
    host: str = "127.0.0.1"


@dataclass(frozen=True)
class TracingConfig:
    """Where traces are sent, and which setting says so; without an `endpoint` nowhere, and `off` may say why.

    `wanted` by relay's own setting: then it has to work.
    """

    endpoint: str = ""
    where: str = ""
    wanted: bool = False
    off: str = ""


@dataclass(frozen=True)
class Environment:
    """An environment by the name the configuration gives it; one of the three addresses is set.

    An App Server (`base_url` is ws:// or wss://) has none of them, and perhaps no key.
    """

    name: str
    agent_id: str
    base_url: str
    api_key: SecretStr
    device_id: str | None = None
    connection_id: str | None = None
    device_name: str | None = None
    approvals_via: str = "auto"  # "auto", "rest" or "socket"

    @property
    def is_app_server(self) -> bool:
        """Whether it is a self-hosted server that is spoken to over one socket."""
        return is_socket_url(self.base_url)


@dataclass(frozen=True)
class Route:
    """Where a channel's messages go, and where the cards of that conversation are posted, in turn.

    `per` "thread" or "channel": each has a conversation of its own, and `runtime` names none. A place
    "thread" is the thread of the message that asks.
    """

    channel: str
    runtime: Runtime
    places: tuple[str, ...]
    per: Literal["", "thread", "channel"] = ""
    team: str = ""  # whose channels; empty where one workspace is served, "*": of every one

    @property
    def conversation(self) -> str:
        """Which conversation, in words."""
        return f"one for each {self.per}" if self.per else self.runtime.conversation_id


@dataclass(frozen=True)
class Config:
    """Everything the relay is told from outside; `unused` says in words what of it changes nothing."""

    slack: SlackConfig
    environments: Mapping[str, Environment]
    routes: tuple[Route, ...]
    approvers: frozenset[str]
    allowed_workspaces: frozenset[str]
    store_url: str = field(repr=False)  # it may have a password in it
    host: str
    port: int
    listening: Listening
    policy: Policy
    file: str  # what messages call relay.toml
    audit: AuditConfig = AuditConfig()
    metrics: MetricsConfig = MetricsConfig()
    retention: RetentionConfig = RetentionConfig()
    tracing: TracingConfig = TracingConfig()
    unused: tuple[str, ...] = ()
    has_file: bool = True  # whether there is a relay.toml

    def route(self, channel_id: str) -> Route | None:
        """Return the first route that takes messages of a channel."""
        kind = "dm" if channel_id.startswith("D") else channel_id
        return self._by_channel.get(kind) or self._by_channel.get("*")

    @property
    def card_places(self) -> list[str]:
        """Every channel and person that a route or a rule names for cards, each once."""
        routed = [place for route in self.routes for place in route.places]
        ruled = [place for rule in self.policy.rules if rule.ask for place in rule.ask.cards]
        return [place for place in dict.fromkeys(routed + ruled) if place not in ("thread", "dm")]

    @cached_property
    def _by_channel(self) -> Mapping[str, Route]:
        return first_by_channel(self.routes)

    def of_team(self, team_id: str) -> "Config":
        """Return what of it is for one of many workspaces: its own routes and rules, and those for all."""
        routes = tuple(route for route in self.routes if route.team in (team_id, ANY_TEAM))
        return replace(self, routes=routes, policy=self.policy.of_team(team_id))

    def rights(self, home_team: str) -> Rights:
        """Return whose people may act in the workspace `home_team`."""
        return Rights(home_team, self.allowed_workspaces)


def first_by_channel(routes: tuple[Route, ...]) -> dict[str, Route]:
    """Return the route that takes each channel; those behind it, or behind a "*", take nothing."""
    found: dict[str, Route] = {}
    for route in routes:
        found.setdefault(route.channel, route)
        if route.channel == "*":
            break
    return found
