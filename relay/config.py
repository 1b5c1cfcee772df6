"""Config: the process environment and relay.toml, read and validated once; nothing else reads them."""

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from relay.domain.policy import Rights
from relay.domain.runtime import Runtime

DEFAULT_ENVIRONMENT = "default"
DEFAULT_CONVERSATION = "default"
_PLAIN = ("APPROVALS_CHANNEL", "APPROVERS", "CONFIG", "HOST", "PORT", "STORE_URL")
_NAMES = [f"RELAY_{name}" for name in _PLAIN]
_SETTINGS = {*_NAMES, *(f"{name}_FILE" for name in _NAMES)}
_CHANNEL = re.compile(r"[CG][A-Z0-9]{2,}")
_USER = re.compile(r"[UW][A-Z0-9]{2,}")


class ConfigError(Exception):
    """The configuration cannot be used; the message lists every problem, a line each."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__(
            "\n".join(["the configuration cannot be used:", *(f"  - {one}" for one in problems)])
        )


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SecretSource(_Strict):
    """Where a secret stands: never the value itself."""

    env: str | None = None
    file: str | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.env is None) == (self.file is None):
            raise ValueError('say { env = "NAME" } or { file = "PATH" }')
        return self


class _SlackTable(_Strict):
    command: str = Field(default="/letta", pattern=r"^/[a-z0-9_-]{1,31}$")
    allowed_workspaces: list[str] = []
    quote_commands: bool = True


class _EnvironmentTable(_Strict):
    agent_id: str = Field(min_length=1)
    device_id: str | None = None
    connection_id: str | None = None
    name: str | None = None
    base_url: str | None = None
    api_key: SecretSource | None = None

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        if sum(value is not None for value in (self.device_id, self.connection_id, self.name)) != 1:
            raise ValueError("needs one of device_id, connection_id and name")
        return self


class _RouteTable(_Strict):
    channel: str = Field(default="*", min_length=1)
    environment: str = DEFAULT_ENVIRONMENT
    conversation: str = Field(default=DEFAULT_CONVERSATION, min_length=1)
    approvals: list[str] = []


class _File(_Strict):
    slack: _SlackTable = _SlackTable()
    environments: dict[str, _EnvironmentTable] = {}
    routes: list[_RouteTable] = []


@dataclass(frozen=True)
class SlackConfig:
    """How Slack is reached, and what it may ask. Without `app_token` Slack calls us over HTTP."""

    bot_token: SecretStr
    signing_secret: SecretStr | None
    app_token: SecretStr | None
    api_url: str
    command: str
    quote_commands: bool


@dataclass(frozen=True)
class Environment:
    """An environment by the name the configuration gives it; one of the three addresses is set."""

    name: str
    agent_id: str
    base_url: str
    api_key: SecretStr
    device_id: str | None = None
    connection_id: str | None = None
    device_name: str | None = None


@dataclass(frozen=True)
class Route:
    """Where a channel's messages go, and where the cards of that conversation are posted, in turn."""

    channel: str
    runtime: Runtime
    places: tuple[str, ...]


@dataclass(frozen=True)
class Config:
    """Everything the relay is told from outside."""

    slack: SlackConfig
    environments: Mapping[str, Environment]
    routes: tuple[Route, ...]
    approvers: frozenset[str]
    allowed_workspaces: frozenset[str]
    store_url: str
    host: str
    port: int

    def route(self, channel_id: str) -> Route | None:
        """Return the first route that takes messages of a channel."""
        kind = "dm" if channel_id.startswith("D") else channel_id
        return next((route for route in self.routes if route.channel in ("*", kind)), None)

    def rights(self, home_team: str) -> Rights:
        """Return who may do what in the workspace `home_team`."""
        return Rights(home_team, self.allowed_workspaces, self.approvers)


@dataclass
class _Reading:
    """The process environment, read name by name, and the problems met on the way."""

    variables: Mapping[str, str]
    problems: list[str] = field(default_factory=list)

    def value(self, name: str, default: str = "") -> str:
        """Return NAME, or the content of the file that NAME_FILE names."""
        path = self.variables.get(f"{name}_FILE", "").strip()
        if path and self.variables.get(name, "").strip():
            self.problems.append(f"{name} and {name}_FILE are both set: keep one")
        if not path:
            return self.variables.get(name, "").strip() or default
        try:
            return Path(path).read_text(encoding="utf-8").strip() or default
        except (OSError, UnicodeDecodeError) as problem:
            self.problems.append(
                f"{name}_FILE: cannot read {path}: {getattr(problem, 'strerror', None) or 'not UTF-8'}"
            )
            return default

    def checked(
        self, name: str, right: Callable[[str], bool], hint: str, default: str = "", *, needed: str = ""
    ) -> str:
        """Return NAME if it is `right`; an absent one is a problem only with a reason in `needed`."""
        before = len(self.problems)
        value = self.value(name, default)
        if not value and needed and len(self.problems) == before:
            self.problems.append(f"{name} is missing: {needed}")
        elif value and not right(value):
            self.problems.append(f"{name} is malformed: {hint}")
        return value


