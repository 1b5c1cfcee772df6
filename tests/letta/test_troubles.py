"""Sockets that drop, programs that die and answers that get lost, while a person has to decide."""

import signal
from uuid import uuid4

import pytest

from relay.sandbox.slack.workspace import Message
from tests.crash.relay_process import KILLED, doomed, running
from tests.letta.conftest import LettaWorld
from tests.letta.model import Say, bash
from tests.world import ADA, APPROVALS, GRACE, OPS, button, everything

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def ask(world: LettaWorld) -> Message:
    """Have the agent ask for a command, and return its card."""
    world.mind.steps = [bash("echo built > made.txt"), Say("It is built.")]
    await world.slack.slash(ADA, OPS, "build it")
    return await world.card()


async def approve_and_see_it_run(world: LettaWorld, card: Message) -> None:
    """Approve on a card; see it delivered, the command run, and no other card."""
    await world.slack.click(GRACE, APPROVALS, card.ts, "approve")
    await world.card_says("Delivered.")
    await world.thread_says("It is built.")
    assert world.words(OPS).count("It is built.") == 1
    assert world.made("made.txt") == "built\n"
    assert len(world.slack.channels[APPROVALS].messages) == 1


async def test_in_each_layout_a_command_is_asked_for_approved_and_run(in_each_layout: LettaWorld) -> None:
    await approve_and_see_it_run(in_each_layout, await ask(in_each_layout))


async def test_in_each_layout_a_dropped_socket_asks_again_on_the_same_card(
    in_each_layout: LettaWorld,
) -> None:
    card = await ask(in_each_layout)
    in_each_layout.router.drop_device()
    await in_each_layout.wait_for_frames("control_request", 2)
    await approve_and_see_it_run(in_each_layout, card)


async def test_behind_both_routers_a_dropped_socket_asks_again_on_the_same_card(both: LettaWorld) -> None:
    card = await ask(both)
    both.router.drop_device()
    await both.wait_for_frames("control_request", 2)
    await approve_and_see_it_run(both, card)


async def test_a_connection_under_another_name_asks_again_on_the_same_card(both: LettaWorld) -> None:
    card = await ask(both)
    await both.router.rename_connection()
    await approve_and_see_it_run(both, card)


async def test_a_connection_under_another_name_is_followed_although_its_sockets_stay_open(
    here: LettaWorld,
) -> None:
    card = await ask(here)
    here.router.device.connection_id = f"connection-{uuid4()}"
    await here.slack.click(GRACE, APPROVALS, card.ts, "approve")
    await here.slack.wait_for(lambda slack: "Delivered." in _card(here), 30)
    await here.slack.wait_for(lambda slack: "It is built." in here.words(OPS), 30)
    assert here.made("made.txt") == "built\n"
    assert len(here.slack.channels[APPROVALS].messages) == 1


async def test_in_each_layout_a_device_that_has_to_register_anew_asks_anew_on_another_card(
    in_each_layout: LettaWorld,
) -> None:
    world = in_each_layout
    world.mind.steps = [bash("echo first > first.txt"), bash("echo anew > anew.txt"), Say("Built anew.")]
    await world.slack.slash(ADA, OPS, "build it")
    await world.card()
    await world.router.rotate()
    await world.card_says("The agent asks no longer; nothing was decided here.", 1)
    second = await world.card(2)
    await world.slack.click(GRACE, APPROVALS, second.ts, "approve")
    await world.card_says("Delivered.", 2)
    await world.thread_says("Built anew.")
    assert world.made("first.txt") is None and world.made("anew.txt") == "anew\n"


async def test_a_decision_made_while_the_device_is_away_arrives_when_it_is_back(both: LettaWorld) -> None:
    card = await ask(both)
    both.router.closed_to_devices = True
    both.router.drop_device()
    await both.slack.click(GRACE, APPROVALS, card.ts, "approve")
    await both.card_says("Not delivered yet")
    both.router.closed_to_devices = False
    await both.slack.wait_for(lambda slack: "Delivered." in _card(both), 30)
    await both.thread_says("It is built.")
    assert both.made("made.txt") == "built\n"


