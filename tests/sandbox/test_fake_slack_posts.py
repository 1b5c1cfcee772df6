"""What the stand-in Slack tells an app of when people rewrite and delete messages and attach files."""

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from relay.sandbox.slack import FakeSlack
from relay.sandbox.slack.posts import Upload
from tests.sandbox.test_fake_slack import ADA, OPS, connected


async def test_an_edit_and_a_deletion_tell_of_the_message_before(slack: FakeSlack) -> None:
    async with connected(slack, "http") as heard:
        await slack.say(ADA, OPS, "first words")
        ts = slack.channels[OPS].messages[-1].ts
        assert all(ack.ok for ack in await slack.rewrite(ADA, OPS, ts, "second words"))
        assert all(ack.ok for ack in await slack.delete(ADA, OPS, ts))
        _, changed, deleted = (one["event"] for one in heard)
        assert (changed["subtype"], changed["message"]["text"]) == ("message_changed", "second words")
        assert changed["previous_message"]["text"] == "first words"
        assert (deleted["subtype"], deleted["deleted_ts"]) == ("message_deleted", ts)
        assert slack.channels[OPS].messages == []


async def test_a_file_is_handed_to_the_apps_token_alone(slack: FakeSlack) -> None:
    async with connected(slack, "http") as heard:
        await slack.say(ADA, OPS, "look", files=[Upload("notes.txt", b"one")])
        [file] = heard[0]["event"]["files"]
        assert (heard[0]["event"]["subtype"], file["name"], file["size"]) == ("file_share", "notes.txt", 3)
    async with aiohttp.ClientSession() as session:
        bearer = {"Authorization": f"Bearer {slack.bot_token}"}
        async with session.get(file["url_private"], headers=bearer) as answer:
            assert await answer.read() == b"one"
        async with session.get(file["url_private"]) as answer:
            assert answer.content_type == "text/html"


async def test_a_message_in_a_thread_has_an_address_that_names_the_thread(slack: FakeSlack) -> None:
    client = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url)
    root = (await client.chat_postMessage(channel=OPS, text="root"))["ts"]
    reply = (await client.chat_postMessage(channel=OPS, text="reply", thread_ts=root))["ts"]
    told = await client.chat_getPermalink(channel=OPS, message_ts=reply)
    where = f"/archives/{OPS}/p{reply.replace('.', '')}?thread_ts={root}&cid={OPS}"
    assert told["channel"] == OPS and told["permalink"] == slack.workspace.url + where


@pytest.mark.parametrize(
    ("channel", "error"), [(OPS, "message_not_found"), ("C0NOWHERE", "channel_not_found")]
)
async def test_what_is_not_there_has_no_address(slack: FakeSlack, channel: str, error: str) -> None:
    client = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url)
    with pytest.raises(SlackApiError) as refused:
        await client.chat_getPermalink(channel=channel, message_ts="1.000001")
    assert refused.value.response["error"] == error
