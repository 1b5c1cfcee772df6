"""`relay check`: what the configuration comes to; nobody is contacted."""

import os
from argparse import Namespace
from pathlib import Path

from relay.cli.ending import misused
from relay.config import Config, ConfigError, load
from relay.config.policies import place, policy_warnings


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
    for route in config.routes:
        places = ", ".join(route.places)
        where = f"{route.runtime.environment}, conversation {route.conversation}"
        print(f"  channel {route.channel} -> {where}; cards: {places}")
    for environment in config.environments.values():
        if environment.is_app_server:
            print(f"  environment {environment.name}: an App Server; it cancels turns when relay disconnects")
    most, minutes = config.listening.most, config.listening.rest_after
    print(f"  listening: {most} conversations at most, each until {minutes} minutes after it came to rest")
    approvers = ", ".join(sorted(config.approvers)) or "any full member"
    print(f"  approvers: {approvers}\n  store: {config.store_url}")
    for rule in config.policy.rules:
        print(f"  {place(rule)}: {', '.join(rule.tools)} -> {rule.action}")
    for sentence in policy_warnings(config.policy):
        print(f"  warning: {sentence}")
    for sentence in config.unused:
        print(f"  unused: {sentence}")