async def test_a_message_written_while_the_device_is_away_is_answered_when_it_is_back(
    here: LettaWorld,
) -> None:
    here.mind.steps = [Say("I am back.")]
    here.router.closed_to_devices = True
    here.router.drop_device()
    await here.slack.slash(ADA, OPS, "are you there?")
    await here.thread_says("has been offline since")
    here.router.closed_to_devices = False
    await here.slack.wait_for(lambda slack: "I am back." in here.words(OPS), 30)


async def test_a_message_whose_answer_got_lost_is_sent_again_and_answered_once(here: LettaWorld) -> None:
    here.mind.steps = [Say("Once."), Say("Twice.")]
    here.router.answers_to_lose = 1
    await here.slack.slash(ADA, OPS, "hello")
    await here.router.wait_for(lambda router: len(router.posts) == 2)
    await here.thread_says("Once.")
    assert here.router.posts[0].body == here.router.posts[1].body
    assert len(here.mind.requests) == 1


async def ask_twice(world: LettaWorld) -> Message:
    """Have the agent ask for two commands at once, approve the first, and return the second's card."""
    world.mind.steps = [bash("echo one > one.txt", "echo two > two.txt"), Say("Both are done.")]
    await world.slack.slash(ADA, OPS, "do both")
    first = await world.card(1)
    await world.slack.click(GRACE, APPROVALS, first.ts, "approve")
    return await world.card(2)


async def approve_and_see_both_run(world: LettaWorld, second: Message) -> None:
    """Approve the second of two commands; see both delivered and run, and no third card."""
    await world.slack.click(GRACE, APPROVALS, second.ts, "approve")
    await world.card_says("Delivered.", 1)
    await world.card_says("Delivered.", 2)
    await world.thread_says("Both are done.")
    assert world.made("one.txt") == "one\n" and world.made("two.txt") == "two\n"
    assert len(world.slack.channels[APPROVALS].messages) == 2


async def test_a_socket_dropped_between_two_decisions_loses_neither(both: LettaWorld) -> None:
    second = await ask_twice(both)
    asked = len(both.frames("control_request"))
    both.router.drop_device()
    await both.wait_for_frames("control_request", asked + 1)
    await approve_and_see_both_run(both, second)


async def test_a_relay_killed_between_two_decisions_loses_neither(idle: LettaWorld) -> None:
    async with running(idle) as first:
        second = await ask_twice(idle)
        await first.logged(event="delivery.attempted", kind="card")
        await first.kill()
    async with running(idle):
        await approve_and_see_both_run(idle, second)


async def test_a_device_that_died_and_started_again_has_withdrawn_its_request(both: LettaWorld) -> None:
    await ask(both)
    await both.workshop.program.kill()
    await both.workshop.program.start_device()
    withdrawn = await both.card_says("The agent asks no longer; nothing was decided here.")
    assert button(withdrawn, "approve") is None
    assert both.made("made.txt") is None


async def test_a_decision_for_a_device_that_died_is_said_not_to_have_been_delivered(both: LettaWorld) -> None:
    card = await ask(both)
    await both.workshop.program.kill()
    await both.slack.click(GRACE, APPROVALS, card.ts, "approve")
    await both.card_says("Not delivered yet")
    await both.workshop.program.start_device()
    await both.slack.wait_for(lambda slack: _is_over(both), 40)
    assert "but the agent had stopped asking; *not delivered*" in _card(both)
    assert both.made("made.txt") is None


