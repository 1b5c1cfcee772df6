"""Each gesture of trouble of the stand-in environment, seen by plain clients and by Letta's own."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from letta_client import APIConnectionError, APIStatusError, AsyncLetta

from relay.sandbox.environment import FakeEnvironment
from tests.sandbox.environment_client import Client, approval, is_asked, user


@pytest.fixture
async def client(environment: FakeEnvironment) -> AsyncIterator[Client]:
    async with Client(environment) as client:
        yield client


@pytest.fixture
async def letta(environment: FakeEnvironment) -> AsyncIterator[AsyncLetta]:
    async with AsyncLetta(base_url=environment.base_url, api_key=environment.api_key, max_retries=0) as letta:
        yield letta


# The list.


@pytest.mark.parametrize("gesture", ["offline", "go_offline"])
async def test_who_is_away_is_listed_without_a_connection(
    environment: FakeEnvironment, letta: AsyncLetta, gesture: str
) -> None:
    if gesture == "offline":
        environment.offline = True
    else:
        await environment.go_offline(hard=False)
    [listed] = (await letta.environments.list()).connections
    found = await letta.environments.retrieve(environment.device_id)
    assert listed.connection_id is found.connection_id is None
    here = FakeEnvironment().place.listing(environment.agent)["lastHeartbeat"]
    assert found.last_heartbeat is not None
    assert here - found.last_heartbeat > 120_000


async def test_the_list_tells_the_mode_and_the_protocol(
    environment: FakeEnvironment, letta: AsyncLetta
) -> None:
    environment.current_mode = "bypassPermissions"
    environment.place.message_protocol = None
    found = await letta.environments.retrieve(environment.device_id)
    assert (found.current_mode, found.device_id) == ("bypassPermissions", environment.device_id)
    assert "environmentMessageProtocol" not in found.to_dict()["metadata"]  # type: ignore[operator]


async def test_a_device_nobody_knows_is_not_found(letta: AsyncLetta) -> None:
    with pytest.raises(APIStatusError) as refused:
        await letta.environments.retrieve("device-2")
    assert refused.value.status_code == 404


# Offline, rotation, sockets.


@pytest.mark.parametrize("status", [404, 409, 410])
async def test_a_connection_that_is_gone_is_refused_as_told(
    environment: FakeEnvironment, client: Client, status: int
) -> None:
    environment.offline_status = status
    await environment.go_offline()
    assert (await client.post(user("hello")))[0] == status
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await client.listen()
    assert refused.value.status == status
    assert environment.received == []


@pytest.mark.parametrize(("hard", "code"), [(True, 1006), (False, 1001)])
async def test_sockets_are_cut_or_closed(
    environment: FakeEnvironment, client: Client, hard: bool, code: int
) -> None:
    listener = await client.listen()
    await environment.drop_sockets(hard=hard)
    await asyncio.wait_for(listener.closed.wait(), 5)
    assert (listener.socket.close_code, environment.sockets) == (code, [])
    assert (await client.post(user("hello")))[0] == 200


async def test_who_comes_back_has_the_same_request_and_perhaps_another_connection(
    environment: FakeEnvironment, client: Client
) -> None:
    await client.post(user("TOOL: x"))
    await environment.wait_for(is_asked)
    before = (environment.pending(), environment.connection_id)
    await environment.go_offline()
    await environment.come_back()
    assert (environment.pending(), environment.connection_id) == before
    await environment.go_offline()
    await environment.come_back(rotate=True)
    assert environment.pending() == before[0]
    assert environment.connection_id != before[1]


async def test_a_restart_rotates_and_forgets_the_request(
    environment: FakeEnvironment, client: Client
) -> None:
    listener = await client.listen()
    await client.post(user("TOOL: x"))
    await environment.wait_for(is_asked)
    before = environment.connection_id
    await environment.restart()
    await asyncio.wait_for(listener.closed.wait(), 5)
    assert (environment.pending(), environment.busy()) == ([], False)
    assert environment.connection_id != before


async def test_who_is_interrupted_at_the_device_asks_no_more(
    environment: FakeEnvironment, client: Client
) -> None:
    listener = await client.listen_started()
    await client.post(user("TOOL: x"))
    await environment.wait_for(is_asked)
    await environment.abort()
    await listener.until_words("finished cancelled")
    assert environment.pending() == []


# Posts.


@pytest.mark.parametrize(
    ("told", "seen"),
    [
        ({"status": 503, "body": "<html>away</html>"}, (503, "text/html", None)),
        ({"status": 429, "retry_after": 7}, (429, "application/json", "7")),
        ({"status": 200, "body": {"message": "no", "success": False}}, (200, "application/json", None)),
        ({"status": 200, "body": "<html>ok</html>"}, (200, "text/html", None)),
    ],
)
async def test_a_post_fails_as_told_and_the_next_does_not(
    environment: FakeEnvironment, client: Client, told: dict[str, Any], seen: Any
) -> None:
    environment.fail_posts(**told)
    url = f"{environment.base_url}/v1/environments/{environment.connection_id}/messages"
    body = {"messages": [user("hello")], "agentId": environment.agent_id}
    async with client.session.post(url, json=body) as answer:
        assert (answer.status, answer.content_type, answer.headers.get("Retry-After")) == seen
    assert environment.received == []
    assert (await client.post(user("hello")))[1]["success"] is True


async def test_hanging_posts_are_cut_and_take_no_effect(environment: FakeEnvironment, client: Client) -> None:
    environment.fail_posts(hang=True, times=2)
    posting = [asyncio.create_task(client.post(user("hello", f"cm-{n}"))) for n in range(2)]
    await environment.wait_for(lambda seen: len(seen.posts) == 2)
    environment.cut_hanging_posts()
    ended = await asyncio.gather(*posting, return_exceptions=True)
    assert all(isinstance(error, aiohttp.ClientError) for error in ended)
    assert environment.received == []


async def test_an_approval_may_be_the_only_one_to_fail(environment: FakeEnvironment, client: Client) -> None:
    environment.fail_posts(status=500, approvals_only=True)
    assert (await client.post(user("TOOL: x")))[0] == 200
    await environment.wait_for(is_asked)
    assert (await client.post(approval("call_1_0", True)))[0] == 500
    assert (await client.post(approval("call_1_0", True)))[0] == 200
    assert [decision.accepted for decision in environment.decisions] == [True]


# Conversations.


async def test_a_conversation_is_made_and_talked_in(environment: FakeEnvironment, letta: AsyncLetta) -> None:
    made = await letta.conversations.create(agent_id=environment.agent_id)
    sent = await letta.environments.send_message(
        environment.connection_id,
        messages=[{"role": "user", "content": "hello", "client_message_id": "cm-1"}],
        agent_id=environment.agent_id,
        conversation_id=made.id,
    )
    assert sent.success
    assert (
        [one.conversation_id for one in environment.received] == environment.conversations_made == [made.id]
    )


async def test_a_conversation_is_refused_as_told(environment: FakeEnvironment, letta: AsyncLetta) -> None:
    environment.refuse_conversations(503)
    with pytest.raises(APIStatusError) as refused:
        await letta.conversations.create(agent_id=environment.agent_id)
    assert (refused.value.status_code, environment.conversations_made) == (503, [])


async def test_a_conversation_may_be_made_and_its_answer_lost(
    environment: FakeEnvironment, letta: AsyncLetta
) -> None:
    environment.refuse_conversations(0)
    with pytest.raises(APIConnectionError):
        await letta.conversations.create(agent_id=environment.agent_id)
    assert len(environment.conversations_made) == 1
    with pytest.raises(APIStatusError):
        await letta.conversations.create(agent_id="agent-2")
