"""Two connections to Slack, between the stand-in and a small Bolt app: none goes deaf, none leaves a gap."""

import asyncio
import io
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from relay.app import json_log
from relay.sandbox.slack import FakeSlack
from relay.slack.socket_mode import SocketMode
from tests.world import ADA, OPS

SILENCE = 0.6  # seconds; long beside what a busy machine takes for a pong


class Log(io.StringIO):
    """Keeps what is said, and lets whoever waits look anew."""

    def __init__(self, slack: FakeSlack) -> None:
        super().__init__()
        self._changed = slack.workspace.changed

    def write(self, text: str) -> int:
        self._changed()
        return super().write(text)


@dataclass
class Taker:
    """A small app, and the connections by which it is reached."""

    slack: FakeSlack
    session: aiohttp.ClientSession
    taken: list[str] = field(default_factory=list)
    open_: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.log = Log(self.slack)
        self.open_.set()

    def sockets(self, token: str = "", **pace: Any) -> SocketMode:
        slack = self.slack
        client = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url, session=self.session)
        app = AsyncApp(client=client, request_verification_enabled=False, process_before_response=True)
        app.command("/letta")(self._take)
        log = json_log(self.log)
        return SocketMode(
            app, token or slack.app_token, client, self.session, log, chance=lambda: 0.5, **pace
        )

    async def _take(self, ack: Any, command: Any) -> None:
        self.taken.append(command["text"])
        self.slack.workspace.changed()
        await self.open_.wait()
        await ack(f"Heard {command['text']}")

    async def command(self, text: str) -> bool:
        """Type a command, and return whether it was answered in time."""
        return (await self.slack.slash(ADA, OPS, text)).ok

    def answers(self) -> list[str]:
        return [seen.text for seen in self.slack.ephemerals]


@pytest.fixture
async def taker() -> AsyncIterator[Taker]:
    async with FakeSlack() as slack, aiohttp.ClientSession() as session:
        yield Taker(slack, session)


@asynccontextmanager
async def opened(taker: Taker, **pace: Any) -> AsyncIterator[SocketMode]:
    """Give two open connections; close them at the end."""
    sockets = taker.sockets(**pace)
    await sockets.open()
    try:
        await taker.slack.wait_for(lambda _: sockets.connected == 2)
        yield sockets
    finally:
        await sockets.close()


@asynccontextmanager
async def others(taker: Taker, number: int) -> AsyncIterator[None]:
    """Have other programs hold connections of the same app."""
    client = AsyncWebClient(base_url=taker.slack.api_url, session=taker.session)
    opened = [await client.apps_connections_open(app_token=taker.slack.app_token) for _ in range(number)]
    held = [await taker.session.ws_connect(one["url"]) for one in opened]
    yield
    for one in held:
        await one.close()


def tickets(slack: FakeSlack) -> int:
    return sum(call.method == "apps.connections.open" for call in slack.calls)


async def test_two_are_open_each_with_a_ticket_of_its_own_and_share_what_comes(taker: Taker) -> None:
    async with opened(taker) as sockets:
        assert all(await asyncio.gather(*(taker.command(str(n)) for n in range(6))))
        assert (tickets(taker.slack), sockets.connected, sockets.trouble) == (2, 2, "")
    assert sorted(taker.answers()) == [f"Heard {n}" for n in range(6)]


async def test_a_quiet_one_is_asked_and_stays(taker: Taker) -> None:
    async with opened(taker, silence=SILENCE) as sockets:
        await taker.slack.wait_for(lambda slack: slack.pinged >= 10)  # on two, three in each silence
        assert (tickets(taker.slack), sockets.connected) == (2, 2)


async def test_one_that_falls_silent_is_replaced_while_the_other_takes_everything(taker: Taker) -> None:
    async with opened(taker, silence=SILENCE) as sockets:
        taker.slack.fall_silent()
        sent = 0
        while tickets(taker.slack) < 3:
            assert await taker.command(str(sent))
            sent += 1
        await taker.slack.wait_for(lambda _: sockets.connected == 2)
    assert taker.taken == [str(n) for n in range(sent)] and sent
    assert '"reason": "silent"' in taker.log.getvalue()


@pytest.mark.parametrize("reason", ["warning", "refresh_requested"])
async def test_another_one_is_open_before_the_old_one_ends_and_both_take(taker: Taker, reason: Any) -> None:
    async with opened(taker) as sockets:
        going = asyncio.create_task(taker.slack.disconnect(reason, 1, after=30))
        await taker.slack.wait_for(lambda slack: slack.connected == 3)
        assert all([await taker.command(str(n)) for n in range(6)])
        assert sockets.connected == 2
    await going  # the stop ended the old one, too
    assert taker.slack.connected == 0
    assert taker.taken == [str(n) for n in range(6)]


async def test_one_that_was_replaced_is_left_after_a_while_where_slack_does_not_end_it(taker: Taker) -> None:
    async with opened(taker, linger=0.1):
        going = asyncio.create_task(taker.slack.disconnect("warning", 1, after=30))
        await taker.slack.wait_for(lambda slack: tickets(slack) == 3)
        await taker.slack.wait_for(lambda slack: slack.connected == 2)
        await going


