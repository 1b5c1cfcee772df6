"""Socket Mode, signed HTTP, response_url, triggers, streams and statuses: what ends, and what comes again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from slack_sdk.web.async_client import AsyncWebClient as Client

from relay.sandbox.slack import FakeSlack
from tests.sandbox.test_fake_slack import ADA, OPS, client_of, error_of, modal

Socket = aiohttp.ClientWebSocketResponse


@pytest.fixture
def client(slack: FakeSlack) -> Client:
    return client_of(slack)


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def linked(slack: FakeSlack, http: aiohttp.ClientSession) -> tuple[Socket, Any]:
    """Open a Socket Mode connection; return it and the first frame on it."""
    opened = await client_of(slack).apps_connections_open(app_token=slack.app_token)
    socket = await http.ws_connect(opened["url"])
    return socket, await socket.receive_json()


@asynccontextmanager
async def listening(slack: FakeSlack, status: int = 200) -> AsyncIterator[list[Any]]:
    """Take what comes over HTTP, with that status; give the headers and bodies."""
    heard: list[Any] = []

    async def take(request: web.Request) -> web.Response:
        heard.append((request.headers, await request.json() if request.content_type.endswith("json") else {}))
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    app = web.Application()
    app.router.add_post("/slack/events", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    slack.request_url = f"http://127.0.0.1:{runner.addresses[0][1]}/slack/events"
    try:
        yield heard
    finally:
        await runner.cleanup()


# Socket Mode.


async def test_ten_sockets_may_be_open_and_an_eleventh_is_sent_away(
    slack: FakeSlack, http: aiohttp.ClientSession
) -> None:
    ten = [await linked(slack, http) for _ in range(10)]
    said = [(first["type"], first["num_connections"]) for _, first in ten]
    assert said == [("hello", number) for number in range(1, 11)]
    socket, told = await linked(slack, http)
    assert (told["type"], told["reason"]) == ("disconnect", "too_many_websockets")
    assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
    assert slack.connected == 10


@pytest.mark.parametrize("reason", ["warning", "refresh_requested", "link_disabled", "too_many_websockets"])
async def test_a_disconnect_says_why(slack: FakeSlack, http: aiohttp.ClientSession, reason: Any) -> None:
    socket, _ = await linked(slack, http)
    await slack.disconnect(reason)
    told = await socket.receive_json()
    assert (told["type"], told["reason"], slack.connected) == ("disconnect", reason, 0)


async def test_slack_disconnects_for_no_other_reason(slack: FakeSlack) -> None:
    with pytest.raises(AssertionError, match="no such reason"):
        await slack.disconnect("bored")  # type: ignore[arg-type]


async def test_a_ticket_tried_again_is_refused_again(slack: FakeSlack, http: aiohttp.ClientSession) -> None:
    url = (await client_of(slack).apps_connections_open(app_token=slack.app_token))["url"]
    slack.refuse_tickets = 1
    for _ in range(2):
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await http.ws_connect(url)
    assert len(slack.refused_tickets) == 2
    assert len(set(slack.refused_tickets)) == 1


async def test_an_envelope_has_slack_s_fields(slack: FakeSlack, http: aiohttp.ClientSession) -> None:
    socket, _ = await linked(slack, http)
    usual = {"envelope_id", "type", "payload", "accepts_response_payload"}
    command = asyncio.create_task(slack.slash(ADA, OPS, "x"))
    envelope = await socket.receive_json()
    assert (envelope.keys(), envelope["type"]) == (usual, "slash_commands")
    assert envelope["accepts_response_payload"] is True
    await socket.send_json({"envelope_id": envelope["envelope_id"], "payload": {"text": "Queued."}})
    assert ((await command).ok, slack.ephemerals[-1].text) == (True, "Queued.")
    event = asyncio.create_task(slack.event({"type": "app_mention", "user": ADA}))
    envelope = await socket.receive_json()
    assert envelope.keys() == usual | {"retry_attempt", "retry_reason"}
    assert (envelope["type"], envelope["accepts_response_payload"]) == ("events_api", False)
    assert (envelope["retry_attempt"], envelope["retry_reason"]) == (0, "")
    await socket.send_json({"envelope_id": envelope["envelope_id"]})
    assert (await event).ok


async def test_a_silent_socket_is_open_and_brings_nothing(
    slack: FakeSlack, http: aiohttp.ClientSession
) -> None:
    (deaf, _), (other, _) = [await linked(slack, http) for _ in range(2)]
    slack.fall_silent()
    for _ in range(2):
        command = asyncio.create_task(slack.slash(ADA, OPS, "x"))
        await other.send_json({"envelope_id": (await other.receive_json())["envelope_id"]})
        assert (await command).ok
    await deaf.ping()
    await slack.wait_for(lambda s: s.pinged)
    with pytest.raises(TimeoutError):
        await deaf.receive(0.1)
    assert (deaf.closed, slack.connected) == (False, 1)


async def test_an_envelope_goes_on_coming_to_a_socket_that_is_warned_and_is_acknowledged_there(
    slack: FakeSlack, http: aiohttp.ClientSession
) -> None:
    (warned, _), (other, _) = [await linked(slack, http) for _ in range(2)]
    going = asyncio.create_task(slack.disconnect("warning", 1, after=30))
    assert (await warned.receive_json())["reason"] == "warning"
    command = asyncio.create_task(slack.slash(ADA, OPS, "x"))
    envelope = await warned.receive_json()
    await other.send_json({"envelope_id": envelope["envelope_id"]})  # is none of its business
    await warned.send_json({"envelope_id": envelope["envelope_id"]})
    assert (await command).ok
    await warned.close()
    await going


async def test_an_event_whose_socket_breaks_comes_again_by_another_one_and_a_command_does_not(
    slack: FakeSlack, http: aiohttp.ClientSession
) -> None:
    (breaking, _), (other, _) = [await linked(slack, http) for _ in range(2)]
    event = asyncio.create_task(slack.event({"type": "app_mention", "user": ADA}))
    first = await breaking.receive_json()
    slack.lose_acknowledgements()
    await breaking.send_json({"envelope_id": first["envelope_id"]})
    again = await other.receive_json()
    assert (again["retry_attempt"], again["payload"]) == (1, first["payload"])
    await other.send_json({"envelope_id": again["envelope_id"]})
    assert (await event).ok
    command = asyncio.create_task(slack.slash(ADA, OPS, "x"))
    assert (await other.receive_json())["type"] == "slash_commands"
    slack.cut()
    assert (await command).status is None


# Redelivery.


async def test_an_event_comes_again_three_times_over_http(slack: FakeSlack) -> None:
    async with listening(slack, 500) as heard:
        assert not (await slack.event({"type": "app_mention", "user": ADA})).ok
        for attempt in (1, 2, 3):
            assert not (await slack.redeliver(attempt=attempt)).ok
        told = [(one.get("x-slack-retry-num"), one.get("x-slack-retry-reason")) for one, _ in heard]
        assert told == [(None, None), *[(str(n), "http_timeout") for n in (1, 2, 3)]]
        assert len({body["event_id"] for _, body in heard}) == len(slack.events) == 1
        with pytest.raises(AssertionError, match="3 times"):
            await slack.redeliver(attempt=4)


async def test_an_event_comes_again_over_a_socket(slack: FakeSlack, http: aiohttp.ClientSession) -> None:
    async with listening(slack):
        await slack.event({"type": "app_mention", "user": ADA})
    slack.request_url = None
    socket, _ = await linked(slack, http)
    again = asyncio.create_task(slack.redeliver(slack.events[0], attempt=2))
    envelope = await socket.receive_json()
    assert (envelope["retry_attempt"], envelope["retry_reason"]) == (2, "timeout")
    assert envelope["payload"]["event_id"] == slack.events[0]["event_id"]
    await socket.send_json({"envelope_id": envelope["envelope_id"]})
    assert (await again).ok


# Acknowledging.


def test_an_app_has_three_seconds_to_acknowledge() -> None:
    assert FakeSlack().ack_limit == 3.0


@pytest.mark.parametrize(
    ("status", "words"), [(200, None), (302, "dispatch_failed"), (500, "dispatch_failed")]
)
async def test_only_a_good_answer_acknowledges(slack: FakeSlack, status: int, words: str | None) -> None:
    async with listening(slack, status):
        ack = await slack.slash(ADA, OPS, "x")
    assert (ack.ok, ack.in_time, ack.status) == (words is None, True, status)
    assert [seen.text for seen in slack.ephemerals] == ([words] if words else [])


async def test_nobody_is_told_of_an_event_that_no_one_took(slack: FakeSlack) -> None:
    async with listening(slack, 500):
        await slack.say(ADA, OPS, "hello")
    assert slack.ephemerals == []


async def test_a_command_typed_in_a_thread_reaches_nobody(slack: FakeSlack, client: Client) -> None:
    root = str((await client.chat_postMessage(channel=OPS, text="root"))["ts"])
    with pytest.raises(AssertionError, match="/letta is not supported in threads"):
        await slack.slash(ADA, OPS, "x", thread_ts=root)
    assert slack.acks == []


# What ends after a while.


async def test_a_trigger_opens_one_modal_within_three_seconds(slack: FakeSlack, client: Client) -> None:
    young, old, used = (slack.workspace.new_trigger(ADA) for _ in range(3))
    slack.workspace.triggers[young].issued -= 2.5
    slack.workspace.triggers[old].issued -= 3.1
    assert (await client.views_open(trigger_id=young, view=modal()))["ok"]
    assert await error_of(client.views_open(trigger_id=old, view=modal())) == "expired_trigger_id"
    assert (await client.views_open(trigger_id=used, view=modal()))["ok"]
    assert await error_of(client.views_open(trigger_id=used, view=modal())) == "exchanged_trigger_id"
    assert await error_of(client.views_open(trigger_id="1.2.3", view=modal())) == "invalid_trigger_id"


async def test_a_response_url_lives_half_an_hour(slack: FakeSlack, http: aiohttp.ClientSession) -> None:
    url = slack.slash_payload(ADA, OPS, "x")["response_url"]
    [right] = slack.workspace.response_urls.values()
    right.expires -= 29 * 60
    assert (await http.post(url, json={"text": "in time"})).status == 200
    right.expires -= 60
    assert (await http.post(url, json={"text": "too late"})).status == 404
    assert [(seen.user, seen.text) for seen in slack.ephemerals] == [(ADA, "in time")]


async def stream(slack: FakeSlack, client: Client) -> str:
    """Begin a stream and return its ts."""
    root = str((await client.chat_postMessage(channel=OPS, text="root"))["ts"])
    begun = await client.chat_startStream(
        channel=OPS,
        thread_ts=root,
        markdown_text="Once",
        recipient_user_id=ADA,
        recipient_team_id=slack.team_id,
    )
    return str(begun["ts"])


async def test_a_stream_dies_after_five_minutes(slack: FakeSlack, client: Client) -> None:
    assert slack.workspace.stream_lifetime == 300
    ts = await stream(slack, client)
    await client.chat_appendStream(channel=OPS, ts=ts, markdown_text=" upon")
    slack.workspace.stream_lifetime = 0
    more = client.chat_appendStream(channel=OPS, ts=ts, markdown_text=" a time")
    assert await error_of(more) == "message_not_in_streaming_state"
    assert await error_of(client.chat_stopStream(channel=OPS, ts=ts)) == "message_not_in_streaming_state"
    await client.chat_update(channel=OPS, ts=ts, text="Once upon a time")


async def test_a_stream_holds_so_many_words(slack: FakeSlack, client: Client) -> None:
    ts = await stream(slack, client)
    await client.chat_appendStream(channel=OPS, ts=ts, markdown_text="x" * (12_000 - len("Once")))
    assert await error_of(client.chat_appendStream(channel=OPS, ts=ts, markdown_text="x")) == "msg_too_long"


async def test_a_status_goes_after_two_minutes(slack: FakeSlack, client: Client) -> None:
    assert slack.workspace.status_lifetime == 120
    root = str((await client.chat_postMessage(channel=OPS, text="root"))["ts"])
    slack.workspace.status_lifetime = 0.01
    await client.assistant_threads_setStatus(channel_id=OPS, thread_ts=root, status="thinks")
    await slack.wait_for(lambda s: not s.statuses)


async def test_a_status_has_ten_words_to_turn_over(slack: FakeSlack, client: Client) -> None:
    root = str((await client.chat_postMessage(channel=OPS, text="root"))["ts"])
    body: dict[str, Any] = {"channel_id": OPS, "thread_ts": root, "status": "thinks"}
    ten = ["reads"] * 10
    assert (await client.api_call("assistant.threads.setStatus", json=body | {"loading_messages": ten}))["ok"]
    eleven = client.api_call("assistant.threads.setStatus", json=body | {"loading_messages": [*ten, "x"]})
    assert await error_of(eleven) == "invalid_arguments"
