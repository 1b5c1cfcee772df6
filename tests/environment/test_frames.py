"""Whatever comes over a socket is a frame or a FrameError, and never anything else."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.environment.frames import (
    ControlRequest,
    DeviceStatus,
    Frame,
    FrameError,
    LoopStatus,
    StreamDelta,
    TurnFinished,
    error_words,
    parse,
)
from relay.environment.turns import Turns
from tests.environment.recorded import RECORDINGS, frames, lines

TYPES = [
    "control_request",
    "update_device_status",
    "update_loop_status",
    "stream_delta",
    "turn_finished",
    "input_accepted",
    "runtime_start_response",
]
QUESTION = next(line for line in lines("write_with_diff") if line.startswith('{"type":"control_request"'))

anything = st.text(st.characters(codec=None, exclude_categories=()), max_size=12)  # half characters too
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | anything,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(anything, inner, max_size=4),
    max_leaves=12,
)


def survives(text: str) -> None:
    """Parse, and follow what was parsed; a FrameError is the one answer to nonsense."""
    try:
        frame = parse(text)
    except FrameError:
        return
    Turns().take(frame)


def set_at(value: Any, path: list[int], new: Any) -> Any:
    """A copy with the value at a path, given as choices, replaced."""
    if not path or not isinstance(value, (dict, list)) or not value:
        return new
    changed = copy.copy(value)
    names = list(changed) if isinstance(changed, dict) else list(range(len(changed)))
    name = names[path[0] % len(names)]
    changed[name] = set_at(changed[name], path[1:], new)
    return changed


@given(st.text(max_size=200))
def test_any_text_is_a_frame_or_a_frame_error(text: str) -> None:
    survives(text)


@given(json_values)
def test_any_json_is_a_frame_or_a_frame_error(value: Any) -> None:
    survives(json.dumps(value))


@given(st.sampled_from(TYPES), st.dictionaries(st.text(max_size=12), json_values, max_size=4))
def test_any_object_of_a_known_type_is_a_frame_or_a_frame_error(kind: str, fields: dict[str, Any]) -> None:
    survives(json.dumps({**fields, "type": kind}))


@given(
    st.sampled_from([frame for name in RECORDINGS for frame in frames(name)]),
    st.lists(st.integers(0, 30), min_size=1, max_size=6),
    json_values,
)
def test_a_recorded_frame_with_anything_in_it_is_a_frame_or_a_frame_error(
    frame: dict[str, Any], path: list[int], new: Any
) -> None:
    survives(json.dumps(set_at(frame, path, new)))


@given(st.sampled_from(lines("approve")), st.data())
def test_half_a_frame_is_a_frame_error(line: str, data: st.DataObject) -> None:
    with pytest.raises(FrameError):
        parse(line[: data.draw(st.integers(0, len(line) - 1))])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "17",
        '"pong"',
        "[]",
        '[{"type":"pong"}]',
        "{}",
        '{"type":null}',
        '{"type":5}',
        '{"type":["pong"]}',
        "\x00",
        "<html></html>",
        "[" * 100_000,
        '{"type":' * 100_000,
        '{"type":"pong","deep":' + "[" * 100_000,
        "9" * 10_000,
    ],
)
def test_what_is_no_object_with_a_type_is_a_frame_error(text: str) -> None:
    with pytest.raises(FrameError):
        parse(text)


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "control_request"},
        {"type": "control_request", "request": {"tool_name": "Bash", "input": {}}},
        {"type": "control_request", "request": {"tool_name": "", "input": {}, "tool_call_id": "c"}},
        {"type": "control_request", "request": {"tool_name": "Bash", "input": "ls", "tool_call_id": "c"}},
        {"type": "control_request", "request": {"tool_name": "x" * 501, "input": {}, "tool_call_id": "c"}},
        {
            "type": "update_device_status",
            "device_status": {"pending_control_requests": [{"request_id": "p"}]},
        },
        {"type": "update_device_status", "device_status": {"pending_control_requests": "none"}},
        {"type": "update_loop_status", "loop_status": []},
        {"type": "update_loop_status", "loop_status": {"client_message_ids_by_run_id": {"r": "m"}}},
        {"type": "stream_delta", "delta": "words"},
        {"type": "stream_delta"},
        {"type": "turn_finished", "stop_reason": {}},
        {"type": "pong", "event_seq": "first"},
        {"type": "pong", "event_seq": 2**63},
    ],
)
def test_a_known_type_of_another_shape_is_a_frame_error_that_tells_its_seq(wrong: dict[str, Any]) -> None:
    with pytest.raises(FrameError) as refused:
        parse(json.dumps({**wrong, "seq": 7}))
    assert refused.value.seq == 7


def test_a_frame_error_does_not_repeat_what_was_in_the_frame() -> None:
    with pytest.raises(FrameError) as refused:
        parse('{"type":"control_request","request":{"tool_name":["secret words"]}}')
    assert "secret words" not in str(refused.value)


def test_an_unknown_type_is_a_frame_with_its_seq() -> None:
    frame = parse('{"type":"update_weather","seq":3,"event_seq":9,"idempotency_key":"k","sky":"blue"}')
    assert type(frame) is Frame
    assert (frame.seq, frame.event_seq, frame.idempotency_key) == (3, 9, "k")


def test_each_known_type_is_read_as_what_it_is() -> None:
    kinds = {type(parse(line)) for line in lines("approve")}
    assert {ControlRequest, DeviceStatus, LoopStatus, StreamDelta, TurnFinished} <= kinds


def test_a_question_keeps_its_input_and_diffs_to_the_letter() -> None:
    frame = parse(QUESTION)
    assert isinstance(frame, ControlRequest)
    sent = json.loads(QUESTION)["request"]
    assert frame.request.input == sent["input"]
    assert frame.request.diffs == sent["diffs"]


def test_a_question_whose_optional_fields_are_null_is_still_a_question() -> None:
    raw = json.loads(QUESTION)
    raw["request"] |= {"diffs": None, "blocked_path": None, "subtype": None, "permission_suggestions": None}
    frame = parse(json.dumps({**raw, "event_seq": None, "idempotency_key": None, "runtime": None}))
    assert isinstance(frame, ControlRequest)
    assert frame.request.diffs == []


def test_half_a_character_is_written_out_wherever_it_stands() -> None:
    raw = json.loads(QUESTION)
    raw["request"]["input"] = {"command": "echo \ud83d", "na\udc00me": ["\ud83e", "🦜", "\\ud83d"]}
    frame = parse(json.dumps(raw))
    assert isinstance(frame, ControlRequest)
    written = {"command": "echo \\ud83d", "na\\udc00me": ["\\ud83e", "🦜", "\\ud83d"]}
    assert frame.request.input == written


@given(json_values)
def test_everything_in_a_question_can_be_stored(value: Any) -> None:
    raw = json.loads(QUESTION)
    raw["request"]["input"] = {"value": value}
    frame = parse(json.dumps(raw))
    assert isinstance(frame, ControlRequest)
    assert json.dumps(frame.request.input, ensure_ascii=False).encode()


def test_nulls_inside_a_tools_input_are_kept() -> None:
    raw = json.loads(QUESTION)
    raw["request"]["input"] = {"path": None, "deep": {"also": None}}
    frame = parse(json.dumps(raw))
    assert isinstance(frame, ControlRequest)
    assert frame.request.input == {"path": None, "deep": {"also": None}}


@given(json_values)
def test_any_error_has_words(error: Any) -> None:
    assert error_words(error).strip().encode()


@pytest.mark.parametrize(
    "error",
    [
        "the model is gone",
        '400: {"message":"the model is gone"}',
        {"message": '{"error":{"error":{"detail":"{\\"message\\":\\"the model is gone\\"}"}}}'},
        {"error": {"message": "the model is gone", "detail": "longer"}},
    ],
)
def test_an_error_is_told_in_its_innermost_words(error: Any) -> None:
    assert error_words(error) == "the model is gone"


@pytest.mark.parametrize("error", ["{" * 100_000, '{"a":' * 50_000, "{"])
def test_an_error_that_cannot_be_unwrapped_is_told_as_it_is(error: str) -> None:
    assert error_words(error) == error


@pytest.mark.parametrize("error", ["", None, {}, [], "   "])
def test_an_error_without_words_is_told_as_such(error: Any) -> None:
    assert error_words(error) == "no reason was given"
