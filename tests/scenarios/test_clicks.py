"""Who clicks, on what, and when: one click decides, every other is answered."""

import asyncio
from collections.abc import Callable

import pytest

from relay.sandbox.environment import UseTool, UseTools
from relay.sandbox.slack.workspace import Message
from tests.scenarios.acts import ask_tool, value
from tests.world import ADA, APPROVALS, GONE, GRACE, GUEST, LINUS, OPS, STRANGER, World, button, everything

INPUT = {"command": "make the zanzibar release"}


async def test_an_unknown_button_is_acknowledged_and_its_presser_told(both_ways: World) -> None:
    card = await ask_tool(both_ways, INPUT)
    ack = await both_ways.slack.click(GRACE, APPROVALS, card.ts, "launch", value="now")
    assert ack.ok
    await both_ways.told(GRACE, "not one I know")
    assert both_ways.environment.decisions == []


def _of_a_changed_input(card: Message) -> str:
    return value(card, input_hash="0" * 32)


def _of_another_tool_call(card: Message) -> str:
    return value(card, tool_call_id="call_99_0")


UNTRUE: dict[str, tuple[Callable[[Message], str | None], str]] = {
    "no JSON": (lambda card: "approve it", "cannot tell what that button was for"),
    "a JSON list": (lambda card: "[]", "cannot tell what that button was for"),
    "empty": (lambda card: "", "cannot tell what that button was for"),
    "missing": (lambda card: None, "cannot tell what that button was for"),
    "half of a value": (lambda card: value(card)[:40], "cannot tell what that button was for"),
    "a value with more in it": (
        lambda card: value(card, force="yes"),
        "cannot tell what that button was for",
    ),
    "of no request": (lambda card: value(card, approval_id="apr_0"), "do not know the request"),
    "of a changed input": (_of_a_changed_input, "shows something else"),
    "of another tool call": (_of_another_tool_call, "shows something else"),
}


@pytest.mark.parametrize("which", UNTRUE)
@pytest.mark.parametrize("action", ["approve", "deny"])
async def test_a_button_with_an_untrue_value_decides_nothing_and_says_why(
    here: World, which: str, action: str
) -> None:
    made, words = UNTRUE[which]
    card = await ask_tool(here, INPUT)
    assert (await here.slack.click(GRACE, APPROVALS, card.ts, action, value=made(card))).ok
    await here.told(GRACE, words)
    assert here.environment.decisions == []
    assert button(await here.card(), "approve") is not None


async def test_a_button_of_another_request_decides_neither(here: World) -> None:
    here.environment.script = lambda turn: [UseTools([UseTool("Bash", INPUT), UseTool("Write", INPUT)])]
    await here.slack.slash(ADA, OPS, "use both")
    first = await here.card()
    await here.slack.click(GRACE, APPROVALS, first.ts, "approve")
    second = await here.card(2)
    await here.slack.click(LINUS, APPROVALS, first.ts, "approve", value=value(second))
    await here.told(LINUS, "shows something else")
    assert len(here.environment.decisions) == 1
    assert button(await here.card(2), "approve") is not None
    assert f"Approved by <@{GRACE}>" in everything(await here.card())


@pytest.mark.parametrize("missing", ["message", "enterprise", "team", "state", "response_url", "api_app_id"])
async def test_a_click_that_lacks_a_field_still_decides(both_ways: World, missing: str) -> None:
    card = await ask_tool(both_ways, INPUT)
    click = both_ways.slack.click_payload(GRACE, APPROVALS, card.ts, "approve")
    del click[missing]
    await both_ways.slack.deliver("action", click)
    await both_ways.card_says("Delivered.")


async def test_a_click_with_nulls_where_slack_sends_them_decides(both_ways: World) -> None:
    card = await ask_tool(both_ways, INPUT)
    click = both_ways.slack.click_payload(GRACE, APPROVALS, card.ts, "approve")
    click |= {"team": None, "enterprise": None, "message": None, "channel": None, "state": None}
    assert (await both_ways.slack.deliver("action", click)).ok
    await both_ways.card_says("Delivered.")


