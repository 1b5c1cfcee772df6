"""What failed stays, says why, and goes out again when a member asks for it."""

from tests.scenarios.acts import ask_tool
from tests.world import ADA, APPROVALS, GRACE, GUEST, LINUS, OPS, World, button, everything

INPUT = {"command": "make the zanzibar release"}
REFUSED = {"detail": "the agent is unknown"}


async def test_a_refused_message_says_why_and_goes_out_when_a_member_retries(both_ways: World) -> None:
    both_ways.environment.fail_posts(status=422, body=REFUSED)
    await both_ways.slack.slash(ADA, OPS, "try me twice")
    failed = await both_ways.thread_says("Not delivered")
    assert "the agent is unknown" in everything(failed)
    assert both_ways.environment.received == []
    await both_ways.slack.click(LINUS, OPS, failed.ts, "retry")
    await both_ways.told(LINUS, "Sending it again")
    await both_ways.thread_says("echo: try me twice")
    done = await both_ways.thread_says("Delivered to")
    assert button(done, "retry") is None


async def test_a_guest_may_not_retry_a_message(here: World) -> None:
    here.environment.fail_posts(status=422, body=REFUSED)
    await here.slack.slash(ADA, OPS, "try me")
    failed = await here.thread_says("Not delivered")
    await here.slack.click(GUEST, OPS, failed.ts, "retry")
    assert "guests" in await here.told(GUEST, "Nothing was sent again")
    assert here.environment.received == []


async def test_two_who_retry_at_once_send_it_once(here: World) -> None:
    here.environment.fail_posts(status=422, body=REFUSED)
    await here.slack.slash(ADA, OPS, "try me")
    failed = await here.thread_says("Not delivered")
    await here.slack.click(LINUS, OPS, failed.ts, "retry", double=True)
    await here.told(LINUS, "nothing left to send again")
    await here.thread_says("echo: try me")
    assert len(here.environment.received) == 1


async def test_a_message_that_fails_again_says_so_again(here: World) -> None:
    here.environment.fail_posts(status=422, body=REFUSED, times=2)
    await here.slack.slash(ADA, OPS, "try me")
    failed = await here.thread_says("Not delivered")
    await here.slack.click(LINUS, OPS, failed.ts, "retry")
    await here.environment.wait_for(lambda environment: len(environment.posts) == 2)
    await here.slack.wait_for(lambda slack: failed.edited >= 1 and button(failed, "retry"))
    await here.slack.click(LINUS, OPS, failed.ts, "retry")
    await here.thread_says("echo: try me")


async def test_what_waits_behind_a_failed_message_goes_out(here: World) -> None:
    here.environment.fail_posts(status=422, body=REFUSED)
    await here.slack.slash(ADA, OPS, "refused")
    await here.slack.slash(ADA, OPS, "taken")
    await here.thread_says("echo: taken")


async def test_a_refused_decision_says_so_on_its_card_and_goes_out_when_a_member_retries(
    both_ways: World,
) -> None:
    both_ways.environment.fail_posts(status=422, body=REFUSED, approvals_only=True)
    card = await ask_tool(both_ways, INPUT)
    await both_ways.slack.click(GRACE, APPROVALS, card.ts, "approve")
    failed = await both_ways.card_says("not delivered")
    assert "the agent is unknown" in everything(failed)
    assert button(failed, "approve") is None
    await both_ways.slack.click(LINUS, APPROVALS, card.ts, "retry")
    done = await both_ways.card_says("Delivered.")
    assert f"<@{GRACE}>" in everything(done)
    assert button(done, "retry") is None


async def test_a_guest_may_not_retry_a_decision(here: World) -> None:
    here.environment.fail_posts(status=422, body=REFUSED, approvals_only=True)
    card = await ask_tool(here, INPUT)
    await here.slack.click(GRACE, APPROVALS, card.ts, "approve")
    await here.card_says("not delivered")
    await here.slack.click(GUEST, APPROVALS, card.ts, "retry")
    await here.told(GUEST, "Nothing was sent again")
    assert here.environment.tool_runs == []


async def test_a_retry_button_with_an_untrue_value_sends_nothing(here: World) -> None:
    card = await ask_tool(here, INPUT)
    for value in (None, "", "no JSON", "{}", '{"subject_id": "msg_of_nobody"}'):
        assert (await here.slack.click(GRACE, APPROVALS, card.ts, "retry", value=value)).ok
    await here.told(GRACE, "nothing left to send again")
    await here.told(GRACE, "cannot tell what that button was for")
    assert here.environment.decisions == []
