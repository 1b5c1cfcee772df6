"""`relay check`: what the configuration comes to; nobody is contacted."""

import os
from argparse import Namespace
from datetime import timedelta
from pathlib import Path

from relay.cli.ending import misused
from relay.cli.policy_words import circle_in_short, expiry_words
from relay.cli.table import cut, line, print_table
from relay.config import Config, ConfigError, load
from relay.config.policies import policy_warnings
from relay.config.tracing import TRACING_FIX, lacks_tracing
from relay.domain.matching import Rule
from relay.domain.store_urls import store_name

_COLUMNS = ("", "LINE", "RULE", "TOOLS", "ACTION", "QUORUM", "WHO MAY APPROVE", "EXPIRES")
_WIDEST = 32  # letters of a cell


def check(_: Namespace) -> int:
    """Say what the configuration comes to, or everything that is wrong with it."""
    try:
        config = load(os.environ, Path.cwd())
    except ConfigError as problem:
        return misused(problem)
    _say(config)
    return 0


def _say(config: Config) -> None:
    print("The configuration is good.")
    print(f"  Slack: {'Socket Mode' if config.slack.app_token else 'HTTP'}, command {config.slack.command}")
    if config.slack.oauth is not None:
        print(f"  workspaces: every one that installs the app at {config.slack.oauth.install_url}")
    for route in config.routes:
        places = ", ".join(route.places)
        where = f"{route.runtime.environment}, conversation {route.conversation}"
        whose = f"workspace {route.team}, " if route.team else ""
        print(f"  {whose}channel {route.channel} -> {where}; cards: {places}")
    for environment in config.environments.values():
        if environment.is_app_server:
            print(f"  environment {environment.name}: an App Server; it cancels turns when relay disconnects")
    most, minutes = config.listening.most, config.listening.rest_after
    print(f"  listening: {most} conversations at most, each until {minutes} minutes after it came to rest")
    approvers = ", ".join(sorted(config.approvers)) or "any full member"
    print(f"  approvers: {approvers}\n  store: {store_name(config.store_url)}")
    if config.metrics.port is not None:
        print(f"  metrics: {config.metrics.host} port {config.metrics.port or '(any)'}, /metrics")
    print(f"  kept: the record {_kept(config.audit.retention)}, the words of what is settled ", end="")
    print(_kept(config.retention.texts))
    if config.tracing.endpoint:
        print(f"  traces: to {config.tracing.endpoint}")
    if missing := lacks_tracing(config.tracing):
        so = ", so that relay does not start" if config.tracing.wanted else ""
        print(f"  warning: {missing}{so}: {TRACING_FIX}")
    if config.policy.rules:
        print("  rules, of which the first that fits holds:")
        print_table([_COLUMNS, *map(_row, config.policy.rules)])
    for sentence in policy_warnings(config.policy):
        print(f"  warning: {sentence}")
    for sentence in config.unused:
        print(f"  unused: {sentence}")


def _kept(length: timedelta | None) -> str:
    return "for ever" if length is None else f"for {length.days} days"


def _row(rule: Rule) -> tuple[str, ...]:
    ask = rule.ask
    name = f"{rule.team}: {rule.name}" if rule.team else rule.name
    told = (str(rule.line or "-"), cut(line(name), _WIDEST), _tools(rule), rule.action.value)
    if ask is None:
        return ("", *told, "-", "-", "-")
    who = circle_in_short(ask.approvers, channel_members=rule.channel_members)
    quorum = str(ask.quorum) if ask.quorum > 1 else "-"
    return ("", *told, quorum, who, expiry_words(ask))


def _tools(rule: Rule) -> str:
    """Return as many of its tools as find room, and how many more there are."""
    shown = line(", ".join(rule.tools))
    if len(shown) <= _WIDEST or len(rule.tools) == 1:
        return cut(shown, _WIDEST)
    more = f" and {len(rule.tools) - 1} more"
    return f"{cut(line(rule.tools[0]), _WIDEST - len(more))}{more}"
