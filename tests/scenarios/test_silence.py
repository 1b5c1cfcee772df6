"""Nobody answers; nobody could; cards in several places; another policy while requests wait."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from relay.environment.listeners import Listeners
from relay.sandbox.environment import UseTool
from relay.sandbox.slack.workspace import ApiCall, Message
from tests.scenarios.acts import ask_tool
from tests.world import ADA, APPROVALS, GONE, GRACE, GUEST, LINUS, OPS, World, button, everything, world

APPROVERS = f'approvers = {{ users = ["{GRACE}"] }}'
DMS = f"D{GRACE}"
OTHERS = f'escalate_to = {{ users = ["{LINUS}"] }}'


async def start_with(made: World, rule: str, *, more: str = "") -> None:
    """Start the relay with one rule for every tool."""
    written = f'[[policies]]\nname = "careful"\ntools = ["*"]\n{rule}\n{more}'
    (made.folder / "relay.toml").write_text(written, encoding="utf-8")
    await made.start_relay()


async def asked(made: World, rule: str) -> Message:
    """Start the relay with one rule, have a tool asked for, return the card."""
    await start_with(made, rule)
    return await ask_tool(made, {"command": "make release"})


async def snooze(made: World, user: str, card: Message) -> None:
    """Choose Snooze… in the menu of a card."""
    [menu] = [
        element
        for block in card.blocks
        for element in block.get("elements", [])
        if element.get("action_id") == "more"
    ]
    option = next(one for one in menu["options"] if '"snooze"' in one["value"])
    await made.slack.click(user, APPROVALS, card.ts, "more", value=option["value"])


def cards(made: World, channel: str) -> list[Message]:
    """Return the cards that stand in a channel."""
    there = made.slack.channels.get(channel)
    return [one for one in (there.messages if there else []) if _is_card(one)]


def _is_card(message: Message) -> bool:
    return any(block["type"] == "header" for block in message.blocks)


async def card_in(made: World, channel: str, words: str = "") -> Message:
    """Wait for a card in a channel, and until it says `words`."""
    return await made.slack.wait_for(
        lambda _: next((one for one in cards(made, channel) if words in everything(one)), None)
    )


async def test_what_nobody_answers_in_time_expires_and_nothing_is_sent(idle: World) -> None:
    await asked(idle, f'{APPROVERS}\nexpires_after = "1s"')
    card = await idle.card_says("expired, nobody answered")
    assert "the agent still waits" in everything(card)
    assert button(card, "approve") is None
    assert idle.environment.decisions == []
    assert len(idle.environment.pending()) == 1


async def test_what_expired_is_asked_again_and_then_approved(idle: World) -> None:
    await asked(idle, f'{APPROVERS}\nexpires_after = "2s"')
    card = await idle.card_says("expired, nobody answered")
    await idle.slack.click(ADA, APPROVALS, card.ts, "ask_again")
    card = await idle.card_says("approval needed")
    await idle.slack.click(GRACE, APPROVALS, card.ts, "approve")
    await idle.card_says("approved")
    await idle.environment.wait_for(lambda environment: environment.tool_runs)
    await idle.thread_says(f"<@{ADA}> asks again", APPROVALS)


@pytest.mark.parametrize("who", [LINUS, GUEST])
async def test_whoever_may_not_decide_may_not_ask_again(idle: World, who: str) -> None:
    await asked(idle, f'{APPROVERS}\nexpires_after = "1s"')
    card = await idle.card_says("expired, nobody answered")
    await idle.slack.click(who, APPROVALS, card.ts, "ask_again")
    await idle.told(who, "Nothing was asked again")
    assert "expired" in everything(await idle.card())


async def test_silence_denies_where_the_rule_says_so_and_the_agent_reads_why(idle: World) -> None:
    await asked(idle, f'{APPROVERS}\nexpires_after = "2s"\non_silence = "deny"')
    [decision] = await idle.environment.wait_for(lambda environment: list(environment.decisions))
    assert not decision.approve
    assert decision.reason == "Nobody answered within 2 seconds."
    card = await idle.card_says("Delivered.")
    assert "Denied by the rule `careful`" in everything(card)


async def test_a_look_at_what_goes_on_puts_no_end_off(idle: World, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = Listeners.__init__.__kwdefaults__ or {}
    monkeypatch.setattr(Listeners.__init__, "__kwdefaults__", {**usual, "look_every": 0.05})
    await asked(idle, f'{APPROVERS}\nexpires_after = "2s"\non_silence = "deny"')
    [decision] = await idle.environment.wait_for(lambda environment: list(environment.decisions))
    assert decision.reason == "Nobody answered within 2 seconds."


async def test_after_silence_others_are_asked_as_well_and_may_decide(idle: World) -> None:
    rule = f'{APPROVERS}\nexpires_after = "2s"\non_silence = "escalate"'
    await asked(idle, f'{rule}\nescalate_to = {{ users = ["{LINUS}"], groups = ["S0LEADS"] }}')
    card = await card_in(idle, f"D{LINUS}")
    await idle.thread_says("<!subteam^S0LEADS>", APPROVALS)
    await idle.slack.click(LINUS, f"D{LINUS}", card.ts, "approve")
    await idle.environment.wait_for(lambda environment: environment.tool_runs)
    await idle.card_says(f"Approved by <@{LINUS}>")


async def test_when_the_others_are_silent_too_it_expires(idle: World) -> None:
    rule = f'{APPROVERS}\nexpires_after = "1s"\non_silence = "escalate"'
    await asked(idle, f'{rule}\nescalate_to = {{ users = ["{LINUS}"] }}')
    await idle.card_says("expired, nobody answered")
    await card_in(idle, f"D{LINUS}", "expired, nobody answered")
    assert idle.environment.decisions == []


async def test_people_are_reminded_under_the_card_and_each_alone(idle: World) -> None:
    card = await asked(idle, f'{APPROVERS}\nremind_after = ["1s"]')
    reminder = await idle.thread_says("still waits for a decision", APPROVALS)
    assert reminder.thread_ts == card.ts
    assert f"<@{GRACE}>" in everything(reminder)
    await idle.slack.wait_for(lambda slack: DMS in slack.channels)
    alone = await idle.thread_says("still waits for a decision", DMS)
    assert "|Open the card>" in everything(alone)
    await idle.card_says("reminded once")
    await idle.slack.click(GRACE, APPROVALS, card.ts, "approve")
    await idle.slack.wait_for(lambda _: f"Decided: `Bash`. Approved by <@{GRACE}>" in everything(alone))
    assert "|Open the card>" in everything(alone) and "still waits" not in everything(alone)
    await idle.card_says("Delivered.")
    assert "still waits" in everything(reminder)  # the card that it stands under says how it is


async def test_a_reminder_that_somebody_deleted_is_not_posted_again(idle: World) -> None:
    card = await asked(idle, f'{APPROVERS}\nremind_after = ["1s"]')
    await idle.slack.wait_for(lambda slack: DMS in slack.channels)
    idle.slack.channels[DMS].messages.remove(await idle.thread_says("still waits for a decision", DMS))
    await idle.slack.click(GRACE, APPROVALS, card.ts, "approve")
    await idle.card_says("Delivered.")
    await idle.slack.wait_for(lambda slack: _updates(slack.calls, DMS))
    assert idle.slack.channels[DMS].messages == []


async def test_a_reminder_of_what_is_asked_no_longer_says_so(idle: World) -> None:
    await asked(idle, f'{APPROVERS}\nremind_after = ["1s"]')
    await idle.slack.wait_for(lambda slack: DMS in slack.channels)
    alone = await idle.thread_says("still waits for a decision", DMS)
    await idle.slack.slash(ADA, OPS, "stop")
    await idle.card_says("The agent asks no longer")
    await idle.slack.wait_for(lambda _: "waits no longer; nothing was decided here" in everything(alone))


def _updates(calls: Sequence[ApiCall], channel: str) -> list[ApiCall]:
    return [one for one in calls if one.method == "chat.update" and one.arguments.get("channel") == channel]


async def test_nobody_is_reminded_of_what_is_decided(idle: World) -> None:
    card = await asked(idle, f'{APPROVERS}\nremind_after = ["1s", "2s"]')
    await idle.thread_says("still waits for a decision", APPROVALS)
    await idle.slack.click(GRACE, APPROVALS, card.ts, "deny")
    await idle.card_says("Delivered.")
    second = await ask_tool(idle, {"command": "make dist"}, number=3)
    await idle.slack.wait_for(
        lambda slack: [one for one in slack.channels[APPROVALS].messages if one.thread_ts == second.ts]
    )
    under_first = [one for one in idle.slack.channels[APPROVALS].messages if one.thread_ts == card.ts]
    assert len([one for one in under_first if one.ts != card.ts]) == 1


async def test_a_request_that_is_snoozed_says_so_and_expires_later(idle: World) -> None:
    card = await asked(idle, f'{APPROVERS}\nexpires_after = "30m"\nremind_after = ["10m"]')
    await snooze(idle, GRACE, card)
    await idle.card_says(f"by <@{GRACE}>")
    said = await idle.told(GRACE, "Snoozed: nobody is reminded before")
    assert "It ends <!date^" in said


async def test_who_may_not_decide_may_not_snooze(idle: World) -> None:
    card = await asked(idle, f'{APPROVERS}\nexpires_after = "30m"')
    await snooze(idle, LINUS, card)
    await idle.told(LINUS, "Nothing was snoozed")


@pytest.mark.parametrize(
    "rule",
    [
        f'approvers = {{ users = ["{GUEST}", "{GONE}"] }}',
        f'approvers = {{ users = ["{ADA}"] }}',
        f'approvers = {{ groups = ["S0LEADS"], users = ["{GUEST}"] }}\nquorum = 2',
    ],
    ids=["guests and the gone", "who asked", "too few"],
)
async def test_that_nobody_is_left_who_may_decide_is_said_at_once(idle: World, rule: str) -> None:
    card = await asked(idle, rule)
    assert "Nobody who may decide this can be reached" in everything(card)


async def test_nothing_is_said_of_people_whom_slack_cannot_tell_of(idle: World) -> None:
    card = await asked(idle, 'approvers = { groups = ["S0NOBODY"] }')
    assert "can be reached" not in everything(card)


async def test_every_copy_is_rewritten_when_one_is_pressed(idle: World) -> None:
    await asked(idle, f'{APPROVERS}\ncards = ["{APPROVALS}", "thread", "dm"]')
    private = await card_in(idle, DMS)
    await card_in(idle, OPS)
    await idle.slack.click(GRACE, DMS, private.ts, "approve")
    for place in (APPROVALS, OPS, DMS):
        assert button(await card_in(idle, place, "Delivered."), "approve") is None


async def test_a_copy_whose_place_is_gone_does_not_stop_the_others(idle: World) -> None:
    await asked(idle, f'{APPROVERS}\ncards = ["{APPROVALS}", "C0VANISHED", "dm"]')
    private = await card_in(idle, DMS)
    [shared] = cards(idle, APPROVALS)
    idle.slack.channels[APPROVALS].messages.remove(shared)
    await idle.slack.click(GRACE, DMS, private.ts, "approve")
    await card_in(idle, DMS, "Delivered.")
    await idle.environment.wait_for(lambda environment: environment.tool_runs)


async def test_each_member_of_a_user_group_gets_a_card(idle: World) -> None:
    idle.slack.groups["S0LEADS"] = {GRACE, LINUS}
    await start_with(idle, 'approvers = { groups = ["S0LEADS"] }\ncards = ["dm"]')
    idle.environment.script = lambda _: [UseTool("Bash", {"command": "make release"})]
    await idle.slack.slash(ADA, OPS, "please use your tool")
    card = await card_in(idle, f"D{LINUS}")
    await card_in(idle, DMS)
    await idle.slack.click(LINUS, f"D{LINUS}", card.ts, "approve")
    await card_in(idle, DMS, f"Approved by <@{LINUS}>")


async def test_what_the_present_policy_denies_is_denied_at_start(idle: World) -> None:
    await asked(idle, APPROVERS)
    await idle.stop_relay()
    await start_with(idle, 'action = "deny"\nreason = "Releases are frozen."')
    [decision] = await idle.environment.wait_for(lambda environment: list(environment.decisions))
    assert (decision.approve, decision.reason) == (False, "Releases are frozen.")


async def test_who_decides_what_waits_is_whom_the_present_policy_names(idle: World) -> None:
    card = await asked(idle, APPROVERS)
    await idle.stop_relay()
    await start_with(idle, f'approvers = {{ users = ["{LINUS}"] }}')
    await idle.slack.click(GRACE, APPROVALS, card.ts, "approve")
    await idle.told(GRACE, "you are not one of the approvers")
    card = await idle.card_says(f"<@{LINUS}>")
    await idle.slack.click(LINUS, APPROVALS, card.ts, "approve")
    await idle.card_says("Delivered.")


async def test_what_a_policy_would_allow_now_goes_on_waiting(idle: World) -> None:
    card = await asked(idle, APPROVERS)
    await idle.stop_relay()
    await start_with(idle, 'action = "allow"')
    assert idle.environment.decisions == []
    await idle.slack.click(GRACE, APPROVALS, card.ts, "approve")
    await idle.card_says("Delivered.")


async def test_nothing_is_denied_for_a_silence_in_which_nobody_could_answer(idle: World) -> None:
    rule = f'{APPROVERS}\nexpires_after = "2s"\non_silence = "deny"'
    card = await asked(idle, rule)
    await idle.stop_relay()
    before = card.edited
    await start_with(idle, rule)
    await idle.slack.wait_for(lambda _: cards(idle, APPROVALS)[0].edited > before)
    await idle.slack.click(GRACE, APPROVALS, card.ts, "approve")
    await idle.card_says("approved")
    [decision] = await idle.environment.wait_for(lambda environment: list(environment.decisions))
    assert decision.approve


@pytest.mark.parametrize("place", [APPROVALS, GRACE], ids=["under the card", "alone"])
async def test_a_reminder_that_was_posted_before_the_line_was_cut_is_not_posted_twice(
    idle: World, place: str
) -> None:
    idle.slack.fail(
        "chat.postMessage",
        "internal_error",
        after=True,
        when=lambda call: call["channel"] == place and "still waits" in str(call["text"]),
    )
    card = await asked(idle, f'{APPROVERS}\nremind_after = ["1s", "3s"]')
    await idle.card_says("reminded twice")
    await idle.slack.wait_for(lambda _: len(_reminders(idle, APPROVALS)) == len(_reminders(idle, DMS)) == 2)
    assert {one.thread_ts for one in _reminders(idle, APPROVALS)} == {card.ts}


def _reminders(made: World, channel: str) -> list[Message]:
    there = made.slack.channels.get(channel)
    return [one for one in (there.messages if there else []) if "still waits" in everything(one)]


async def test_in_socket_mode_it_is_snoozed_and_asked_again_all_the_same(tmp_path: Path) -> None:
    async with world(tmp_path, socket_mode=True) as made:
        card = await asked(made, f'{APPROVERS}\nexpires_after = "3s"\non_silence = "escalate"\n{OTHERS}')
        await snooze(made, GRACE, card)
        await made.card_says(f"by <@{GRACE}>")
        await made.card_says("expired, nobody answered")
        await made.slack.click(ADA, APPROVALS, card.ts, "ask_again")
        await made.card_says("approval needed")
        await made.slack.click(LINUS, APPROVALS, card.ts, "approve")
        await made.card_says("Delivered.")
