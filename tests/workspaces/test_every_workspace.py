"""What every workspace that installs the app is offered, and what each part does by workspace."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from relay.sandbox.environment import Say, Script, UseTool, Wait
from relay.sandbox.slack import FakeSlack
from relay.sandbox.slack.posts import Upload
from relay.slack.installing.seal import TokenSeal
from tests.workspaces.building import ALPHA, BETA, Building, building
from tests.workspaces.test_install import talked
from tests.world import ADA, GRACE, OPS, everything

FOR_ALL = """
[environments.shared]
agent_id = "agent-alpha"
device_id = "{alpha.device_id}"
base_url = "{alpha.base_url}"
api_key = {{ env = "ALPHA_KEY" }}

[[routes]]
team = "*"
environment = "shared"
conversation = "thread"
approvals = ["thread"]
"""


@pytest.fixture
async def open_to_all(tmp_path: Path) -> AsyncIterator[Building]:
    """One agent that every workspace may talk to, each thread by itself."""
    async with building(tmp_path) as made:
        toml = FOR_ALL.format(alpha=made.alpha.environment)
        (tmp_path / "relay.toml").write_text(toml, encoding="utf-8")
        await made.start_relay()
        for team_id in (ALPHA, BETA):
            await made.install(team_id)
        yield made


def says_of(team_id: str) -> Script:
    """Return what an agent does for a workspace."""
    return lambda turn: [UseTool("Bash", {"command": f"for {team_id}"}), Say("done")]


def words_of(slack: FakeSlack) -> str:
    """Return all that stands in the channel."""
    return "\n".join(map(everything, slack.channels[OPS].messages))


async def test_one_agent_for_every_workspace_asks_each_in_its_own_thread(open_to_all: Building) -> None:
    alpha, beta = open_to_all.alpha, open_to_all.beta
    for world in (alpha, beta):
        alpha.environment.script = says_of(world.slack.team_id)
        await world.slack.slash(ADA, OPS, "please")
        card = await world.thread_says(f"for {world.slack.team_id}")
        assert card.thread_ts is not None
        await world.slack.click(GRACE, OPS, card.ts, "approve")
        await world.thread_says("done")
    assert len(alpha.environment.conversations_made) == 2
    assert BETA not in words_of(alpha.slack)
    assert ALPHA not in words_of(beta.slack)


async def test_who_is_named_by_no_route_reaches_no_environment(tmp_path: Path) -> None:
    async with building(tmp_path) as made:
        made.cloud.add("T0GAMMA")
        await made.start_relay()
        await made.install("T0GAMMA")
        gamma = made.cloud.workspaces["T0GAMMA"]
        gamma.request_url = made.alpha.slack.request_url
        for words in ("hello", "status", "stop", "help"):
            ack = await gamma.slash(ADA, OPS, words)
            assert "No agent answers in this channel" in str(ack.body)
        await gamma.say(ADA, OPS, "@relay hello")
        assert made.alpha.environment.received == made.beta.environment.received == []


async def test_files_are_read_with_the_token_of_their_own_workspace(both: Building) -> None:
    for world in (both.alpha, both.beta):
        words = f"only {world.slack.team_id}"
        upload = Upload("notes.txt", words.encode(), "text/plain")
        await world.slack.say(ADA, OPS, "@relay read this", files=[upload])
        await world.environment.wait_for(lambda seen: seen.received)
        assert words in str(world.environment.received[0].content)


async def test_a_running_turn_is_shown_in_its_own_workspace_alone(both: Building) -> None:
    for world, other in ((both.alpha, both.beta), (both.beta, both.alpha)):
        before, over = statuses(other.slack), asyncio.Event()
        world.environment.script = works_until(over)
        await world.slack.say(ADA, OPS, "@relay work")
        await world.slack.wait_for(lambda slack: slack.statuses)
        over.set()
        await world.slack.wait_for(lambda slack: not slack.statuses)
        assert statuses(other.slack) == before


def statuses(slack: FakeSlack) -> int:
    """Return how often the app said here that it works."""
    return len([one for one in slack.calls if one.method.endswith("setStatus") and one.arguments["status"]])


def works_until(over: asyncio.Event) -> Script:
    """Return what an agent does that works for a while."""
    return lambda turn: [Wait(over), Say("done")]


async def test_slacks_own_names_in_the_process_environment_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Bolt would take these for an order to do the whole of an install by itself.
    monkeypatch.setenv("SLACK_CLIENT_ID", "9.9")
    monkeypatch.setenv("SLACK_CLIENT_SECRET", "not-the-one")
    monkeypatch.setenv("HOME", str(tmp_path / "nowhere"))
    async with building(tmp_path) as made:
        await made.start_relay()
        await made.install(ALPHA)
        await talked(made.alpha, "hello")
    assert not (tmp_path / "nowhere").exists()
    assert os.environ["SLACK_CLIENT_ID"] == "9.9"


def test_nothing_is_sealed_as_nothing() -> None:
    seal = TokenSeal(["A" * 43 + "="])
    assert (seal.seal(ALPHA, ""), seal.open(ALPHA, "")) == ("", "")
    assert not seal.is_by_first_key("")