@pytest.mark.parametrize("missing", ["container", "channel", "user", "actions", "trigger_id"])
async def test_a_click_that_lacks_what_every_click_has_is_acknowledged(
    both_ways: World, missing: str
) -> None:
    card = await ask_tool(both_ways, INPUT)
    click = both_ways.slack.click_payload(GRACE, APPROVALS, card.ts, "approve")
    del click[missing]
    assert (await both_ways.slack.deliver("action", click)).ok


REFUSED = {
    GUEST: "guests cannot do that here",
    GONE: "your account is deactivated",
    STRANGER: "only members of this workspace",
    "U0RELAY": "bots and workflows cannot",
}


@pytest.mark.parametrize("who", REFUSED)
@pytest.mark.parametrize("action", ["approve", "deny"])
async def test_who_has_no_right_decides_nothing_and_is_told_why(here: World, who: str, action: str) -> None:
    card = await ask_tool(here, INPUT)
    await here.slack.click(who, APPROVALS, card.ts, action)
    assert (await here.told(who, REFUSED[who])).startswith("Nothing was decided")
    assert here.environment.decisions == []
    assert button(await here.card(), "approve") is not None


async def test_a_person_whose_click_names_another_workspace_is_a_stranger(here: World) -> None:
    card = await ask_tool(here, INPUT)
    click = here.slack.click_payload(LINUS, APPROVALS, card.ts, "approve")
    click["user"] = {**click["user"], "team_id": "T0OTHER"}
    await here.slack.deliver("action", click)
    await here.told(LINUS, "only members of this workspace")


async def test_a_person_whom_slack_cannot_describe_decides_nothing_and_is_told_that(here: World) -> None:
    card = await ask_tool(here, INPUT)
    here.slack.fail("users.info", "internal_error", status=500)
    await here.slack.click(GRACE, APPROVALS, card.ts, "approve")
    sentence = await here.told(GRACE, "could not ask Slack who you are")
    assert "approver" not in sentence
    assert here.environment.decisions == []


async def test_a_failed_look_up_is_not_remembered(here: World) -> None:
    card = await ask_tool(here, INPUT)
    here.slack.fail("users.info", "ratelimited", retry_after=30)
    await here.slack.click(GRACE, APPROVALS, card.ts, "approve")
    await here.told(GRACE, "could not ask Slack who you are")
    await here.slack.click(GRACE, APPROVALS, card.ts, "approve")
    await here.card_says("Delivered.")


async def test_a_look_up_that_hangs_does_not_keep_the_acknowledgement_waiting(both_ways: World) -> None:
    card = await ask_tool(both_ways, INPUT)
    both_ways.slack.fail("users.info", "internal_error", hang=True)
    ack = await both_ways.slack.click(GRACE, APPROVALS, card.ts, "approve")
    assert ack.ok
    await both_ways.told(GRACE, "could not ask Slack who you are")


async def test_with_approvers_named_nobody_else_decides(idle: World) -> None:
    await idle.start_relay({"RELAY_APPROVERS": GRACE})
    card = await ask_tool(idle, INPUT)
    await idle.slack.click(LINUS, APPROVALS, card.ts, "approve")
    await idle.told(LINUS, "you are not one of the approvers")
    assert idle.environment.decisions == []
    await idle.slack.click(GRACE, APPROVALS, card.ts, "approve")
    await idle.card_says("Delivered.")


async def test_without_approvers_named_the_requester_may_approve(here: World) -> None:
    card = await ask_tool(here, INPUT)
    await here.slack.click(ADA, APPROVALS, card.ts, "approve")
    assert f"Approved by <@{ADA}>" in everything(await here.card_says("Delivered."))


async def test_of_two_who_click_at_once_one_decides_and_the_other_is_told_who(both_ways: World) -> None:
    card = await ask_tool(both_ways, INPUT)
    await asyncio.gather(
        both_ways.slack.click(GRACE, APPROVALS, card.ts, "approve"),
        both_ways.slack.click(LINUS, APPROVALS, card.ts, "deny"),
    )
    done = await both_ways.card_says("Delivered.")
    winner = GRACE if f"<@{GRACE}>" in everything(done) else LINUS
    loser = LINUS if winner == GRACE else GRACE
    assert f"<@{winner}>" in await both_ways.told(loser, "is decided already")
    [decision] = both_ways.environment.decisions
    assert decision.approve is (winner == GRACE)


