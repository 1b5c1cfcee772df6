"""Slack refuses, forgets, slows down and breaks off."""

import json
import sqlite3
from collections.abc import Callable, Container
from typing import Any

import pytest

from relay.app import StartError
from relay.dispatcher import Dispatcher
from relay.domain.deliveries import Delivery, Kind
from relay.sandbox.environment import Say, Step, Turn, UseTool
from relay.sandbox.slack import FakeSlack
from relay.sandbox.slack.workspace import ApiCall
from tests.scenarios.acts import ask_tool
from tests.world import (
    ADA,
    APPROVALS,
    GRACE,
    GUEST,
    LINUS,
    OPS,
    OUTSIDE,
    SHARED,
    World,
    button,
    everything,
)

INPUT = {"command": "make the zanzibar release"}
POST = "chat.postMessage"


def posts(slack: FakeSlack, channel: str) -> list[ApiCall]:
    """Return the calls that posted to a channel, or tried to."""
    return [call for call in slack.calls if call.method == POST and call.arguments["channel"] == channel]


@pytest.mark.parametrize("seconds", [1, 2])
async def test_a_card_is_posted_again_no_sooner_than_slack_asked(here: World, seconds: int) -> None:
    here.slack.fail(POST, "ratelimited", retry_after=seconds, when=_to(APPROVALS))
    await ask_tool(here, INPUT)
    first, second = posts(here.slack, APPROVALS)
    assert second.at - first.at >= seconds


def _to(channel: str) -> Callable[[dict[str, Any]], bool]:
    return lambda call: call.get("channel") == channel


@pytest.mark.parametrize("error", ["internal_error", "fatal_error", "service_unavailable"])
async def test_a_card_is_posted_again_after_slack_failed(here: World, error: str) -> None:
    here.slack.fail(POST, error, status=500, times=2, when=_to(APPROVALS))
    card = await ask_tool(here, INPUT)
    await here.slack.click(GRACE, APPROVALS, card.ts, "approve")
    await here.card_says("Delivered.")


async def test_a_card_that_was_posted_before_the_line_was_cut_is_not_posted_twice(here: World) -> None:
    here.slack.fail(POST, "internal_error", after=True, when=_to(APPROVALS))
    card = await ask_tool(here, INPUT)
    await here.slack.wait_for(lambda slack: card.edited)
    await here.slack.click(GRACE, APPROVALS, card.ts, "approve")
    await here.card_says("Delivered.")
    assert len(here.slack.channels[APPROVALS].messages) == 1


async def test_a_thread_that_was_posted_before_the_line_was_cut_is_not_posted_twice(here: World) -> None:
    here.slack.fail(POST, "internal_error", after=True, times=2, when=_to(OPS))
    await here.slack.slash(ADA, OPS, "hello")
    await here.slack.wait_for(lambda slack: any(one.thread_ts for one in slack.channels[OPS].messages))
    await here.slack.slash(ADA, OPS, "the next one")
    await here.thread_says("echo: the next one")
    texts = [one.text for one in here.slack.channels[OPS].messages]
    assert len(texts) == len(set(texts)) == 4


async def test_a_click_on_a_card_whose_posting_got_no_answer_decides(here: World) -> None:
    here.slack.fail(POST, "internal_error", after=True, when=_to(APPROVALS))
    here.slack.fail("conversations.history", "internal_error", status=500)
    card = await ask_tool(here, INPUT)
    await here.slack.click(GRACE, APPROVALS, card.ts, "approve")
    await here.card_says("Delivered.")
    assert len(here.slack.channels[APPROVALS].messages) == 1


async def test_an_update_that_took_effect_before_the_line_was_cut_leaves_a_true_card(here: World) -> None:
    card = await ask_tool(here, INPUT)
    here.slack.fail("chat.update", "internal_error", after=True, times=2)
    await here.slack.click(GRACE, APPROVALS, card.ts, "deny")
    done = await here.card_says("Delivered.")
    assert button(done, "approve") is None


async def test_a_hanging_slack_keeps_only_that_message_waiting(here: World) -> None:
    here.slack.fail(POST, "internal_error", hang=True, when=_to(APPROVALS))
    here.environment.script = asks_when_told
    await here.slack.slash(ADA, OPS, "use your tool")
    await here.slack.wait_for(lambda slack: posts(slack, APPROVALS))
    assert (await here.slack.slash(LINUS, OUTSIDE, "meanwhile")).ok
    await here.told(LINUS, "/invite")
    await here.slack.wait_for(lambda slack: slack.channels[APPROVALS].messages, timeout=15)