def load(variables: Mapping[str, str], folder: Path) -> Config:
    """Return the configuration in `variables` and in the file they name, or relay.toml in `folder`.

    Raises ConfigError with every problem there is.
    """
    reading = _Reading(variables)
    for name in sorted(set(variables) - _SETTINGS):
        if name.startswith("RELAY_"):
            reading.problems.append(f"{name} is no setting of this version; those are {', '.join(_NAMES)}")
    file = _read_file(reading, folder)
    slack = _slack(reading, file.slack)
    environments = dict(_environments(reading, file))
    approvers = _list(reading, "RELAY_APPROVERS", _USER, "user ids like U0123ABCD, separated by commas")
    routes = tuple(_routes(reading, file, environments, approvers))
    config = Config(
        slack=slack,
        environments=environments,
        routes=routes,
        approvers=frozenset(approvers),
        allowed_workspaces=frozenset(file.slack.allowed_workspaces),
        store_url=reading.checked(
            "RELAY_STORE_URL",
            _is_sqlite,
            "use sqlite:///relay.db, or sqlite:////absolute/path.db",
            "sqlite:///relay.db",
        ),
        host=reading.value("RELAY_HOST", "127.0.0.1"),
        port=_port(reading),
    )
    if reading.problems:
        raise ConfigError(reading.problems)
    return config


def store_url(variables: Mapping[str, str]) -> str:
    """Return where the store is, for commands that need nothing else. Raises ConfigError."""
    reading = _Reading(variables)
    url = reading.value("RELAY_STORE_URL", "sqlite:///relay.db")
    if reading.problems:
        raise ConfigError(reading.problems)
    return url


def _read_file(reading: _Reading, folder: Path) -> _File:
    named = reading.value("RELAY_CONFIG")
    path = Path(named) if named else folder / "relay.toml"
    if not named and not path.exists():
        return _File()
    try:
        return _File.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as problem:
        reading.problems.append(f"RELAY_CONFIG: cannot read {path}: {problem.strerror}")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        reading.problems.append(f"{path}: no valid TOML: {problem}")
    except ValidationError as problem:
        for error in problem.errors(include_url=False, include_input=False):
            where = ".".join(str(step) for step in error["loc"])
            reading.problems.append(f"{path}: {where}: {error['msg']}")
    return _File()


def _slack(reading: _Reading, table: _SlackTable) -> SlackConfig:
    bot_token = reading.checked(
        "SLACK_BOT_TOKEN",
        _starts("xoxb-"),
        "a bot token starts with xoxb-",
        needed="the bot token of the installed app",
    )
    app_token = reading.checked("SLACK_APP_TOKEN", _starts("xapp-"), "an app-level token starts with xapp-")
    secret = reading.checked(
        "SLACK_SIGNING_SECRET",
        lambda value: len(value) >= 8 and value.isascii(),
        "copy it from the app's Basic Information page",
        needed="" if app_token else "set it for HTTP, or set SLACK_APP_TOKEN for Socket Mode",
    )
    api_url = reading.checked(
        "SLACK_API_URL",
        lambda value: _is_url(value) and value.endswith("/api/"),
        "a URL that ends in /api/",
        "https://slack.com/api/",
    )
    return SlackConfig(
        bot_token=SecretStr(bot_token),
        signing_secret=SecretStr(secret) if secret else None,
        app_token=SecretStr(app_token) if app_token else None,
        api_url=api_url,
        command=table.command,
        quote_commands=table.quote_commands,
    )


def _environments(reading: _Reading, file: _File) -> Iterator[tuple[str, Environment]]:
    base_url = reading.checked(
        "LETTA_BASE_URL", _is_url, "an http:// or https:// URL without a path", "https://api.letta.com"
    ).rstrip("/")
    own_keys = bool(file.environments) and all(table.api_key for table in file.environments.values())
    key = reading.checked(
        "LETTA_API_KEY", lambda value: value.isascii(), "it has characters no key has",
        needed="" if own_keys else "the key of the Letta account that owns the environment",
    )  # fmt: skip
    for name, table in file.environments.items():
        own = _secret(reading, f"environments.{name}.api_key", table.api_key) if table.api_key else key
        url = (table.base_url or base_url).rstrip("/")
        if not _is_url(url):
            reading.problems.append(f"environments.{name}.base_url is malformed: an http:// or https:// URL")
        yield (
            name,
            Environment(
                name, table.agent_id, url, SecretStr(own), table.device_id, table.connection_id, table.name
            ),
        )
    yield from _default_environment(reading, base_url, key, needed=not file.environments)