async def test_of_twenty_clicks_at_once_one_decides_and_nineteen_are_answered(here: World) -> None:
    card = await ask_tool(here, INPUT)
    people = [f"U0CROWD{number}" for number in range(20)]
    for person in people:
        here.slack.people[person] = type(here.slack.people[ADA])(person, person.lower(), person, "T0HOME")
        here.slack.channels[APPROVALS].members.add(person)
    acks = await asyncio.gather(
        *(here.slack.click(person, APPROVALS, card.ts, "approve") for person in people)
    )
    assert all(ack.ok for ack in acks)
    await here.slack.wait_for(lambda slack: len({one.user for one in slack.ephemerals} & set(people)) == 19)
    await here.card_says("Delivered.")
    assert len(here.environment.decisions) == 1


async def test_a_double_click_decides_once_and_is_answered(both_ways: World) -> None:
    card = await ask_tool(both_ways, INPUT)
    await both_ways.slack.click(GRACE, APPROVALS, card.ts, "approve", double=True)
    await both_ways.told(GRACE, "is decided already: approved by")
    await both_ways.card_says("Delivered.")
    assert len(both_ways.environment.decisions) == 1


async def test_the_same_click_told_twice_is_one_click(both_ways: World) -> None:
    card = await ask_tool(both_ways, INPUT)
    click = both_ways.slack.click_payload(GRACE, APPROVALS, card.ts, "approve")
    await both_ways.slack.deliver("action", click)
    assert (await both_ways.slack.deliver("action", click)).ok
    await both_ways.card_says("Delivered.")
    assert [one for one in both_ways.slack.ephemerals if one.user == GRACE] == []


async def test_a_click_on_a_card_from_before_a_restart_decides(both_ways: World) -> None:
    card = await ask_tool(both_ways, INPUT)
    await both_ways.stop_relay()
    await both_ways.start_relay()
    if both_ways.slack.request_url is None:
        await both_ways.slack.wait_for(lambda slack: slack.connected)
    await both_ways.slack.click(GRACE, APPROVALS, card.ts, "approve")
    await both_ways.card_says("Delivered.")
    assert len(both_ways.slack.channels[APPROVALS].messages) == 1


async def test_a_click_on_a_withdrawn_request_is_told_so(here: World) -> None:
    card = await ask_tool(here, INPUT)
    old = value(card)
    await here.environment.abort()
    gone = await here.card_says("asks no longer")
    assert button(gone, "approve") is None
    await here.slack.click(GRACE, APPROVALS, card.ts, "approve", value=old)
    await here.told(GRACE, "the agent no longer asks for this")
    assert here.environment.decisions == []


async def test_a_click_on_a_superseded_card_is_told_so(here: World) -> None:
    here.environment.script = lambda turn: [UseTool("Bash", INPUT, tool_call_id="call_1")]
    await here.slack.slash(ADA, OPS, "use your tool")
    card = await here.card()
    old = value(card)
    [request] = here.environment.pending()
    asks = {**request["request"], "input": {"command": "zanzibar, changed"}}
    await here.environment.send_event({**request, "type": "control_request", "request": asks})
    await here.card_says("approval needed", number=2)
    await here.slack.click(GRACE, APPROVALS, card.ts, "approve", value=old)
    await here.told(GRACE, "on a newer card")
    assert here.environment.decisions == []


async def test_a_click_on_a_decided_card_that_did_not_change_yet_is_told_who_decided(here: World) -> None:
    card = await ask_tool(here, INPUT)
    old = value(card)
    await here.slack.click(GRACE, APPROVALS, card.ts, "approve")
    await here.card_says("Delivered.")
    await here.slack.click(LINUS, APPROVALS, card.ts, "deny", value=old)
    assert await here.told(LINUS, f"is decided already: approved by <@{GRACE}>")


async def test_a_refused_click_leaves_the_card_to_the_next_person(here: World) -> None:
    card = await ask_tool(here, INPUT)
    await here.slack.click(STRANGER, APPROVALS, card.ts, "approve")
    await here.told(STRANGER, "Nothing was decided")
    await here.slack.click(GRACE, APPROVALS, card.ts, "deny")
    await here.card_says("Delivered.")
    assert here.environment.tool_runs == []
