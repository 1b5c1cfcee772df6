"""What each HTTP answer of the environment means, in one table."""

from datetime import UTC, datetime
from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.domain.deliveries import Delivered, Refused, Retry
from relay.environment.verdicts import meaning

NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)
TAKEN = b'{"message":"Message sent","success":true}'

DELIVERED, GONE, FINAL, LATER, UNCERTAIN = "delivered", "gone", "final", "later", "uncertain"
TABLE = {
    200: DELIVERED,
    201: DELIVERED,
    202: DELIVERED,
    400: FINAL,
    401: FINAL,
    402: FINAL,
    403: FINAL,
    404: GONE,
    405: FINAL,
    408: UNCERTAIN,
    409: GONE,
    410: GONE,
    413: FINAL,
    415: FINAL,
    418: FINAL,
    422: FINAL,
    425: LATER,
    429: LATER,
    431: FINAL,
    451: FINAL,
    499: FINAL,
    500: UNCERTAIN,
    501: UNCERTAIN,
    502: UNCERTAIN,
    503: UNCERTAIN,
    504: UNCERTAIN,
    520: UNCERTAIN,
    529: UNCERTAIN,
    301: LATER,
    304: LATER,
    308: LATER,
    100: LATER,
}


def kind_of(status: int, body: bytes) -> str:
    """The table's word for an answer."""
    outcome = meaning(status, body, None, NOW)
    if isinstance(outcome, Delivered):
        return DELIVERED
    if isinstance(outcome, Refused):
        return FINAL
    if outcome.away:
        return GONE
    return UNCERTAIN if outcome.uncertain else LATER


@pytest.mark.parametrize(("status", "kind"), TABLE.items())
def test_a_status_means_what_the_table_says(status: int, kind: str) -> None:
    assert kind_of(status, TAKEN) == kind


@pytest.mark.parametrize("status", sorted({one.value for one in HTTPStatus} | {599, 999}))
def test_only_a_success_that_says_so_counts_as_delivered(status: int) -> None:
    assert (kind_of(status, TAKEN) == DELIVERED) == (200 <= status < 300)
    assert kind_of(status, b'{"message":"","success":false}') != DELIVERED


@pytest.mark.parametrize("body", [b"", b"<html>ok</html>", b"[]", b'"sent"', b"{}", b'{"message":"sent"}'])
def test_a_success_without_a_readable_answer_is_tried_again_as_one_that_may_have_arrived(body: bytes) -> None:
    outcome = meaning(200, body, None, NOW)
    assert isinstance(outcome, Retry)
    assert outcome.uncertain and not outcome.away


def test_a_success_that_says_no_is_tried_again_and_says_why() -> None:
    outcome = meaning(200, b'{"message":"device offline","success":false}', None, NOW)
    assert isinstance(outcome, Retry)
    assert "device offline" in outcome.words


@pytest.mark.parametrize(
    ("stated", "seconds"),
    [
        (None, None),
        ("", None),
        ("0", 0),
        ("7", 7),
        (" 7 ", 7),
        ("1.5", 1.5),
        ("-3", 0),
        ("86400", 86400),
        ("Mon, 05 Jan 2026 09:00:42 GMT", 42),
        ("Mon, 05 Jan 2026 10:00:42 +0100", 42),
        ("Mon, 05 Jan 2026 09:00:42 -0000", 42),
        ("Mon, 05 Jan 2026 08:00:00 GMT", 0),
        ("soon", None),
        ("7 seconds", None),
        ("Mon, 99 Xxx 2026 09:00:42 GMT", None),
        ("2026-01-05T09:00:42Z", None),
        ("Mon, 05 Jan 99999999999999999999 09:00:42 GMT", None),
        ("nan", None),
        ("inf", None),
        ("-inf", None),
        ("1e999", None),
        ("\N{ARABIC-INDIC DIGIT SEVEN} \u0000", None),
    ],
)
@pytest.mark.parametrize("status", [200, 404, 429, 503])
def test_retry_after_is_read_as_seconds_or_as_a_date(status: int, stated: str | None, seconds: float) -> None:
    outcome = meaning(status, b"", stated, NOW)
    assert isinstance(outcome, Retry)
    assert outcome.after == seconds


@given(status=st.integers(100, 999), body=st.binary(max_size=200), stated=st.none() | st.text(max_size=60))
def test_any_answer_has_a_meaning(status: int, body: bytes, stated: str | None) -> None:
    outcome = meaning(status, body, stated, NOW)
    if isinstance(outcome, Retry) and outcome.after is not None:
        assert 0 <= outcome.after < float("inf")


@pytest.mark.parametrize("name", ["message", "error", "errorCode", "detail"])
@pytest.mark.parametrize("status", [400, 422, 500, 503, 429])
def test_the_reason_of_an_error_is_told_whichever_field_has_it(status: int, name: str) -> None:
    outcome = meaning(status, f'{{"{name}":"no such agent"}}'.encode(), None, NOW)
    assert not isinstance(outcome, Delivered)
    assert "no such agent" in outcome.words


@pytest.mark.parametrize("status", [400, 503])
def test_half_a_character_in_a_reason_is_written_out_so_that_it_can_be_stored(status: int) -> None:
    outcome = meaning(status, b'{"detail":"cut \\ud83d"}', None, NOW)
    assert not isinstance(outcome, Delivered)
    assert "cut \\ud83d" in outcome.words
    assert outcome.words.encode()


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_says_which_setting_to_look_at(status: int) -> None:
    outcome = meaning(status, b'{"detail":"Invalid API key sk-letta-123"}', None, NOW)
    assert isinstance(outcome, Refused)
    assert "LETTA_API_KEY" in outcome.words
    assert "sk-letta-123" not in outcome.words


@pytest.mark.parametrize("status", [400, 500])
def test_a_long_reason_is_cut(status: int) -> None:
    outcome = meaning(status, b'{"detail":"' + b"x" * 100_000 + b'"}', None, NOW)
    assert not isinstance(outcome, Delivered)
    assert len(outcome.words) < 400


@pytest.mark.parametrize(
    "body", [b"<html>\n<h1>Bad Gateway</h1>", b"\xff\xfe", b"[" * 50_000, b"null", b"[1]"]
)
def test_an_error_that_gives_no_reason_is_told_as_such(body: bytes) -> None:
    outcome = meaning(502, body, None, NOW)
    assert isinstance(outcome, Retry)
    assert "502" in outcome.words and "no reason given" in outcome.words
