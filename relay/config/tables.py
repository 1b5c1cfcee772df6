"""The tables of relay.toml; the description of each setting says what to write there."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StrictInt, model_validator

DEFAULT_ENVIRONMENT = "default"
DEFAULT_CONVERSATION = "default"
ANY_TEAM = "*"
TEAM = r"^(T[A-Z0-9]{2,})?$"
ONE_ADDRESS = "say where the agent works by one of device_id, connection_id and name"


class Strict(BaseModel):
    """A table that takes its own settings alone."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SecretSource(Strict):
    """Where a secret stands: never the value itself."""

    env: str | None = None
    file: str | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.env is None) == (self.file is None):
            raise ValueError("needs one of env and file")
        return self


class SlackTable(Strict):
    """[slack]: what people type, and from where."""

    command: str = Field(
        default="/letta",
        pattern=r"^/[a-z0-9_-]{1,31}$",
        description='say a slash and then a-z, 0-9, - or _, as in "/letta"',
    )
    allowed_workspaces: list[str] = Field(
        default=[], description='say a list of team ids, as in ["T0123ABCD"]'
    )
    quote_commands: bool = Field(default=True, description="say true or false")


class ListeningTable(Strict):
    """[listening]: how many conversations are listened to at once, and for how long after their last turn."""

    most: StrictInt = Field(default=500, ge=1, le=10_000, description="say a whole number from 1 to 10000")
    rest_after: StrictInt = Field(
        default=30, ge=1, le=10_080, description="say a whole number of minutes from 1 to 10080"
    )


class AuditTable(Strict):
    """[audit]: how long the record is kept."""

    retention: str = Field(
        default="",
        pattern=r"^([1-9][0-9]{0,4}d)?$",
        description='say a number of days in quotes, as in "365d"; without it nothing is removed',
    )


class RetentionTable(Strict):
    """[retention]: how long the store keeps what was said and what tools were called with."""

    texts: str = Field(
        default="",
        pattern=r"^([1-9][0-9]{0,4}d)?$",
        description='say a number of days in quotes, as in "30d"; without it they are kept',
    )


class MetricsTable(Strict):
    """[metrics]: where figures are told; without a port, nowhere."""

    port: StrictInt | None = Field(
        default=None, ge=0, le=65_535, description="say a whole number from 0 to 65535; 0 takes any port"
    )
    host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description='say the address to listen on, in quotes, as in "127.0.0.1"',
    )


class TracingTable(Strict):
    """[tracing]: where traces are sent; without an endpoint, nowhere."""

    endpoint: str | None = Field(
        default=None,
        min_length=1,
        description='say the URL of a collector, in quotes, as in "http://127.0.0.1:4318"',
    )


class EnvironmentTable(Strict):
    """[environments.NAME]: an agent and where it works."""

    agent_id: str = Field(min_length=1, description='say the id of the agent, as in "agent-…"')
    device_id: str | None = Field(default=None, description="say the id of the device, in quotes")
    connection_id: str | None = Field(default=None, description="say the id of the connection, in quotes")
    name: str | None = Field(default=None, description="say the name of the device, in quotes")
    base_url: str | None = Field(
        default=None, description='say a URL in quotes, as in "https://api.letta.com"'
    )
    approvals_via: Literal["auto", "rest", "socket"] = Field(
        default="auto", description='say "auto", "rest" or "socket"'
    )
    api_key: SecretSource | None = Field(
        default=None, description='never the value itself; say { env = "NAME" } or { file = "PATH" }'
    )

    @property
    def addresses(self) -> int:
        """How many of the ways to say where the agent works are used."""
        return sum(value is not None for value in (self.device_id, self.connection_id, self.name))

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        if self.addresses > 1:
            raise ValueError(ONE_ADDRESS)
        return self


class RouteTable(Strict):
    """[[routes]]: where a channel's messages go, and where cards are posted."""

    team: str = Field(
        default="",
        pattern=r"^(T[A-Z0-9]{2,}|\*)?$",
        description='say the team id of a workspace, as in "T0123ABCD", or "*" for every one',
    )
    channel: str = Field(default="*", min_length=1, description='say a channel id, "dm" or "*"')
    environment: str = Field(
        default=DEFAULT_ENVIRONMENT, description="say the name of an environment, in quotes"
    )
    conversation: str = Field(
        default=DEFAULT_CONVERSATION,
        min_length=1,
        description='say "thread", "channel", "default" or a conversation id',
    )
    approvals: list[str] = Field(
        default=[],
        description='say a list of channel ids, user ids, "thread" and "dm", as in ["C0123ABCD", "dm"]',
    )
