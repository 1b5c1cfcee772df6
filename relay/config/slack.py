"""How Slack is reached: by the token of one workspace, or by those of all that install the app."""

import base64
import binascii
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from pydantic import SecretStr

from relay.config.policy_tables import PolicyTable
from relay.config.relay_toml import Tables
from relay.config.tables import ANY_TEAM, RouteTable, SlackTable
from relay.config.values import OAuthConfig, Route, SlackConfig
from relay.config.variables import Reading, is_url, starts

CLIENT_ID = "SLACK_CLIENT_ID"
_KEY_BYTES = 32
_HERE = ("127.0.0.1", "localhost", "::1")
OF_INSTALLS = ("SLACK_CLIENT_SECRET", "RELAY_TOKEN_KEYS", "RELAY_PUBLIC_URL")
# Ids in these say nothing of whose they are.
_OF_ONE = {
    "RELAY_APPROVERS": "name them in [[policies]] with the team they are of",
    "RELAY_APPROVALS_CHANNEL": "say approvals in each route",
}


def slack_config(reading: Reading, table: SlackTable) -> SlackConfig:
    """Return how Slack is reached, and what it may ask."""
    oauth = _oauth(reading)
    bot_token = reading.checked(
        "SLACK_BOT_TOKEN",
        starts("xoxb-"),
        "a bot token starts with xoxb-",
        needed="" if oauth else f"the bot token of the installed app; or {CLIENT_ID}, for many workspaces",
    )
    if oauth and bot_token:
        reading.problems.append(
            f"SLACK_BOT_TOKEN and {CLIENT_ID} are both set: keep the token to serve its one workspace, or "
            "the id to serve every workspace that installs the app"
        )
    app_token = reading.checked("SLACK_APP_TOKEN", starts("xapp-"), "an app-level token starts with xapp-")
    secret = reading.checked(
        "SLACK_SIGNING_SECRET",
        lambda value: len(value) >= 8 and value.isascii(),
        "copy it from the app's Basic Information page",
        needed="" if app_token else "set it for HTTP, or set SLACK_APP_TOKEN for Socket Mode",
    )
    api_url = reading.checked(
        "SLACK_API_URL",
        lambda value: is_url(value) and value.endswith("/api/"),
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
        oauth=oauth,
    )


def _oauth(reading: Reading) -> OAuthConfig | None:
    if not reading.is_set(CLIENT_ID):
        if not reading.is_set("SLACK_BOT_TOKEN"):
            given = [name for name in OF_INSTALLS if reading.is_set(name)]
            if given:
                reading.problems.append(
                    f"{CLIENT_ID} is missing: {', '.join(given)} are of no use without it"
                )
        return None
    return OAuthConfig(
        client_id=reading.checked(
            CLIENT_ID, lambda value: value.isascii() and value.isprintable(), "copy it from Basic Information"
        ),
        client_secret=SecretStr(
            reading.checked(
                "SLACK_CLIENT_SECRET",
                lambda value: len(value) >= 8 and value.isascii(),
                "copy it from the app's Basic Information page",
                needed=f"it goes with {CLIENT_ID}; copy it from the app's Basic Information page",
            )
        ),
        keys=_keys(reading),
        public_url=reading.checked(
            "RELAY_PUBLIC_URL",
            _is_public,
            "say where browsers reach relay, as in https://relay.example.com, without a path",
            needed="where browsers reach relay, as in https://relay.example.com; Slack leads back to it",
        ).rstrip("/"),
    )


def _keys(reading: Reading) -> tuple[SecretStr, ...]:
    written = reading.checked(
        "RELAY_TOKEN_KEYS",
        lambda value: all(map(_is_key, _listed(value))),
        "each is 32 bytes in URL-safe base64, as `openssl rand -base64 32 | tr '+/' '-_'` makes them; older "
        "keys stand behind it, after commas",
        needed="what seals the tokens in the store: `openssl rand -base64 32 | tr '+/' '-_'` makes a key",
    )
    return tuple(map(SecretStr, _listed(written)))