async def test_what_was_taken_before_the_refresh_is_acknowledged_after_it(taker: Taker) -> None:
    async with opened(taker):
        taker.open_.clear()
        typed = [asyncio.create_task(taker.command(str(n))) for n in range(2)]
        await taker.slack.wait_for(lambda _: len(taker.taken) == 2)
        going = asyncio.create_task(taker.slack.disconnect(after=30))
        await taker.slack.wait_for(lambda slack: tickets(slack) == 4 and slack.connected == 4)
        taker.open_.set()
        assert all(await asyncio.gather(*typed))
    await going


async def test_both_at_once_are_replaced_one_after_the_other(taker: Taker) -> None:
    async with opened(taker):
        seen: list[tuple[int, int]] = []
        going = asyncio.create_task(taker.slack.disconnect("warning", after=30))

        def both(slack: FakeSlack) -> bool:
            seen.append((tickets(slack), slack.connected))
            return slack.connected == 4

        await taker.slack.wait_for(both)
        assert {connected for asked, connected in seen if asked == 4} <= {3, 4}
    await going


async def test_a_refused_ticket_is_not_tried_again_but_another_one_is(taker: Taker) -> None:
    async with opened(taker) as sockets:
        taker.slack.refuse_tickets = 2
        taker.slack.cut(1)
        await taker.slack.wait_for(lambda slack: tickets(slack) == 5 and sockets.connected == 2)
        assert (len(set(taker.slack.refused_tickets)), sockets.trouble) == (2, "")
    assert "Slack refused the ticket (403)" in taker.log.getvalue()


async def test_slack_is_asked_for_no_ticket_before_it_wants_to_be(taker: Taker) -> None:
    async with opened(taker) as sockets:
        taker.slack.fail("apps.connections.open", "ratelimited", status=429, retry_after=1)
        taker.slack.cut()
        await taker.slack.wait_for(lambda slack: tickets(slack) == 5 and sockets.connected == 2)
        asked = [call.at for call in taker.slack.calls if call.method == "apps.connections.open"][2:]
    assert len(asked) == 3
    assert asked[1] - asked[0] >= 1


async def test_what_ends_as_soon_as_it_opens_is_not_opened_as_fast_as_that(taker: Taker) -> None:
    async with opened(taker) as sockets:
        taker.slack.cut()
        await taker.slack.wait_for(lambda slack: tickets(slack) == 4 and sockets.connected == 2)
        again = time.monotonic()
        taker.slack.cut()
        await taker.slack.wait_for(lambda slack: tickets(slack) == 6 and sockets.connected == 2)
        assert min(call.at for call in taker.slack.calls[-2:]) - again >= 0.5


async def test_socket_mode_that_is_switched_off_is_said_with_what_to_do_once(taker: Taker) -> None:
    async with opened(taker) as sockets:
        taker.slack.refuse_tickets = 1_000
        await taker.slack.disconnect("link_disabled")
        await taker.slack.wait_for(lambda slack: slack.refused_tickets[1:])
        assert "switch it on" in sockets.trouble
        taker.slack.refuse_tickets = 0
        await taker.slack.wait_for(lambda _: sockets.connected == 2)
        assert sockets.trouble == ""
    [said] = [line for line in taker.log.getvalue().splitlines() if "slack.socket_mode_off" in line]
    assert "switch it on" in said and '"level": "error"' in said


async def test_where_slack_has_too_many_there_is_one_until_there_is_room(taker: Taker) -> None:
    async with others(taker, 9):
        sockets = taker.sockets()
        await sockets.open()
        await taker.slack.wait_for(lambda _: sockets.trouble == "too_many_websockets")
        assert sockets.connected == 1
        await sockets.close()


async def test_a_wrong_token_is_refused_at_once(taker: Taker) -> None:
    sockets = taker.sockets("xapp-of-somebody-else")
    with pytest.raises(SlackApiError, match="invalid_auth"):
        await sockets.open()
    await sockets.close()


async def test_slack_s_trouble_at_the_start_is_waited_out(taker: Taker) -> None:
    taker.slack.fail("apps.connections.open", "internal_error")
    async with opened(taker):
        assert tickets(taker.slack) == 3


async def test_a_stop_acknowledges_what_was_taken_and_leaves_nothing_running(taker: Taker) -> None:
    before = asyncio.all_tasks()
    async with opened(taker) as sockets:
        taker.slack.fall_silent()
        taker.open_.clear()
        typed = asyncio.create_task(taker.command("last"))
        await taker.slack.wait_for(lambda _: taker.taken)
        async with asyncio.timeout(2):
            closing = asyncio.create_task(sockets.close())
            await asyncio.sleep(0)
            taker.open_.set()
            await closing
        assert await typed
    await taker.slack.wait_for(lambda slack: slack.connected == 0)
    left = [str(one) for one in asyncio.all_tasks() - before]
    assert [one for one in left if "relay/slack/" in one] == []
