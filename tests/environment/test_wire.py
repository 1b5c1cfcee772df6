"""Our bodies are those of Letta's own client, byte for byte; our reading of answers is stricter than its."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from pydantic import SecretStr, ValidationError

from relay.config import Environment
from relay.domain.deliveries import Delivered, Delivery, Kind, Outcome, Retry, State
from relay.environment.directory import Directory
from relay.environment.frames import MessagesBody, answer
from relay.environment.sender import EnvironmentSender, body_of
from relay.store import StoreError
from tests.witnesses.letta import official_body

NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)

USER: dict[str, dict[str, Any]] = {
    "words": {"client_message_id": "dlv_1", "content": "hello", "role": "user", "otid": "dlv_1"},
    "no otid": {"client_message_id": "dlv_1", "content": "hello", "role": "user"},
    "parts": {
        "client_message_id": "dlv_1",
        "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}],
        "role": "user",
        "otid": "dlv_1",
    },
    "beyond ASCII": {
        "client_message_id": "dlv_1",
        "content": 'Grüße, "שלום" \\ \t\n 🦜\u2028',
        "role": "user",
    },
}
ENTRIES: dict[str, dict[str, Any]] = {
    "yes": {"approve": True, "tool_call_id": "call_1_0", "type": "approval"},
    "no, and why": {"approve": False, "tool_call_id": "call_1_0", "reason": "not now", "type": "approval"},
    "yes, changed": {
        "approve": True,
        "tool_call_id": "call_1_0",
        "reason": "smaller",
        "updated_input": {
            "command": "ls",
            "depth": 1,
            "flags": ["-l"],
            "deep": {"empty": {}, "nothing": None},
        },
        "type": "approval",
    },
    "untyped yes": {"approve": True, "tool_call_id": "call_1_0"},
    "return": {"status": "success", "tool_call_id": "call_1_0", "tool_return": "done", "type": "tool"},
    "return with output": {
        "status": "error",
        "tool_call_id": "call_1_0",
        "tool_return": [{"type": "text", "text": "it broke"}],
        "stdout": ["a", ""],
        "stderr": [],
        "type": "tool",
    },
    "untyped return": {"status": "success", "tool_call_id": "call_1_0", "tool_return": ""},
}


async def same_as_official(messages: list[dict[str, Any]], **ids: str) -> bool:
    """Whether our body of these messages has the bytes of the official client's."""
    official = await official_body("conn-1", messages, **ids)
    wire_names = {"agent_id": "agentId", "conversation_id": "conversationId"}
    named = {wire_names[name]: value for name, value in ids.items()}
    # `type: None` is how our model says that the field is left out: its default fills it in.
    shaped = [
        {**message, "approvals": [{"type": None, **entry} for entry in message["approvals"]]}
        if "approvals" in message
        else message
        for message in messages
    ]
    return MessagesBody.model_validate({"messages": shaped, **named}).wire() == official.body


@pytest.mark.parametrize("form", USER)
async def test_a_user_message_has_the_official_bytes(form: str) -> None:
    assert await same_as_official([USER[form]], agent_id="agent-1", conversation_id="default")


@pytest.mark.parametrize("form", ENTRIES)
async def test_an_approval_message_has_the_official_bytes(form: str) -> None:
    message = {"type": "approval", "approvals": [ENTRIES[form]]}
    assert await same_as_official([message], agent_id="agent-1", conversation_id="conv-1")


async def test_many_answers_in_one_message_have_the_official_bytes() -> None:
    message = {"type": "approval", "approvals": list(ENTRIES.values())}
    assert await same_as_official([message], agent_id="agent-1")


async def test_several_messages_have_the_official_bytes() -> None:
    assert await same_as_official(list(USER.values()), agent_id="agent-1", conversation_id="default")


async def test_ids_that_are_not_given_are_left_out_as_in_the_official_bytes() -> None:
    assert await same_as_official([USER["words"]])


