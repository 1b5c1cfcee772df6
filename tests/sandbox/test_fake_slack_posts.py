"""What the stand-in Slack tells an app of when people rewrite and delete messages and attach files."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from relay.sandbox.slack import FakeSlack
from relay.sandbox.slack.posts import Upload
from tests.sandbox.test_fake_slack import ADA, OPS, connected


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlack]:
    async with FakeSlack() as workspace:
        yield workspace


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
