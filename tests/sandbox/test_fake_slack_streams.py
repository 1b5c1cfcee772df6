"""The stand-in's streams behave as Slack's, towards a client no one here wrote."""

from collections.abc import AsyncIterator

import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from relay.sandbox.slack import FakeSlack

OPS, ADA = "C0OPS", "U0REQUESTER"


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlack]:
    """A stand-in for Slack."""
    async with FakeSlack() as running:
        yield running


async def began(slack: FakeSlack, **more: str) -> tuple[AsyncWebClient, str]:
    """Begin a stream with the official client; return the client and the stream's ts."""
    client = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url)
    root = await client.chat_postMessage(channel=OPS, text="root")
    to = {"recipient_user_id": ADA, "recipient_team_id": slack.team_id} | more
    answer = await client.chat_startStream(
        channel=OPS,
        thread_ts=str(root["ts"]),
        markdown_text="Once",
        recipient_user_id=to["recipient_user_id"],
        recipient_team_id=to["recipient_team_id"],
    )
    return client, str(answer["ts"])


async def test_a_stream_takes_words_until_it_is_stopped(slack: FakeSlack) -> None:
    client, ts = await began(slack)
    await client.chat_appendStream(channel=OPS, ts=ts, markdown_text=" upon")
    await client.chat_stopStream(channel=OPS, ts=ts, markdown_text=" a time")
    message = slack.channels[OPS].message(ts)
    assert message is not None
    assert (message.text, message.streaming) == ("Once upon a time", False)


@pytest.mark.parametrize("missing", ["recipient_user_id", "recipient_team_id"])
async def test_a_stream_in_a_channel_needs_somebody_to_be_for(slack: FakeSlack, missing: str) -> None:
    with pytest.raises(SlackApiError, match=f"missing_{missing}"):
        await began(slack, **{missing: ""})


async def test_a_dead_stream_takes_no_words_and_cannot_be_stopped(slack: FakeSlack) -> None:
    client, ts = await began(slack)
    slack.end_streams()
    for call in (client.chat_appendStream, client.chat_stopStream):
        with pytest.raises(SlackApiError, match="message_not_in_streaming_state"):
            await call(channel=OPS, ts=ts, markdown_text="more")
    await client.chat_update(channel=OPS, ts=ts, text="Once upon a time")


async def test_a_live_stream_cannot_be_rewritten(slack: FakeSlack) -> None:
    client, ts = await began(slack)
    with pytest.raises(SlackApiError, match="streaming_state_conflict"):
        await client.chat_update(channel=OPS, ts=ts, text="Once upon a time")
