"""Escaping, verdicts on Slack's errors, and sentences for every case there is."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from slack_sdk.errors import SlackApiError

from relay.domain.approvals import State
from relay.domain.canonical import short_code
from relay.domain.deliveries import Outcome, Refused, Retry
from relay.domain.policy import Reason
from relay.slack import reminders, sentences, verdicts
from relay.slack.mrkdwn import code, day_and_time, escape, escaped, length, moment, unescape
from relay.slack.sentences import Away
from relay.slack.stops import _told
from relay.slack.wire import ButtonValue, RetryValue
from relay.slack.words import Word, read_word
from relay.use_cases.forward_user_message import Waiting
from relay.use_cases.whisper import Listener, Sentence
from tests.slack.asked import APPROVED, NOON, approval, message


@given(st.text())
def test_what_is_escaped_holds_no_bracket_and_comes_back_whole(text: str) -> None:
    assert not set(escape(text)) & set("<>")
    assert unescape(escape(text)) == text


@given(st.text(alphabet="&<>a;", max_size=60), st.integers(8, 40))
def test_a_cut_text_keeps_its_limit_and_cuts_no_entity(text: str, limit: int) -> None:
    cut = escaped(text, limit)
    assert len(cut) <= limit
    rest = cut.removesuffix("…").replace("&amp;", "").replace("&lt;", "").replace("&gt;", "")
    assert "&" not in rest


def test_a_moment_is_shown_in_each_readers_own_time() -> None:
    assert moment(NOON) == "<!date^1793707200^{time}|12:00 UTC>"


def test_a_day_is_shown_with_its_time_and_without_an_at_before() -> None:
    assert day_and_time(NOON) == ("<!date^1793707200^{date_short_pretty} at {time}|2026-11-03 at 12:00 UTC>")
    called = reminders.words(approval(expires_at=NOON), (), {"why": "remind", "by": "", "user_id": "U0ADA"})
    assert " It expires <!date^" in called.text


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "1 s"), (59, "59 s"), (150, "2 min"), (3600, "1 h"), (3_900, "1 h 5 min")]
)
def test_how_long_something_took_is_said_shortly(seconds: int, said: str) -> None:
    assert length(timedelta(seconds=seconds)) == said


def test_what_was_stopped_is_said_with_whose_words_it_was_as_far_as_that_is_known() -> None:
    asked = [("U0ADA", "deploy\nthe <site> " + "x" * 80), ("U0GRACE", "and this")]
    said = sentences.stopped(asked, timedelta(minutes=2))
    assert said.startswith("Stopped what <@U0ADA> asked: “deploy the &lt;site&gt; xxx")
    assert said.endswith("x…” and 1 more message (2 min).")
    assert sentences.stopped([("U0ADA", "")], None) == "Stopped what <@U0ADA> asked."
    assert sentences.stopped([], timedelta(minutes=2)) == "Stopped."


def test_of_what_stands_elsewhere_or_was_said_in_private_a_stop_tells_nothing() -> None:
    listener = Listener("T0HOME", "C0OPS", "U0GRACE", None)
    told = [message("delivered", channel_id="D0ADA"), message("delivered", place="private")]
    assert _told(told, listener, NOON) == "Stopped."
    assert "please build" in _told([*told, message("delivered")], listener, NOON)
    own = replace(listener, user_id="U0ADA")
    assert "please build" in _told(told, own, NOON)


@given(st.text(), st.text())
def test_every_code_there_can_be_is_known_behind_a_slip(approval_id: str, digest: str) -> None:
    which = short_code(
        approval_id.encode(errors="replace").decode(), digest.encode(errors="replace").decode()
    )
    assert read_word(f"aprove {which} why") == Word(True, which, "", mistyped=True)
    assert read_word(f"approve {which} why") == Word(True, which, "why")


@pytest.mark.parametrize(
    "text",
    ["apprve it", "dent the K7QFX", "deploy K7QFX", "improve K7QFX", "den", "aprove K7QF", "proved K7QFX"],
)
def test_what_is_no_slip_of_an_answer_with_a_code_is_none(text: str) -> None:
    assert read_word(text) is None


@given(st.text(), st.integers(8, 40))
def test_nothing_leaves_the_box_of_code(text: str, limit: int) -> None:
    shown = code(text, limit)
    assert (shown[0], shown[-1]) == ("`", "`")
    assert len(shown) > 2
    assert not set(shown[1:-1]) & set("`<>\n\u202e")


def refused(error: str, status: int = 200, headers: dict[str, str] | None = None) -> SlackApiError:
    class Answer(dict[str, Any]):
        status_code = status

    answer = Answer(ok=False, error=error)
    answer.headers = headers or {}  # type: ignore[attr-defined]  # as the SDK's answer has them
    return SlackApiError("said no", answer)  # type: ignore[no-untyped-call]  # the SDK's


MEANINGS: list[tuple[Exception, Outcome]] = [
    (refused("ratelimited", 429, {"Retry-After": "7"}), Retry("Slack answered ratelimited", after=7.0)),
    (refused("ratelimited", 429, {"Retry-After": "soon"}), Retry("Slack answered ratelimited")),
    (refused("internal_error", 500), Retry("Slack answered internal_error", uncertain=True)),
    (refused("", 503), Retry("Slack answered 503", uncertain=True)),
    (refused("invalid_auth"), Retry("Slack refuses the app: invalid_auth", after=30.0)),
    (refused("token_revoked"), Retry("Slack refuses the app: token_revoked", after=30.0)),
    (refused("missing_scope"), Retry("Slack refuses the app: missing_scope", after=30.0)),
    (refused("channel_not_found"), Refused("channel_not_found")),
    (refused("not_in_channel"), Refused("not_in_channel")),
    (refused("message_not_found"), Refused("message_not_found")),
    (refused("invalid_blocks"), Refused("invalid_blocks")),
    (refused("an_error_of_next_year"), Refused("an_error_of_next_year")),
    (TimeoutError(), Retry("Slack's answer never came (TimeoutError)", uncertain=True)),
    (
        aiohttp.ServerDisconnectedError(),
        Retry("Slack's answer never came (ServerDisconnectedError)", uncertain=True),
    ),
]


@pytest.mark.parametrize(("problem", "outcome"), MEANINGS)
def test_each_error_of_slack_means_retry_or_never(problem: Exception, outcome: Outcome) -> None:
    assert verdicts.meaning(problem) == outcome


def test_what_is_no_error_of_slack_is_a_defect() -> None:
    with pytest.raises(KeyError):
        verdicts.meaning(KeyError("ts"))


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason is not Reason.ALLOWED])
@pytest.mark.parametrize("sentence", [Sentence.MAY_NOT_DECIDE, Sentence.MAY_NOT_RETRY])
def test_every_refusal_says_its_reason(sentence: Sentence, reason: Reason) -> None:
    said = sentences.whispered(sentence, {"reason": reason.value}, None)
    assert said.startswith("Nothing was")
    assert "None" not in said


def test_no_two_refusals_say_the_same() -> None:
    reasons = [reason for reason in Reason if reason is not Reason.ALLOWED]
    assert len({sentences.refused_message(reason) for reason in reasons}) == len(reasons)


@pytest.mark.parametrize("sentence", Sentence)
def test_every_sentence_has_words(sentence: Sentence) -> None:
    said = sentences.whispered(sentence, {"reason": "guest", "channel_id": "C0OPS"}, None)
    assert said.endswith((".", "!"))


@pytest.mark.parametrize("state", State)
def test_every_click_that_came_too_late_is_told_how_things_are(state: State) -> None:
    said = sentences.not_pending(approval(state, APPROVED, note="<refused>"))
    assert said.endswith(".")
    assert "<refused>" not in said


@pytest.mark.parametrize("state", [State.DECIDED, State.DELIVERED, State.FAILED, State.UNCONFIRMED])
def test_who_comes_too_late_is_told_who_was_first(state: State) -> None:
    assert "approved by <@U0GRACE>" in sentences.not_pending(approval(state, APPROVED))


SINCE = f"It has been offline since {moment(NOON)}"
WAITS = "The agent waits for a decision on"
QUEUED: list[tuple[Away | None, Waiting | None, list[str]]] = [
    (None, None, []),
    (Away(NOON, "<gone>"), None, [f"{SINCE} (&lt;gone&gt;); your message is sent when it is back."]),
    (Away(NOON, "the key is refused", refused=True), None, [f"{SINCE} (the key is refused)."]),
    (None, Waiting("Bash", None, 0), [f"{WAITS} `Bash` first."]),
    (
        None,
        Waiting("a`<b>", "C0APPROVALS", 2),
        [f"{WAITS} `a'&lt;b&gt;` first, then on 2 more.", "Its card is in <#C0APPROVALS>."],
    ),
    (
        Away(NOON, ""),
        Waiting("Bash", "D0GRACE", 0),
        [
            f"{SINCE}; your message is sent when it is back.",
            f"{WAITS} `Bash` first.",
            "Its card is in a direct message to those who may decide.",
        ],
    ),
]


@pytest.mark.parametrize(("away", "waiting", "said"), QUEUED)
def test_what_is_queued_is_told_with_all_that_keeps_it_waiting(
    away: Away | None, waiting: Waiting | None, said: list[str]
) -> None:
    assert sentences.queued("a <shop>", away, waiting) == " ".join(["Queued for a &lt;shop&gt;.", *said])


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason is not Reason.ALLOWED])
def test_details_are_refused_with_the_reason(reason: Reason) -> None:
    assert sentences.refused_details(reason).startswith("Not shown: ")


def test_an_error_of_the_agent_pings_nobody() -> None:
    assert "<!channel>" not in sentences.turn_failed("no such tool: <!channel>")


@given(st.one_of(st.none(), st.text(), st.binary().map(repr)))
def test_a_button_value_of_anything_else_is_none_of_ours(value: str | None) -> None:
    assert ButtonValue.read(value) is None
    assert RetryValue.read(value) is None
