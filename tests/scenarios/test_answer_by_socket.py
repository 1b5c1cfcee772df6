"""A router that passes approvals on as they are: the device refuses that form, and takes the socket's."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from relay.store import StoreError, Transaction
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


async def test_an_answer_that_was_taken_counts_although_its_way_could_not_be_kept(
    verbatim: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(Transaction, "remember_socket_way", fail)
    await decide(verbatim, 1)
    await verbatim.card_says("Delivered.")
    await verbatim.thread_says("FINAL: tool said")
    assert "approvals.way_not_kept" in verbatim.log.getvalue()
    assert "delivery.defect" not in verbatim.log.getvalue()


async def decide(world: World, number: int, action: str = "approve") -> None:
    """Have a tool asked for, and decide it."""
    await world.slack.slash(ADA, OPS, "TOOL: rm -rf build")
    card = await world.card(number)
    await world.slack.click(GRACE, APPROVALS, card.ts, action)


def posted(world: World) -> int:
    """How many decisions were posted to the endpoint."""
    return sum(post.body["messages"][0].get("type") == "approval" for post in world.environment.posts)


async def test_the_way_that_worked_is_taken_at_once_the_next_time(verbatim: World) -> None:
    await decide(verbatim, 1)
    await verbatim.card_says("Delivered.", 1)
    await decide(verbatim, 2, "deny")
    await verbatim.card_says("Delivered.", 2)
    assert posted(verbatim) == 1
    assert [one.approve for one in verbatim.environment.decisions if one.accepted] == [True, False]


async def test_the_way_that_worked_is_remembered_over_a_restart(verbatim: World) -> None:
    await decide(verbatim, 1)
    await verbatim.card_says("Delivered.", 1)
    await verbatim.stop_relay()
    await verbatim.start_relay()
    await decide(verbatim, 2)
    await verbatim.card_says("Delivered.", 2)
    assert posted(verbatim) == 1


def settled_by(world: World, way: str) -> None:
    """Set by which way decisions go."""
    lines = [
        "[environments.default]",
        f'agent_id = "{world.environment.agent_id}"',
        f'device_id = "{world.environment.device_id}"',
        f'approvals_via = "{way}"',
    ]
    (world.folder / "relay.toml").write_text("\n".join(lines), encoding="utf-8")


async def test_decisions_that_are_to_go_over_the_socket_are_never_posted(idle: World) -> None:
    settled_by(idle, "socket")
    await idle.start_relay()
    await decide(idle, 1)
    await idle.card_says("Delivered.", 1)
    await idle.thread_says("FINAL: tool said")
    assert posted(idle) == 0


async def test_a_decision_over_the_socket_that_comes_too_late_is_not_called_delivered(idle: World) -> None:
    settled_by(idle, "socket")
    await idle.start_relay()
    await idle.slack.slash(ADA, OPS, "TOOL: rm -rf build")
    card = await idle.card()
    await idle.environment.restart(rotate=False)
    await idle.slack.click(GRACE, APPROVALS, card.ts, "approve")
    await idle.card_says("*not delivered*")
    assert idle.environment.tool_runs == []


async def test_decisions_that_are_to_be_posted_are_never_given_over_the_socket(tmp_path: Path) -> None:
    async with world(tmp_path, router="verbatim") as made:
        settled_by(made, "rest")
        await made.start_relay()
        await decide(made, 1)
        await made.card_says("its device refuses decisions that are posted")
        [asked] = made.environment.pending()
        assert await made.environment.answer_at_terminal(asked["request"]["tool_call_id"], approve=False)
        await made.card_says("not confirmed")
        assert made.environment.decisions == []
