"""What comes from outside leads relay nowhere: no response_url, no file, no redirect."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import SecretStr

from relay.app import StartError
from relay.app.http_clients import RedirectedError, http_clients
from relay.config import Environment
from relay.domain.deliveries import Delivery, Kind, Outcome, Retry, State
from relay.environment.directory import Directory
from relay.environment.sender import EnvironmentSender
from tests.scenarios.acts import ask_tool
from tests.world import ADA, APPROVALS, GUEST, OPS, World

MESSAGE = Delivery(
    id="msg_1",
    team_id="T0HOME",
    kind=Kind.MESSAGE,
    ordering_key="k",
    subject_id="msg_1",
    environment="server",
    body={"content": "tell nobody", "agent_id": "agent-1", "conversation_id": "default"},
    state=State.SENDING,
    attempts=1,
    uncertain=False,
    created_at=datetime.now(UTC),
    next_attempt_at=None,
    deadline=None,
    receipt={},
    last_error="",
)


@dataclass
class Stranger:
    """A server that nobody configured, and what it was asked."""

    url: str = ""
    asked: list[str] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(f"{request.method} {request.path}")
        self.shown += [f"{name}: {value}" for name, value in request.headers.items()]
        self.shown.append((await request.read()).decode(errors="replace"))
        return web.json_response({"ok": True, "success": True})


@pytest.fixture
async def stranger() -> AsyncIterator[Stranger]:
    """A server on this machine, as good as any that a request could be smuggled to."""
    made = Stranger()
    application = web.Application()
    application.router.add_route("*", "/{rest:.*}", made.answer)
    async with TestServer(application, host="127.0.0.1") as server:
        made.url = str(server.make_url("/"))
        yield made


class Known(Directory):
    """A directory that need not ask."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        super().__init__(client, lambda *_, **__: None)

    async def connection_id(self, environment: Environment) -> str:
        return str(environment.connection_id)


async def at_once(delivery: Delivery, connection_id: str) -> bool:
    """Its answers can be heard."""
    return True


async def by_socket(delivery: Delivery, message: dict[str, Any]) -> Outcome:
    """Nobody sends by it here."""
    raise AssertionError


@contextlib.asynccontextmanager
async def sent_elsewhere(to: str, status: int = 307) -> AsyncIterator[str]:
    """Give the address of a server that sends everybody elsewhere."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=status, headers={"Location": to.rstrip("/") + request.path})

    application = web.Application()
    application.router.add_route("*", "/{rest:.*}", answer)
    async with TestServer(application, host="127.0.0.1") as server:
        yield str(server.make_url("/"))


async def test_a_response_url_that_is_not_slacks_is_not_asked_and_the_person_is_told_another_way(
    both_ways: World, stranger: Stranger
) -> None:
    payload = both_ways.slack.slash_payload(ADA, OPS, "hello", command="/letta", team_id="T0HOME")
    payload |= {"response_url": f"{stranger.url}response/1", "text": "approvals"}
    assert (await both_ways.slack.deliver("command", payload)).ok
    await both_ways.told(ADA, "wait")
    assert stranger.asked == []
    assert "response_url.refused" in both_ways.log.getvalue()
    assert stranger.url not in both_ways.log.getvalue()


async def test_a_click_with_a_strange_response_url_is_answered_another_way(
    here: World, stranger: Stranger
) -> None:
    card = await ask_tool(here, {"command": "true"})
    payload = here.slack.click_payload(GUEST, APPROVALS, card.ts, "approve")
    payload["response_url"] = stranger.url
    assert (await here.slack.deliver("action", payload)).ok
    # Slack shows nobody a private message in a channel that they are not in.
    await here.slack.wait_for(
        lambda slack: any(
            "guests cannot" in message.text for place in slack.channels.values() for message in place.messages
        )
    )
    assert stranger.asked == []


async def test_a_file_that_is_not_slacks_is_named_and_not_asked_for(here: World, stranger: Stranger) -> None:
    file = {"id": "F1", "name": "notes.txt", "mimetype": "text/plain", "size": 5, "url_private": stranger.url}
    event = {
        "type": "message", "channel": OPS, "user": ADA, "ts": "1700000000.000100", "channel_type": "channel",
        "text": f"<@{here.slack.workspace.bot_user}> read it", "files": [file], "subtype": "file_share",
    }  # fmt: skip
    assert (await here.slack.deliver("event", here.slack.event_payload(event))).ok
    received = await here.environment.wait_for(lambda environment: environment.received)
    assert "notes.txt" in str(received[0].content) and "not included" in str(received[0].content)
    assert stranger.asked == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("client", ["sockets", "slack", "lookups"])
async def test_no_client_goes_where_it_is_sent(stranger: Stranger, client: str, status: int) -> None:
    async with sent_elsewhere(stranger.url, status) as url, http_clients(5) as http:
        if client == "lookups":
            assert (await http.lookups.post(url, json={"a": 1})).status_code == status
        elif client == "sockets":
            with pytest.raises(RedirectedError):
                await http.sockets.ws_connect(url, headers={"Authorization": "Bearer sk-1"})
        else:
            with pytest.raises(RedirectedError):
                await http.slack.post(url, data={"text": "words"}, headers={"Authorization": "Bearer xoxb-1"})
    assert stranger.asked == []


async def test_an_environment_that_sends_relay_elsewhere_is_shown_no_key_there(
    idle: World, stranger: Stranger
) -> None:
    async with sent_elsewhere(stranger.url) as url:
        await idle.start_relay({"LETTA_BASE_URL": url.rstrip("/")})
        await idle.slack.slash(ADA, OPS, "hello")
        await idle.thread_says("offline")
        await idle.stop_relay()
    assert stranger.asked == []


async def test_a_messages_endpoint_that_sends_relay_elsewhere_is_tried_again_and_nothing_is_shown(
    stranger: Stranger,
) -> None:
    async with sent_elsewhere(stranger.url) as url, http_clients(5) as http:
        server = Environment("server", "agent-1", url.rstrip("/"), SecretStr("sk-1"), connection_id="c1")
        sender = EnvironmentSender(
            http.environments,
            Known(http.lookups),
            {"server": server},
            lambda: datetime.now(UTC),
            at_once,
            by_socket,
        )
        outcome = await sender.send(MESSAGE)
    assert outcome == Retry("the environment answered 307", said="no reason given")
    assert stranger.asked == []


async def test_a_slack_that_sends_relay_elsewhere_ends_the_start_with_one_clear_line(
    idle: World, stranger: Stranger
) -> None:
    async with sent_elsewhere(stranger.url) as url:
        with pytest.raises(StartError, match=r"Slack cannot be reached \(RedirectedError\)"):
            await idle.start_relay({"SLACK_API_URL": f"{url}api/"})
    assert stranger.asked == []
