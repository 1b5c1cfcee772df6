"""The HTTP routes alone: what is refused at Slack's route, and how much is said of it."""

import hmac
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from slack_bolt import BoltResponse
from slack_bolt.async_app import AsyncApp, AsyncBoltRequest
from slack_sdk.signature import SignatureVerifier

from relay.web import RefusedSignatures, SlackRoute, web_app

SECRET = "0123456789abcdef"
BODY = b"text=a+message+of+somebody"
Door = Callable[[dict[str, str]], Any]


class Heard:
    """What the log was told."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def warn(self, event: str, **facts: Any) -> None:
        self.lines.append({"event": event, **facts})


@pytest.fixture
def heard() -> Heard:
    """A log that is still empty."""
    return Heard()


@pytest.fixture
async def door(heard: Heard) -> AsyncIterator[Door]:
    """Posts to Slack's route under the headers it is given and returns the status."""

    async def readiness() -> dict[str, Any]:
        return {}

    slack = SlackRoute(AsyncApp(token="xoxb-1", signing_secret=SECRET), SECRET)
    async with TestClient(TestServer(web_app(readiness, slack, heard.warn))) as client:

        async def post(headers: dict[str, str]) -> int:
            return (await client.post("/slack/events", data=BODY, headers=headers)).status

        yield post


def _signed(timestamp: int, secret: str = SECRET) -> dict[str, str]:
    signature = SignatureVerifier(secret).generate_signature(timestamp=str(timestamp), body=BODY)
    assert signature is not None
    return {"X-Slack-Request-Timestamp": str(timestamp), "X-Slack-Signature": signature}


def _now() -> int:
    return int(time.time())


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, "absent"),
        ({"X-Slack-Signature": "v0=0"}, "absent"),
        ({"X-Slack-Request-Timestamp": "1"}, "absent"),
        (_signed(1), "stale"),
        ({**_signed(1), "X-Slack-Request-Timestamp": "yesterday"}, "bad"),
        ({**_signed(1), "X-Slack-Request-Timestamp": "9" * 400}, "bad"),
    ],
)
async def test_a_refused_signature_is_logged_with_its_reason_and_without_the_body(
    door: Door, heard: Heard, headers: dict[str, str], reason: str
) -> None:
    assert await door(headers) == 401
    assert heard.lines == [{"event": "slack.refused_signature", "reason": reason, "refused": {reason: 1}}]


async def test_a_signature_of_the_future_is_logged_as_stale(door: Door, heard: Heard) -> None:
    assert await door(_signed(_now() + 3_600)) == 401
    assert [line["reason"] for line in heard.lines] == ["stale"]


async def test_a_signature_of_another_secret_is_logged_as_bad(door: Door, heard: Heard) -> None:
    assert await door(_signed(_now(), "another secret")) == 401
    assert [line["reason"] for line in heard.lines] == ["bad"]


async def test_a_signature_is_compared_in_a_time_that_tells_nothing(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[Any, Any]] = []
    compare = hmac.compare_digest

    def watched(one: Any, other: Any) -> bool:
        compared.append((one, other))
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", watched)
    now = _now()
    right, wrong = _signed(now), _signed(now, "another secret")
    assert await door(wrong) == 401
    assert [set(pair) for pair in compared] == [{one["X-Slack-Signature"].encode() for one in (right, wrong)}]


async def test_a_good_signature_is_not_logged(door: Door, heard: Heard) -> None:
    assert await door(_signed(_now())) == 200
    assert heard.lines == []


def test_refusals_at_once_are_one_line_and_the_next_line_counts_them(heard: Heard) -> None:
    now = 100.0
    refused = RefusedSignatures(heard.warn, lambda: now)
    for reason in ("bad", "bad", "stale"):
        refused.add(reason)
    assert [line["refused"] for line in heard.lines] == [{"bad": 1}]
    now += 5
    refused.add("absent")
    refused.add("absent")
    assert [line["refused"] for line in heard.lines] == [{"bad": 1}, {"bad": 1, "stale": 1, "absent": 1}]
    now += 4.9
    refused.add("absent")
    assert len(heard.lines) == 2


async def test_half_a_character_in_an_answer_is_written_as_json_writes_it(heard: Heard) -> None:
    class Takes:
        async def async_dispatch(self, _: AsyncBoltRequest, /) -> BoltResponse:
            return BoltResponse(status=200, body='{"text": "half \ud83d of it, and all of \U0001f600"}')

    async def readiness() -> dict[str, Any]:
        return {}

    app = web_app(readiness, SlackRoute(Takes(), SECRET), heard.warn)
    async with TestClient(TestServer(app)) as client:
        answer = await client.post("/slack/events", data=BODY, headers=_signed(_now()))
        said = await answer.json()
    assert said == {"text": "half \ud83d of it, and all of \U0001f600"}
