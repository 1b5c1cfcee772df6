"""Requests that Slack never sends, or never sends twice."""

import json
import time
from typing import Any

import httpx
import pytest

from tests.scenarios.acts import FORM, JSON, as_form, post_raw, rows
from tests.world import ADA, OPS, World

NO_REQUEST = {
    "empty": (b"", FORM),
    "no form": (b"%%%&&&===", FORM),
    "no payload in it": (b"payload=", FORM),
    "a payload cut in half": (b"payload=%7B%22type%22", FORM),
    "a payload that is a list": (b"payload=%5B%5D", FORM),
    "a payload that is a number": (b"payload=7", FORM),
    "no JSON": (b"{]", JSON),
    "a JSON list": (b"[1, 2]", JSON),
    "a JSON text": (b'"hello"', JSON),
    "a JSON null": (b"null", JSON),
    "binary": (bytes(range(256)), FORM),
    "binary as JSON": (b"\xff\xfe\x00", JSON),
    "deep JSON": (b"[" * 100_000, JSON),
    "a megabyte": (b"a" * 1_000_000, FORM),
}


@pytest.mark.parametrize("which", NO_REQUEST)
async def test_a_signed_body_that_is_no_request_is_refused_and_the_relay_serves_on(
    here: World, which: str
) -> None:
    body, content_type = NO_REQUEST[which]
    ack = await post_raw(here, body, content_type=content_type)
    assert ack.status is not None
    assert ack.status < 500
    assert rows(here, "messages") == 0
    assert (await here.slack.slash(ADA, OPS, "still there?")).ok


@pytest.mark.parametrize("signature", ["v0=" + "0" * 64, "v0=", "garbage", "v0=é".encode().decode("latin-1")])
async def test_a_wrong_signature_is_answered_401_and_stores_nothing(here: World, signature: str) -> None:
    body = as_form(here.slack.slash_payload(ADA, OPS, "let me in"))
    ack = await post_raw(here, body, signature=signature)
    assert ack.status == 401
    assert rows(here, "messages") == rows(here, "deliveries") == rows(here, "seen") == 0


async def test_a_request_without_any_signature_is_answered_401(here: World) -> None:
    payload = here.slack.slash_payload(ADA, OPS, "let me in")
    assert (await here.slack.deliver("command", payload, headers={})).status == 401
    assert rows(here, "messages") == 0


async def test_a_signature_of_another_body_is_answered_401(here: World) -> None:
    payload = here.slack.slash_payload(ADA, OPS, "let me in")
    headers = here.slack.sign(b"another body")
    assert (await here.slack.deliver("command", payload, headers=headers)).status == 401
    assert rows(here, "messages") == 0


@pytest.mark.parametrize("seconds", [-301, -86_400, 360])
async def test_a_timestamp_more_than_five_minutes_away_is_answered_401(here: World, seconds: int) -> None:
    body = as_form(here.slack.slash_payload(ADA, OPS, "from another time"))
    ack = await post_raw(here, body, timestamp=int(time.time()) + seconds)
    assert ack.status == 401
    assert rows(here, "messages") == 0


async def test_a_timestamp_of_four_minutes_ago_is_taken(here: World) -> None:
    body = as_form(here.slack.slash_payload(ADA, OPS, "a slow network"))
    assert (await post_raw(here, body, timestamp=int(time.time()) - 240)).status == 200
    assert rows(here, "messages") == 1


async def test_a_replayed_request_is_one_message_and_is_answered_the_same(both_ways: World) -> None:
    payload = both_ways.slack.slash_payload(ADA, OPS, "only once")
    first = await both_ways.slack.deliver("command", payload)
    second = await both_ways.slack.deliver("command", payload)
    assert first.body == second.body
    await both_ways.thread_says("echo: only once")
    assert rows(both_ways, "messages") == 1
    assert len(both_ways.environment.received) == 1


async def test_the_same_words_typed_twice_are_two_messages(here: World) -> None:
    await here.slack.slash(ADA, OPS, "again")
    await here.slack.slash(ADA, OPS, "again")
    await here.environment.wait_for(lambda environment: len(environment.received) == 2)


async def test_the_challenge_of_a_new_request_url_is_answered(here: World) -> None:
    body = json.dumps({"type": "url_verification", "token": "t", "challenge": "say this"}).encode()
    ack = await post_raw(here, body, content_type=JSON)
    assert ack.status == 200
    assert "say this" in json.dumps(ack.body)


