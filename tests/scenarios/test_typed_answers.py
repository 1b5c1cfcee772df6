"""Answers that are typed: by code, or without one where there is no doubt; and never by a bot."""

import pytest

from relay.sandbox.environment import UseTool
from relay.sandbox.slack.workspace import Message
from tests.scenarios.acts import ask_tool
from tests.world import ADA, APPROVALS, GRACE, GUEST, LINUS, OPS, World, everything

INPUT = {"command": "make the zanzibar release"}


def code(card: Message) -> str:
    """Return the code that stands on a card."""
    return everything(card).split("/letta approve ")[1][:5]


async def ask_twice(world: World) -> tuple[Message, Message]:
    """Have two tools asked for, in two channels' conversations; return both cards."""
    (world.folder / "relay.toml").write_text(
        '[[routes]]\nchannel = "*"\nconversation = "thread"\n', encoding="utf-8"
    )
    await world.start_relay()
    first = await ask_tool(world, INPUT)
    await world.slack.slash(ADA, OPS, "and once more")
    return first, await world.card(2)


def of_a_bot(world: World, text: str, **more: str) -> dict[str, object]:
    """Return the event of a post that an app made in a person's name."""
    said = world.slack.workspace.post(world.slack.channels[OPS], LINUS, text, [])
    posted = {"type": "message", "user": LINUS, "channel": OPS, "text": text, "ts": said.ts}
    return {**posted, "team": world.slack.team_id, **more}


async def test_a_command_with_the_code_approves_and_its_comment_is_given(both_ways: World) -> None:
    card = await ask_tool(both_ways, INPUT)
    ack = await both_ways.slack.slash(GRACE, APPROVALS, f"approve {code(card).lower()} mind the port")
    assert ack.in_time
    await both_ways.told(GRACE, "Approved: `Bash`")
    await both_ways.card_says(f"Approved by <@{GRACE}>")
    await both_ways.card_says("Delivered.")
    [decision] = both_ways.environment.decisions
    assert (decision.approve, decision.reason) == (True, "mind the port")
    assert len(both_ways.environment.received) == 1


async def test_a_word_in_the_cards_thread_denies_with_its_reason(both_ways: World) -> None:
    card = await ask_tool(both_ways, INPUT)
    await both_ways.slack.say(GRACE, APPROVALS, f"!deny {code(card)} not today", thread_ts=card.ts)
    await both_ways.told(GRACE, "Denied: `Bash`")
    await both_ways.card_says("Delivered.")
    [decision] = both_ways.environment.decisions
    assert (decision.approve, decision.reason) == (False, "not today")
    assert len(both_ways.environment.received) == 1


async def test_a_word_beside_a_mention_counts_once_though_slack_tells_of_it_twice(both_ways: World) -> None:
    card = await ask_tool(both_ways, INPUT)
    await both_ways.slack.say(GRACE, OPS, f"@relay !approve {code(card)}")
    await both_ways.card_says("Delivered.")
    assert len(both_ways.environment.decisions) == 1
    assert len([one for one in both_ways.slack.ephemerals if one.user == GRACE]) == 1
    assert len(both_ways.environment.received) == 1


@pytest.mark.parametrize("typed", ["aprove", "approv", "appprove", "aprpove", "Denny", "dney", "fnord"])
async def test_an_answer_with_a_slip_in_its_word_is_asked_about_and_sent_to_nobody(
    here: World, typed: str
) -> None:
    card = await ask_tool(here, INPUT)
    right = {"a": "approve", "D": "deny", "d": "deny"}.get(typed[0])
    await here.slack.slash(GRACE, APPROVALS, f"{typed} {code(card)} it's fine")
    if right is None:
        await here.told(GRACE, "Queued")
    else:
        said = await here.told(GRACE, "Did you mean")
        assert said == f'Did you mean "/letta {right} {code(card)}"? Nothing was sent.'
    assert len(here.environment.received) == 1 and here.environment.decisions == []
    assert "approval needed" in card.text


async def test_a_slip_in_a_thread_is_asked_about_there_and_once(both_ways: World) -> None:
    card = await ask_tool(both_ways, INPUT)
    await both_ways.slack.say(GRACE, APPROVALS, f"@relay !aprove {code(card)}", thread_ts=card.ts)
    said = await both_ways.told(GRACE, "Did you mean")
    assert said == f'Did you mean "!approve {code(card)}"? Nothing was sent.'
    await both_ways.slack.slash(GRACE, APPROVALS, f"approve {code(card)}")
    await both_ways.card_says("Delivered.")
    assert sum("Did you mean" in one.text for one in both_ways.slack.ephemerals) == 1
    assert len(both_ways.environment.received) == 1


@pytest.mark.parametrize(
    "text", ["approved after review", "aprove the budget", "denn ABCDE1", "aprove O0I1L"]
)
async def test_a_sentence_that_only_begins_like_an_answer_is_a_message(here: World, text: str) -> None:
    here.environment.script = lambda turn: []
    await here.slack.slash(ADA, OPS, text)
    await here.told(ADA, "Queued for")
    await here.environment.wait_for(lambda environment: environment.received)
    assert here.environment.received[0].last_line == text


async def test_an_approval_of_what_is_no_code_is_not_sent_either(here: World) -> None:
    await here.slack.slash(ADA, OPS, "approve the budget")
    await here.told(ADA, "Nothing waits for a decision here, so nothing was decided.")
    assert here.environment.received == []


