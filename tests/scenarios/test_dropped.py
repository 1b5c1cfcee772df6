"""What the operator gives up stays given up, is told where it belonged, and holds up nothing behind it."""

import json
import os
import pty
import sys
from typing import Any

import pytest

from tests.crash.relay_process import relay_in_thread
from tests.scenarios.acts import ask_tool, audited
from tests.world import ADA, APPROVALS, GRACE, LINUS, OPS, World, button, everything

INPUT = {"command": "make the zanzibar release"}
GAVE_UP = "the operator of relay gave your message up"


async def mended(world: World, *arguments: str) -> dict[str, Any]:
    """Return what `relay deliveries` answers a script."""
    said = await relay_in_thread(world, "deliveries", *arguments, "--json")
    assert said.status == 0, said.err
    found: dict[str, Any] = json.loads(said.out)
    return found


async def listed(world: World, *filters: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await mended(world, "list", *filters))["deliveries"]
    return found


async def only(world: World, *filters: str) -> str:
    [found] = await listed(world, *filters)
    return str(found["id"])


async def dropped(world: World, which: str) -> None:
    """Drop a delivery as soon as it is not just being tried."""
    while (said := await relay_in_thread(world, "deliveries", "drop", which, "--json")).status != 0:
        assert "being sent right now" in said.problem
    assert json.loads(said.out) == {"dropped": which}


async def offline_with(world: World, *words: str) -> list[str]:
    """Say words to an environment that is away, in one conversation; return their deliveries' ids in turn."""
    await world.environment.go_offline()
    for one in words:
        await world.slack.slash(ADA, OPS, one)
    await world.thread_says("has been offline since")
    return [one["id"] for one in await listed(world, "--kind", "message")][::-1]


async def test_a_message_that_waits_is_given_up_said_so_and_the_next_goes(here: World) -> None:
    first, second = await offline_with(here, "unwanted", "wanted")
    await dropped(here, first)
    given_up = await here.thread_says(GAVE_UP)
    assert button(given_up, "retry") is None
    assert audited(here, "delivery.dropped") == ["operator"]
    assert await only(here, "--state", "dropped") == first
    assert second != first
    await here.environment.come_back()
    await here.thread_says("echo: wanted")
    assert [one.last_line for one in here.environment.received] == ["wanted"]
    again = await relay_in_thread(here, "deliveries", "drop", first)
    assert (again.status, f"{first} is dropped" in again.problem) == (1, True)
    retried = await relay_in_thread(here, "deliveries", "retry", first)
    assert (retried.status, f"{first} is dropped" in retried.problem) == (1, True)


async def test_a_message_that_failed_is_given_up_and_nobody_can_retry_it(here: World) -> None:
    here.environment.fail_posts(status=422)
    await here.slack.slash(ADA, OPS, "unwanted")
    failed = await here.thread_says("Not delivered")
    which = await only(here, "--state", "failed")
    await mended(here, "drop", which)
    await here.thread_says(GAVE_UP)
    assert await listed(here, "--state", "failed") == []
    await here.slack.click(LINUS, OPS, failed.ts, "retry", value=json.dumps({"subject_id": which}))
    await here.told(LINUS, "nothing left to send again")


async def test_what_is_dropped_by_filter_is_counted_first_and_asked_about(here: World) -> None:
    ids = await offline_with(here, "one", "two", "three")
    asked = await relay_in_thread(here, "deliveries", "drop", "--environment", "default")
    assert asked.status == 2
    assert "this would drop" in asked.problem and "for good: say --yes" in asked.problem
    assert await listed(here, "--state", "dropped") == []
    assert await mended(here, "drop", "--environment", "other", "--yes") == {
        "dropped_count": 0,
        "under_way": 0,
    }
    dropped = 0
    while dropped < 3:
        found = await mended(here, "drop", "--environment", "default", "--yes")
        dropped += found["dropped_count"]
        assert dropped + found["under_way"] == 3  # the head may just be being tried
    await here.environment.come_back()
    await here.slack.slash(ADA, OPS, "four")
    await here.thread_says("echo: four")
    assert [one.last_line for one in here.environment.received] == ["four"]
    assert {one["id"] for one in await listed(here, "--state", "dropped")} == set(ids)


