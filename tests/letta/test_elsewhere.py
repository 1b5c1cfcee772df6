"""Somebody at the device itself acts first: the card says what became of its question."""

import pytest

from tests.letta.conftest import LettaWorld
from tests.letta.model import Say, bash
from tests.world import ADA, APPROVALS, GRACE, OPS, button

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def answer_at_the_device(world: LettaWorld, decision: dict[str, str]) -> None:
    """Answer the open question as another client of the device does."""
    payload = {"kind": "approval_response", "request_id": "perm-call_1_0", "decision": decision}
    said = await world.router.ask({"type": "input", "runtime": world.runtime, "payload": payload})
    assert said["accepted"]


@pytest.mark.parametrize("behavior", ["allow", "deny"])
async def test_a_card_says_that_somebody_outside_slack_was_first(here: LettaWorld, behavior: str) -> None:
    here.mind.steps = [bash("echo built > made.txt"), Say("So be it.")]
    await here.slack.slash(ADA, OPS, "build it")
    await here.card()
    await answer_at_the_device(here, {"behavior": behavior, "message": "said at the terminal"})
    card = await here.card_says("Somebody answered outside Slack.")
    assert button(card, "approve") is None
    await here.thread_says("So be it.")
    assert (here.made("made.txt") is not None) == (behavior == "allow")


async def test_a_click_after_somebody_outside_slack_changes_nothing_and_is_told_so(here: LettaWorld) -> None:
    here.mind.steps = [bash("echo built > made.txt"), Say("So be it.")]
    await here.slack.slash(ADA, OPS, "build it")
    card = await here.card()
    approve = button(card, "approve")
    assert approve is not None
    await answer_at_the_device(here, {"behavior": "deny", "message": "said at the terminal"})
    await here.card_says("Somebody answered outside Slack.")
    await here.slack.click(GRACE, APPROVALS, card.ts, "approve", value=approve["value"])
    await here.told(GRACE, "somebody answered this outside Slack")
    await here.thread_says("So be it.")
    assert here.made("made.txt") is None


async def test_a_turn_stopped_at_the_device_withdraws_its_card(here: LettaWorld) -> None:
    here.mind.steps = [bash("echo built > made.txt"), Say("Next.")]
    await here.slack.slash(ADA, OPS, "build it")
    await here.card()
    assert (await here.router.ask({"type": "abort_message", "runtime": here.runtime}))["aborted"]
    card = await here.card_says("The agent asks no longer; nothing was decided here.")
    assert button(card, "approve") is None
    await here.slack.slash(ADA, OPS, "something else then")
    await here.thread_says("Next.")
    assert here.made("made.txt") is None


async def test_a_turn_stopped_at_the_device_is_said_in_its_thread(here: LettaWorld) -> None:
    here.mind.steps = [bash("echo built > made.txt")]
    await here.slack.slash(ADA, OPS, "build it")
    await here.card()
    assert (await here.router.ask({"type": "abort_message", "runtime": here.runtime}))["aborted"]
    said = await here.thread_says("The agent's turn was stopped.")
    assert said.thread_ts == here.slack.channels[OPS].messages[0].ts
    assert here.words(OPS).count("The agent's turn was stopped.") == 1
