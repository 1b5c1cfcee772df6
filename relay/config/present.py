"""The configuration that counts now, and what becomes of it when it is loaded anew."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from relay.config.values import Config, ConfigError

# By its name in a message, what a running relay has built its connections on.
_NEEDS_RESTART: dict[str, Callable[[Config], Any]] = {
    "SLACK_BOT_TOKEN": lambda one: one.slack.bot_token,
    "SLACK_APP_TOKEN": lambda one: one.slack.app_token,
    "SLACK_SIGNING_SECRET": lambda one: one.slack.signing_secret,
    "SLACK_API_URL": lambda one: one.slack.api_url,
    "SLACK_CLIENT_ID": lambda one: one.slack.oauth and one.slack.oauth.client_id,
    "SLACK_CLIENT_SECRET": lambda one: one.slack.oauth and one.slack.oauth.client_secret,
    "RELAY_TOKEN_KEYS": lambda one: one.slack.oauth and one.slack.oauth.keys,
    "RELAY_PUBLIC_URL": lambda one: one.slack.oauth and one.slack.oauth.public_url,
    "slack.command": lambda one: one.slack.command,
    "environments": lambda one: one.environments,
    "RELAY_STORE_URL": lambda one: one.store_url,
    "RELAY_HOST": lambda one: one.host,
    "RELAY_PORT": lambda one: one.port,
    "RELAY_AUDIT_KEY": lambda one: one.audit.keys,
    "metrics": lambda one: one.metrics,
    "tracing": lambda one: one.tracing,
}
_AT_ONCE: dict[str, Callable[[Config], Any]] = {
    "slack.quote_commands": lambda one: one.slack.quote_commands,
    "slack.allowed_workspaces": lambda one: one.allowed_workspaces,
    "routes": lambda one: one.routes,
    "policies": lambda one: one.policy,
    "RELAY_APPROVERS": lambda one: one.approvers,
    "listening": lambda one: one.listening,
    "audit.retention": lambda one: one.audit.retention,
    "retention": lambda one: one.retention,
}


class Present:
    """Holds the configuration that counts: replaced as a whole, so that nobody reads half of two."""

    def __init__(self, config: Config) -> None:
        self._config = config
        # What waits under a rule of before may still name groups and channels: once asked about, always.
        self.asks_slack = config.policy.asks_slack
        self._teams: dict[str, PresentOfTeam] = {}

    @property
    def config(self) -> Config:
        """The configuration as it is now."""
        return self._config

    def take(self, config: Config) -> None:
        """Let another configuration count from now on."""
        self.asks_slack = self.asks_slack or config.policy.asks_slack
        self._config = config

    def of_team(self, team_id: str) -> "PresentOfTeam":
        """Return what holds, at any time, what of it is for one of many workspaces."""
        found = self._teams.get(team_id)
        return found or self._teams.setdefault(team_id, PresentOfTeam(self, team_id))


class PresentOfTeam:
    """Holds what of the present configuration is for one of many workspaces."""

    def __init__(self, whole: Present, team_id: str) -> None:
        self._whole = whole
        self._team_id = team_id
        # What was made of which: two threads look, and each takes both or neither.
        self._made = (whole.config, whole.config.of_team(team_id))

    @property
    def config(self) -> Config:
        """What of the configuration, as it is now, is for the workspace."""
        made_of, config = self._made
        if made_of is not (whole := self._whole.config):
            config = whole.of_team(self._team_id)
            self._made = (whole, config)
        return config

    @property
    def asks_slack(self) -> bool:
        """Whether Slack may have to be asked who may act: in any of the workspaces."""
        return self._whole.asks_slack


@dataclass(frozen=True)
class Reload:
    """What counts from now on, which settings that changes, and which have to wait for a restart."""

    config: Config
    changed: tuple[str, ...]
    needs_restart: tuple[str, ...]


def reloaded(present: Config, wanted: Config) -> Reload:
    """Return what of a configuration loaded anew a running relay can take up.

    Routes to an environment that it does not know as they do have to wait with that. Raises ConfigError
    where the file is gone: its rules would be, too, and more people might decide than were meant to.
    """
    if present.has_file and not wanted.has_file:
        raise ConfigError([f"{present.file} is gone: put it back, or restart relay to go on without it"])
    waits = [name for name, of in _NEEDS_RESTART.items() if of(present) != of(wanted)]
    if (present.slack.oauth is None) is not (wanted.slack.oauth is None):
        # For one workspace and for many, routes and rules are not the same.
        waits += [name for name, of in _AT_ONCE.items() if of(present) != of(wanted)]
        return Reload(present, (), tuple(waits))
    routes = wanted.routes
    if not _are_led_to(present, wanted):
        routes = present.routes
        waits.append("routes")
    slack = replace(present.slack, quote_commands=wanted.slack.quote_commands)
    taken = replace(
        wanted,
        slack=slack,
        environments=present.environments,
        routes=routes,
        store_url=present.store_url,
        host=present.host,
        port=present.port,
        audit=replace(wanted.audit, keys=present.audit.keys),
        metrics=present.metrics,
        tracing=present.tracing,
    )
    changed = [name for name, of in _AT_ONCE.items() if of(present) != of(taken)]
    return Reload(taken, tuple(changed), tuple(waits))


def _are_led_to(present: Config, wanted: Config) -> bool:
    """Return whether all routes lead to agents that a running relay knows."""
    known = {name: one.agent_id for name, one in present.environments.items()}
    led = [route.runtime for route in wanted.routes]
    return all(known.get(one.environment) == one.agent_id for one in led)