async def test_a_decision_posted_to_a_device_that_restarted_behind_open_sockets_is_said_not_to_be_delivered(
    here: LettaWorld,
) -> None:
    here.router.behaviour, here.router.keeps_connections = "verbatim", True
    card = await ask(here)
    await here.workshop.program.kill()
    await here.workshop.program.start_device()
    await here.slack.click(GRACE, APPROVALS, card.ts, "approve")
    await here.slack.wait_for(lambda slack: _is_over(here), 40)
    assert "but the agent had stopped asking; *not delivered*" in _card(here)
    assert here.made("made.txt") is None


async def test_a_device_that_died_takes_its_message_up_again_and_asks_on_another_card(
    both: LettaWorld,
) -> None:
    await ask(both)
    both.mind.steps = [bash("echo anew > anew.txt"), Say("Built anew.")]
    await both.workshop.program.kill()
    await both.workshop.program.start_device()
    second = await both.card(2)
    await both.slack.click(GRACE, APPROVALS, second.ts, "approve")
    await both.card_says("Delivered.", 2)
    reply = await both.thread_says("Built anew.")
    assert reply.thread_ts == both.slack.channels[OPS].messages[0].ts
    assert both.made("made.txt") is None and both.made("anew.txt") == "anew\n"


async def test_a_call_of_the_same_name_after_a_restart_has_a_card_of_its_own(here: LettaWorld) -> None:
    await ask(here)
    here.mind.steps, here.mind.answers = [bash("echo again > again.txt"), Say("Built again.")], 0
    await here.workshop.program.kill()
    await here.workshop.program.start_device()
    second = await here.card(2)
    assert "echo again" in everything(second)
    await here.card_says("nothing was decided here.", 1)
    await here.slack.click(GRACE, APPROVALS, second.ts, "approve")
    await here.card_says("Delivered.", 2)
    await here.thread_says("Built again.")
    assert here.made("made.txt") is None and here.made("again.txt") == "again\n"


@pytest.mark.parametrize("behaviour", ["verbatim", "translating"])
async def test_a_relay_that_was_killed_decides_on_the_same_card(idle: LettaWorld, behaviour: str) -> None:
    idle.router.behaviour = "verbatim" if behaviour == "verbatim" else "translating"
    async with running(idle) as first:
        card = await ask(idle)
        await first.logged(event="delivery.attempted", kind="card")
        await first.kill()
    async with running(idle):
        await approve_and_see_it_run(idle, card)


@pytest.mark.parametrize("point", ["dispatcher.claimed", "dispatcher.attempted"])
async def test_a_relay_that_dies_after_the_click_has_the_command_run_once(
    idle: LettaWorld, point: str
) -> None:
    idle.mind.steps = [bash("echo built >> made.txt"), Say("It is built.")]
    async with running(idle, doomed(point, 1, armed=False)) as first:
        await idle.slack.slash(ADA, OPS, "build it")
        card = await idle.card()
        await first.logged(event="delivery.attempted", kind="card")
        first.send(signal.SIGUSR1)
        await idle.slack.click(GRACE, APPROVALS, card.ts, "approve")
        assert await first.ended() == KILLED
    async with running(idle):
        await idle.slack.wait_for(lambda slack: "Delivered." in _card(idle) or _is_over(idle), 30)
    assert idle.made("made.txt") == "built\n"


async def test_a_device_that_died_while_the_relay_was_dead_has_withdrawn_its_request(
    idle: LettaWorld,
) -> None:
    async with running(idle) as first:
        await ask(idle)
        await first.logged(event="delivery.attempted", kind="card")
        await first.kill()
    await idle.workshop.program.kill()
    await idle.workshop.program.start_device()
    async with running(idle):
        await idle.card_says("The agent asks no longer; nothing was decided here.")


def _is_over(world: LettaWorld) -> bool:
    said = _card(world)
    endings = (
        "but the agent had stopped asking",
        "nothing shows that it was this answer",
        "outside Slack",
        "Delivered.",
    )
    return any(one in said for one in endings)


def _card(world: LettaWorld) -> str:
    return everything(world.slack.channels[APPROVALS].messages[0])
