"""What the frames of a turn let people see, of the recorded turns and of some made up."""

import json

import pytest

from relay.domain.presence import Glimpse
from relay.domain.runtime import Runtime
from relay.environment.frames import parse
from relay.environment.live import View, Views
from relay.environment.sequencer import Sequencer
from relay.environment.turns import Reply, Turns
from tests.environment.recorded import RECORDINGS, lines

HERE = Runtime("default", "agent-1", "default")


def delta(**fields: object) -> str:
    return json.dumps({"type": "stream_delta", "delta": fields})


def loop(status: str) -> str:
    state = {"status": status, "active_run_ids": ["r"], "client_message_ids_by_run_id": {"r": ["msg_1"]}}
    return json.dumps({"type": "update_loop_status", "loop_status": state})


def word(text: str, *, which: str = "m1", seq_id: int = 0) -> str:
    return delta(message_type="assistant_message", id=which, run_id="r", content=text, seq_id=seq_id)


def seen(*texts: str) -> list[Glimpse]:
    """Return what can be seen after each frame that changes it."""
    view = View()
    return [found for text in texts if (found := view.take(parse(text))) is not None]


def test_words_are_seen_as_they_come_under_the_key_of_their_reply() -> None:
    last = seen(loop("PROCESSING_API_RESPONSE"), word("Once "), word("upon"))[-1]
    assert (last.key, last.words, last.message_ids) == ("reply/m1", "Once upon", ("msg_1",))


def test_words_that_ended_are_seen_no_more() -> None:
    last = seen(loop("X"), word("Once"), delta(message_type="stop_reason", stop_reason="end_turn"))[-1]
    assert (last.running, last.key, last.words) == (True, "", "")


def test_the_second_half_of_words_that_were_parted_is_left_to_its_reply() -> None:
    parted = delta(message_type="user_message", content="me too")
    assert seen(loop("X"), word("Once"), parted, word(" upon"))[-1].key == ""


def test_words_with_a_piece_missing_stay_as_they_are() -> None:
    found = seen(loop("X"), word("Once ", seq_id=1), word("time", seq_id=3), word("!", seq_id=4))
    assert found[-1].words == "Once "


def test_a_tool_is_seen_while_it_runs() -> None:
    start = delta(message_type="client_tool_start", tool_call_id="c", tool_name="Bash")
    end = delta(message_type="client_tool_end", tool_call_id="c")
    assert [one.tool for one in seen(loop("X"), start, end)] == ["", "Bash", ""]


def test_a_question_is_seen_until_it_is_answered() -> None:
    asked = [one.asking for one in seen(loop("X"), loop("WAITING_ON_APPROVAL"), loop("EXECUTING"))]
    assert asked == [False, True, False]


def test_frames_of_a_sub_agent_show_nothing() -> None:
    frame = json.loads(word("inner thought"))
    assert seen(json.dumps({**frame, "subagent_id": "sub"})) == []


def test_a_conversation_at_rest_is_forgotten() -> None:
    shown: list[Glimpse] = []
    views = Views(lambda _, glimpse: shown.append(glimpse))
    for text in (loop("X"), word("Once"), loop("WAITING_ON_INPUT"), word("upon", which="m2")):
        views.take(HERE, parse(text))
    assert [one.running for one in shown] == [True, True, False, True]
    assert shown[-1].message_ids == ()


@pytest.mark.parametrize("name", RECORDINGS)
def test_what_was_seen_of_recorded_words_is_how_their_reply_begins(name: str) -> None:
    view, sequencer, turns = View(), Sequencer(), Turns()
    words: dict[str, str] = {}
    replies: dict[str, str] = {}
    ready = [frame for text in lines(name) for frame in sequencer.take(parse(text))] + sequencer.release()
    for frame in ready:
        glimpse = view.take(frame)
        if glimpse is not None and glimpse.key:
            words[glimpse.key] = glimpse.words
        replies |= {one.key: one.text for one in turns.take(frame) if isinstance(one, Reply)}
    assert {key: words.get(key) for key in replies} == replies
