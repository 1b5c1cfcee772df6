"""What the stand-in sends an app has the fields that Slack's own payloads have, and none that they lack."""

from typing import Any

import pytest
from slack_sdk.web.async_client import AsyncWebClient as Client

from relay.sandbox.slack import FakeSlack
from tests.sandbox.test_fake_slack import ADA, GRACE, OPS, STRANGER, client_of, connected, section
from tests.sandbox.test_fake_slack_views import Json, asks, modal, words

TOKEN = {"token"}  # the old verification token: Slack still sends it
INTERACTION = TOKEN | {"type", "user", "api_app_id", "team", "enterprise", "is_enterprise_install"}
CLICK = INTERACTION | {"trigger_id", "container", "channel", "state", "response_url", "actions"}
PERSON = {"id", "username", "name", "team_id"}
CONTAINER = {"type", "message_ts", "channel_id", "is_ephemeral"}
EVENT = TOKEN | {
    "team_id", "context_team_id", "context_enterprise_id", "api_app_id", "event", "type", "event_id",
    "event_time", "authorizations", "is_ext_shared_channel", "event_context",
}  # fmt: skip
MESSAGE = {"type", "user", "ts", "text", "channel", "event_ts", "team", "user_team", "channel_type"}


@pytest.fixture
def client(slack: FakeSlack) -> Client:
    return client_of(slack)


def button(**more: Any) -> Json:
    element = {"type": "button", "action_id": "go", "text": words("Go"), **more}
    return {"type": "actions", "block_id": "acts", "elements": [element]}


async def posted(client: Client, **more: Any) -> str:
    """Post a card with one button, and return its ts."""
    blocks = [section("Run it?"), button(**more.pop("element", {}))]
    return str((await client.chat_postMessage(channel=OPS, text="card", blocks=blocks, **more))["ts"])


def test_a_command_is_all_strings_and_knows_no_thread(slack: FakeSlack) -> None:
    payload = slack.slash_payload(ADA, OPS, "deploy")
    assert payload.keys() == TOKEN | {
        "team_id", "team_domain", "channel_id", "channel_name", "user_id", "user_name", "command", "text",
        "api_app_id", "is_enterprise_install", "response_url", "trigger_id",
    }  # fmt: skip
    assert {type(value) for value in payload.values()} == {str}
    assert payload["is_enterprise_install"] == "false"


def test_a_command_on_a_grid_names_the_enterprise(slack: FakeSlack) -> None:
    assert slack.slash_payload(ADA, OPS, "x", enterprise_id="E0GRID")["enterprise_id"] == "E0GRID"


async def test_a_click_has_slack_s_fields(slack: FakeSlack, client: Client) -> None:
    ts = await posted(client, element={"value": "apr_1", "style": "primary"})
    payload = slack.click_payload(GRACE, OPS, ts, "go")
    assert payload.keys() == CLICK | {"message"}
    assert (payload["type"], payload["enterprise"]) == ("block_actions", None)
    assert payload["is_enterprise_install"] is False
    assert (payload["user"].keys(), payload["team"].keys()) == (PERSON, {"id", "domain"})
    assert payload["container"] == {
        "type": "message",
        "message_ts": ts,
        "channel_id": OPS,
        "is_ephemeral": False,
    }
    [action] = payload["actions"]
    assert action.keys() == {"action_id", "block_id", "type", "text", "style", "value", "action_ts"}


async def test_a_click_on_a_button_without_a_value_carries_none(slack: FakeSlack, client: Client) -> None:
    [action] = slack.click_payload(GRACE, OPS, await posted(client), "go")["actions"]
    assert "value" not in action


async def test_a_click_in_a_thread_names_it(slack: FakeSlack, client: Client) -> None:
    root = await posted(client)
    reply = await posted(client, thread_ts=root)
    payload = slack.click_payload(GRACE, OPS, reply, "go")
    assert payload["container"].keys() == CONTAINER | {"thread_ts"}
    assert payload["container"]["thread_ts"] == payload["message"]["thread_ts"] == root


