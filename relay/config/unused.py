"""What is configured and changes nothing, in words for `relay check`: often it is not what was meant."""

from collections.abc import Iterator, Mapping

from relay.config.metrics import PORT
from relay.config.relay_toml import Tables
from relay.config.slack import CLIENT_ID, OF_INSTALLS
from relay.config.tables import ANY_TEAM, DEFAULT_ENVIRONMENT, EnvironmentTable
from relay.config.values import Environment, Route
from relay.config.variables import Reading

_DEFAULT = ("LETTA_AGENT_ID", "LETTA_DEVICE_ID", "LETTA_CONNECTION_ID")


def unused(
    reading: Reading, file: Tables, environments: Mapping[str, Environment], routes: tuple[Route, ...]
) -> Iterator[str]:
    """Yield a sentence about each setting that is there and changes nothing."""
    if reading.is_set("SLACK_APP_TOKEN") and reading.is_set("SLACK_SIGNING_SECRET"):
        yield "SLACK_SIGNING_SECRET: with SLACK_APP_TOKEN it is Socket Mode, where nothing is signed"
    if not reading.is_set(CLIENT_ID):
        of_many = [name for name in OF_INSTALLS if reading.is_set(name)]
        if of_many:
            yield f"{', '.join(of_many)}: for many workspaces alone, with {CLIENT_ID}"
    yield from _default_environment(reading, file)
    yield from _of_app_servers(reading, file, environments)
    if file.environments.keys() == environments.keys():
        yield from _shared_by_nobody(reading, file)
    led_to = {route.runtime.environment for route in routes}
    for name in file.environments:
        if name not in led_to:
            yield f"environments.{name}: no route leads to it"
    if file.routes and reading.is_set("LETTA_CONVERSATION_ID"):
        yield f"LETTA_CONVERSATION_ID: the routes of {file.name} say which conversation"
    own_places = bool(file.routes) and all(table.approvals for table in file.routes.values())
    if own_places and reading.is_set("RELAY_APPROVALS_CHANNEL"):
        yield f"RELAY_APPROVALS_CHANNEL: every route of {file.name} has approvals of its own"
    yield from _hidden(routes)
    yield from _of_metrics(reading, file)


def _of_metrics(reading: Reading, file: Tables) -> Iterator[str]:
    if reading.is_set(PORT) and file.metrics.port is not None:
        yield f"metrics.port: {PORT} says another"
    elif not reading.is_set(PORT) and file.metrics.port is None and file.metrics.model_fields_set:
        yield f"metrics.host: without metrics.port, or {PORT}, no figures are told"


def _default_environment(reading: Reading, file: Tables) -> Iterator[str]:
    named = ", ".join(name for name in _DEFAULT if reading.is_set(name))
    if not named:
        return
    if DEFAULT_ENVIRONMENT in file.environments:
        yield f"{named}: {file.name} says itself what environments.{DEFAULT_ENVIRONMENT} is"
    elif file.routes and all(table.environment != DEFAULT_ENVIRONMENT for table in file.routes.values()):
        yield f'{named}: no route of {file.name} leads to their environment, "{DEFAULT_ENVIRONMENT}"'


def _of_app_servers(reading: Reading, file: Tables, environments: Mapping[str, Environment]) -> Iterator[str]:
    """Yield what says where an agent works that works where its server is."""
    for name, environment in environments.items():
        table = file.environments.get(name)
        if not environment.is_app_server:
            continue
        if table is not None and table.addresses:
            yield f"environments.{name}: an App Server needs no device_id, connection_id or name"
        if table is None:
            named = [one for one in _DEFAULT[1:] if reading.is_set(one)]
            if named:
                yield f"{', '.join(named)}: an App Server needs none"


def _shared_by_nobody(reading: Reading, file: Tables) -> Iterator[str]:
    """Yield the settings of all environments that each environment has for itself."""
    tables = file.environments.values()
    if reading.is_set("LETTA_BASE_URL") and all(table.base_url for table in tables):
        yield f"LETTA_BASE_URL: every environment of {file.name} has its own"
    if reading.is_set("LETTA_API_KEY") and all(_has_another_key(table) for table in tables):
        yield f"LETTA_API_KEY: every environment of {file.name} has its own"


def _has_another_key(table: EnvironmentTable) -> bool:
    return table.api_key is not None and table.api_key.env != "LETTA_API_KEY"


def _takes_all_of(above: Route, route: Route) -> bool:
    return above.team in (route.team, ANY_TEAM) and above.channel in (route.channel, "*")


def _hidden(routes: tuple[Route, ...]) -> Iterator[str]:
    for number, route in enumerate(routes, start=1):
        if any(_takes_all_of(above, route) for above in routes[: number - 1]):
            yield f'route {number}: a route above it takes what comes from "{route.channel}"'
