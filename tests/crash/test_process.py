"""The relay as a process: killed while others are away, stopped under load, started twice, its disk full."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator

import pytest

from tests.crash import facts
from tests.crash.load import Crowd
from tests.crash.relay_process import RelayProcess, relay, running
from tests.world import ADA, OPS, World

FULL = 4096  # bytes that a file may have: the store can write nothing


@pytest.fixture
async def process(idle: World) -> AsyncIterator[RelayProcess]:
    """A relay that serves as a process of its own."""
    async with running(idle) as serving:
        yield serving


async def test_messages_that_wait_for_an_offline_environment_survive_a_kill_in_their_order(
    idle: World,
) -> None:
    idle.environment.offline = True
    texts = [f"message {number}" for number in range(20)]
    async with running(idle) as process:
        for text in texts:
            assert (await idle.slack.slash(ADA, OPS, text)).ok
        await idle.slack.wait_for(lambda slack: len(_roots(idle)) == len(texts))
        await process.kill()
    async with running(idle):
        idle.environment.offline = False
        await idle.environment.wait_for(lambda seen: len(seen.received) >= len(texts), 20)
    assert [message.last_line for message in idle.environment.received if not message.duplicate] == texts
    assert len(_roots(idle)) == len(texts)


async def test_what_slack_is_still_asked_at_the_end_is_given_up_and_no_error(idle: World) -> None:
    async with running(idle) as process:
        idle.slack.fail("users.info", "internal_error", times=9, hang=True)
        assert (await idle.slack.slash(ADA, OPS, "hello")).ok  # the look-up goes on behind it
        assert await process.stop() == 0
    assert [line for line in process.log if line["level"] == "error"] == []


async def test_sigterm_under_load_ends_within_ten_seconds_and_loses_nothing(idle: World) -> None:
    crowd = Crowd(idle, commands=60, clicks=6)
    async with running(idle) as process:
        crowd.up.set()
        load = asyncio.create_task(crowd.run())
        await idle.environment.wait_for(lambda seen: len(seen.received) > 15)
        crowd.up.clear()
        began = time.monotonic()
        assert await process.stop() == 0
        assert time.monotonic() - began < 10
    async with running(idle) as process:
        crowd.up.set()
        await load
        await crowd.settled()
        assert await process.stop() == 0
    assert facts.lost(crowd) + facts.arrived_as_two(crowd) == []
    assert facts.overtaken(crowd) == []
    assert facts.without_one_root(crowd) + facts.without_one_decision(crowd) == []


async def test_a_second_relay_on_the_same_store_ends_with_one_clear_line(
    idle: World, process: RelayProcess
) -> None:
    second = await relay(idle, "serve")
    assert second.status == 1
    assert "in use by another relay" in second.problem
    assert (await idle.slack.slash(ADA, OPS, "still there?")).ok


async def test_a_relay_whose_port_is_taken_ends_with_one_clear_line(
    idle: World, process: RelayProcess
) -> None:
    other = {"RELAY_PORT": str(process.port), "RELAY_STORE_URL": f"sqlite:///{idle.folder}/other.db"}
    second = await relay(idle, "serve", changed=other)
    assert second.status == 1
    assert f"port {process.port}" in second.problem
    assert "RELAY_PORT" in second.problem


async def test_on_a_full_disk_people_are_told_that_nothing_was_sent(
    idle: World, process: RelayProcess
) -> None:
    await idle.slack.slash(ADA, OPS, "hello")
    await idle.thread_says("echo: hello")
    assert await process.ready() == 200
    process.allow_files_of(FULL)
    assert (await idle.slack.slash(ADA, OPS, "more")).ok
    await idle.told(ADA, "I could not store that, so nothing was sent or decided.")
    assert await process.ready() == 503
    assert [message.last_line for message in idle.environment.received] == ["hello"]


async def test_a_post_on_a_full_disk_is_handed_back_to_slack_which_brings_it_again(
    idle: World, process: RelayProcess
) -> None:
    post = {"type": "app_mention", "user": ADA, "channel": OPS, "text": "<@U0RELAY> keep this"}
    asked = idle.slack.workspace.post(idle.slack.channels[OPS], ADA, "@relay keep this", [])
    payload = idle.slack.event_payload(post | {"ts": asked.ts, "team": idle.slack.team_id})
    process.allow_files_of(FULL)
    assert (await idle.slack.event(payload)).status == 503
    await idle.told(ADA, "I could not store that, so nothing is sent yet.")
    process.allow_files_of(2**40)
    assert (await idle.slack.event(payload, retry_num=1, retry_reason="http_error")).ok
    await idle.thread_says("echo: keep this")


async def test_a_click_on_a_full_disk_decides_nothing_and_says_so(idle: World, process: RelayProcess) -> None:
    crowd = Crowd(idle, commands=1, clicks=1)
    crowd.up.set()
    await crowd.type(0)
    card = await idle.card()
    await process.logged(event="delivery.attempted", kind="card")
    process.allow_files_of(FULL)
    await idle.slack.click(ADA, card.channel, card.ts, "approve")
    await idle.told(ADA, "I could not store that, so nothing was sent or decided.")
    process.allow_files_of(2**40)
    await crowd.click(ADA, 0, "approve")
    await idle.card_says("Delivered.")
    assert len(idle.environment.decisions) == 1


async def test_a_form_on_a_full_disk_stays_open_with_what_was_typed_and_is_taken_afterwards(
    idle: World, process: RelayProcess
) -> None:
    crowd = Crowd(idle, commands=1, clicks=1)
    crowd.up.set()
    await crowd.type(0)
    card = await idle.card()
    await process.logged(event="delivery.attempted", kind="card")
    await idle.slack.click(ADA, card.channel, card.ts, "deny_reason")
    view = await idle.slack.wait_for(lambda slack: slack.modal_of(ADA))
    process.allow_files_of(FULL)
    await idle.slack.submit_view(ADA, view, {"words": {"entered": "Not on a Friday."}})
    assert view.is_open
    assert "could not store that" in view.errors["words"]
    process.allow_files_of(2**40)
    await idle.slack.submit_view(ADA, view)
    await idle.card_says("Not on a Friday.")


async def test_when_the_disk_has_room_again_everything_goes_on(idle: World, process: RelayProcess) -> None:
    idle.environment.offline = True
    await idle.slack.slash(ADA, OPS, "before")
    process.allow_files_of(FULL)
    await idle.slack.slash(ADA, OPS, "refused")
    idle.environment.offline = False
    process.allow_files_of(2**40)
    await idle.slack.slash(ADA, OPS, "after")
    await idle.environment.wait_for(lambda seen: len(seen.received) >= 2, 15)
    assert [message.last_line for message in idle.environment.received] == ["before", "after"]
    assert await process.ready() == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_stop_leaves_no_socket_behind(
    idle: World, process: RelayProcess, number: signal.Signals
) -> None:
    process.send(number)
    assert await process.ended() == 0
    assert not (idle.folder / "relay.db.sock").exists()


def _roots(world: World) -> list[str]:
    return [message.text for message in world.slack.channels[OPS].messages if message.thread_ts is None]
