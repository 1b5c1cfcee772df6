"""The stand-in environment's router, its troubles on demand, and the official client against it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from letta_client import APIStatusError, AsyncLetta, InternalServerError

from relay.sandbox.environment import FakeEnvironment, Turn, UseTool, UseTools
from tests.sandbox.environment_client import (
    Client,
    Frame,
    approval,
    is_asked,
    outline,
    outlines,
    said,
    user,
)

# A device's state, as `outline` tells it.
STATE = ["device idle 0", "loop WAITING_ON_INPUT 0 0", "queue 0 -0", "subagents"]


@pytest.fixture
async def client(environment: FakeEnvironment) -> AsyncIterator[Client]:
    async with Client(environment) as client:
        yield client


# The router.


async def test_a_verbatim_router_has_approvals_refused_in_silence() -> None:
    async with FakeEnvironment(router="verbatim") as environment, Client(environment) as client:
        listener = await client.listen_started()
        await client.post(user("TOOL: x"))
        await listener.until_words("device busy 1")
        assert (await client.post(approval("call_1_0", True)))[1]["success"] is True
        violation = (await listener.until_words("loop_error error"))[-1]["delta"]
        assert set(violation) == {"id", "date", "message_type", "message", "stop_reason", "is_terminal"}
        assert violation["is_terminal"] is False
        assert violation["message"].startswith("Protocol violation: approval payloads are not allowed")
        assert is_asked(environment)
        assert environment.decisions == []


async def test_a_tool_return_stands_in_the_tools_place(client: Client) -> None:
    listener = await client.listen_started()
    await client.post(user("TOOL: x"))
    await listener.until_words("device busy 1")
    entry = {"tool_call_id": "call_1_0", "status": "success", "tool_return": "I did it myself"}
    await client.post({"type": "approval", "approvals": [entry]})
    assert said(await listener.until_turn_over()) == "FINAL: tool said I did it myself"
    assert client.environment.tool_runs == []
    assert client.environment.tool_returns[0].accepted


async def test_direct_answers_come_on_the_asking_socket_alone(client: Client) -> None:
    control, stream = await client.listen_started(), await client.listen("stream")
    await control.send("sync", force_device_status=True)
    await control.until_words("sync_response")
    assert outlines(await stream.until_words("subagents")) == STATE
    assert await client.environment.wait_for(lambda seen: len(seen.acked) >= 11)


async def test_both_sockets_carry_the_whole_feed_with_their_own_seq(client: Client) -> None:
    control, stream = await client.listen_started(), await client.listen("stream")
    await client.post(user("hello"))
    heard, also_heard = await control.until_turn_over(), await stream.until_turn_over()
    assert [f["idempotency_key"] for f in heard] == [f["idempotency_key"] for f in also_heard]
    assert also_heard[0]["seq"] == 1


async def test_overtaking_frames_arrive_out_of_order_on_both_sockets(client: Client) -> None:
    control, stream = await client.listen_started(), await client.listen("stream")
    client.environment.overtake = True
    await client.post(user("TOOLS: one || two"))
    await client.environment.wait_for(is_asked)
    await client.post(approval("call_1_0", True))
    heard = await control.until(lambda f: f.get("request_id") == "perm-call_1_0")
    late = await control.until(lambda f: outline(f) == "approval_classification_end")
    assert late[-1]["event_seq"] < heard[-1]["event_seq"]
    heard = await stream.until(lambda f: f.get("request_id") == "perm-call_1_1")
    stale = (await stream.until_words("device busy 0"))[-1]
    assert stale["event_seq"] < heard[-1]["event_seq"]


async def test_a_ping_is_answered_and_opening_replays_nothing(client: Client) -> None:
    await client.post(user("TOOL: x"))
    await client.environment.wait_for(is_asked)
    listener = await client.listen()
    await listener.socket.send_json({"type": "ping"})
    assert await listener.until_words("pong") == [{"type": "pong"}]
    assert client.environment.pings == 1


async def test_missed_text_is_listed_newest_first(client: Client) -> None:
    await client.post(user("hello", otid="ot-1"))
    await client.environment.wait_for(
        lambda seen: seen.received and not seen.device.conversation("default").busy
    )
    listener = await client.listen()
    ask = {"request_id": "m", "agent_id": "agent-1", "conversation_id": "default"}
    await listener.socket.send_json({"type": "conversation_messages_list", **ask})
    answer = (await listener.until_words("conversation_messages_list_response"))[-1]
    assert set(answer) == {"type", "request_id", "success", "messages", "next_before", "has_more", "seq"}
    reply, message = answer["messages"]
    assert (reply["role"], reply["content"][0]["text"]) == ("assistant", "echo: hello")
    assert (message["otid"], message["content"][-1]["text"]) == ("ot-1", "hello")


@pytest.mark.parametrize("address", [{"agentId": None}, {"agentId": "agent-of-no-one"}])
async def test_a_post_for_no_known_agent_succeeds_and_is_dropped(client: Client, address: Frame) -> None:
    assert (await client.post(user("hello"), **address))[1]["success"] is True
    assert client.environment.received == []


async def test_a_client_message_id_counts_once_in_a_conversation(client: Client) -> None:
    for conversation in ("default", "default", "other"):
        await client.post(user("hello", "cm-1"), conversationId=conversation)
    assert [message.duplicate for message in client.environment.received] == [False, True, False]


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "content": "no id"},
        {"type": "approval", "approvals": [{"approve": "yes"}]},
        "text",
        {},
    ],
)
async def test_a_wrong_shape_is_refused(client: Client, message: Any) -> None:
    status, answer = await client.post(message)
    assert status == 422
    assert answer["detail"]


async def test_a_wrong_key_is_refused_everywhere(environment: FakeEnvironment) -> None:
    wrong = {"Authorization": "Bearer sk-letta-wrong"}
    paths = ["/v1/environments", "/v1/environments/device-1"]
    paths.append(f"/v1/environments/{environment.connection_id}/status/ws")
    async with aiohttp.ClientSession(environment.base_url, headers=wrong) as session:
        for path in paths:
            async with session.get(path) as response:
                assert (response.status, list(await response.json())) == (401, ["detail"])


# What people do at the device.


async def test_the_first_answer_wins_whoever_gives_it(client: Client) -> None:
    await client.post(user("TOOL: x"))
    await client.environment.wait_for(is_asked)
    assert await client.environment.answer_at_terminal("call_1_0", True)
    assert not await client.environment.answer_at_terminal("call_1_0", False)
    await client.post(approval("call_1_0", False, reason="late"))
    late = client.environment.decisions[0]
    assert (late.approve, late.via, late.accepted, late.occurrence) == (False, "rest", False, 1)
    await client.environment.wait_for(lambda seen: len(seen.tool_runs) == 1)


async def test_a_script_learns_how_its_tools_ended(client: Client) -> None:
    outcomes: list[Any] = []

    def script(turn: Turn) -> Any:
        outcomes.append((yield UseTool("Write", {"file_path": "a"}, returns="written", allowed=True)))
        outcomes.extend((yield UseTools([UseTool("Bash", {"command": "rm"}, tool_call_id="mine")])))

    client.environment.script = script
    await client.post(user("go"))
    await client.environment.wait_for(is_asked)
    await client.post(approval("mine", False, reason="no"))
    await client.environment.wait_for(lambda seen: len(outcomes) == 2)
    assert (outcomes[0].approved, outcomes[0].tool_return) == (True, "written")
    assert (outcomes[1].approved, outcomes[1].reason, outcomes[1].tool_return) == (False, "no", "no")


async def test_raw_text_reaches_the_sockets_untouched(client: Client) -> None:
    listener = await client.listen()
    await client.environment.send_frame('{"type":"half')
    await client.environment.send_frame({"type": "from_the_future", "x": 1}, channel="control")
    assert (await listener.until_words("from_the_future"))[-1] == {
        "type": "from_the_future",
        "x": 1,
        "seq": 1,
    }
    assert listener.texts[0] == '{"type":"half'


# Trouble.


async def test_an_environment_that_is_away_is_not_found_and_comes_back(client: Client) -> None:
    listener = await client.listen()
    await client.environment.go_offline()
    await asyncio.wait_for(listener.closed.wait(), 5)
    assert (await client.post(user("hello")))[0] == 404
    _, listing = await client.get("/v1/environments?onlineOnly=true")
    assert listing["connections"][0]["connectionId"] is None
    await client.environment.come_back(rotate=True)
    _, row = await client.get("/v1/environments/device-1")
    assert row["connectionId"] == client.environment.connection_id
    assert (await client.post(user("hello")))[0] == 200


async def test_a_rotation_leaves_the_old_connection_not_found(client: Client) -> None:
    listener, old = await client.listen(), client.environment.connection_id
    await client.environment.rotate()
    await asyncio.wait_for(listener.closed.wait(), 5)
    assert (await client.post(user("hello"), connection_id=old))[0] == 404
    assert (await client.post(user("hello")))[0] == 200


async def test_a_restart_loses_the_request_and_only_a_sync_shows_it(client: Client) -> None:
    listener = await client.listen_started()
    await client.post(user("TOOL: x"))
    await listener.until_words("device busy 1")
    await client.environment.restart(rotate=False)
    await listener.send("sync", recover_approvals=True, force_device_status=True)
    heard = await listener.until_words("subagents")
    assert outlines(heard) == [STATE[0], "sync_response", *STATE[1:]]
    assert heard[0]["event_seq"] == 1
    await listener.until_words("device idle 0")
    await client.post(user("TOOL: x", "cm-2"))
    request = (await listener.until_words("control_request"))[-1]
    assert request["request_id"] == "perm-call_1_0"
    await client.post(approval("call_1_0", True))
    assert client.environment.decisions[0].occurrence == 2


async def test_a_sync_asks_again_what_is_still_asked(client: Client) -> None:
    await client.post(user("TOOL: x"))
    await client.environment.wait_for(is_asked)
    await client.environment.drop_sockets()
    listener = await client.listen()
    await listener.send("sync", recover_approvals=True, force_device_status=True)
    assert "control_request" in outlines(await listener.until_words("subagents"))


async def test_failing_posts_fail_as_told(client: Client) -> None:
    client.environment.fail_posts(status=429, retry_after=7, approvals_only=True)
    client.environment.fail_posts(status=200, body={"message": "no", "success": False}, messages_only=True)
    assert (await client.post(user("hello")))[1] == {"message": "no", "success": False}
    assert (await client.post(approval("call_1_0", True)))[0] == 429
    assert client.environment.received == []
    assert [post.status for post in client.environment.posts] == [200, 429]


async def test_a_post_may_take_effect_and_never_be_answered(client: Client) -> None:
    client.environment.fail_posts(after=True)
    with pytest.raises(aiohttp.ClientError):
        await client.post(user("hello"))
    assert len(client.environment.received) == 1
    assert client.environment.posts[0].status is None


async def test_a_hanging_post_ends_with_the_environment() -> None:
    environment = FakeEnvironment()
    await environment.start()
    async with Client(environment) as client:
        environment.fail_posts(hang=True)
        posting = asyncio.create_task(client.post(user("hello")))
        await environment.wait_for(lambda seen: seen.posts)
        await environment.stop()
        with pytest.raises(aiohttp.ClientError):
            await asyncio.wait_for(posting, 5)


async def test_waiting_in_vain_says_what_was_seen(client: Client) -> None:
    await client.post(user("hello"))
    with pytest.raises(AssertionError, match=r"(?s)nothing after.*echo|received \(1\)"):
        await client.environment.wait_for(lambda seen: seen.decisions, timeout=0.01)


# The official client.


@pytest.fixture
async def letta(environment: FakeEnvironment) -> AsyncIterator[AsyncLetta]:
    async with AsyncLetta(base_url=environment.base_url, api_key=environment.api_key, max_retries=0) as letta:
        yield letta


async def test_the_official_client_sends_and_approves(
    environment: FakeEnvironment, letta: AsyncLetta
) -> None:
    message = {"role": "user", "content": "TOOL: x", "client_message_id": "cm-1"}
    await send(letta, environment, message)
    await environment.wait_for(is_asked)
    await send(letta, environment, approval("call_1_0", True, reason="fine"))
    await environment.wait_for(lambda seen: seen.tool_runs)
    assert environment.decisions[0].reason == "fine"
    assert environment.posts[0].raw == (
        b'{"messages":[{"role":"user","content":"TOOL: x","client_message_id":"cm-1"}],"agentId":"agent-1"}'
    )


async def send(letta: AsyncLetta, environment: FakeEnvironment, message: Any) -> None:
    sent = await letta.environments.send_message(
        environment.connection_id, messages=[message], agent_id=environment.agent_id
    )
    assert sent.success


async def test_the_official_client_reads_the_directory(
    environment: FakeEnvironment, letta: AsyncLetta
) -> None:
    listed = await letta.environments.list(online_only="true")
    found = await letta.environments.retrieve(environment.device_id)
    assert listed.connections[0].connection_id == found.connection_id == environment.connection_id
    assert found.current_mode == "standard"
    assert found.metadata is not None
    assert found.metadata.environmentMessageProtocol == "v2-input"
    assert found.last_heartbeat is not None
    assert found.last_heartbeat > 1e12


async def test_the_official_client_makes_a_conversation(
    environment: FakeEnvironment, letta: AsyncLetta
) -> None:
    made = await letta.conversations.create(agent_id=environment.agent_id)
    assert made.id.startswith("conv-")


async def test_the_official_client_sees_failures(environment: FakeEnvironment, letta: AsyncLetta) -> None:
    message = {"role": "user", "content": "hello", "client_message_id": "cm-1"}
    environment.fail_posts(status=503, body="<html>away</html>")
    with pytest.raises(InternalServerError):
        await send(letta, environment, message)
    await environment.go_offline()
    with pytest.raises(APIStatusError) as gone:
        await send(letta, environment, message)
    assert gone.value.status_code == 404