@pytest.mark.parametrize(
    "wrong",
    [
        {"client_message_id": "dlv_1", "content": "hello", "role": "assistant"},
        {"client_message_id": "dlv_1", "content": [{"type": "image", "text": "x"}], "role": "user"},
        {"content": "hello", "role": "user"},
        {"type": "approval", "approvals": [{"approve": True}]},
        {"type": "approval", "approvals": [{"status": "maybe", "tool_call_id": "c", "tool_return": ""}]},
    ],
)
def test_a_body_of_another_shape_cannot_be_made(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        MessagesBody.model_validate({"messages": [wrong]})


MESSAGE = Delivery(
    id="dlv_1",
    team_id="T0HOME",
    kind=Kind.MESSAGE,
    ordering_key="runtime",
    subject_id="msg_1",
    environment="workshop",
    body={"agent_id": "agent-1", "conversation_id": "default", "content": "<@U1>\n\nGrüße"},
    state=State.SENDING,
    attempts=1,
    uncertain=False,
    created_at=NOW,
    next_attempt_at=None,
    deadline=None,
    receipt={},
    last_error="",
)


def decision(*, approve: bool, reason: str) -> Delivery:
    """A delivery that carries a decision."""
    body = {
        "agent_id": "agent-1",
        "conversation_id": "default",
        "tool_call_id": "call_1_0",
        "approve": approve,
        "reason": reason,
    }
    return replace(MESSAGE, kind=Kind.DECISION, body=body)


async def official(message: Mapping[str, Any]) -> bytes:
    """The official bytes of one message to agent-1."""
    request = await official_body("c", [dict(message)], agent_id="agent-1", conversation_id="default")
    return request.body


async def test_a_persons_message_leaves_as_the_official_client_would_send_it() -> None:
    same = {
        "client_message_id": "dlv_1",
        "content": "<@U1>\n\nGrüße",
        "role": "user",
        "otid": "dlv_1",
    }
    assert body_of(MESSAGE).wire() == await official(same)


@pytest.mark.parametrize(
    ("approve", "reason"), [(True, ""), (True, "fine"), (False, "Denied by Ada in Slack.")]
)
async def test_a_decision_leaves_as_the_official_client_would_send_it(approve: bool, reason: str) -> None:
    entry = {"approve": approve, "tool_call_id": "call_1_0", **({"reason": reason} if reason else {})}
    same = {"type": "approval", "approvals": [{**entry, "type": "approval"}]}
    assert body_of(decision(approve=approve, reason=reason)).wire() == await official(same)


def test_a_second_attempt_has_the_same_bytes() -> None:
    again = replace(MESSAGE, attempts=7, uncertain=True)
    assert body_of(again).wire() == body_of(MESSAGE).wire()


async def at_once(delivery: Delivery, connection_id: str) -> bool:
    """Nobody listens for answers here."""
    return True


async def not_by_socket(delivery: Delivery, message: dict[str, Any]) -> Outcome:
    """An environment behind the API is given nothing by a socket."""
    raise AssertionError(delivery.id)


ODD_IDS = ["connection-1", "a b", "a/b", "../up", "a?b#c", "ünï/🦜", "%2F", "a%20b", "a:b@c", "a;b=c&d+e"]


async def sent_path(connection_id: str) -> str:
    """The path a message to this connection is posted to, as it is on the wire."""
    seen: list[str] = []

    async def take(request: web.Request) -> web.Response:
        seen.append(request.raw_path)
        return web.json_response({"message": "sent", "success": True})

    application = web.Application()
    application.router.add_route("POST", "/{path:.*}", take)
    async with (
        TestServer(application, host="127.0.0.1") as server,
        httpx.AsyncClient() as client,
        ClientSession() as session,
    ):
        environment = Environment(
            name="workshop",
            agent_id="agent-1",
            base_url=str(server.make_url("/")).rstrip("/"),
            api_key=SecretStr("sk"),
            connection_id=connection_id,
        )
        directory = Directory(client, lambda *_, **__: None)
        environments = {"workshop": environment}
        sender = EnvironmentSender(session, directory, environments, lambda: NOW, at_once, not_by_socket)
        assert isinstance(await sender.send(MESSAGE), Delivered)
    [path] = seen
    return path


@pytest.mark.parametrize("at", ["prepare", "listening"])
async def test_a_store_that_is_away_before_a_post_leaves_no_doubt_of_what_arrived(at: str) -> None:
    async def fail(*_: object) -> Any:
        raise StoreError("the database cannot be reached")

    async def as_it_is(_: Environment, delivery: Delivery) -> Delivery:
        return delivery

    # Nobody is at that address: what is posted would come back as what nobody answered.
    environment = Environment(
        "workshop", "agent-1", "http://127.0.0.1:9", SecretStr("sk"), connection_id="connection-1"
    )
    prepare, listening = (fail, at_once) if at == "prepare" else (as_it_is, fail)
    async with httpx.AsyncClient() as client, ClientSession() as session:
        directory = Directory(client, lambda *_, **__: None)
        environments = {"workshop": environment}
        sender = EnvironmentSender(
            session, directory, environments, lambda: NOW, listening, not_by_socket, prepare
        )
        outcome = await sender.send(MESSAGE)
    assert outcome == Retry("the store is away: the database cannot be reached", unasked=True)


@pytest.mark.parametrize("connection_id", ODD_IDS)
async def test_an_odd_connection_id_is_quoted_so_that_it_stays_one_part_of_the_path(
    connection_id: str,
) -> None:
    path = await sent_path(connection_id)
    [_, version, environments, quoted, messages] = path.split("/")
    assert (version, environments, messages) == ("v1", "environments", "messages")
    assert httpx.URL(f"http://h/{quoted}").path == f"/{connection_id}"


@pytest.mark.parametrize("connection_id", ["connection-1", "a b", "a/b", "a?b#c", "ünï/🦜", "%2F"])
async def test_a_connection_id_is_quoted_as_the_official_client_quotes_it(connection_id: str) -> None:
    request = await official_body(connection_id, [USER["words"]])
    assert await sent_path(connection_id) == request.path


def test_an_answer_is_read_with_what_it_says() -> None:
    said = answer(b'{"message":"Message sent","success":true,"new":"field"}')
    assert said is not None and (said.success, said.message) == (True, "Message sent")


def test_an_answer_that_says_no_is_read_as_no() -> None:
    said = answer(b'{"message":"device offline","success":false}')
    assert said is not None and (said.success, said.message) == (False, "device offline")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><body>504</body></html>",
        b"[]",
        b'[{"success":true}]',
        b"null",
        b"true",
        b"{}",
        b'{"message":"sent"}',
        b'{"success":"perhaps","message":""}',
        b'{"success":null,"message":""}',
        b'{"success":true,"message":"cut',
        b"\xff\xfe\x00",
        b'{"a":' * 50_000,
    ],
)
def test_what_is_no_answer_is_read_as_none(body: bytes) -> None:
    assert answer(body) is None
