"""A defect inside relay: whoever met it is told, and nobody else notices."""

import sqlite3

import pytest

from relay.sandbox.slack.workspace import Message
from tests.scenarios.acts import ask_tool
from tests.world import ADA, APPROVALS, GRACE, OPS, World

INPUT = {"command": "make the zanzibar release"}
WORDS = "Something inside relay went wrong"


async def unreadable(world: World) -> Message:
    """Return the card of a request that relay, started again, can no longer read."""
    card = await ask_tool(world, INPUT)
    await world.stop_relay()
    with sqlite3.connect(world.folder / "relay.db") as store:
        store.execute("update approvals set diffs = 'nonsense', tool_name = x'00'")
    store.close()
    await world.start_relay()
    if world.slack.request_url is None:
        await world.slack.wait_for(lambda slack: slack.connected)
    return card


@pytest.mark.parametrize("action", ["approve", "deny", "details"])
async def test_who_presses_a_button_and_meets_a_defect_is_told_in_private(
    both_ways: World, action: str
) -> None:
    card = await unreadable(both_ways)
    assert (await both_ways.slack.click(GRACE, APPROVALS, card.ts, action)).ok
    await both_ways.told(GRACE, WORDS)
    assert "arrival.defect" in both_ways.log.getvalue()
    assert [one.user for one in both_ways.slack.ephemerals if WORDS in one.text] == [GRACE]


async def test_who_types_a_command_and_meets_a_defect_is_answered(both_ways: World) -> None:
    await unreadable(both_ways)
    assert (await both_ways.slack.slash(ADA, OPS, "hello")).ok
    await both_ways.told(ADA, WORDS)
    assert [one.via for one in both_ways.slack.ephemerals if WORDS in one.text] == ["ack"]
