"""The main job against the real Letta Code program, told as what people see in Slack."""

import pytest

from tests.letta.conftest import LettaWorld
from tests.letta.model import Fail, Say, Use, bash
from tests.world import ADA, APPROVALS, GRACE, OPS, button, everything

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_message_is_answered_in_its_thread(here: LettaWorld) -> None:
    here.mind.steps = [Say("Good morning to you too.")]
    await here.slack.slash(ADA, OPS, "good morning")
    reply = await here.thread_says("Good morning to you too.")
    root = here.slack.channels[OPS].messages[0]
    assert "good morning" in everything(root)
    assert reply.thread_ts == root.ts
    assert here.mind.read("user")[-1].endswith("\n\ngood morning")


async def test_an_approved_command_runs_and_its_result_is_in_the_reply(both: LettaWorld) -> None:
    both.mind.steps = [
        bash("echo built > made.txt; cat made.txt", words="I will build."),
        Say("It is built."),
    ]
    await both.slack.slash(ADA, OPS, "build it")
    card = await both.card()
    assert "echo built > made.txt; cat made.txt" in everything(card)
    assert f"<@{ADA}>" in everything(card)
    assert both.made("made.txt") is None
    await both.slack.click(GRACE, APPROVALS, card.ts, "approve")
    done = await both.card_says("Delivered.")
    assert button(done, "approve") is None
    await both.thread_says("It is built.")
    assert both.made("made.txt") == "built\n"
    assert "built" in both.mind.read("tool")[-1]


async def test_a_denied_command_does_not_run_and_the_agent_reads_who_denied_it(both: LettaWorld) -> None:
    both.mind.steps = [bash("echo built > made.txt"), Say("Then I will not.")]
    await both.slack.slash(ADA, OPS, "build it")
    card = await both.card()
    await both.slack.click(GRACE, APPROVALS, card.ts, "deny")
    await both.card_says("Delivered.")
    await both.thread_says("Then I will not.")
    assert both.made("made.txt") is None
    assert "Denied by grace in Slack." in both.mind.read("tool")[-1]


async def test_a_file_that_would_be_written_is_shown_before(both: LettaWorld) -> None:
    path = str(both.desk / "new.txt")
    both.mind.steps = [Use((("Write", {"file_path": path, "content": "hello\n"}),)), Say("Written.")]
    await both.slack.slash(ADA, OPS, "write it")
    card = await both.card()
    assert path in everything(card) and "hello" in everything(card)
    await both.slack.click(GRACE, APPROVALS, card.ts, "approve")
    await both.card_says("Delivered.")
    await both.thread_says("Written.")
    assert both.made("new.txt") == "hello\n"


async def test_two_calls_at_once_are_asked_one_after_the_other_and_both_run(both: LettaWorld) -> None:
    both.mind.steps = [bash("echo one > one.txt", "echo two > two.txt"), Say("Both are done.")]
    await both.slack.slash(ADA, OPS, "do both")
    first = await both.card(1)
    assert len(both.slack.channels[APPROVALS].messages) == 1
    await both.slack.click(GRACE, APPROVALS, first.ts, "approve")
    second = await both.card(2)
    assert both.made("one.txt") is None
    await both.slack.click(GRACE, APPROVALS, second.ts, "approve")
    await both.card_says("Delivered.", 1)
    await both.card_says("Delivered.", 2)
    await both.thread_says("Both are done.")
    assert both.made("one.txt") == "one\n" and both.made("two.txt") == "two\n"


async def test_of_two_calls_at_once_only_the_approved_one_runs(both: LettaWorld) -> None:
    both.mind.steps = [bash("echo one > one.txt", "echo two > two.txt"), Say("One is done.")]
    await both.slack.slash(ADA, OPS, "do both")
    first = await both.card(1)
    await both.slack.click(GRACE, APPROVALS, first.ts, "deny")
    second = await both.card(2)
    await both.slack.click(GRACE, APPROVALS, second.ts, "approve")
    await both.card_says("Delivered.", 1)
    await both.card_says("Delivered.", 2)
    await both.thread_says("One is done.")
    assert both.made("one.txt") is None and both.made("two.txt") == "two\n"


async def test_a_message_while_a_decision_is_open_leaves_the_card_and_is_answered_too(
    both: LettaWorld,
) -> None:
    both.mind.steps = [bash("echo built > made.txt"), Say("It is built, and blue.")]
    await both.slack.slash(ADA, OPS, "build it")
    card = await both.card()
    await both.slack.slash(GRACE, OPS, "in blue please")
    await both.router.wait_for(lambda router: any(frame["queue"] for frame in both.frames("update_queue")))
    assert button(card, "approve") is not None
    await both.slack.click(GRACE, APPROVALS, card.ts, "approve")
    await both.card_says("Delivered.")
    await both.thread_says("It is built, and blue.")
    await both.thread_says("Answered together with a later message")
    assert len(both.threads_with("It is built, and blue.")) == 1
    assert any("in blue please" in said for said in both.mind.read("user"))
    assert both.made("made.txt") == "built\n"


async def test_a_failure_of_the_model_is_said_once_in_the_thread(here: LettaWorld) -> None:
    here.mind.steps = [Fail(500, "the model is out of order"), Say("I am back.")]
    await here.slack.slash(ADA, OPS, "hello")
    failed = await here.thread_says("The agent could not finish")
    assert "the model is out of order" in everything(failed)
    await here.slack.slash(ADA, OPS, "hello again")
    await here.thread_says("I am back.")
    assert here.words(OPS).count("out of order") == 1


async def test_a_model_that_takes_its_time_is_waited_for(here: LettaWorld) -> None:
    hanging = here.mind.hang(Say("At last."))
    await here.slack.slash(ADA, OPS, "hello")
    await here.mind.asked(1)
    await here.thread_says("hello")
    assert len(here.slack.channels[OPS].messages) == 1
    hanging.set()
    await here.thread_says("At last.")
