"""A router that passes approvals on as they are: the device refuses that form, and takes the socket's."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.world import ADA, APPROVALS, GRACE, OPS, World, world


@pytest.fixture
async def verbatim(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path, router="verbatim") as made:
        await made.start_relay()
        yield made


async def test_a_refused_approval_is_given_again_over_the_socket_and_takes_effect_once(
    verbatim: World,
) -> None:
    await verbatim.slack.slash(ADA, OPS, "TOOL: rm -rf build")
    card = await verbatim.card()
    await verbatim.slack.click(GRACE, APPROVALS, card.ts, "approve")
    await verbatim.card_says("Delivered.")
    await verbatim.thread_says("FINAL: tool said")
    assert [one.via for one in verbatim.environment.decisions if one.accepted] == ["socket"]
    assert len(verbatim.environment.tool_runs) == 1


async def test_a_refused_denial_is_given_again_over_the_socket_with_its_reason(verbatim: World) -> None:
    await verbatim.slack.slash(ADA, OPS, "TOOL: rm -rf build")
    card = await verbatim.card()
    await verbatim.slack.click(GRACE, APPROVALS, card.ts, "deny")
    await verbatim.card_says("Delivered.")
    [taken] = [one for one in verbatim.environment.decisions if one.accepted]
    assert (taken.approve, taken.reason) == (False, "Denied by grace in Slack.")
    assert verbatim.environment.tool_runs == []
