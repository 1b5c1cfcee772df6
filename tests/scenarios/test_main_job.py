"""The main job, told as what people see."""

import json

from tests.world import ADA, APPROVALS, GRACE, OPS, World, button, everything


async def test_a_command_reaches_the_environment_and_the_reply_comes_to_its_thread(both_ways: World) -> None:
    ack = await both_ways.slack.slash(ADA, OPS, "hello there")
    assert ack.in_time and ack.status == 200
    await both_ways.told(ADA, "Queued for default.")
    reply = await both_ways.thread_says("echo: hello there")
    root = both_ways.slack.channels[OPS].messages[0]
    assert "hello there" in everything(root)
    assert reply.thread_ts == root.ts
    body = both_ways.environment.posts[0].body
    message = body["messages"][0]
    assert body["agentId"] == both_ways.environment.agent_id
    assert body["conversationId"] == "default"
    assert message["role"] == "user"
    assert message["client_message_id"] == message["otid"]
    assert message["content"].endswith("\n\nhello there")
    assert ADA in message["content"].splitlines()[0]


async def test_an_approved_tool_call_runs_and_its_card_says_so(both_ways: World) -> None:
    await both_ways.slack.slash(ADA, OPS, "TOOL: rm -rf build")
    card = await both_ways.card()
    assert "rm -rf build" in everything(card)
    approve = button(card, "approve")
    assert approve is not None
    assert set(json.loads(approve["value"])) == {"approval_id", "tool_call_id", "input_hash"}
    await both_ways.slack.click(GRACE, APPROVALS, card.ts, "approve")
    done = await both_ways.card_says("Delivered.")
    assert button(done, "approve") is None
    assert f"<@{GRACE}>" in everything(done)
    assert "rm -rf build" in everything(done)
    [decision] = both_ways.environment.decisions
    assert decision.approve and decision.accepted
    await both_ways.thread_says("FINAL: tool said")


async def test_a_denied_tool_call_does_not_run_and_the_agent_reads_who_denied_it(both_ways: World) -> None:
    await both_ways.slack.slash(ADA, OPS, "TOOL: rm -rf build")
    card = await both_ways.card()
    await both_ways.slack.click(GRACE, APPROVALS, card.ts, "deny")
    await both_ways.card_says("Delivered.")
    [decision] = both_ways.environment.decisions
    assert not decision.approve
    assert decision.reason == "Denied by grace in Slack."
    assert both_ways.environment.tool_runs == []
