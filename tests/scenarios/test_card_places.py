"""Where cards are posted: channels, the thread that asks, the approvers' direct messages."""

from pathlib import Path

import pytest

from relay.sandbox.environment import UseTool
from relay.sandbox.slack.workspace import Message
from tests.world import ADA, APPROVALS, GRACE, OPS, SHARED, World, button, everything


async def start_with(made: World, approvals: str, conversation: str = "thread", approvers: str = "") -> None:
    """Start the relay with one route whose cards go to these places."""
    written = f'[[routes]]\nconversation = "{conversation}"\napprovals = {approvals}\n'
    (made.folder / "relay.toml").write_text(written, encoding="utf-8")
    made.variables.pop("RELAY_APPROVALS_CHANNEL", None)
    await made.start_relay({"RELAY_APPROVERS": approvers} if approvers else {})


async def start_again(made: World, approvals: str) -> None:
    """Start the relay anew with other places."""
    await start_with(made, approvals, "default")


async def a_card(made: World, channel: str) -> Message:
    """Wait for a card in a channel and return it."""
    await made.slack.wait_for(
        lambda slack: (
            channel in slack.channels
            and any(button(one, "approve") for one in slack.channels[channel].messages)
        )
    )
    return next(one for one in made.slack.channels[channel].messages if button(one, "approve"))


async def test_a_card_is_posted_in_the_thread_that_asks(idle: World) -> None:
    await start_with(idle, '["thread"]')
    await idle.slack.say(ADA, OPS, "@relay TOOL: rm -rf build")
    card = await a_card(idle, OPS)
    assert card.thread_ts == idle.slack.channels[OPS].messages[0].ts
    await idle.slack.click(GRACE, OPS, card.ts, "approve")
    await idle.thread_says("Delivered.")
    await idle.thread_says("FINAL: tool said")


async def test_the_thread_of_a_command_takes_its_card(idle: World) -> None:
    await start_with(idle, '["thread"]', "default")
    await idle.slack.slash(ADA, OPS, "TOOL: rm -rf build")
    card = await a_card(idle, OPS)
    root = idle.slack.channels[OPS].messages[0]
    assert "TOOL: rm -rf build" in everything(root)
    assert card.thread_ts == root.ts


async def test_a_card_asked_for_in_a_direct_message_is_posted_there(idle: World) -> None:
    await start_with(idle, '["thread"]')
    await idle.slack.say(ADA, f"D{ADA}", "TOOL: rm -rf build")
    card = await a_card(idle, f"D{ADA}")
    assert card.thread_ts is None


async def test_a_card_is_posted_to_the_approvers_alone(idle: World) -> None:
    await start_with(idle, '["dm"]', approvers=GRACE)
    await idle.slack.say(ADA, OPS, "@relay TOOL: rm -rf build")
    card = await a_card(idle, f"D{GRACE}")
    await idle.slack.click(GRACE, f"D{GRACE}", card.ts, "approve")
    await idle.thread_says("FINAL: tool said")
    assert not any(button(one, "approve") for one in idle.slack.channels[OPS].messages)


async def test_no_card_is_posted_in_a_thread_that_another_workspace_reads(idle: World) -> None:
    await start_with(idle, '["thread", "dm"]', approvers=GRACE)
    await idle.slack.say(ADA, SHARED, "@relay TOOL: rm -rf build")
    await a_card(idle, f"D{GRACE}")
    assert "rm -rf build" not in "".join(
        everything(one) for one in idle.slack.channels[SHARED].messages if one.user != ADA
    )


async def test_what_nobody_in_slack_asked_for_goes_to_the_next_place(idle: World) -> None:
    await start_with(idle, f'["thread", "{APPROVALS}"]', "default")
    idle.environment.script = lambda _: [UseTool("Bash", {"command": "rm -rf build"})]
    await idle.environment.wait_for(lambda seen: len(seen.sockets) == 2)
    message = {"client_message_id": "cm-terminal", "content": "typed at the terminal", "role": "user"}
    idle.environment.device.take_messages("default", [message])
    await a_card(idle, APPROVALS)


