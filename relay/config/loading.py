"""Makes the Config out of the process environment and relay.toml, or says everything that is wrong."""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Literal

from pydantic import SecretStr

from relay.config.addresses import refuse_bad_addresses
from relay.config.auditing import audit_config
from relay.config.complaints import no_setting
from relay.config.metrics import metrics_config
from relay.config.policies import policy_of
from relay.config.relay_toml import Tables, read_tables
from relay.config.retention import retention_config
from relay.config.slack import shared_conversations, slack_config, team_problems
from relay.config.tables import (
    DEFAULT_CONVERSATION,
    DEFAULT_ENVIRONMENT,
    ONE_ADDRESS,
    EnvironmentTable,
    RouteTable,
    SecretSource,
)
from relay.config.tracing import tracing_config
from relay.config.unused import unused
from relay.config.values import Config, ConfigError, Environment, Listening, Route
from relay.config.variables import (
    CHANNEL,
    USER,
    Reading,
    is_letta_url,
    is_port,
    is_socket_url,
    is_store,
)
from relay.domain.runtime import Runtime

_PLAIN = (
    "ALLOWED_HOSTS",
    "APPROVALS_CHANNEL",
    "APPROVERS",
    "AUDIT_KEY",
    "CONFIG",
    "HOST",
    "METRICS_PORT",
    "PORT",
    "PUBLIC_URL",
    "STORE_URL",
    "TOKEN_KEYS",
)
_NAMES = [f"RELAY_{name}" for name in _PLAIN]
_SECRETS = {
    "SLACK_BOT_TOKEN",
    "SLACK_APP_TOKEN",
    "SLACK_CLIENT_SECRET",
    "SLACK_SIGNING_SECRET",
    "LETTA_API_KEY",
    "RELAY_AUDIT_KEY",
    "RELAY_TOKEN_KEYS",
}
_OTHERS = (
    "SLACK_API_URL",
    "SLACK_CLIENT_ID",
    "LETTA_BASE_URL",
    "LETTA_AGENT_ID",
    "LETTA_DEVICE_ID",
    "LETTA_CONNECTION_ID",
    "LETTA_CONVERSATION_ID",
)
_SETTINGS = {*_NAMES, *(f"{name}_FILE" for name in _NAMES)}


def load(variables: Mapping[str, str], folder: Path) -> Config:
    """Return the configuration in `variables` and in the file they name, or relay.toml in `folder`.

    Raises ConfigError with every problem there is.
    """
    return _load(Reading(variables), folder)


def load_rules(variables: Mapping[str, str], folder: Path) -> Config:
    """Return the same for who wants its rules, routes and approvers alone: no secret is needed or looked at.

    What only a relay needs which runs may be missing, and is empty then. Raises ConfigError.
    """
    others = {name: value for name, value in variables.items() if name.removesuffix("_FILE") not in _SECRETS}
    return _load(Reading(others, rules_only=True), folder)


def _load(reading: Reading, folder: Path) -> Config:
    for name in sorted(set(reading.variables) - _SETTINGS):
        if name.startswith("RELAY_"):
            reading.problems.append(no_setting(name, name, _NAMES))
    file = _read_file(reading, folder)
    slack = slack_config(reading, file.slack)
    environments = dict(_environments(reading, file))
    tracing = tracing_config(reading, file)
    addresses = {"SLACK_API_URL": slack.api_url, tracing.where: tracing.endpoint}
    refuse_bad_addresses(reading, addresses | _addresses(file, environments))
    approvers = reading.ids("RELAY_APPROVERS", USER, "user ids like U0123ABCD, separated by commas")
    routes = tuple(_routes(reading, file, environments, approvers, many=slack.oauth is not None))
    reading.problems += team_problems(reading, file, many=slack.oauth is not None)
    reading.problems += shared_conversations(file, routes)
    host, port = reading.value("RELAY_HOST", "127.0.0.1"), _port(reading)
    config = Config(
        slack=slack,
        environments=environments,
        routes=routes,
        approvers=frozenset(approvers),
        allowed_workspaces=frozenset(file.slack.allowed_workspaces),
        store_url=reading.checked(
            "RELAY_STORE_URL",
            is_store,
            "use sqlite:///relay.db, sqlite:////absolute/path.db or postgresql://user@host/database",
            "sqlite:///relay.db",
        ),
        host=host,
        port=port,
        listening=_listening(reading, file, routes),
        policy=policy_of(reading, file, environments, approvers),
        file=file.name,
        has_file=file.found,
        audit=audit_config(reading, file),
        metrics=metrics_config(reading, file, host, port),
        retention=retention_config(file),
        tracing=tracing,
        unused=(*unused(reading, file, environments, routes), *filter(None, [tracing.off])),
    )
    if reading.problems:
        raise ConfigError(reading.problems)
    return config


def store_url(variables: Mapping[str, str]) -> str:
    """Return where the store is, for commands that need nothing else. Raises ConfigError."""
    reading = Reading(variables)
    url = reading.value("RELAY_STORE_URL", "sqlite:///relay.db")
    if reading.problems:
        raise ConfigError(reading.problems)
    return url