def asks_when_told(turn: Turn) -> list[Step]:
    """Use the tool when the message says so."""
    return [UseTool("Bash", INPUT)] if turn.last_line == "use your tool" else [Say("ok")]


@pytest.mark.parametrize("error", ["msg_blocks_too_long", "invalid_blocks", "msg_too_long"])
async def test_a_card_that_slack_finds_too_large_is_posted_smaller(here: World, error: str) -> None:
    here.slack.fail(POST, error, times=2, when=_to(APPROVALS))
    card = await ask_tool(here, {"command": "x" * 10_000})
    sizes = [len(json.dumps(call.arguments["blocks"])) for call in posts(here.slack, APPROVALS)]
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == 3
    assert button(card, "approve") is not None


async def test_an_update_that_slack_finds_too_large_is_made_smaller(here: World) -> None:
    card = await ask_tool(here, {"command": "x" * 10_000})
    here.slack.fail("chat.update", "msg_blocks_too_long", times=2)
    await here.slack.click(GRACE, APPROVALS, card.ts, "approve")
    await here.card_says("Delivered.")


@pytest.mark.parametrize("error", ["channel_not_found", "not_in_channel", "is_archived"])
async def test_a_card_without_its_place_goes_to_an_approver_directly(idle: World, error: str) -> None:
    await idle.start_relay({"RELAY_APPROVERS": GRACE})
    idle.slack.fail(POST, error, times=99, when=_to(APPROVALS))
    idle.environment.script = asks_when_told
    await idle.slack.slash(ADA, OPS, "use your tool")
    await idle.slack.wait_for(lambda slack: "D" + GRACE in slack.channels)
    card = await idle.card(channel="D" + GRACE)
    await idle.slack.click(GRACE, "D" + GRACE, card.ts, "approve")
    await idle.card_says("Delivered.", channel="D" + GRACE)
    assert len(idle.slack.channels["D" + GRACE].messages) == 1


async def test_without_any_place_to_ask_the_request_is_denied_and_the_agent_reads_why(here: World) -> None:
    here.slack.channels[APPROVALS].is_member = False
    here.environment.script = asks_when_told
    await here.slack.slash(ADA, OPS, "use your tool")
    await here.environment.wait_for(lambda environment: environment.decisions)
    [decision] = here.environment.decisions
    assert not decision.approve
    assert decision.reason == "Denied by relay: there is no place in Slack to ask people (not_in_channel)."
    assert here.environment.tool_runs == []


async def test_without_any_place_to_ask_the_log_says_so(here: World) -> None:
    here.slack.channels[APPROVALS].is_member = False
    here.environment.script = asks_when_told
    await here.slack.slash(ADA, OPS, "use your tool")
    await here.environment.wait_for(lambda environment: environment.decisions)
    assert "not_in_channel" in here.log.getvalue()


async def test_a_pending_card_that_somebody_deleted_is_posted_anew(here: World) -> None:
    await ask_tool(here, INPUT)
    [old] = here.slack.channels[APPROVALS].messages
    click = here.slack.click_payload(GUEST, APPROVALS, old.ts, "approve")
    here.slack.channels[APPROVALS].messages.clear()
    await here.slack.deliver("action", click)
    card = await here.card()
    assert card.ts != old.ts
    await here.slack.click(GRACE, APPROVALS, card.ts, "approve")
    await here.card_says("Delivered.")


async def test_a_decided_card_that_somebody_deleted_changes_nothing_for_the_agent(here: World) -> None:
    card = await ask_tool(here, INPUT)
    here.slack.fail("chat.update", "message_not_found", times=99)
    await here.slack.click(GRACE, APPROVALS, card.ts, "approve")
    await here.environment.wait_for(lambda environment: environment.tool_runs)
    assert len(here.environment.decisions) == 1


async def test_a_status_that_somebody_deleted_is_said_anew(here: World) -> None:
    await here.environment.go_offline()
    await here.slack.slash(ADA, OPS, "wait for me")
    status = await here.thread_says("has been offline since")
    here.slack.channels[OPS].messages.remove(status)
    await here.environment.come_back()
    await here.thread_says("Delivered to")


async def test_when_the_thread_is_gone_a_failure_is_told_privately(here: World) -> None:
    await here.environment.go_offline()
    await here.slack.slash(ADA, OPS, "nobody will read this")
    await here.thread_says("has been offline since")
    here.slack.channels[OPS].messages.clear()
    here.slack.fail("chat.update", "message_not_found", times=9)
    here.slack.fail(POST, "thread_not_found", times=9, when=_to(OPS))
    here.environment.fail_posts(status=422, body={"detail": "no such agent"})
    await here.environment.come_back()
    await here.told(ADA, "Not delivered")