async def test_without_any_place_the_call_is_denied_and_the_agent_reads_why(idle: World) -> None:
    await start_with(idle, '["thread"]', "default")
    idle.environment.script = lambda _: [UseTool("Bash", {"command": "rm -rf build"})]
    await idle.environment.wait_for(lambda seen: len(seen.sockets) == 2)
    message = {"client_message_id": "cm-terminal", "content": "typed at the terminal", "role": "user"}
    idle.environment.device.take_messages("default", [message])
    [decision] = await idle.environment.wait_for(lambda seen: list(seen.decisions))
    assert not decision.approve
    assert "there is no thread to ask in" in str(decision.reason)


async def test_a_card_follows_the_route_of_its_channel(tmp_path: Path, idle: World) -> None:
    written = (
        f'[[routes]]\nchannel = "{OPS}"\nconversation = "thread"\napprovals = ["thread"]\n'
        f'[[routes]]\nconversation = "thread"\napprovals = ["{APPROVALS}"]\n'
    )
    (tmp_path / "relay.toml").write_text(written, encoding="utf-8")
    await idle.start_relay()
    await idle.slack.say(ADA, f"D{ADA}", "TOOL: rm -rf build")
    await idle.slack.say(ADA, OPS, "@relay TOOL: rm -rf dist")
    assert "rm -rf build" in everything(await a_card(idle, APPROVALS))
    assert "rm -rf dist" in everything(await a_card(idle, OPS))


@pytest.mark.parametrize("place", [OPS, "C0TYPO"])
async def test_other_places_in_a_route_are_for_the_requests_that_come_after(idle: World, place: str) -> None:
    await start_with(idle, f'["{APPROVALS}"]', "default")
    await idle.slack.slash(ADA, OPS, "TOOL: rm -rf build")
    card = await a_card(idle, APPROVALS)
    await idle.stop_relay()
    await start_again(idle, f'["{place}"]')
    await idle.slack.click(GRACE, APPROVALS, card.ts, "approve")
    await idle.card_says("Delivered.")
    [decision] = idle.environment.decisions
    assert decision.approve
    assert not any("approval needed" in everything(one) for one in idle.slack.channels[OPS].messages)


@pytest.mark.parametrize("place", ["thread", "C0TYPO"])
async def test_a_rule_that_names_other_places_for_its_cards_moves_none_that_stands(
    idle: World, place: str
) -> None:
    rule = f'[[policies]]\nname = "all"\ntools = ["*"]\napprovers = {{ users = ["{GRACE}"] }}\ncards = '
    (idle.folder / "relay.toml").write_text(f'{rule}["{APPROVALS}", "dm"]\n', encoding="utf-8")
    await idle.start_relay()
    await idle.slack.slash(ADA, OPS, "TOOL: rm -rf build")
    card, private = await a_card(idle, APPROVALS), await a_card(idle, f"D{GRACE}")
    await idle.stop_relay()
    (idle.folder / "relay.toml").write_text(f'{rule}["{place}"]\n', encoding="utf-8")
    await idle.start_relay()
    if place == "thread":
        await a_card(idle, OPS)
    assert button(card, "approve")
    await idle.slack.click(GRACE, f"D{GRACE}", private.ts, "approve")
    await idle.card_says("Delivered.")
    await idle.card_says("Delivered.", channel=f"D{GRACE}")
    assert [one.approve for one in idle.environment.decisions] == [True]


async def test_a_restart_under_the_same_rules_posts_no_other_card(idle: World) -> None:
    await start_with(idle, f'["C0NOWHERE", "{APPROVALS}"]', "default")
    await idle.slack.slash(ADA, OPS, "TOOL: rm -rf build")
    await a_card(idle, APPROVALS)
    await idle.stop_relay()
    await idle.start_relay()
    await idle.slack.slash(ADA, OPS, "stop")
    await idle.card_says("The agent asks no longer")
    assert len(idle.slack.channels[APPROVALS].messages) == 1