async def test_what_is_being_sent_right_now_is_not_dropped(here: World) -> None:
    here.environment.fail_posts(hang=True)
    await here.slack.slash(ADA, OPS, "under way")
    await here.environment.wait_for(lambda seen: seen.posts)
    which = await only(here, "--state", "sending", "--kind", "message")
    said = await relay_in_thread(here, "deliveries", "drop", which)
    assert (said.status, "being sent right now" in said.problem) == (1, True)
    found = await mended(here, "drop", "--kind", "message", "--yes")
    assert found == {"dropped_count": 0, "under_way": 1}


async def test_what_waits_is_dropped_with_the_relay_stopped(here: World) -> None:
    [which] = await offline_with(here, "unwanted")
    await here.stop_relay()
    assert await mended(here, "drop", which) == {"dropped": which}
    here.environment.offline = False
    await here.start_relay()
    await here.thread_says(GAVE_UP)
    assert here.environment.received == []


async def test_a_decision_that_is_given_up_says_so_and_is_asked_anew_if_the_agent_still_asks(
    here: World,
) -> None:
    card = await ask_tool(here, INPUT)
    here.environment.fail_posts(status=429, times=50, approvals_only=True)
    await here.slack.click(GRACE, APPROVALS, card.ts, "approve")
    await here.environment.wait_for(lambda seen: any(post.status == 429 for post in seen.posts))
    await dropped(here, await only(here, "--kind", "decision"))
    here.environment.router.troubles.to_come.clear()
    done = await here.card_says("was given up by the operator of relay")
    assert button(done, "approve") is None and button(done, "retry") is None
    assert "not delivered" in everything(done)
    await here.slack.click(LINUS, APPROVALS, card.ts, "approve", value=_value(card.blocks))
    await here.told(LINUS, "given up by the operator of relay")
    await here.environment.rotate()
    anew = await here.card(2)
    await here.slack.click(GRACE, APPROVALS, anew.ts, "approve")
    await here.card_says("Delivered.", number=2)
    assert len(here.environment.tool_runs) == 1


def _value(blocks: list[dict[str, Any]]) -> str:
    """Return a button's value whatever it stands for: what was pressed just before the card was rewritten."""
    [shown] = [block["block_id"] for block in blocks[:1]]
    return json.dumps({"approval_id": shown.split("/")[0], "tool_call_id": "", "input_hash": "x"})


async def test_a_card_that_is_given_up_leaves_no_request_that_waits_for_nobody(here: World) -> None:
    here.slack.fail(
        "chat.postMessage", "internal_error", times=99, when=lambda one: one["channel"] == APPROVALS
    )
    await here.slack.slash(ADA, OPS, "TOOL: rm -rf build")
    await here.slack.wait_for(lambda slack: any(one.error == "internal_error" for one in slack.calls))
    await dropped(here, await only(here, "--kind", "card"))
    await here.environment.wait_for(lambda seen: seen.decisions)
    [decision] = here.environment.decisions
    assert not decision.approve
    assert "the operator gave its card up" in (decision.reason or "")


async def test_an_answer_that_is_given_up_is_said_to_be_where_it_would_have_stood(here: World) -> None:
    here.slack.fail(
        "chat.postMessage", "internal_error", times=8, when=lambda one: "echo: hello" in json.dumps(one)
    )
    here.slack.fail("chat.startStream", "unknown_method", times=99)
    await here.slack.slash(ADA, OPS, "hello")
    await here.slack.wait_for(lambda slack: any(one.error == "internal_error" for one in slack.calls))
    await dropped(here, await only(here, "--kind", "reply"))
    await here.thread_says("The agent answered, but the operator of relay gave the delivery of the answer up")
    assert not any("echo: hello" in everything(one) for one in here.slack.channels[OPS].messages)