async def test_when_the_thread_is_gone_the_answer_comes_privately(here: World) -> None:
    here.slack.fail(POST, "thread_not_found", times=9, when=lambda call: bool(call.get("thread_ts")))
    await here.slack.slash(ADA, OPS, "hello")
    await here.slack.wait_for(
        lambda slack: [one for one in slack.ephemerals if "echo: hello" in json.dumps(one.blocks)]
    )


async def test_a_used_up_response_url_gives_way_to_an_ephemeral_message(here: World) -> None:
    card = await ask_tool(here, INPUT)
    clicking = here.slack.click_payload(GUEST, APPROVALS, card.ts, "approve")
    here.slack.expire_response_urls()
    here.slack.channels[APPROVALS].members.add(GUEST)
    await here.slack.deliver("action", clicking)
    await here.told(GUEST, "Nothing was decided")
    assert [one.via for one in here.slack.ephemerals if one.user == GUEST] == ["chat.postEphemeral"]


async def test_without_any_other_way_a_person_is_told_in_a_direct_message(here: World) -> None:
    card = await ask_tool(here, INPUT)
    clicking = here.slack.click_payload(GUEST, APPROVALS, card.ts, "approve")
    here.slack.expire_response_urls()
    here.slack.fail("chat.postEphemeral", "user_not_in_channel")
    await here.slack.deliver("action", clicking)
    await here.slack.wait_for(lambda slack: "D" + GUEST in slack.channels)
    [told] = here.slack.channels["D" + GUEST].messages
    assert "guests cannot do that here" in everything(told)


async def test_a_sentence_told_leaves_no_response_url_in_the_store(here: World) -> None:
    card = await ask_tool(here, INPUT)
    await here.slack.click(GUEST, APPROVALS, card.ts, "approve")
    await here.told(GUEST, "Nothing was decided")
    await here.stop_relay()
    with sqlite3.connect(here.folder / "relay.db") as store:
        bodies = [body for (body,) in store.execute("select body from deliveries where kind = 'whisper'")]
    store.close()
    assert bodies
    assert "response" not in "".join(bodies)


async def test_a_channel_shared_with_another_workspace_is_refused_for_cards_at_start(idle: World) -> None:
    with pytest.raises(StartError, match=f"{SHARED} is shared with another workspace"):  # noqa: PT012 - whichever comes first
        await idle.start_relay({"RELAY_APPROVALS_CHANNEL": SHARED})
        await idle.ended()


async def test_a_place_for_cards_that_the_app_is_not_in_is_warned_about_at_start(idle: World) -> None:
    await idle.start_relay({"RELAY_APPROVALS_CHANNEL": OUTSIDE})
    assert "place.closed" in idle.log.getvalue()


async def test_commands_and_clicks_go_on_after_slack_refreshed_the_socket(both_ways: World) -> None:
    card = await ask_tool(both_ways, INPUT)
    await both_ways.slack.disconnect()
    if both_ways.slack.request_url is None:
        await both_ways.slack.wait_for(lambda slack: slack.connected)
    assert (await both_ways.slack.click(GRACE, APPROVALS, card.ts, "approve")).ok
    await both_ways.card_says("Delivered.")


def lose_claims(monkeypatch: pytest.MonkeyPatch, kinds: Container[Kind] = frozenset(Kind)) -> None:
    """Have each delivery lose its claim once, between its attempt's beginning and its post."""
    asked: list[str] = []

    def stopped_once(_: Dispatcher, delivery: Delivery) -> bool:
        asked.append(delivery.id)
        return asked.count(delivery.id) != 2 or delivery.kind not in kinds

    monkeypatch.setattr(Dispatcher, "has", stopped_once)


async def test_what_another_relay_may_have_posted_by_now_is_not_posted(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose_claims(monkeypatch)
    await here.slack.slash(ADA, OPS, "hello")
    await here.thread_says("echo: hello")
    posted = [one.text for one in here.slack.channels[OPS].messages]
    assert len([text for text in posted if "hello" in text and "echo" not in text]) == 1
    assert "its claim ran out before it was posted" in here.log.getvalue()


async def test_what_another_relay_may_have_told_somebody_by_now_is_not_told(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = await ask_tool(here, INPUT)
    lose_claims(monkeypatch, {Kind.WHISPER})
    await here.slack.click(GUEST, APPROVALS, card.ts, "approve")
    await here.told(GUEST, "Nothing was decided")
    assert "its claim ran out before it was posted" in here.log.getvalue()
    assert [one.user for one in here.slack.ephemerals].count(GUEST) == 1