def unknown_kinds(world: World) -> dict[str, tuple[str, dict[str, Any]]]:
    user, team = {"id": ADA, "team_id": "T0HOME"}, {"id": "T0HOME", "domain": "home"}
    known: dict[str, Any] = {"user": user, "team": team, "trigger_id": "1.2.3", "api_app_id": "A0RELAY"}
    view = {"id": "V1", "type": "modal", "callback_id": "unheard_of", "state": {"values": {}}}
    return {
        "view_submission": ("view_submission", known | {"type": "view_submission", "view": view}),
        "view_closed": ("view_closed", known | {"type": "view_closed", "view": view, "is_cleared": False}),
        "global shortcut": ("shortcut", known | {"type": "shortcut", "callback_id": "unheard_of"}),
        "message shortcut": ("shortcut", known | {"type": "message_action", "callback_id": "unheard_of"}),
        "options": ("action", known | {"type": "block_suggestion", "action_id": "x", "value": "y"}),
        "a kind of next year": ("action", known | {"type": "block_dreams"}),
        "a kind without a name": ("action", known),
        "an event": ("event", world.slack.event_payload({"type": "app_home_opened", "user": ADA})),
        "a message event": ("event", world.slack.event_payload({"type": "message", "channel": OPS})),
        "an event of next year": ("event", world.slack.event_payload({"type": "dream_shared"})),
    }


@pytest.mark.parametrize("kind", [
    "view_submission", "view_closed", "global shortcut", "message shortcut", "options",
    "a kind of next year", "a kind without a name", "an event", "a message event", "an event of next year",
])  # fmt: skip
async def test_what_relay_has_no_use_for_is_acknowledged(both_ways: World, kind: str) -> None:
    how, payload = unknown_kinds(both_ways)[kind]
    assert (await both_ways.slack.deliver(how, payload)).ok
    assert rows(both_ways, "deliveries") == 0


async def test_an_unknown_slash_command_is_acknowledged_and_says_so(both_ways: World) -> None:
    ack = await both_ways.slack.slash(ADA, OPS, "hello", command="/other")
    assert ack.ok
    assert "/other" in await both_ways.told(ADA, "command")
    assert rows(both_ways, "messages") == 0


@pytest.mark.parametrize(
    "missing", ["user_id", "channel_id", "team_id", "text", "response_url", "trigger_id"]
)
async def test_a_command_that_lacks_a_field_is_acknowledged(both_ways: World, missing: str) -> None:
    payload = both_ways.slack.slash_payload(ADA, OPS, "hello")
    del payload[missing]
    assert (await both_ways.slack.deliver("command", payload)).ok


@pytest.mark.parametrize("timestamp", ["", "yesterday", "-1", "1e9", "\xb2", "9" * 400])
async def test_a_timestamp_that_is_no_number_is_answered_401(here: World, timestamp: str) -> None:
    payload = here.slack.slash_payload(ADA, OPS, "let me in")
    headers = {**here.slack.sign(as_form(payload)), "X-Slack-Request-Timestamp": timestamp}
    assert (await here.slack.deliver("command", payload, headers=headers)).status == 401
    assert rows(here, "messages") == 0


async def test_a_body_beyond_four_megabytes_is_not_read(here: World) -> None:
    async with httpx.AsyncClient() as stranger:
        answer = await stranger.post(str(here.slack.request_url), content=b"a" * 5_000_000)
    assert answer.status_code == 413


async def test_an_unsigned_body_is_never_parsed(here: World) -> None:
    async with httpx.AsyncClient() as stranger:
        answer = await stranger.post(str(here.slack.request_url), content=b"[" * 100_000)
    assert answer.status_code == 401
    assert "defect" not in here.log.getvalue()


async def test_slack_looking_at_the_certificate_is_answered(here: World) -> None:
    async with httpx.AsyncClient() as slack:
        answer = await slack.post(str(here.slack.request_url), content=b"ssl_check=1&token=abc")
    assert answer.status_code == 200


async def test_a_command_of_another_workspace_is_not_taken(both_ways: World) -> None:
    ack = await both_ways.slack.slash(ADA, OPS, "hello", team_id="T0OTHER")
    assert ack.ok
    await both_ways.told(ADA, "another workspace")
    assert rows(both_ways, "messages") == 0
