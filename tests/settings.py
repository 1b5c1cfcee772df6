"""Settings that are enough, pieces of relay.toml, and what `load` makes of them."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from relay.config import Config, ConfigError, load

HTTP = {
    "SLACK_BOT_TOKEN": "xoxb-1",
    "SLACK_SIGNING_SECRET": "0123456789abcdef",
    "LETTA_API_KEY": "sk-letta",
    "LETTA_AGENT_ID": "agent-1",
    "LETTA_DEVICE_ID": "device-1",
    "RELAY_APPROVALS_CHANNEL": "C0APPROVALS",
}
SOCKET_MODE = {**HTTP, "SLACK_SIGNING_SECRET": "", "SLACK_APP_TOKEN": "xapp-1"}
SLACK = {name: HTTP[name] for name in ("SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET")}
WORKSHOP = """
[environments.workshop]
device_id = "device-2"
agent_id = "agent-2"
api_key = { env = "WORKSHOP_KEY" }
"""
ROUTE = """
[[routes]]
channel = "C0OPS"
environment = "workshop"
conversation = "conv-7"
approvals = ["C0CARDS", "U0LEAD"]
"""


def config_of(tmp_path: Path, variables: Mapping[str, str] = HTTP, toml: str = "", **changed: str) -> Config:
    """Load the variables, with some changed, and a relay.toml."""
    if toml:
        (tmp_path / "relay.toml").write_text(toml, encoding="utf-8")
    return load({**variables, **changed}, tmp_path)


def problems_of(
    tmp_path: Path, variables: Mapping[str, str] = HTTP, toml: str = "", **changed: str
) -> list[str]:
    """Return what is wrong with the same, a sentence each."""
    with pytest.raises(ConfigError) as caught:
        config_of(tmp_path, variables, toml, **changed)
    return caught.value.problems
