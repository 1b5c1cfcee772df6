"""What holds in every scenario: Slack's own models like every body, and no secret is in the log."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.witnesses import slack as witness
from tests.world import World

_WORLDS = {"here", "idle", "both_ways"}
_WITH_BLOCKS = {"chat.postMessage", "chat.update", "chat.postEphemeral"}
_TELLING = 12  # shorter words may stand in a log by chance


@pytest.fixture(autouse=True)
def witnessed(request: pytest.FixtureRequest) -> Iterator[None]:
    """Look at every body and every log line when the scenario is over."""
    worlds: list[World] = [request.getfixturevalue(name) for name in _WORLDS & set(request.fixturenames)]
    yield
    for world in worlds:
        assert list(_refused_by_the_witness(world)) == []
        assert [secret for secret in _secrets(world) if secret in world.log.getvalue()] == []


def _refused_by_the_witness(world: World) -> Iterator[str]:
    for call in world.slack.calls:
        if call.method in _WITH_BLOCKS:
            if not call.arguments.get("text"):
                yield f"{call.method}: no text for notifications and screen readers"
            yield from witness.problems(call.arguments.get("blocks") or [])
        elif call.method == "views.open":
            yield from witness.view_problems(call.arguments["view"])
    for seen in world.slack.ephemerals:
        yield from witness.problems(seen.blocks)


def _secrets(world: World) -> Iterator[str]:
    slack, environment = world.slack, world.environment
    yield from (slack.bot_token, slack.app_token, slack.signing_secret, environment.api_key)
    yield from slack.workspace.response_urls
    yield from slack.workspace.triggers
    said = [message.last_line for message in environment.received]
    used = [text for _, _, tool_input in environment.tool_runs for text in _texts(tool_input)]
    asked = [text for request in environment.pending() for text in _texts(request["request"]["input"])]
    yield from (text for text in said + used + asked if len(text) >= _TELLING)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