async def test_what_failed_is_retried_by_filter_in_the_order_it_was_said(here: World) -> None:
    here.environment.fail_posts(status=422, times=3)
    for word in ("one", "two", "three"):
        await here.slack.slash(ADA, OPS, word)
    await here.slack.wait_for(
        lambda slack: sum("Not delivered" in everything(one) for one in slack.channels[OPS].messages) == 3
    )
    assert await mended(here, "retry", "--kind", "decision") == {"retried_count": 0, "not_wanted": 0}
    assert await mended(here, "retry", "--all") == {"retried_count": 3, "not_wanted": 0}
    await here.environment.wait_for(lambda seen: len(seen.received) == 3)
    assert [one.last_line for one in here.environment.received] == ["one", "two", "three"]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (("--kind", "message"), {"message"}),
        (("--environment", "default"), {"message"}),
        (("--environment", "other"), set()),
        (("--team", "T0HOME"), {"message", "root", "status", "reply"}),
        (("--channel", OPS), {"message", "root", "status", "reply"}),
        (("--channel", APPROVALS), set()),
        (("--older-than", "1h"), set()),
        (("--newer-than", "1h"), {"message", "root", "status", "reply"}),
    ],
)
async def test_a_list_is_as_short_as_its_filters_make_it(
    here: World, filters: tuple[str, ...], expected: set[str]
) -> None:
    await here.slack.slash(ADA, OPS, "hello")
    await here.thread_says("echo: hello")
    filters = tuple(here.slack.team_id if one == "T0HOME" else one for one in filters)
    found = {one["kind"] for one in await listed(here, *filters)}
    assert found - {"status"} == expected - {"status"}


@pytest.mark.parametrize("verb", ["drop", "retry"])
async def test_nothing_is_mended_that_nobody_named(here: World, verb: str) -> None:
    said = await relay_in_thread(here, "deliveries", verb)
    assert (said.status, "name one delivery, or say by filters" in said.problem) == (2, True)
    for arguments, both in (
        (("dlv_1", "--all"), "an ID and --all"),
        (("dlv_1", "--kind", "message"), "an ID and filters"),
        (("--all", "--state", "failed"), "--all and filters"),
    ):
        said = await relay_in_thread(here, "deliveries", verb, *arguments)
        assert (said.status, said.problem) == (2, f"relay: {both} exclude each other: keep one")
    said = await relay_in_thread(here, "deliveries", verb, "--older-than", "never")
    assert (said.status, "is no time" in said.problem) == (2, True)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (("retry", "--all"), "none failed"),
        (("retry", "--state", "failed"), "none failed"),
        (("retry", "--kind", "message"), "none of those that the filters leave failed"),
        (("drop", "--all"), "none waits or failed"),
        (("drop", "--state", "pending"), "none waits"),
    ],
)
async def test_where_none_is_meant_that_is_said(here: World, typed: tuple[str, ...], said: str) -> None:
    found = await relay_in_thread(here, "deliveries", *typed)
    assert (found.status, found.out) == (0, f"{said}\n")


async def test_those_that_failed_are_retried_by_their_state(here: World) -> None:
    here.environment.fail_posts(status=400, body={"message": "no"}, messages_only=True)
    await here.slack.slash(ADA, OPS, "hello")
    await here.thread_says("Not delivered")
    said = await relay_in_thread(here, "deliveries", "retry", "--state", "failed")
    assert (said.status, said.out) == (0, "sending 1 delivery again\n")
    await here.thread_says("echo: hello")


@pytest.mark.parametrize(("typed", "status"), [("y\n", 0), ("YES\n", 0), ("\n", 1), ("n\n", 1)])
async def test_whoever_sits_there_is_asked_first(
    here: World, monkeypatch: pytest.MonkeyPatch, typed: str, status: int
) -> None:
    ids = await offline_with(here, "one", "two")
    await here.stop_relay()  # so that neither is just being tried
    leader, terminal = pty.openpty()
    with os.fdopen(leader, "wb", buffering=0) as keyboard, os.fdopen(terminal) as screen:
        monkeypatch.setattr(sys, "stdin", screen)
        keyboard.write(typed.encode())
        said = await relay_in_thread(here, "deliveries", "drop", "--kind", "message", "--newer-than", "1h")
    assert said.status == status
    assert said.err == "2 deliveries (pending or failed) will never be sent. Drop them? [y/N] "
    left = [one["id"] for one in await listed(here, "--state", "dropped")]
    assert set(left) <= set(ids) and bool(left) is (status == 0)
