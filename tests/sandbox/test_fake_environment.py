"""The stand-in environment says what a real device was recorded to say, in the same shapes and order."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from relay.sandbox.environment import Fail, FakeEnvironment, Say, Step, Turn, Wait
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

# Recorded shapes: the keys of each frame, event stamps aside.
STAMP = {"runtime", "event_seq", "emitted_at", "idempotency_key", "seq"}
MODEL = {"id", "date", "agent_id", "conversation_id", "message_type", "run_id", "seq_id", "type"}
RETURN = {
    "type", "message_type", "id", "date", "run_id", "status", "tool_call_id", "tool_return", "tool_returns",
}  # fmt: skip
TOOL_END = {"id", "date", "message_type", "run_id", "tool_call_id", "status"}
LOOP_ERROR = {"id", "date", "message_type", "run_id", "message", "stop_reason", "is_terminal", "api_error"}
FRAME_KEYS = {
    "update_loop_status": {"type", "loop_status"},
    "update_device_status": {"type", "device_status"},
    "update_queue": {"type", "queue", "removed"},
    "update_subagent_state": {"type", "subagents"},
    "stream_delta": {"type", "delta"},
    "control_request": {"type", "request_id", "request", "agent_id", "conversation_id"},
}
DELTA_KEYS = {
    "assistant_message": MODEL | {"content"},
    "approval_request_message": MODEL | {"tool_call"},
    "usage_statistics": MODEL
    | {"prompt_tokens", "completion_tokens", "total_tokens", "cached_input_tokens", "cache_write_tokens"}
    | {"reasoning_tokens", "context_tokens"},
    "stop_reason": {"message_type", "stop_reason", "run_id", "seq_id", "type"},
    "approval_classification_end": {"id", "date", "message_type", "run_id", "auto_allowed_tool_call_ids"}
    | {"auto_denied_tool_call_ids", "user_input_tool_call_ids"},
    "client_tool_start": (TOOL_END - {"status"}) | {"tool_name", "tool_args"},
    "client_tool_end": TOOL_END,
    "tool_return_message": RETURN,
    "error_message": MODEL | {"message", "detail", "error_type", "retryable"},
    "user_message": {"type", "id", "date", "message_type", "content", "otid"},
    "status": {"id", "date", "message_type", "run_id", "message", "level"},
}

# Recorded orders, in the words of `outline`: status, number of active runs, number of tools at work.
STATE = ["device idle 0", "loop WAITING_ON_INPUT 0 0", "queue 0 -0", "subagents"]
STARTED = ["loop SENDING_API_REQUEST 0 0", "device busy 0"]
FIRST_RUN = [
    "loop WAITING_FOR_API_RESPONSE 0 0",
    "loop PROCESSING_API_RESPONSE 0 0",
    "loop PROCESSING_API_RESPONSE 1 0",
]
TALKED = ["usage_statistics", "stop_reason end_turn"]
CLOSED = ["loop WAITING_ON_INPUT 0 0", "device idle 0", "finished end_turn", "device idle 0"]
CLASSIFIED = ["usage_statistics", "stop_reason requires_approval", "approval_classification_end"]
ASKED = ["control_request", "loop WAITING_ON_APPROVAL 1 0", "device busy 1"]
ANSWERED = ["loop WAITING_ON_APPROVAL 1 0", "device busy 0"]
ACCEPTED = "input_accepted True"
AT_WORK = ["loop EXECUTING_CLIENT_SIDE_TOOL 1 1"] * 2 + ["device busy 0"]
RAN = [
    "client_tool_start",
    "tool_return_message success",
    "client_tool_end success",
    "tool_return_message success",
]
NO_WORK = ["loop EXECUTING_CLIENT_SIDE_TOOL 1 0"] * 2 + ["device busy 0"]
REFUSED = ["client_tool_end error", "tool_return_message error"]
AGAIN = ["loop SENDING_API_REQUEST 1 0", "loop WAITING_FOR_API_RESPONSE 1 0"]
SECOND_RUN = ["loop PROCESSING_API_RESPONSE 0 0"] * 2 + ["device busy 0", "loop PROCESSING_API_RESPONSE 1 0"]
TO_A_TOOL = STARTED + FIRST_RUN + ["assistant_message", "approval_request_message", *CLASSIFIED]
TO_A_QUESTION = [*TO_A_TOOL, "loop WAITING_ON_APPROVAL 1 0", *ASKED]


@pytest.fixture
async def client(environment: FakeEnvironment) -> AsyncIterator[Client]:
    async with Client(environment) as client:
        yield client


# The recorded orders and shapes.


async def test_a_runtime_start_answers_and_tells_the_state(client: Client) -> None:
    listener = await client.listen()
    runtime = {"agent_id": "agent-1", "conversation_id": "default"}
    await listener.socket.send_json(
        {"type": "runtime_start", "request_id": "r", "force_device_status": True, **runtime}
    )
    first, *state = await listener.until_words("subagents")
    assert first == {
        "type": "runtime_start_response", "request_id": "r", "success": True, "runtime": runtime,
        "agent": {"id": "agent-1"}, "conversation": {"id": "default"},
        "created": {"agent": False, "conversation": False}, "seq": 1,
    }  # fmt: skip
    assert outlines(state) == STATE
    assert outlines(await listener.until_words("device idle 0")) == ["device idle 0"]
    assert [frame["event_seq"] for frame in state] == [1, 2, 3, 4]
    assert "client_message_ids_by_run_id" not in state[1]["loop_status"]


async def test_a_first_message_tells_the_state_before_its_turn(client: Client) -> None:
    listener = await client.listen()
    assert await client.post(user("hello")) == (200, {"message": "Message sent", "success": True})
    heard = await listener.until_turn_over()
    assert outlines(heard) == STATE + STARTED + FIRST_RUN + ["assistant_message", *TALKED, *CLOSED]
    assert said(heard) == "echo: hello"


async def test_an_approved_tool_goes_through_the_recorded_frames(client: Client) -> None:
    listener = await client.listen_started()
    await client.post(user("Alice:\nTOOL: make it", "cm-7"))
    asked = await listener.until_words("device busy 1")
    await listener.answer("call_1_0", behavior="allow", message="ok from slack")
    heard = await listener.until_turn_over()
    assert outlines(asked) == TO_A_QUESTION
    assert outlines(heard) == [
        *ANSWERED, ACCEPTED, *AT_WORK, *RAN, *AGAIN, *SECOND_RUN, "assistant_message", *TALKED, *CLOSED,
    ]  # fmt: skip
    comment = 'The user approved the tool execution with the following comment: "ok from slack"\n'
    assert said(heard) == f"FINAL: tool said {comment}ran: make it\n"
    check_shapes(asked + heard)


def check_shapes(frames: list[Frame]) -> None:
    """Every event has the recorded keys, an own number and an own key."""
    events = [frame for frame in frames if "event_seq" in frame]
    for frame in events:
        if frame["type"] in FRAME_KEYS:
            assert set(frame) == FRAME_KEYS[frame["type"]] | STAMP
        if frame["type"] == "stream_delta":
            assert set(frame["delta"]) == DELTA_KEYS[frame["delta"]["message_type"]]
        assert frame["idempotency_key"].startswith(f"{frame['type']}:{frame['event_seq']}:")
        assert frame["runtime"] == {"agent_id": "agent-1", "conversation_id": "default"}
    numbers = [frame["event_seq"] for frame in events]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert [frame["seq"] for frame in frames] == list(range(frames[0]["seq"], frames[0]["seq"] + len(frames)))


async def test_a_request_says_what_the_tool_wants(client: Client) -> None:
    listener = await client.listen_started()
    await client.post(user("TOOL: touch x"))
    request = (await listener.until_words("control_request"))[-1]
    assert request["request_id"] == "perm-call_1_0"
    assert request["request"] == {
        "subtype": "can_use_tool",
        "tool_name": "Bash",
        "input": {"command": "touch x", "description": "scripted"},
        "tool_call_id": "call_1_0",
        "permission_suggestions": [
            {"id": "save-default", "text": "Yes, and don't ask again for 'touch x' in this project"}
        ],
        "blocked_path": None,
    }
    status = (await listener.until_words("device busy 1"))[-1]["device_status"]
    assert status["pending_control_requests"] == [
        {"request_id": "perm-call_1_0", "request": request["request"]}
    ]


async def test_runs_are_mapped_to_the_messages_that_caused_them(client: Client) -> None:
    listener = await client.listen_started()
    await client.post(user("TOOL: x", "cm-7"))
    await listener.until_words("device busy 1")
    await client.post(approval("call_1_0", True))
    last_loop = (await listener.until_words("loop WAITING_ON_INPUT 0 0"))[-1]["loop_status"]
    assert last_loop == {
        "status": "WAITING_ON_INPUT",
        "active_run_ids": [],
        "client_message_ids_by_run_id": {"local-run-1": ["cm-7"], "local-run-2": ["cm-7"]},
        "executing_tool_call_ids": [],
    }


async def test_a_denial_over_rest_becomes_the_tools_result(client: Client) -> None:
    listener = await client.listen_started()
    await client.post(user("TOOL: x"))
    await listener.until_words("device busy 1")
    await client.post(approval("call_1_0", False, reason="Not on a Friday (alice)"))
    heard = await listener.until_turn_over()
    assert outlines(heard) == [
        *ANSWERED, *NO_WORK, *REFUSED, *AGAIN, *SECOND_RUN, "assistant_message", *TALKED, *CLOSED,
    ]  # fmt: skip
    returned = next(f["delta"] for f in heard if outline(f) == "tool_return_message error")
    assert returned["tool_return"] == "Not on a Friday (alice)"
    assert said(heard) == "FINAL: tool said Not on a Friday (alice)"
    assert client.environment.tool_runs == []


async def test_an_updated_input_replaces_the_whole_input(client: Client) -> None:
    listener = await client.listen_started()
    await client.post(user("TOOL: original"))
    await listener.until_words("device busy 1")
    await client.post(approval("call_1_0", True, updated_input={"command": "edited"}))
    start = (await listener.until_words("client_tool_start"))[-1]["delta"]
    assert json.loads(start["tool_args"]) == {"command": "edited"}
    await listener.until_turn_over()
    assert client.environment.tool_runs == [("call_1_0", "Bash", {"command": "edited"})]


async def test_a_model_failure_is_two_loop_errors_and_one_error_message(client: Client) -> None:
    client.environment.script = lambda turn: [Fail("400: scripted")]
    listener = await client.listen_started()
    await client.post(user("anything", "cm-9"))
    heard = await listener.until_turn_over()
    assert outlines(heard) == [
        *STARTED, *FIRST_RUN, "loop_error error", "error_message", "stop_reason error", "loop_error error",
        "loop WAITING_ON_INPUT 0 0", "device idle 0", "finished error", "device idle 0",
    ]  # fmt: skip
    first, last = (f["delta"] for f in heard if outline(f) == "loop_error error")
    assert set(first) == LOOP_ERROR
    assert set(last) == LOOP_ERROR | {"client_message_ids"}
    assert (first["is_terminal"], last["is_terminal"], last["client_message_ids"]) == (False, True, ["cm-9"])
    finished = next(frame for frame in heard if frame["type"] == "turn_finished")
    assert finished["error"] == last["message"]
    assert json.loads(last["message"])["error"]["error"]["message"] == "400: scripted"


async def test_parallel_tools_are_asked_one_after_the_other(client: Client) -> None:
    listener = await client.listen_started()
    await client.post(user("TOOLS: one || two"))
    await listener.until_words("device busy 1")
    await listener.answer("call_1_1", behavior="allow")
    too_early = (await listener.until_words("input_accepted False"))[-1]
    assert too_early["error"] == "Approval request is no longer pending"
    await listener.answer("call_1_0", behavior="allow")
    assert outlines(await listener.until_words("device busy 1")) == [*ANSWERED, ACCEPTED, *ASKED]
    assert client.environment.tool_runs == []
    await listener.answer("call_1_1", behavior="deny", message="second no")
    heard = await listener.until_turn_over()
    assert outlines(heard)[:13] == [
        *ANSWERED, ACCEPTED, *AT_WORK, *RAN[:3], "client_tool_end error", RAN[3], "tool_return_message error",
        AGAIN[0],
    ]  # fmt: skip
    assert said(heard) == "FINAL: tool said ran: one\n | second no"


async def test_several_decisions_in_one_post_answer_parallel_tools(client: Client) -> None:
    await client.post(user("TOOLS: one || two"))
    await client.environment.wait_for(is_asked)
    entries = approval("call_1_0", True)["approvals"] + approval("call_1_1", True)["approvals"]
    await client.post({"type": "approval", "approvals": entries})
    await client.environment.wait_for(lambda seen: len(seen.tool_runs) == 2)
    assert [decision.accepted for decision in client.environment.decisions] == [True, True]


async def test_messages_sent_during_a_turn_become_one_next_turn(client: Client) -> None:
    go_on = asyncio.Event()

    def script(turn: Turn) -> list[Step]:
        return [Wait(go_on), Say("echo: " + turn.last_line)]

    client.environment.script = script
    listener = await client.listen_started()
    for name in ("slow", "alpha", "beta"):
        await client.post(user(name, f"cm-{name}"))
    held = (await listener.until_words("queue 2 -0"))[-1]["queue"]
    go_on.set()
    await listener.until_turn_over()
    heard = await listener.until_turn_over() + await listener.until_words("loop WAITING_ON_INPUT 0 0")
    assert [set(item) for item in held] == [
        {"id", "client_message_id", "kind", "source", "content", "enqueued_at"}
    ] * 2
    assert outlines(heard) == [
        "user_message", "user_message", "queue 0 -0", "loop WAITING_ON_INPUT 0 0", *STARTED, "queue 0 -2",
        *FIRST_RUN, "assistant_message", *TALKED, *CLOSED, "queue 0 -0", "loop WAITING_ON_INPUT 0 0",
    ]  # fmt: skip
    assert said(heard) == "echo: beta"
    by_run = heard[-1]["loop_status"]["client_message_ids_by_run_id"]
    assert by_run["local-run-2"] == ["cm-alpha", "cm-beta"]


async def test_a_message_during_a_request_joins_the_turn_after_the_result(client: Client) -> None:
    listener = await client.listen_started()
    await client.post(user("TOOL: x", "cm-1"))
    await client.post(user("and y", "cm-2", otid="ot-2"))
    await listener.until_words("queue 1 -0")
    await client.post(approval("call_1_0", True))
    heard = await listener.until_turn_over()
    assert outlines(heard)[9:13] == ["queue 0 -1", "user_message", *AGAIN]
    joined = next(frame["delta"] for frame in heard if outline(frame) == "user_message")
    assert (joined["content"], joined["otid"]) == ("and y", "ot-2")
    last_loop = next(frame for frame in heard if outline(frame) == "loop WAITING_ON_INPUT 0 0")
    assert last_loop["loop_status"]["client_message_ids_by_run_id"]["local-run-2"] == ["cm-1", "cm-2"]


async def test_an_abort_cancels_the_turn_and_its_request(client: Client) -> None:
    listener = await client.listen_started()
    await client.post(user("TOOL: x"))
    await listener.until_words("device busy 1")
    await listener.send("abort_message")
    heard = await listener.until_turn_over()
    assert outlines(heard) == [
        *["loop WAITING_ON_INPUT 0 0", "device idle 0"] * 2, "status", "abort_message_response",
        "finished cancelled", "device idle 0",
    ]  # fmt: skip
    await listener.answer("call_1_0", behavior="allow")
    await listener.until_words("input_accepted False")
    await listener.send("abort_message")
    assert (await listener.until_words("abort_message_response"))[-1]["aborted"] is False
    await client.post(user("after", "cm-2"))
    after = await listener.until_turn_over()
    assert outlines(after)[:4] == ["queue 1 -0", "user_message", "queue 0 -0", "loop WAITING_ON_INPUT 0 0"]


async def test_a_dropped_device_socket_asks_again_under_another_key(client: Client) -> None:
    listener = await client.listen_started()
    await client.post(user("TOOL: x"))
    first = (await listener.until_words("control_request"))[-1]
    await listener.until_words("device busy 1")
    await client.environment.drop_device_socket()
    heard = await listener.until_words("control_request")
    assert outlines(heard) == ["device busy 1 away", "loop WAITING_ON_APPROVAL 1 0", "control_request"]
    assert heard[-1]["request"] == first["request"]
    assert heard[-1]["idempotency_key"] != first["idempotency_key"]
