"""Slack's own clients, npm and Python, use the stand-in as they use Slack: told by what people see."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from relay.sandbox.slack import FakeSlack, Message
from tests.sandbox.foreign_clients import APP, Transport, npm_bolt, python_bolt

OPS, ADA, GRACE = "C0OPS", "U0REQUESTER", "U0APPROVER"
Client = Callable[[FakeSlack, Transport, Path], AbstractAsyncContextManager[None]]
CLIENTS: dict[str, Client] = {"npm": npm_bolt, "python": python_bolt}
each_client = pytest.mark.parametrize("client", CLIENTS)
each_transport = pytest.mark.parametrize("transport", ["http", "socket"])


@pytest.fixture
async def slack(client: str, transport: Transport, tmp_path: Path) -> AsyncIterator[FakeSlack]:
    """A workspace with the small app of that client, connected that way."""
    async with FakeSlack() as workspace, CLIENTS[client](workspace, transport, tmp_path):
        if transport == "socket":
            await workspace.wait_for(lambda s: s.connected)
        yield workspace


async def card(slack: FakeSlack) -> Message:
    """Ask for a card with the slash command, and return it."""
    assert (await slack.slash(ADA, OPS, "deploy")).ok
    return await slack.wait_for(lambda s: next((m for m in s.channels[OPS].messages if m.blocks), None))


async def modal(slack: FakeSlack) -> Any:
    """Click the button that asks for a reason, and return the modal it opens."""
    await slack.click(GRACE, OPS, (await card(slack)).ts, "reason")
    return await slack.wait_for(lambda s: s.modal_of(GRACE))


@each_client
@each_transport
async def test_a_command_is_answered_to_its_author_and_gives_a_card(slack: FakeSlack, transport: str) -> None:
    ack = await slack.slash(ADA, OPS, "deploy <all> & more")
    seen = slack.ephemerals[-1]
    assert (ack.ok, ack.transport) == (True, transport)
    assert (seen.user, seen.via, seen.text) == (ADA, "ack", "Queued: deploy &lt;all&gt; &amp; more")
    [shown] = await slack.wait_for(lambda s: s.channels[OPS].messages)
    assert [one["text"]["text"] for one in shown.blocks[1]["elements"]] == ["Approve", "Deny…"]


@each_client
@each_transport
async def test_a_click_changes_the_card_and_is_confirmed_to_the_clicker_alone(slack: FakeSlack) -> None:
    shown = await card(slack)
    assert (await slack.click(GRACE, OPS, shown.ts, "approve")).ok
    seen = await slack.wait_for(lambda s: next((e for e in s.ephemerals if e.via == "response_url"), None))
    assert (seen.user, seen.text) == (GRACE, "You approved it.")
    assert (shown.text, shown.edited, len(shown.blocks)) == (f"Approved apr_1 by <@{GRACE}>", 1, 1)


@each_client
@each_transport
async def test_a_reason_is_asked_for_and_refused_once_and_taken(slack: FakeSlack) -> None:
    view = await modal(slack)
    await slack.submit_view(GRACE, view, {"why": {"reason": "no"}})
    assert (view.is_open, view.errors) == (True, {"why": "Say more than no."})
    await slack.submit_view(GRACE, view, {"why": {"reason": "not on a Friday"}})
    assert not view.is_open
    [shown] = slack.channels[OPS].messages
    await slack.wait_for(lambda _: shown.edited)
    assert (shown.text, shown.blocks) == ("Denied: not on a Friday", [])


@each_client
@each_transport
async def test_the_home_tab_is_filled_when_it_is_opened(slack: FakeSlack) -> None:
    assert (await slack.home_opened(ADA)).ok
    home = await slack.wait_for(lambda s: s.home_of(ADA))
    assert home.view["blocks"][0]["text"]["text"] == f"Nothing waits for <@{ADA}>."


@each_client
@each_transport
async def test_a_mention_and_a_message_are_answered_in_their_threads(slack: FakeSlack) -> None:
    assert await answer(slack, "@relay well?") == "Heard: <@U0RELAY> well?"
    assert await answer(slack, "hello there") == "Hello to you."


async def answer(slack: FakeSlack, said: str) -> str:
    """Say something in the channel, and return what comes as the one reply."""
    await slack.say(ADA, OPS, said)
    root = next(message for message in reversed(slack.channels[OPS].messages) if message.user == ADA)
    [reply] = await slack.wait_for(lambda s: s.channels[OPS].thread(root.ts)[1:])
    return reply.text


@each_client
@each_transport
async def test_a_client_sent_away_waits_as_long_as_it_is_told(slack: FakeSlack) -> None:
    slack.fail("chat.postMessage", "ratelimited", retry_after=1)
    await card(slack)
    first, second = (call for call in slack.calls if call.method == "chat.postMessage")
    assert (first.error, second.error, second.at - first.at >= 1) == ("ratelimited", None, True)


@each_client
@pytest.mark.parametrize("transport", ["socket"])
async def test_a_disconnected_client_comes_back_with_a_new_ticket(slack: FakeSlack) -> None:
    await slack.disconnect("warning")
    await slack.wait_for(lambda s: _tickets(s) == 2 and s.connected == 1)
    await slack.disconnect("refresh_requested")
    await slack.wait_for(lambda s: _tickets(s) == 3 and s.connected == 1)
    assert (await card(slack)).text == "Run it?"


@pytest.mark.parametrize("client", ["npm"])
@pytest.mark.parametrize("transport", ["socket"])
async def test_the_npm_client_asks_for_another_ticket_when_one_is_refused(slack: FakeSlack) -> None:
    slack.refuse_tickets = 1
    await slack.disconnect()
    await slack.wait_for(lambda s: s.refused_tickets and s.connected == 1)
    assert (_tickets(slack), (await card(slack)).text) == (3, "Run it?")


@pytest.mark.parametrize("client", ["python"])
@pytest.mark.parametrize("transport", ["socket"])
async def test_the_python_client_tries_a_refused_ticket_for_ever(slack: FakeSlack) -> None:
    slack.refuse_tickets = 1
    await slack.disconnect()
    refused = await slack.wait_for(lambda s: s.refused_tickets[2:] and s.refused_tickets)
    assert (len(set(refused)), _tickets(slack), slack.connected) == (1, 2, 0)


def test_the_npm_client_is_pinned_by_hash_and_its_lock_names_no_host() -> None:
    text = APP.with_name("package-lock.json").read_text(encoding="utf-8")
    assert "://" not in text
    packages = json.loads(text)["packages"]
    wanted = json.loads(APP.with_name("package.json").read_text(encoding="utf-8"))["dependencies"]
    assert packages.pop("")["dependencies"] == wanted == {"@slack/bolt": "5.1.0"}
    assert all(one["integrity"].startswith("sha512-") for one in packages.values())


def _tickets(slack: FakeSlack) -> int:
    return [call.method for call in slack.calls].count("apps.connections.open")
