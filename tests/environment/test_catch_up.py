"""What a conversation says was said, told newest first."""

import json
from typing import Any

from relay.environment.catch_up import exchanges
from relay.environment.frames import Delta, MessagesListed, parse
from relay.environment.turns import Exchange


def said(kind: str, words: str, which: str, otid: str = "") -> Delta:
    """One message of a conversation."""
    return Delta(message_type=f"{kind}_message", id=which, content=words, otid=otid)


def test_the_answer_follows_its_message() -> None:
    listed = [said("assistant", "yes", "a1"), said("user", "well?", "u1", "msg_1")]
    assert exchanges(listed, {"msg_1"}) == (Exchange(("msg_1",), (("a1", "yes"),)),)


def test_messages_taken_into_one_turn_share_its_answer() -> None:
    first, second = said("user", "1", "u1", "msg_1"), said("user", "2", "u2", "msg_2")
    found = exchanges([said("assistant", "both", "a1"), second, first], {"msg_1", "msg_2"})
    assert found == (Exchange(("msg_1", "msg_2"), (("a1", "both"),)),)


def test_messages_of_two_turns_do_not_share_an_answer_though_the_first_turn_said_nothing() -> None:
    stopped = [said("tool_return", "", "t1"), said("reasoning", "", "r1"), said("user", "1", "u1", "msg_1")]
    listed = [said("assistant", "to the second", "a1"), said("user", "2", "u2", "msg_2"), *stopped]
    alone = (Exchange(("msg_1",), ()), Exchange(("msg_2",), (("a1", "to the second"),)))
    assert exchanges(listed, {"msg_1", "msg_2"}) == alone


def test_messages_of_one_turn_share_its_answer_though_a_tool_ran_between_them() -> None:
    first = [said("tool_return", "", "t1"), said("user", "1", "u1", "msg_1")]
    listed = [said("assistant", "both", "a1"), said("user", "2", "u2", "msg_2"), *first]
    together = ("msg_1", "msg_2")
    assert exchanges(listed, together, together) == (Exchange(together, (("a1", "both"),)),)


def test_what_answers_another_right_behind_ours_is_nobodys_here() -> None:
    listed = [
        said("assistant", "to another", "a1"),
        said("user", "2", "u2", "another"),
        said("user", "1", "u1", "msg_1"),
    ]
    assert exchanges(listed, {"msg_1"}) == (Exchange(("msg_1",), ()),)


def test_what_answers_another_is_nobodys_here() -> None:
    listed = [
        said("assistant", "to another", "a2"),
        said("user", "from elsewhere", "u2", "otid-of-another"),
        said("assistant", "to us", "a1"),
        said("user", "ours", "u1", "msg_1"),
        said("assistant", "long ago", "a0"),
    ]
    assert exchanges(listed, {"msg_1"}) == (Exchange(("msg_1",), (("a1", "to us"),)),)


def test_a_message_without_an_answer_is_told_as_such() -> None:
    assert exchanges([said("user", "well?", "u1", "msg_1")], {"msg_1"}) == (Exchange(("msg_1",), ()),)


def test_an_entry_that_cannot_be_read_hides_no_other() -> None:
    good = {"id": "a1", "message_type": "assistant_message", "content": "x"}
    entries: list[Any] = ["noise", 7, {"id": 7}, good]
    frame = parse(
        json.dumps({"type": "conversation_messages_list_response", "success": True, "messages": entries})
    )
    assert isinstance(frame, MessagesListed)
    assert [one.id for one in frame.read] == ["a1"]