def settings_given(variables: Mapping[str, str]) -> list[str]:
    """Return the names of the settings that say something, of those that are with a value or a file."""
    names = sorted({*_NAMES, *_SECRETS, *_OTHERS})
    both = [one for name in names for one in (name, f"{name}_FILE")]
    return [one for one in both if variables.get(one, "").strip()]


def _read_file(reading: Reading, folder: Path) -> Tables:
    before = len(reading.problems)
    named = reading.value("RELAY_CONFIG")
    if len(reading.problems) > before:
        return Tables(whole=False)
    path = Path(named) if named else folder / "relay.toml"
    if not named and not path.exists():
        return Tables(found=False)
    tables = read_tables(path, named or "relay.toml")
    reading.problems += tables.problems
    return tables


def _listening(reading: Reading, file: Tables, routes: Iterable[Route]) -> Listening:
    """Return how much is listened to; what the routes name is always listened to."""
    most = file.listening.most
    named = len({route.runtime for route in routes if not route.per})
    if most < named:
        reading.problems.append(
            f"{file.at('listening', 'most')}listening.most is {most}, and the routes name {named} "
            f"conversations, which are always listened to: say {named} or more"
        )
    return Listening(most, file.listening.rest_after)


def _environments(reading: Reading, file: Tables) -> Iterator[tuple[str, Environment]]:
    base_url = reading.checked(
        "LETTA_BASE_URL",
        is_letta_url,
        "an http:// or https:// URL without a path, or an App Server's ws:// or wss://",
        "https://api.letta.com",
    ).rstrip("/")
    key = reading.checked(
        "LETTA_API_KEY",
        lambda value: value.isascii(),
        "it has characters no key has",
        needed="the key of the Letta account that owns the environment"
        if file.whole and _needs_key(file, base_url)
        else "",
    )
    for name in file.environments:
        yield name, _environment(reading, file, name, base_url, key)
    if file.whole and DEFAULT_ENVIRONMENT not in file.environments:
        yield from _default_environment(reading, file, base_url, key)


def _addresses(file: Tables, environments: Mapping[str, Environment]) -> dict[str, str]:
    """Return where the environments are, by the name of the setting that says it."""
    own = {name for name, table in file.environments.items() if table.base_url is not None}
    at = {name: f"{file.at('environments', name, 'base_url')}environments.{name}.base_url" for name in own}
    return {at.get(name, "LETTA_BASE_URL"): one.base_url for name, one in environments.items()}


def _needs_key(file: Tables, base_url: str) -> bool:
    """Return whether an environment has no key of its own; an App Server may do without any."""
    tables = file.environments.values()
    keyless = [
        table for table in tables if not table.api_key and not is_socket_url(table.base_url or base_url)
    ]
    return bool(keyless) if tables else not is_socket_url(base_url)


def _environment(reading: Reading, file: Tables, name: str, base_url: str, key: str) -> Environment:
    table = file.environments[name]
    # The account's key is nothing to show to a server of one's own.
    shared = "" if is_socket_url(table.base_url or "") and not is_socket_url(base_url) else key
    where = f"{file.at('environments', name, 'api_key')}environments.{name}.api_key"
    own = _secret(reading, where, table.api_key) if table.api_key else shared
    url = (table.base_url or base_url).rstrip("/")
    reading.problems += (
        f"{file.at('environments', name, setting)}environments.{name}{problem}"
        for setting, problem in _address_problems(table, url)
    )
    return Environment(
        name,
        table.agent_id,
        url,
        SecretStr(own),
        table.device_id,
        table.connection_id,
        table.name,
        "socket" if is_socket_url(url) else table.approvals_via,
    )


def _address_problems(table: EnvironmentTable, url: str) -> Iterator[tuple[str, str]]:
    """Yield the setting, and behind the name of its table what is wrong with it."""
    if table.base_url is not None and not is_letta_url(url):
        said = "an http:// or https:// URL, or an App Server's ws:// or wss://"
        yield "base_url", f".base_url is malformed: {said}"
    if not is_socket_url(url) and not table.addresses:
        yield "", f": {ONE_ADDRESS}"
    if is_socket_url(url) and table.approvals_via == "rest":
        yield "approvals_via", ': approvals_via cannot be "rest": an App Server has its socket alone'


def _default_environment(
    reading: Reading, file: Tables, base_url: str, key: str
) -> Iterator[tuple[str, Environment]]:
    agent_id = reading.value("LETTA_AGENT_ID")
    device_id, connection_id = reading.value("LETTA_DEVICE_ID"), reading.value("LETTA_CONNECTION_ID")
    missing = []
    if not agent_id:
        missing.append("LETTA_AGENT_ID is missing: the agent that people talk to")
    if not device_id and not connection_id and not is_socket_url(base_url):
        missing.append("LETTA_DEVICE_ID is missing: the device the agent works on (or LETTA_CONNECTION_ID)")
    if device_id and connection_id:
        missing.append("LETTA_DEVICE_ID and LETTA_CONNECTION_ID are both set: keep the device, which stays")
    begun = agent_id or device_id or connection_id
    if not file.environments or (begun and not _leaves_default_out(file)):
        for problem in missing:
            reading.miss(problem)
    elif missing and not (reading.rules_only and _leads_to_default(file)):
        return  # nobody misses an environment that nothing leads to
    yield (
        DEFAULT_ENVIRONMENT,
        Environment(
            DEFAULT_ENVIRONMENT,
            agent_id,
            base_url,
            SecretStr(key),
            device_id or None,
            connection_id or None,
            approvals_via="socket" if is_socket_url(base_url) else "auto",
        ),
    )


