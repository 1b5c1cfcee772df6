"""What the real program's frames amount to, as recorded from the Letta Code program 0.34.12."""

import json
from typing import Any, TypeVar

import pytest

from relay.domain.approvals import ToolReturned, ToolStarted
from relay.environment.frames import parse
from relay.environment.turns import (
    AnswersRefused,
    Arrival,
    Behind,
    Pending,
    Proof,
    Reply,
    ToolAsked,
    TurnEnded,
    TurnFailed,
    Turns,
)
from tests.environment.recorded import RECORDINGS, arrivals, asked, follow, frames, lines

T = TypeVar("T")


def only(kind: type[T], found: list[Arrival]) -> list[T]:
    """The arrivals of one kind."""
    return [one for one in found if isinstance(one, kind)]


def replies(found: list[Arrival]) -> list[tuple[tuple[str, ...], str]]:
    """Whom each reply answers, and its words."""
    return [(one.message_ids, one.text) for one in only(Reply, found)]


def ended_by(arrival: Arrival) -> tuple[str, ...] | None:
    """Whose turn is over with that, followed from its start or not."""
    if isinstance(arrival, TurnEnded):
        return arrival.message_ids
    return arrival.ended if isinstance(arrival, Behind) else None


def ends(found: list[Arrival]) -> list[tuple[str, ...]]:
    """Whose turns ended, each once: an end told again is the same end."""
    return list(dict.fromkeys(ids for one in found if (ids := ended_by(one)) is not None))


def pending(found: list[Arrival]) -> list[tuple[str, ...]]:
    """The lists of what is waited for, in order."""
    return [one.tool_call_ids for one in only(Pending, found)]


def test_an_approved_tool_is_asked_for_starts_and_returns() -> None:
    found = arrivals("approve")
    assert asked(found) == [("call_1_0", False), ("call_1_0", True)]
    assert only(Proof, found) == [
        Proof("call_1_0", ToolStarted()),
        Proof("call_1_0", ToolReturned(error=False, text="hello-from-tool")),
        Proof("call_1_0", ToolReturned(error=False, text="hello-from-tool\n")),
    ]
    assert pending(found) == [(), ("call_1_0",), ()]


def test_a_turn_with_a_tool_says_its_words_before_and_after_it() -> None:
    found = arrivals("approve")
    comment = 'The user approved the tool execution with the following comment: "ok from slack"'
    assert replies(found) == [
        (("cm-fbd72f01",), "I will run a tool."),
        (("cm-fbd72f01",), f"FINAL: tool said {comment}\nhello-from-tool\n"),
    ]
    assert ends(found) == [("cm-fbd72f01",)]


def test_a_question_carries_what_is_asked_for_whom_and_the_words_before_it() -> None:
    question = only(ToolAsked, arrivals("approve"))[0]
    assert question.request.tool_name == "Bash"
    assert question.request.input == {
        "command": "echo hello-from-tool > marker1.txt; cat marker1.txt",
        "description": "scripted",
    }
    assert question.message_ids == ("cm-fbd72f01",)
    assert question.words == "I will run a tool."
    assert question.event_seq == 17


def test_a_question_and_its_listing_show_the_same() -> None:
    for name in ("approve", "write_with_diff"):
        question, listing = only(ToolAsked, arrivals(name))
        assert question.request == listing.request


def test_a_denied_tool_never_starts_and_returns_the_reason() -> None:
    found = arrivals("deny")
    assert only(Proof, found) == [Proof("call_3_0", ToolReturned(error=True, text="Not on a Friday (alice)"))]
    assert replies(found)[-1][1] == "FINAL: tool said Not on a Friday (alice)"


def test_a_question_about_a_file_carries_its_diff() -> None:
    question = only(ToolAsked, arrivals("write_with_diff"))[0]
    assert question.request.tool_name == "Write"
    [diff] = question.request.diffs
    assert diff["fileName"] == "new.txt"
    assert diff["hunks"][0]["lines"] == [{"type": "add", "content": "hello world"}]


def test_each_model_failure_is_told_once_in_its_innermost_words() -> None:
    failures = only(TurnFailed, arrivals("model_failure"))
    told = {one.key: one.error for one in failures}  # a key is taken in once
    assert list(told.values()) == [f"scripted HTTP {status}" for status in (400, 401, 429, 500)]
    assert {one.error for one in failures} == set(told.values())


def test_a_model_failure_says_nothing_else_than_the_end_of_its_turn() -> None:
    found = arrivals("model_failure")
    assert replies(found) == []
    assert ends(found) == [("cm-c9f4cb8d",), ("cm-c1a436d0",), ("cm-0947fffe",), ("cm-97c234a5",)]