async def test_an_unknown_code_decides_nothing_and_names_those_that_wait(here: World) -> None:
    card = await ask_tool(here, INPUT)
    await here.slack.slash(GRACE, OPS, "approve ZZZZZ")
    said = await here.told(GRACE, "No request has the code `ZZZZZ`")
    assert f"`Bash` `{code(card)}`" in said and "zanzibar" not in said
    assert here.environment.decisions == []


async def test_the_code_of_a_decided_request_says_who_decided(here: World) -> None:
    card = await ask_tool(here, INPUT)
    which = code(card)
    await here.slack.click(LINUS, APPROVALS, card.ts, "deny")
    await here.card_says("Delivered.")
    await here.slack.slash(GRACE, OPS, f"approve {which}")
    assert f"<@{LINUS}>" in await here.told(GRACE, "is decided already: denied by")


async def test_without_a_code_the_one_request_that_waits_there_is_meant(here: World) -> None:
    await ask_tool(here, INPUT)
    await here.slack.slash(GRACE, OPS, "deny because of the freeze")
    await here.card_says("Delivered.")
    assert here.environment.decisions[0].reason == "because of the freeze"


async def test_an_approval_with_words_needs_the_code_for_they_may_be_the_agents(here: World) -> None:
    card = await ask_tool(here, INPUT)
    await here.slack.slash(GRACE, OPS, "approve the plan and go on")
    assert code(card) in await here.told(GRACE, "name its code")
    assert here.environment.decisions == []


async def test_without_a_code_and_with_two_waiting_both_codes_are_named(idle: World) -> None:
    first, second = await ask_twice(idle)
    await idle.slack.slash(GRACE, APPROVALS, "approve")
    said = await idle.told(GRACE, "Say which one")
    assert code(first) in said and code(second) in said
    assert idle.environment.decisions == []


async def test_in_a_thread_the_request_of_that_thread_is_meant(idle: World) -> None:
    _, second = await ask_twice(idle)
    await idle.slack.say(GRACE, APPROVALS, "!approve", thread_ts=second.ts)
    await idle.card_says("Delivered.", number=2)
    assert "approval needed" in everything(await idle.card(1))


async def test_without_a_code_where_nothing_waits_nothing_is_decided(here: World) -> None:
    await here.slack.slash(GRACE, OPS, "approve")
    await here.told(GRACE, "Nothing waits for a decision here")
    assert here.environment.received == []


async def test_who_may_not_act_decides_nothing_by_a_word_and_is_told_why(both_ways: World) -> None:
    card = await ask_tool(both_ways, INPUT)
    await both_ways.slack.slash(GUEST, OPS, f"approve {code(card)}")
    await both_ways.told(GUEST, "guests cannot do that here")
    assert both_ways.environment.decisions == []


async def test_who_may_not_act_is_told_no_codes(here: World) -> None:
    card = await ask_tool(here, INPUT)
    await here.slack.slash(GUEST, OPS, "approve")
    assert code(card) not in await here.told(GUEST, "guests cannot do that here")


async def test_high_risk_is_approved_by_its_code_alone(idle: World) -> None:
    rule = '[[policies]]\nname = "release"\ntools = ["*"]\naction = "ask"\nrisk = "high"\n'
    (idle.folder / "relay.toml").write_text(rule, encoding="utf-8")
    await idle.start_relay({"RELAY_APPROVERS": GRACE})
    card = await ask_tool(idle, INPUT)
    await idle.slack.slash(GRACE, OPS, "approve")
    await idle.told(GRACE, "name its code")
    await idle.slack.slash(GRACE, OPS, f"approve {code(card)}")
    await idle.card_says("Delivered.")


@pytest.mark.parametrize("mark", [{"bot_id": "B0OTHER"}, {"app_id": "A0OTHER"}, {"subtype": "bot_message"}])
async def test_a_word_of_a_bot_or_workflow_is_no_answer(here: World, mark: dict[str, str]) -> None:
    card = await ask_tool(here, INPUT)
    await here.slack.event(of_a_bot(here, f"!approve {code(card)}", **mark))
    await here.slack.say(GRACE, OPS, f"!deny {code(card)}")
    await here.card_says("Delivered.")
    assert [one.approve for one in here.environment.decisions] == [False]


async def test_a_word_that_slack_brings_again_counts_once(here: World) -> None:
    card = await ask_tool(here, INPUT)
    said = here.slack.workspace.post(here.slack.channels[OPS], GRACE, f"!approve {code(card)}", [])
    posted = {"type": "message", "user": GRACE, "channel": OPS, "text": said.text, "ts": said.ts}
    for retry in (None, 1):
        assert (await here.slack.event({**posted, "team": here.slack.team_id}, retry_num=retry)).ok
    await here.card_says("Delivered.")
    assert len(here.environment.decisions) == 1
    assert len([one for one in here.slack.ephemerals if one.user == GRACE]) == 1


async def test_of_two_needed_a_word_counts_as_one(idle: World) -> None:
    rule = '[[policies]]\nname = "two"\ntools = ["*"]\naction = "ask"\nquorum = 2\n'
    (idle.folder / "relay.toml").write_text(rule, encoding="utf-8")
    await idle.start_relay({"RELAY_APPROVERS": f"{GRACE},{LINUS}"})
    idle.environment.script = lambda turn: [UseTool("Bash", INPUT)]
    card = await ask_tool(idle, INPUT)
    await idle.slack.slash(GRACE, OPS, f"approve {code(card)}")
    await idle.told(GRACE, "1 of 2")
    await idle.slack.slash(LINUS, OPS, f"approve {code(card)}")
    await idle.card_says("Delivered.")


async def test_the_help_names_the_words(here: World) -> None:
    await here.slack.slash(GRACE, OPS, "help")
    assert "approve CODE" in await here.told(GRACE, "sends it to the agent")