def _default_environment(
    reading: _Reading, base_url: str, key: str, *, needed: bool
) -> Iterator[tuple[str, Environment]]:
    agent_id = reading.value("LETTA_AGENT_ID")
    device_id, connection_id = reading.value("LETTA_DEVICE_ID"), reading.value("LETTA_CONNECTION_ID")
    if not (needed or agent_id or device_id or connection_id):
        return
    if not agent_id:
        reading.problems.append("LETTA_AGENT_ID is missing: the agent that people talk to")
    if not device_id and not connection_id:
        reading.problems.append(
            "LETTA_DEVICE_ID is missing: the device the agent works on (or LETTA_CONNECTION_ID)"
        )
    if device_id and connection_id:
        reading.problems.append(
            "LETTA_DEVICE_ID and LETTA_CONNECTION_ID are both set: keep the device, which stays"
        )
    yield (
        DEFAULT_ENVIRONMENT,
        Environment(
            DEFAULT_ENVIRONMENT, agent_id, base_url, SecretStr(key), device_id or None, connection_id or None
        ),
    )


def _secret(reading: _Reading, where: str, source: SecretSource) -> str:
    if source.env is not None:
        value = reading.value(source.env)
    else:
        value = _Reading({"_FILE": str(source.file)}, reading.problems).value("")
    if not value:
        reading.problems.append(f"{where}: {source.env or source.file} holds no value")
    return value


def _routes(
    reading: _Reading, file: _File, environments: Mapping[str, Environment], approvers: list[str]
) -> Iterator[Route]:
    routed = bool(file.routes) and all(table.approvals for table in file.routes)
    channel = reading.checked(
        "RELAY_APPROVALS_CHANNEL",
        lambda value: bool(_CHANNEL.fullmatch(value)),
        "a channel id like C0123ABCD",
        needed="" if routed else "the id of the channel where approval cards are posted",
    )
    conversation = reading.value("LETTA_CONVERSATION_ID", DEFAULT_CONVERSATION)
    only = next(iter(environments), DEFAULT_ENVIRONMENT) if len(environments) == 1 else DEFAULT_ENVIRONMENT
    tables = file.routes or [_RouteTable(environment=only, conversation=conversation)]
    asked_in: dict[Runtime, tuple[str, ...]] = {}
    for number, table in enumerate(tables, start=1):
        environment = environments.get(table.environment)
        if environment is None:
            known = ", ".join(environments) or "none"
            reading.problems.append(f"route {number}: no environment {table.environment!r} (known: {known})")
            continue
        _check_route(reading, number, table)
        runtime = Runtime(environment.name, environment.agent_id, table.conversation)
        places = tuple(table.approvals or [channel])
        if asked_in.setdefault(runtime, places) != places:
            hint = "give both the same approvals, or each its own conversation"
            reading.problems.append(
                f"route {number}: another route posts cards of its conversation elsewhere: {hint}"
            )
        # The approvers' own DMs come last: better a private question than an agent that is stuck.
        yield Route(table.channel, runtime, (*places, *approvers))


def _check_route(reading: _Reading, number: int, table: _RouteTable) -> None:
    if table.channel not in ("*", "dm") and not _CHANNEL.fullmatch(table.channel):
        reading.problems.append(f'route {number}: channel must be a channel id, "dm" or "*"')
    if table.conversation in ("thread", "channel"):
        reading.problems.append(f'route {number}: conversation must be "default" or a conversation id')
    for place in table.approvals:
        if not _CHANNEL.fullmatch(place) and not _USER.fullmatch(place):
            reading.problems.append(f"route {number}: approvals takes channel and user ids, not {place!r}")


def _list(reading: _Reading, name: str, pattern: re.Pattern[str], hint: str) -> list[str]:
    values = [value.strip() for value in reading.value(name).split(",") if value.strip()]
    for value in values:
        if not pattern.fullmatch(value):
            reading.problems.append(f"{name} is malformed at {value!r}: {hint}")
    return values


def _port(reading: _Reading) -> int:
    value = reading.checked("RELAY_PORT", _is_port, "a number from 0 to 65535", "3000")
    return int(value) if _is_port(value) else 0


def _is_port(value: str) -> bool:
    return value.isascii() and value.isdigit() and int(value) < 65536


def _starts(prefix: str) -> Callable[[str], bool]:
    return lambda value: value.startswith(prefix) and len(value) > len(prefix) and value.isascii()


def _is_sqlite(value: str) -> bool:
    return value.startswith("sqlite:///") and len(value) > len("sqlite:///") and ":memory:" not in value


def _is_url(value: str) -> bool:
    try:
        parts = urlsplit(value)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port beyond 65535, among others
        return False
    return good and not (parts.query or parts.fragment)
