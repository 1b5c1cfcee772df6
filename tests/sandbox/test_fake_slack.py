"""The stand-in Slack, seen by clients no one here wrote: slack_sdk and slack_bolt."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.signature import SignatureVerifier
from slack_sdk.web.async_client import AsyncWebClient as Client

from relay.sandbox.slack import FakeSlack, problems

OPS = "C0OPS"
ADA, GRACE, STRANGER = "U0REQUESTER", "U0APPROVER", "U0STRANGER"
LONG = {"type": "plain_text", "text": "x" * 151}
BUTTON = {"type": "button", "action_id": "approve", "text": LONG | {"text": "Approve"}}
both = pytest.mark.parametrize("transport", ["http", "socket"])


@pytest.fixture
def client(slack: FakeSlack) -> Client:
    return client_of(slack)


def section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def card(value: str = "v1") -> list[dict[str, Any]]:
    return [section("Run it?"), {"type": "actions", "elements": [BUTTON | {"value": value}]}]


def modal(title: str = "Why?") -> dict[str, Any]:
    element = {"type": "plain_text_input", "action_id": "reason"}
    words = {"type": "plain_text", "text": "Send"}
    block = {"type": "input", "block_id": "b", "label": words, "element": element, "optional": True}
    view = {"type": "modal", "callback_id": "deny", "submit": words, "blocks": [block]}
    return view | {"title": words | {"text": title}}


def client_of(slack: FakeSlack) -> Client:
    return Client(token=slack.bot_token, base_url=slack.api_url)


def bolt_app(slack: FakeSlack, heard: list[Any]) -> AsyncApp:
    app = AsyncApp(client=client_of(slack), signing_secret=slack.signing_secret, process_before_response=True)

    async def command(ack: Any, body: Any, client: Any) -> None:
        heard.append(body)
        if body["text"] == "slow":
            await slack.wait_for(lambda s: s.ephemerals)
        if body["text"] == "modal":
            await client.views_open(trigger_id=body["trigger_id"], view=modal())
        await ack(f"Queued: {body['text']}")

    async def remember(ack: Any, body: Any) -> None:
        heard.append(body)
        await ack()

    async def deny(ack: Any, body: Any) -> None:
        reason = body["view"]["state"]["values"]["b"]["reason"]["value"]
        await (ack() if reason else ack(response_action="errors", errors={"b": "Say why."}))

    app.command("/letta")(command)
    app.view("deny")(deny)
    for listen in (app.action("approve"), app.event("app_mention"), app.event("message")):
        listen(remember)
    return app


@asynccontextmanager
async def connected(slack: FakeSlack, transport: str) -> AsyncIterator[list[Any]]:
    heard: list[Any] = []
    app = bolt_app(slack, heard)
    runner = web.AppRunner(app.web_app("/slack/events"))
    sockets = AsyncSocketModeHandler(app, slack.app_token, web_client=client_of(slack))
    if transport == "http":
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        slack.request_url = f"http://127.0.0.1:{runner.addresses[0][1]}/slack/events"
    else:
        await sockets.connect_async()  # type: ignore[no-untyped-call]
        await slack.wait_for(lambda s: s.connected)
    try:
        yield heard
    finally:
        await sockets.close_async()  # type: ignore[no-untyped-call]
        await runner.cleanup()


async def refusal(call: Any) -> Any:
    with pytest.raises(SlackApiError) as caught:
        await call
    return caught.value.response


async def error_of(call: Any) -> str:
    return str((await refusal(call))["error"])


@both
async def test_a_slash_command_is_acked_and_its_answer_seen(slack: FakeSlack, transport: str) -> None:
    async with connected(slack, transport) as heard:
        ack = await slack.slash(ADA, OPS, "rm <x> & y")
        assert (ack.ok, ack.transport, ack.status) == (True, transport, 200)
        seen = slack.ephemerals[-1]
        assert (seen.via, seen.user, seen.text) == ("ack", ADA, "Queued: rm &lt;x&gt; &amp; y")
        assert (heard[0]["is_enterprise_install"], heard[0].get("thread_ts")) == ("false", None)


@both
async def test_a_click_carries_its_button(slack: FakeSlack, client: Client, transport: str) -> None:
    async with connected(slack, transport) as heard:
        posted = await client.chat_postMessage(channel=OPS, text="card", blocks=card())
        assert (await slack.click(GRACE, OPS, posted["ts"], "approve")).ok
        (action,) = heard[0]["actions"]
        assert (action["value"], action["type"], heard[0]["enterprise"]) == ("v1", "button", None)
        assert heard[0]["message"]["ts"] == heard[0]["container"]["message_ts"] == posted["ts"]
        assert action["block_id"] == slack.channels[OPS].messages[0].blocks[1]["block_id"]


async def test_a_double_click_is_two_and_old_buttons_click(slack: FakeSlack, client: Client) -> None:
    async with connected(slack, "http") as heard:
        posted = await client.chat_postMessage(channel=OPS, text="card", blocks=card())
        await slack.click(GRACE, OPS, posted["ts"], "approve", double=True)
        await client.chat_update(channel=OPS, ts=posted["ts"], text="decided")
        await slack.click(GRACE, OPS, posted["ts"], "approve", value="v1")
        assert [one["actions"][0]["value"] for one in heard] == ["v1"] * 3
        assert heard[0]["trigger_id"] != heard[1]["trigger_id"]


async def test_a_stranger_is_known_by_the_team_of_the_person(slack: FakeSlack, client: Client) -> None:
    async with connected(slack, "socket") as heard:
        posted = await client.chat_postMessage(channel="C0SHARED", text="card", blocks=card())
        await slack.click(STRANGER, "C0SHARED", posted["ts"], "approve")
        assert (heard[0]["user"]["team_id"], heard[0]["team"]["id"]) == ("T0OTHER", "T0HOME")
        assert (await client.users_info(user=STRANGER))["user"]["is_stranger"]


@both
async def test_a_modal_opens_once_and_closes(slack: FakeSlack, client: Client, transport: str) -> None:
    async with connected(slack, transport) as heard:
        await slack.slash(ADA, OPS, "modal")
        (view,) = slack.views
        await slack.submit_view(ADA, view, {"b": {"reason": None}})
        assert (view.is_open, view.errors) == (True, {"b": "Say why."})
        await slack.submit_view(ADA, view, {"b": {"reason": "because"}})
        assert not view.is_open
        again = client.views_open(trigger_id=heard[0]["trigger_id"], view=modal())
        assert await error_of(again) == "exchanged_trigger_id"


async def test_a_trigger_is_too_old_after_three_seconds(slack: FakeSlack, client: Client) -> None:
    trigger = slack.slash_payload(ADA, OPS, "x")["trigger_id"]
    slack.workspace.triggers[trigger].issued -= 3.1
    assert await error_of(client.views_open(trigger_id=trigger, view=modal())) == "expired_trigger_id"
    slack.workspace.triggers[trigger].issued += 3.1
    refused = await refusal(client.views_open(trigger_id=trigger, view=modal("t" * 25)))
    assert refused["error"] == "invalid_arguments"
    assert "must be less than 25" in refused["response_metadata"]["messages"][0]


async def test_mentions_and_retries_of_events_arrive(slack: FakeSlack) -> None:
    async with connected(slack, "socket") as heard:
        assert all(ack.ok for ack in await slack.say(ADA, OPS, "@relay hello <b>"))
        assert {one["event"]["type"] for one in heard} == {"message", "app_mention"}
        assert heard[0]["event"]["text"] == "<@U0RELAY> hello &lt;b&gt;"
        assert (await slack.event(heard[0], retry_num=1, retry_reason="timeout")).ok
        assert heard[2]["event_id"] == heard[0]["event_id"]


async def test_the_signature_is_the_one_slack_documents(slack: FakeSlack) -> None:
    async with connected(slack, "http") as heard:
        verifier = SignatureVerifier(slack.signing_secret)
        assert verifier.is_valid_request(b"a=1", slack.sign(b"a=1"))
        payload = slack.slash_payload(ADA, OPS, "x", enterprise_id="E0", trigger_id=None)
        assert ("trigger_id" in payload, payload["enterprise_id"]) == (False, "E0")
        old = slack.sign(b"a=1", int(time.time()) - 600)
        assert (await slack.deliver("command", payload, headers=old, body=b"a=1")).status == 401
        assert (heard, slack.ephemerals[-1].text) == ([], "dispatch_failed")


async def test_an_app_that_is_away_or_slow_is_told_of_to_the_person() -> None:
    async with FakeSlack(ack_limit=0.2) as slack:
        async with connected(slack, "http"):
            ack = await slack.slash(ADA, OPS, "slow")
            assert (ack.status, ack.in_time, ack.ok) == (200, False, False)
        assert (await slack.slash(ADA, OPS, "x")).status is None
        slack.request_url = None
        assert (await slack.slash(ADA, OPS, "x")).status is None
        assert [e.text for e in slack.ephemerals] == ["operation_timeout", *["dispatch_failed"] * 2]


async def test_a_response_url_answers_five_times(slack: FakeSlack) -> None:
    async with aiohttp.ClientSession() as http:
        url = slack.slash_payload(ADA, OPS, "x")["response_url"]
        statuses = [(await http.post(url, json={"text": f"n{n}"})).status for n in range(6)]
        assert statuses == [200] * 5 + [404]
        assert [e.text for e in slack.ephemerals] == [f"n{n}" for n in range(5)]
        old = slack.slash_payload(ADA, OPS, "x")["response_url"]
        assert (await http.post(old, json={"text": ""})).status == 400
        slack.expire_response_urls()
        assert (await http.post(old, json={"text": "x"})).status == 404


async def test_a_response_url_replaces_and_deletes(slack: FakeSlack, client: Client) -> None:
    async with aiohttp.ClientSession() as http:
        ts = (await client.chat_postMessage(channel=OPS, text="card", blocks=card()))["ts"]
        url = slack.click_payload(GRACE, OPS, ts, "approve")["response_url"]
        await http.post(url, json={"replace_original": True, "text": "done"})
        message = slack.channels[OPS].messages[0]
        assert (message.text, message.edited, message.history[0][0]) == ("done", 1, "card")
        await http.post(url, json={"delete_original": True})
        assert slack.channels[OPS].messages == []


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"channel": "C0NOWHERE"}, "channel_not_found"),
        ({"channel": "C0OUTSIDE"}, "not_in_channel"),
        ({"text": ""}, "no_text"),
        ({"text": "x" * 40_001}, "msg_too_long"),
        ({"blocks": card("v" * 2001)}, "invalid_blocks"),
        ({"blocks": [section("x" * 2700)] * 5}, "msg_blocks_too_long"),
        ({"thread_ts": "1.2"}, "thread_not_found"),
        ({"metadata": {"event_type": "a", "event_payload": {"a": "x" * 9000}}}, "metadata_too_large"),
    ],
)
async def test_a_post_is_refused(slack: FakeSlack, client: Client, change: Any, error: str) -> None:
    body = {"channel": OPS, "text": "t"} | change
    assert await error_of(client.api_call("chat.postMessage", json=body)) == error
    assert (slack.calls[-1].error, slack.channels[OPS].messages) == (error, [])


async def test_an_update_keeps_slack_s_rules_and_history(slack: FakeSlack, client: Client) -> None:
    ts = (await client.chat_postMessage(channel=OPS, text="card", blocks=card()))["ts"]
    bad = client.chat_update(channel=OPS, ts=ts, text="t", blocks=card("v" * 2001))
    assert await error_of(bad) == "invalid_blocks"
    await client.chat_update(channel=OPS, ts=ts, text="decided")
    (message,) = slack.channels[OPS].messages
    assert (message.blocks, message.edited, len(message.history[0][1])) == ([], 1, 2)
    assert await error_of(client.chat_update(channel=OPS, ts="1.1", text="t")) == "message_not_found"
    await slack.say(ADA, OPS, "mine")
    theirs = client.chat_update(channel=OPS, ts=slack.channels[OPS].messages[-1].ts, text="t")
    assert await error_of(theirs) == "cant_update_message"


async def test_history_and_replies_page_and_show_metadata(slack: FakeSlack, client: Client) -> None:
    metadata = {"event_type": "card", "event_payload": {"id": "apr_1"}}
    root = await client.chat_postMessage(channel=OPS, text="root", metadata=metadata)
    for n in range(3):
        await client.chat_postMessage(channel=OPS, text=f"r{n}", thread_ts=root["ts"])
    await client.chat_postMessage(channel=OPS, text="later")
    first = await client.conversations_history(channel=OPS, limit=1)
    assert ([m["text"] for m in first["messages"]], first["has_more"]) == (["later"], True)
    cursor = first["response_metadata"]["next_cursor"]
    rest = await client.conversations_history(channel=OPS, cursor=cursor, include_all_metadata=True)
    assert (rest["messages"][0]["metadata"], rest["messages"][0]["reply_count"]) == (metadata, 3)
    since = await client.conversations_history(channel=OPS, oldest=root["ts"])
    assert since["messages"] == first["messages"]
    thread = await client.conversations_replies(channel=OPS, ts=root["ts"])
    assert [m["text"] for m in thread["messages"]] == ["root", "r0", "r1", "r2"]
    assert "metadata" not in thread["messages"][0]


async def test_a_word_for_one_person_alone(slack: FakeSlack, client: Client) -> None:
    assert (await client.chat_postMessage(channel=ADA, text="hello"))["channel"] == "DU0REQUESTER"
    await client.chat_postEphemeral(channel=OPS, user=ADA, text="psst")
    assert slack.ephemerals[-1].via == "chat.postEphemeral"
    call = client.chat_postEphemeral(channel=OPS, user=STRANGER, text="psst")
    assert await error_of(call) == "user_not_in_channel"


async def test_the_other_methods_answer_as_slack_does(slack: FakeSlack, client: Client) -> None:
    assert (await client.auth_test())["user_id"] == "U0RELAY"
    assert (await client.conversations_info(channel="C0SHARED"))["channel"]["is_ext_shared"]
    assert (await client.users_info(user="U0GUEST"))["user"]["is_restricted"]
    assert (await client.usergroups_users_list(usergroup="S0LEADS"))["users"] == [GRACE]
    assert GRACE in (await client.conversations_members(channel="C0APPROVALS"))["members"]
    await client.views_publish(user_id=ADA, view={"type": "home", "blocks": card()})
    assert slack.views[0].user == ADA
    assert await error_of(client.api_call("blocks.validate", json={"blocks": [{}]})) == "invalid_blocks"
    assert await error_of(client.api_call("chat.nothing")) == "unknown_method"
    client.token = "xoxb-no"
    assert await error_of(client.auth_test()) == "invalid_auth"


async def test_a_status_goes_with_the_next_reply(slack: FakeSlack, client: Client) -> None:
    ts = (await client.chat_postMessage(channel=OPS, text="root"))["ts"]
    await client.assistant_threads_setStatus(channel_id=OPS, thread_ts=ts, status="thinks")
    assert slack.statuses == {(OPS, ts): "thinks"}
    await client.chat_postMessage(channel=OPS, text="reply", thread_ts=ts)
    assert slack.statuses == {}


async def test_trouble_strikes_only_as_ordered(slack: FakeSlack, client: Client) -> None:
    slack.fail("chat.postMessage", "ratelimited", retry_after=7, when=lambda a: a["text"] == "a")
    await client.chat_postMessage(channel=OPS, text="b")
    limited = await refusal(client.chat_postMessage(channel=OPS, text="a"))
    assert (limited.status_code, limited.headers["Retry-After"]) == (429, "7")
    await client.chat_postMessage(channel=OPS, text="a")
    assert [call.error for call in slack.calls] == [None, "ratelimited", None]


async def test_a_call_can_take_effect_and_never_be_answered(slack: FakeSlack) -> None:
    async with aiohttp.ClientSession() as http:
        slack.fail("chat.postMessage", "cut", after=True)
        headers = {"Authorization": f"Bearer {slack.bot_token}"}
        with pytest.raises(aiohttp.ClientError):
            await http.post(slack.api_url + f"chat.postMessage?channel={OPS}&text=t", headers=headers)
        assert [m.text for m in slack.channels[OPS].messages] == ["t"]
        slack.fail("auth.test", "silence", hang=True)
        waiting = asyncio.create_task(http.post(slack.api_url + "auth.test", headers=headers))
        await slack.wait_for(lambda s: s.calls[-1].error == "silence")
        assert not waiting.done()
        await slack.stop()
        with pytest.raises(aiohttp.ClientError):
            await waiting


async def test_a_channel_takes_only_so_many_messages_a_second() -> None:
    async with FakeSlack(messages_a_second=1) as slack:
        client = client_of(slack)
        await asyncio.gather(*(client.chat_postMessage(channel=OPS, text=str(n)) for n in range(3)))
        limited = await refusal(client.chat_postMessage(channel=OPS, text="too many"))
        assert (limited.status_code, limited.headers["Retry-After"]) == (429, "1")
        await client.chat_postMessage(channel="C0APPROVALS", text="another channel")


async def test_disconnected_sockets_come_back_and_share_the_envelopes(slack: FakeSlack) -> None:
    async with connected(slack, "socket") as one, connected(slack, "socket") as other:
        await slack.wait_for(lambda s: s.connected == 2)
        await slack.disconnect()
        await slack.wait_for(lambda s: s.connected == 2)
        acks = await asyncio.gather(*(slack.slash(ADA, OPS, str(n)) for n in range(4)))
        assert (len(one), len(other), all(ack.ok for ack in acks)) == (2, 2, True)
        assert [call.method for call in slack.calls].count("apps.connections.open") == 4


async def test_a_ticket_can_be_refused_and_is_good_once(slack: FakeSlack, client: Client) -> None:
    async with aiohttp.ClientSession() as http:
        slack.refuse_tickets = 1
        url = (await client.apps_connections_open(app_token=slack.app_token))["url"]
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await http.ws_connect(url)
        url = (await client.apps_connections_open(app_token=slack.app_token))["url"]
        async with http.ws_connect(url) as socket:
            assert (await socket.receive_json())["type"] == "hello"
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await http.ws_connect(url)
        await slack.wait_for(lambda s: s.connected == 0)


async def test_slack_comes_back_where_it_was(slack: FakeSlack, client: Client) -> None:
    await slack.stop()
    await slack.start()
    assert (await client.auth_test())["ok"]


async def test_what_never_happens_is_told_with_the_recent_past(slack: FakeSlack, client: Client) -> None:
    await client.chat_postMessage(channel=OPS, text="only this")
    with pytest.raises(AssertionError, match="only this"):
        await slack.wait_for(lambda s: s.views, timeout=0.01)


@pytest.mark.parametrize(
    ("blocks", "problem"),
    [
        ([{"type": "divider"}] * 51, "no more than 50 items allowed [json-pointer:/blocks]"),
        ([{"type": "carnival"}], "unsupported type: carnival"),
        ([{"type": "header", "text": LONG}], "must be less than 151 characters"),
        ([section("")], "must be more than 0 characters"),
        ([{"type": "section", "fields": [LONG] * 11}], "no more than 10"),
        ([{"type": "actions", "elements": [BUTTON] * 2}], "action_id approve already exists"),
        ([{"type": "actions", "elements": [BUTTON | {"text": LONG}]}], "must be less than 76 characters"),
        ([{"type": "divider", "block_id": "b"}] * 2, "block_id b already exists"),
        ([{"type": "divider", "block_id": "b" * 256}], "must be less than 256"),
        ([{"type": "markdown", "text": "m" * 6001}] * 2, "all markdown together"),
        ("[]", "must provide an array"),
    ],
)
async def test_a_limit_is_named(blocks: Any, problem: str) -> None:
    assert any(problem in found for found in problems("message", blocks))
    assert problems("message", card("v" * 2000)) == problems("modal", modal("t" * 24)) == []