def _listed(written: str) -> list[str]:
    return [key.strip() for key in written.split(",") if key.strip()]


def _is_key(key: str) -> bool:
    try:
        return len(base64.b64decode(key.encode(), altchars=b"-_", validate=True)) == _KEY_BYTES
    except (binascii.Error, ValueError):
        return False


def _is_public(value: str) -> bool:
    if not is_url(value):
        return False
    parts = urlsplit(value)
    return parts.path in ("", "/") and (parts.scheme == "https" or parts.hostname in _HERE)


def team_problems(reading: Reading, file: Tables, *, many: bool) -> Iterator[str]:
    """Yield what does not say whose it is, where many workspaces are served; and what says so in vain."""
    tables: list[tuple[str, RouteTable | PolicyTable]] = [
        *((f"{file.at('routes', number - 1)}route {number}", one) for number, one in file.routes.items()),
        *(
            (f'{file.at("policies", number - 1)}policy "{one.name}"', one)
            for number, one in file.policies.items()
        ),
    ]
    if not many:
        for at, table in tables:
            if table.team:
                yield f"{at}: team is for many workspaces, with {CLIENT_ID}; take it out"
        return
    for name, hint in _OF_ONE.items():
        if reading.is_set(name):
            yield f"{name} does not say of which workspace its ids are: {hint}"
    if file.slack.allowed_workspaces:
        said = f"with {CLIENT_ID} the people of a workspace act in their own alone; take it out"
        yield f"{file.at('slack', 'allowed_workspaces')}slack.allowed_workspaces: {said}"
    if not file.routes and file.whole:
        yield (
            f"{CLIENT_ID}: nobody reaches an environment without a route that says whose it is: write "
            f'[[routes]] with team = "T0123ABCD", or "{ANY_TEAM}" for every workspace that installs the app'
        )
    for at, table in tables:
        yield from _whose(at, table)


def _whose(at: str, table: RouteTable | PolicyTable) -> Iterator[str]:
    if isinstance(table, PolicyTable):
        if not table.team and (ids := _ids(table)):
            said = f"team is missing: it names {', '.join(ids)}, and many workspaces are served"
            yield f'{at}: {said}; say team = "T0123ABCD", whose these are'
        return
    if not table.team:
        yield f'{at}: team is missing: say team = "T0123ABCD", or "{ANY_TEAM}" for every workspace'
    if not table.approvals:
        yield f'{at}: approvals is missing: say where its cards go, as in ["C0123ABCD"] or ["thread"]'
    if table.team == ANY_TEAM and table.conversation not in ("thread", "channel"):
        said = 'workspaces would share a conversation: say conversation = "thread" or "channel"'
        yield f'{at}: team = "{ANY_TEAM}": {said}'
    named = [place for place in (table.channel, *table.approvals) if place not in ("*", "dm", "thread")]
    if table.team == ANY_TEAM and named:
        said = f"{', '.join(named)} can be of one workspace alone: name its team"
        yield f'{at}: team = "{ANY_TEAM}": {said}'


def _ids(table: PolicyTable) -> list[str]:
    """Return the ids of people, groups and channels that a rule names."""
    people = [one for one in (table.approvers, table.editors) if one is not None]
    named = [
        *(one for one in table.when.channel if one != "dm"),
        *table.when.requester,
        *(one for of in people for one in (*of.users, *of.groups, *of.channels)),
        *(one for of in (table.escalate_to,) if of is not None for one in (*of.users, *of.groups)),
        *(one for one in table.cards if one not in ("thread", "dm")),
    ]
    return list(dict.fromkeys(named))


def shared_conversations(file: Tables, routes: Iterable[Route]) -> Iterator[str]:
    """Yield the conversations that routes of two workspaces lead to: each would read the other's."""
    owners: dict[object, str] = {}
    for number, route in enumerate(routes, start=1):
        if not route.per and owners.setdefault(route.runtime, route.team) != route.team:
            said = "another workspace's route leads to the same conversation: give each its own"
            yield f'{file.at("routes", number - 1, "conversation")}route {number}: {said}, as with "thread"'