async def test_a_click_on_what_one_person_saw_has_no_message(slack: FakeSlack, client: Client) -> None:
    await client.chat_postEphemeral(channel=OPS, user=ADA, text="psst", blocks=[button()])
    payload = slack.click_payload(ADA, OPS, slack.ephemerals[-1].ts, "go")
    assert payload.keys() == CLICK
    assert (payload["container"].keys(), payload["container"]["is_ephemeral"]) == (CONTAINER, True)


async def test_a_click_from_elsewhere_tells_it_by_the_person_alone(slack: FakeSlack, client: Client) -> None:
    ts = (await client.chat_postMessage(channel="C0SHARED", text="card", blocks=[button()]))["ts"]
    payload = slack.click_payload(STRANGER, "C0SHARED", str(ts), "go")
    assert (payload["user"]["team_id"], payload["team"]["id"]) == ("T0OTHER", slack.team_id)
    assert "is_ext_shared_channel" not in payload


async def test_an_organisation_s_install_names_no_team(slack: FakeSlack, client: Client) -> None:
    payload = slack.click_payload(ADA, OPS, await posted(client), "go") | {"team": None}
    async with connected(slack, "http"):
        assert (await slack.deliver("action", payload)).status is not None


async def test_every_click_is_a_payload_of_its_own(slack: FakeSlack, client: Client) -> None:
    ts = await posted(client)
    one, other = (slack.click_payload(GRACE, OPS, ts, "go") for _ in range(2))
    for name in ("trigger_id", "response_url"):
        assert one[name] != other[name]


async def test_a_mention_comes_twice_under_one_ts_and_two_event_ids(slack: FakeSlack) -> None:
    async with connected(slack, "http") as heard:
        await slack.say(ADA, OPS, "@relay hello")
    assert all(body.keys() == EVENT for body in heard)
    events = {body["event"]["type"]: body["event"] for body in heard}
    assert (len({body["event_id"] for body in heard}), len({one["ts"] for one in events.values()})) == (2, 1)
    assert {kind: event.keys() for kind, event in events.items()} == {
        "message": MESSAGE,
        "app_mention": MESSAGE - {"channel_type"},
    }


async def test_a_submission_and_a_closing_have_slack_s_fields(slack: FakeSlack, client: Client) -> None:
    trigger = slack.workspace.new_trigger(ADA)
    await client.views_open(trigger_id=trigger, view=modal(asks(), notify_on_close=True))
    async with connected(slack, "socket"):
        submission = slack.submission_payload(ADA, slack.views[-1], {"b": {"a": "x"}})
    assert submission.keys() == INTERACTION | {"trigger_id", "view", "response_urls"}
    assert submission["view"]["state"]["values"] == {"b": {"a": {"type": "plain_text_input", "value": "x"}}}
    assert submission["view"].keys() >= {
        "id", "team_id", "type", "blocks", "private_metadata", "callback_id", "state", "hash", "title",
        "previous_view_id", "root_view_id", "app_id", "external_id", "app_installed_team_id", "bot_id",
    }  # fmt: skip


async def test_the_stop_button_and_the_home_tab_are_events(slack: FakeSlack, client: Client) -> None:
    root = str((await client.chat_postMessage(channel=OPS, text="root"))["ts"])
    async with connected(slack, "http"):
        await slack.press_stop(ADA, OPS, root)
        await slack.home_opened(ADA, "messages")
    stopped, opened = (body["event"] for body in slack.events)
    assert (stopped["type"], stopped["thread_ts"], stopped["user"]) == ("agent_session_stopped", root, ADA)
    assert opened.keys() == {"type", "user", "channel", "tab", "event_ts"}
    assert (opened["type"], opened["tab"]) == ("app_home_opened", "messages")