def _leaves_default_out(file: Tables) -> bool:
    """Return whether the file has routes and none leads to the environment of the variables."""
    return bool(file.routes) and not _leads_to_default(file)


def _leads_to_default(file: Tables) -> bool:
    return any(table.environment == DEFAULT_ENVIRONMENT for table in file.routes.values())


def _secret(reading: Reading, where: str, source: SecretSource) -> str:
    if reading.rules_only:
        return ""
    before = len(reading.problems)
    value = reading.value(source.env) if source.env else reading.content(where, str(source.file))
    if not value and len(reading.problems) == before:
        reading.problems.append(f"{where}: {source.env or source.file} holds no value")
    return value


def _routes(
    reading: Reading,
    file: Tables,
    environments: Mapping[str, Environment],
    approvers: list[str],
    *,
    many: bool,
) -> Iterator[Route]:
    routed = many or (bool(file.routes) and all(table.approvals for table in file.routes.values()))
    channel = reading.checked(
        "RELAY_APPROVALS_CHANNEL",
        lambda value: bool(CHANNEL.fullmatch(value)),
        "a channel id like C0123ABCD",
        needed="" if routed or not file.whole else "the id of the channel where approval cards are posted",
    )
    asked_in: dict[Runtime, tuple[str, ...]] = {}
    for number, table in _route_tables(reading, file, environments).items():
        at = partial(_at_route, file, number)
        reading.problems += (f"{at(*steps)}{problem}" for steps, problem in _route_problems(table, approvers))
        environment = environments.get(table.environment)
        if environment is None:
            if file.whole:
                known = ", ".join(environments) or "none"
                said = f"no environment {table.environment!r} (known: {known})"
                reading.problems.append(f"{at('environment')}{said}")
            continue
        per = _per(table.conversation)
        runtime = Runtime(environment.name, environment.agent_id, "" if per else table.conversation)
        places = tuple(table.approvals or filter(None, [channel]))
        if not per and asked_in.setdefault(runtime, places) != places:
            hint = "give both the same approvals, or each its own conversation"
            said = f"another route posts cards of its conversation elsewhere: {hint}"
            reading.problems.append(f"{at('approvals')}{said}")
        yield Route(table.channel, runtime, _with_approvers(places, approvers), per, table.team)


def _at_route(file: Tables, number: int, *steps: str | int) -> str:
    """Return how a sentence about a route begins."""
    return f"{file.at('routes', number - 1, *steps)}route {number}: "


def _per(conversation: str) -> Literal["", "thread", "channel"]:
    return "thread" if conversation == "thread" else "channel" if conversation == "channel" else ""


def _with_approvers(places: Iterable[str], approvers: list[str]) -> tuple[str, ...]:
    """Return the places in turn, with the approvers for "dm".

    Their own DMs come last in any case: better a private question than an agent that is stuck.
    """
    named = [one for place in places for one in (approvers if place == "dm" else [place])]
    return tuple(dict.fromkeys((*named, *approvers)))


def _route_tables(
    reading: Reading, file: Tables, environments: Mapping[str, Environment]
) -> dict[int, RouteTable]:
    """Return the routes of the file, or else the one that takes everything."""
    conversation = reading.value("LETTA_CONVERSATION_ID", DEFAULT_CONVERSATION)
    if file.routes or not file.whole:
        return file.routes
    only = next(iter(environments)) if len(environments) == 1 else DEFAULT_ENVIRONMENT
    if only not in environments:
        known = ", ".join(environments)
        reading.problems.append(
            f"{file.at('environments')}write [[routes]] that say which channel leads to which of {known}"
        )
        return {}
    return {1: RouteTable(environment=only, conversation=conversation)}


def _route_problems(table: RouteTable, approvers: list[str]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield where in a route something is wrong, and what."""
    if table.channel not in ("*", "dm") and not CHANNEL.fullmatch(table.channel):
        yield ("channel",), 'channel must be a channel id, "dm" or "*"'
    for number, place in enumerate(table.approvals):
        steps = ("approvals", number)
        if place == "dm" and not approvers:
            yield steps, 'approvals has "dm", and RELAY_APPROVERS names nobody'
        elif place not in ("thread", "dm") and not CHANNEL.fullmatch(place) and not USER.fullmatch(place):
            yield steps, f'approvals takes channel ids, user ids, "thread" and "dm", not {place!r}'


def _port(reading: Reading) -> int:
    value = reading.checked("RELAY_PORT", is_port, "a number from 0 to 65535", "3000")
    return int(value) if is_port(value) else 0
