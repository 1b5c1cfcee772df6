"""Each kind of frame of the stand-in environment has the keys and types recorded of a real one."""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest

from relay.sandbox.environment import FakeEnvironment, Say, Turn, UseTool, Wait, default_script
from tests.environment.recorded import RECORDINGS, frames
from tests.sandbox.environment_client import Client, Frame, Listener, approval, is_asked, outline, user
from tests.sandbox.shapes import differences, shape_of

# A router numbers every frame on a socket; half of what was recorded came without a router.
ROUTER = "seq"
# Recorded of a device, and of no use to whoever talks to the agent.
LEFT_OUT = {"file_ops"}
# Objects whose keys are ids, or what the model made up: it is their values that have a shape.
OPEN = {"client_message_ids_by_run_id", "input"}

DIFF: Frame = {
    "mode": "advanced",
    "fileName": "new.txt",
    "hunks": [
        {
            "oldStart": 1,
            "oldLines": 0,
            "newStart": 1,
            "newLines": 1,
            "lines": [{"type": "add", "content": "x"}],
        }
    ],
}
WRITE = UseTool("Write", {"file_path": "new.txt", "content": "x"}, returns="Wrote it.", diffs=[DIFF])


def kind_of(frame: Frame) -> str:
    """Return what kind of frame this is; there are many of deltas."""
    return frame["delta"]["message_type"] if frame["type"] == "stream_delta" else str(frame["type"])


def closed(value: Any, name: str = "") -> Any:
    """Return a value with the keys of its open objects made one."""
    if isinstance(value, dict) and name in OPEN:
        return [closed(inner) for inner in value.values()]
    if isinstance(value, dict):
        return {key: closed(inner, key) for key, inner in value.items() if key != ROUTER}
    return [closed(one) for one in value] if isinstance(value, list) else value


def by_kind(told: Iterable[Frame]) -> dict[str, list[Frame]]:
    """Return frames by their kind."""
    found: dict[str, list[Frame]] = defaultdict(list)
    for frame in told:
        found[kind_of(frame)].append(closed(frame))
    return found


RECORDED = by_kind(frame for name in RECORDINGS for frame in frames(name))


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with FakeEnvironment(router="verbatim") as environment, Client(environment) as client:
        yield client


async def heard(client: Client) -> list[Frame]:
    """Go through everything that was recorded, and return every frame of it."""
    listener = await client.listen_started()
    await tools(client, listener)
    await refusals(client, listener)
    await held(client, listener)
    await questions(listener)
    return [json.loads(text) for text in listener.texts]


async def tools(client: Client, listener: Listener) -> None:
    """Talk, run a tool, deny one, ask for one with a diff while a message joins."""
    await client.post(user("hello", "cm-hello"))
    await listener.until_turn_over()
    await client.post(user("TOOLS: x || y", "cm-tools"))
    for number, behavior in enumerate(("allow", "deny")):
        await listener.until_words("device busy 1")
        await listener.answer(f"call_1_{number}", behavior=behavior, message="as you like")
    await listener.until_turn_over()
    client.environment.script = lambda turn: [Say("Now."), WRITE]
    await client.post(user("write", "cm-write"))
    await listener.until_words("device busy 1")
    await client.post(user("and more", "cm-more"))
    await listener.answer("call_2_0", behavior="allow")
    await listener.until_turn_over()
    client.environment.script = default_script


async def refusals(client: Client, listener: Listener) -> None:
    """Fail, be refused an approval by the router's shape, answer what is not pending, and interrupt."""
    await client.post(user("FAIL", "cm-fail"))
    await listener.until_turn_over()
    await client.post(user("TOOL: z", "cm-abort"))
    await client.environment.wait_for(is_asked)
    await client.post(approval("call_3_0", True))
    await listener.until_words("loop_error error")
    await listener.answer("call_9_9", behavior="allow")
    await listener.until_words("input_accepted False")
    await listener.send("abort_message")
    await listener.until_turn_over()


async def held(client: Client, listener: Listener) -> None:
    """Send messages over the socket while a turn runs: some are taken back, some are said once more."""
    go_on = asyncio.Event()

    def script(turn: Turn) -> list[Wait | Say]:
        return [Wait(go_on), Say("done")]

    client.environment.script = script
    for number in range(3):
        sent = user(f"held {number}", f"cm-held-{number}")
        await listener.send("input", payload={"kind": "create_message", "messages": [sent]})
        await listener.until(lambda frame: frame["type"] == "input_accepted")
    queue = next(json.loads(t)["queue"] for t in reversed(listener.texts) if '"update_queue"' in t)
    await listener.send("remove_queue_item", item_id=queue[0]["id"])
    await listener.until_words("remove_queue_item_response")
    go_on.set()
    await listener.until_turn_over()
    await listener.until_turn_over()


async def questions(listener: Listener) -> None:
    """Ask what is, and what was said."""
    await listener.send("sync", recover_approvals=True, force_device_status=True)
    await listener.until_words("sync_response")
    await listener.send("conversation_messages_list")
    await listener.until(lambda frame: outline(frame) == "conversation_messages_list_response")


async def test_every_kind_of_frame_is_shaped_as_recorded(client: Client) -> None:
    ours = by_kind(await heard(client))
    assert RECORDED.keys() - ours.keys() == LEFT_OUT
    assert ours.keys() - RECORDED.keys() == set()
    found = [
        line
        for kind in sorted(ours)
        for line in differences(shape_of(RECORDED[kind]), shape_of(ours[kind]), kind)
    ]
    assert found == []


def test_a_difference_of_shapes_is_named() -> None:
    recorded = shape_of([{"id": "a", "at": 1, "of": [{"x": 1}]}, {"id": "b", "at": 2, "of": [], "by": "me"}])
    ours = shape_of([{"id": 1, "at": 1, "of": [{"y": 1}]}, {"id": 2, "of": [], "no": None}])
    assert list(differences(recorded, ours, "it")) == [
        "it.no: ours alone",
        "it.by: not ours",
        "it.at: not always ours",
        "it.id: never int",
        "it.of[].y: ours alone",
        "it.of[].x: not ours",
    ]