def test_coalesced_messages_share_one_reply() -> None:
    found = arrivals("coalesced_messages")
    assert replies(found) == [
        (("cm-s-0",), "part0 part1 part2 part3 part4 "),
        (("cm-s-A", "cm-s-B"), "echo: beta"),
    ]
    assert ends(found) == [("cm-s-0",), ("cm-s-A", "cm-s-B")]


def test_parallel_tools_are_asked_one_after_the_other() -> None:
    found = arrivals("two_parallel_tools")
    assert pending(found) == [(), ("call_9_0",), (), ("call_9_1",), ()]
    assert asked(found) == [(call, listed) for call in ("call_9_0", "call_9_1") for listed in (False, True)]


def test_of_parallel_tools_the_approved_starts_and_the_denied_returns_its_reason() -> None:
    proofs = only(Proof, arrivals("two_parallel_tools"))
    assert [one.tool_call_id for one in proofs if isinstance(one.evidence, ToolStarted)] == ["call_9_0"]
    assert proofs[-1] == Proof("call_9_1", ToolReturned(error=True, text="second no"))


def test_a_posted_approval_that_the_device_refuses_is_told_and_is_no_failure_of_the_turn() -> None:
    found = arrivals("approval_refused")
    assert len(only(AnswersRefused, found)) == 1
    assert only(TurnFailed, found) == []


def test_a_question_is_pending_until_the_refused_approval_is_given_in_another_form() -> None:
    found = arrivals("approval_refused")
    refused = found.index(AnswersRefused())
    assert pending(found[:refused])[-1] == ("call_90_0",)
    assert Proof("call_90_0", ToolStarted()) in found[refused:]


def test_a_device_that_reconnects_asks_the_same_again_without_taking_it_back() -> None:
    found = arrivals("device_reconnects_with_pending")
    assert asked(found) == [("call_47_0", listed) for listed in (False, True, True, False)]
    assert pending(found) == [(), ("call_47_0",), ("call_47_0",), ()]


def test_a_message_sent_while_a_tool_is_asked_for_shares_the_reply_of_that_turn() -> None:
    found = arrivals("device_reconnects_with_pending")
    assert replies(found)[-1] == (("cm-68ac6a75", "cm-down"), "echo: x")


def test_an_aborted_turn_takes_its_question_back_and_ends() -> None:
    found = arrivals("abort_while_pending")
    assert pending(found) == [(), ("call_17_0",), ()]
    assert ends(found)[0] == ("cm-3c3a4854",)
    assert only(TurnFailed, found) == [] and only(Proof, found) == []


def test_the_turn_after_an_abort_answers_its_own_message_alone() -> None:
    assert replies(arrivals("abort_while_pending"))[-1] == (("cm-e387a833",), "echo: after abort hello")


@pytest.mark.parametrize("name", RECORDINGS)
def test_no_reply_is_told_twice(name: str) -> None:
    keys = [one.key for one in only(Reply, arrivals(name))]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("name", RECORDINGS)
def test_frames_of_a_sub_agent_bring_nothing(name: str) -> None:
    assert follow(json.dumps({**frame, "subagent_id": "subagent-1"}) for frame in frames(name)) == []


@pytest.mark.parametrize("name", RECORDINGS)
def test_fields_that_are_null_are_as_good_as_absent(name: str) -> None:
    unknown = {"subagent_id": None, "seq": None, "error": None, "new": None}
    assert follow(json.dumps({**unknown, **frame}) for frame in frames(name)) == arrivals(name)


@pytest.mark.parametrize("name", RECORDINGS)
def test_unknown_frames_and_fields_in_between_change_nothing(name: str) -> None:
    stranger = '{"type":"update_weather","event_seq":0,"sky":{"clouds":[1]}}'
    known = [json.dumps({**frame, "new": {"deep": [None]}}) for frame in frames(name)]
    assert follow(text for line in known for text in (stranger, line)) == arrivals(name)


@pytest.mark.parametrize("name", RECORDINGS)
def test_text_that_is_a_string_is_as_good_as_parts(name: str) -> None:
    assert follow(json.dumps(_flattened(frame)) for frame in frames(name)) == arrivals(name)


def _flattened(frame: dict[str, Any]) -> dict[str, Any]:
    delta = frame.get("delta", {})
    if delta.get("message_type") != "assistant_message":
        return frame
    return {**frame, "delta": {**delta, "content": "".join(part["text"] for part in delta["content"])}}


def test_without_an_end_told_by_the_device_the_idle_loop_ends_the_turn() -> None:
    found = follow(line for line in lines("approve") if '"turn_finished"' not in line)
    assert ends(found) == [("cm-fbd72f01",)]


def test_without_an_idle_loop_the_end_told_by_the_device_ends_the_turn() -> None:
    found = follow(line for line in lines("approve") if '"WAITING_ON_INPUT"' not in line)
    assert ends(found) == [("cm-fbd72f01",)]


