"""How an App Server is reached, and what its answers mean; the real one is in tests/letta."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import ClientSession, WSMsgType, web
from aiohttp.test_utils import TestServer
from pydantic import SecretStr

from relay.config import Environment
from relay.domain.deliveries import Delivered, Refused, Retry
from relay.environment.app_server_socket import about_url, make_conversation, open_socket, socket_url
from relay.environment.errors import EnvironmentAwayError, LookupRefusedError
from relay.environment.frames import InputAccepted
from relay.environment.verdicts import meaning_of_input


@dataclass
class FakeAppServer:
    """Answers at a socket as it is told to, and keeps what it was asked."""

    answer: dict[str, Any] = field(default_factory=dict)
    status: int = 0
    requests: list[web.Request] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    address: str = ""

    async def take(self, request: web.Request) -> web.StreamResponse:
        """Open a socket and answer each frame, or refuse with `status`."""
        self.requests.append(request)
        if self.status:
            return web.Response(status=self.status)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                self.asked.append(message.json())
                await socket.send_json({"type": "update_queue", "queue": []})
                await socket.send_json({**self.answer, "request_id": message.json()["request_id"]})
        return socket


@pytest.fixture
async def server() -> AsyncIterator[FakeAppServer]:
    """A running one."""
    made = FakeAppServer()
    application = web.Application()
    application.router.add_get("/ws", made.take)
    async with TestServer(application, host="127.0.0.1") as running:
        made.address = f"ws://127.0.0.1:{running.port}"
        yield made


@pytest.fixture
async def session() -> AsyncIterator[ClientSession]:
    """An HTTP client."""
    async with ClientSession() as made:
        yield made


def at(address: str, key: str = "") -> Environment:
    return Environment("server", "agent-1", address, SecretStr(key))


@pytest.mark.parametrize(
    ("address", "url", "about"),
    [
        ("ws://127.0.0.1:4500", "ws://127.0.0.1:4500/ws", "http://127.0.0.1:4500/app-server-info"),
        ("ws://127.0.0.1:4500/ws", "ws://127.0.0.1:4500/ws", "http://127.0.0.1:4500/app-server-info"),
        ("wss://letta.example/a", "wss://letta.example/a", "https://letta.example/app-server-info"),
    ],
)
def test_a_path_is_taken_as_it_is_said_and_ws_where_none_is(address: str, url: str, about: str) -> None:
    assert socket_url(at(address)) == url
    assert about_url(at(address)) == about


@pytest.mark.parametrize(("key", "shown"), [("token-1", "Bearer token-1"), ("", None)])
async def test_its_one_socket_is_shown_the_key_and_no_origin(
    server: FakeAppServer, session: ClientSession, key: str, shown: str | None
) -> None:
    async with await open_socket(session, at(server.address, key)):
        [request] = server.requests
    assert request.headers.get("Authorization") == shown
    assert "Origin" not in request.headers
    assert request.query_string == ""


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (401, LookupRefusedError, "check LETTA_API_KEY"),
        (403, LookupRefusedError, "check LETTA_API_KEY"),
        (404, EnvironmentAwayError, "404"),
        (503, EnvironmentAwayError, "503"),
    ],
)
async def test_a_socket_that_is_refused_says_what_to_do(
    server: FakeAppServer, session: ClientSession, status: int, error: type[Exception], words: str
) -> None:
    server.status = status
    with pytest.raises(error, match=words):
        await open_socket(session, at(server.address))


async def test_a_server_that_is_not_there_is_away(session: ClientSession) -> None:
    with pytest.raises(EnvironmentAwayError, match="cannot be reached"):
        await open_socket(session, at("ws://127.0.0.1:1"))


async def test_a_conversation_is_made_with_the_agent(server: FakeAppServer, session: ClientSession) -> None:
    server.answer = {
        "type": "conversation_create_response",
        "success": True,
        "conversation": {"id": "conv-7"},
    }
    assert await make_conversation(session, at(server.address), lambda: "req-1") == "conv-7"
    [asked] = server.asked
    assert asked == {"type": "conversation_create", "request_id": "req-1", "body": {"agent_id": "agent-1"}}


async def test_a_conversation_that_is_not_made_is_refused_with_the_servers_words(
    server: FakeAppServer, session: ClientSession
) -> None:
    server.answer = {"success": False, "conversation": None, "error": "Agent not found"}
    refused = await make_conversation(session, at(server.address), lambda: "req-1")
    assert isinstance(refused, Refused) and refused.said == "Agent not found"


async def test_a_conversation_of_a_server_that_is_away_is_made_later(session: ClientSession) -> None:
    later = await make_conversation(session, at("ws://127.0.0.1:1"), lambda: "req-1")
    assert isinstance(later, Retry) and later.away


@pytest.mark.parametrize("disposition", ["started", "queued", "duplicate", ""])
def test_what_is_accepted_is_delivered_whatever_becomes_of_it(disposition: str) -> None:
    said = InputAccepted(type="input_accepted", accepted=True, disposition=disposition)
    assert isinstance(meaning_of_input(said), Delivered)


@pytest.mark.parametrize(
    "error",
    [
        None,
        "Runtime is no longer active",
        "Conversation is switching computers",
        "Stable input ledger is at capacity",
        "Input was rejected by the queue or durable ledger",
    ],
)
def test_what_is_in_the_way_for_now_is_tried_again(error: str | None) -> None:
    outcome = meaning_of_input(InputAccepted(type="input_accepted", accepted=False, error=error or ""))
    assert isinstance(outcome, Retry) and not outcome.uncertain


def test_what_will_never_be_taken_is_refused_with_the_devices_words() -> None:
    said = InputAccepted(type="input_accepted", error="Unsupported input payload kind")
    outcome = meaning_of_input(said)
    assert isinstance(outcome, Refused) and not outcome.over
    assert outcome.said == "Unsupported input payload kind"


def test_a_decision_that_nobody_waits_for_is_over() -> None:
    said = InputAccepted(type="input_accepted", error="Approval request is no longer pending")
    outcome = meaning_of_input(said)
    assert isinstance(outcome, Refused) and outcome.over