def test_words_whose_message_is_told_later_wait_for_it() -> None:
    turns = Turns()
    words: dict[str, Any] = {
        "message_type": "assistant_message",
        "id": "m",
        "run_id": "r",
        "seq_id": 1,
        "content": "hi",
    }
    stop = {"message_type": "stop_reason", "stop_reason": "end_turn", "run_id": "r", "seq_id": 2}
    found = [
        arrival
        for frame in (
            {"type": "stream_delta", "delta": words},
            {"type": "stream_delta", "delta": stop},
            {
                "type": "update_loop_status",
                "loop_status": {"status": "PROCESSING", "client_message_ids_by_run_id": {"r": ["msg_1"]}},
            },
        )
        for arrival in turns.take(parse(json.dumps(frame)))
    ]
    assert replies(found) == [(("msg_1",), "hi")]


def test_words_of_a_turn_that_nobody_in_slack_began_are_told_to_nobody() -> None:
    words = {"message_type": "assistant_message", "id": "m", "run_id": "r", "content": "hi"}
    texts = [
        json.dumps({"type": "stream_delta", "delta": words}),
        json.dumps({"type": "turn_finished", "stop_reason": "end_turn", "run_id": "r"}),
    ]
    assert follow(texts) == [Behind()]


def test_words_parted_by_a_queued_message_are_two_replies() -> None:
    def words(text: str, number: int) -> dict[str, Any]:
        told = {"message_type": "assistant_message", "id": "m", "run_id": "r", "seq_id": number}
        return {**told, "content": text}

    loop = {"status": "PROCESSING", "active_run_ids": ["r"], "client_message_ids_by_run_id": {"r": ["msg_1"]}}
    queued = {"message_type": "user_message", "content": "and now?", "otid": "msg_2"}
    found = follow(
        json.dumps(frame)
        for frame in (
            {"type": "update_loop_status", "loop_status": loop},
            {"type": "stream_delta", "delta": words("first half", 1)},
            {"type": "stream_delta", "delta": queued},
            {"type": "stream_delta", "delta": words("second half", 2)},
            {"type": "turn_finished", "stop_reason": "end_turn", "run_id": "r"},
        )
    )
    assert [text for _, text in replies(found)] == ["first half", "second half"]
    assert len({one.key for one in only(Reply, found)}) == 2


def test_a_failure_that_names_its_messages_needs_no_run() -> None:
    failure = {
        "message_type": "loop_error",
        "message": "the model is away",
        "is_terminal": True,
        "client_message_ids": ["msg_1"],
    }
    found = follow(
        json.dumps(frame)
        for frame in (
            {"type": "stream_delta", "delta": failure},
            {"type": "turn_finished", "stop_reason": "error"},
        )
    )
    assert [(one.message_ids, one.error) for one in only(TurnFailed, found)] == [
        (("msg_1",), "the model is away")
    ]


def piece(text: str, number: int, message_id: str = "m") -> dict[str, Any]:
    """A frame with a piece of the agent's words in run r."""
    told = {"message_type": "assistant_message", "id": message_id, "run_id": "r", "seq_id": number}
    return {"type": "stream_delta", "delta": {**told, "content": text}}


RUNS = {
    "type": "update_loop_status",
    "loop_status": {
        "status": "PROCESSING",
        "active_run_ids": ["r"],
        "client_message_ids_by_run_id": {"r": ["msg_1"]},
    },
}
IDLE = {"type": "update_loop_status", "loop_status": {"status": "WAITING_ON_INPUT"}}
ENDED = {"type": "turn_finished", "stop_reason": "end_turn", "run_id": "r"}


def told_by(*told: dict[str, Any]) -> list[Arrival]:
    """What frames amount to for somebody who begins to listen with them."""
    return follow(json.dumps(frame) for frame in told)


def test_words_whose_beginning_was_missed_are_read_from_the_conversation_at_the_end() -> None:
    found = told_by(RUNS, piece("the tail", 7), piece(" of it", 8), ENDED)
    assert found == [Behind(ended=("msg_1",))]


def test_words_with_a_hole_are_read_from_the_conversation_at_the_end() -> None:
    found = told_by(IDLE, RUNS, piece("one ", 1), piece("three", 3), ENDED)
    assert found == [Behind(), Behind(ended=("msg_1",))]


def test_words_that_begin_after_a_hole_are_told_at_once() -> None:
    found = told_by(RUNS, piece("the tail", 7), piece("and then", 8, "n"), ENDED)
    assert replies(found) == [(("msg_1",), "and then")]
    assert ends(found) == [("msg_1",)]


def test_whoever_finds_nothing_running_reads_once_what_was_said_before() -> None:
    assert told_by(IDLE, IDLE) == [Behind()]


def test_a_turn_followed_from_its_start_needs_no_reading() -> None:
    found = told_by(IDLE, RUNS, piece("all", 1), ENDED)
    assert found == [Behind(), Reply(("msg_1",), "reply/m", "all"), TurnEnded(("msg_1",))]
