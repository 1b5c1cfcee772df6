"""`relay demo`: every scenario happens against the real relay, and the command begins and ends as it says."""

import asyncio
import contextlib
import io
import json
import os
import re
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import aiohttp
import pytest

from relay.demo.places import ADA, APPROVALS, GRACE, LINUS, OPS
from relay.demo.scenarios import scenarios
from relay.demo.story import StuckError
from relay.demo.words import says
from relay.demo.world import Pace, World, world
from relay.sandbox.slack import FakeSlack, Message
from relay.sandbox.slack.page import Scenario, Spot

QUICK = Pace(step=0.0, others=0.0, word=0.0, remind_after="1s", expires_after="3s", effect=60.0, longest=60.0)
NAMES = (
    "first-steps", "denial-with-reason", "diff", "edit-and-approve", "ran-it-myself", "quorum", "grant",
    "masked-secret", "rules", "expiry", "inbox", "offline", "race", "stop", "elsewhere",
)  # fmt: skip
OPEN = re.compile(r"The workspace is open at (http://127\.0\.0\.1:\d+/) — Ctrl-C ends it\.\n")


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[World]:
    """A world with rules in which nobody waits longer than they have to."""
    log = io.StringIO()
    async with world(tmp_path, QUICK, log) as made:
        yield made
    assert "defect" not in log.getvalue() and "could not act" not in log.getvalue(), log.getvalue()


def scenario(made: World, name: str) -> Scenario:
    return next(one for one in scenarios(made) if one.name == name)


async def play(told: Scenario) -> None:
    assert told.play is not None
    await told.play()


def undone(made: World, one: Scenario) -> list[str]:
    return [step.text for step in one.steps if not step.done(made.slack)]


@pytest.mark.parametrize("name", NAMES)
async def test_a_scenario_happens_by_itself_to_its_end(here: World, name: str) -> None:
    told = scenario(here, name)
    assert undone(here, told) == [step.text for step in told.steps]
    await play(told)
    assert undone(here, told) == []


async def test_there_is_a_test_for_every_scenario(here: World) -> None:
    assert tuple(one.name for one in scenarios(here)) == NAMES


async def test_scenarios_wait_beside_each_other_and_begin_again(here: World) -> None:
    told = [one for one in scenarios(here) if one.name != "expiry"]
    for one in (*told, *reversed(told)):
        await one.stage()
    await asyncio.gather(*(play(one) for one in told))
    assert [text for one in told for text in undone(here, one)] == []


@pytest.mark.parametrize(("field", "entered"), [("command", "ls /srv/builds"), ("description", "Tidy up")])
async def test_any_change_of_what_would_run_counts(here: World, field: str, entered: str) -> None:
    told = scenario(here, "edit-and-approve")
    await told.stage()
    card = await here.slack.wait_for(newest_card)
    await here.slack.click(GRACE, APPROVALS, card.ts, "edit")
    view = await here.slack.wait_for(lambda slack: slack.modal_of(GRACE))
    assert view is not None
    place = next(
        one["block_id"] for one in view.view["blocks"] if one.get("label", {}).get("text", "") == field
    )
    await here.slack.submit_view(GRACE, view, {place: {"entered": entered}})
    await here.slack.wait_for(lambda _: not undone(here, told))


async def test_what_is_approved_as_it_was_asked_is_no_change(here: World) -> None:
    told = scenario(here, "edit-and-approve")
    await told.stage()
    card = await here.slack.wait_for(newest_card)
    await here.slack.click(GRACE, APPROVALS, card.ts, "approve")
    await here.slack.wait_for(lambda _: len(undone(here, told)) == 1)
    assert undone(here, told) == [told.steps[1].text]


async def test_a_story_is_known_again_however_it_is_typed(here: World) -> None:
    told = scenario(here, "first-steps")
    await told.stage()
    await here.slack.slash(ADA, OPS, "Please  Deploy the   site!")
    await here.slack.wait_for(lambda slack: told.steps[0].done(slack) and told.steps[1].done(slack))


async def test_steps_show_on_the_card_and_in_the_thread(here: World) -> None:
    told = scenario(here, "first-steps")
    spots = [step.spot for step in told.steps]
    assert [spot and spot(here.slack) for spot in spots] == [None] * 6
    await told.stage()
    await here.slack.slash(ADA, OPS, "deploy the site")
    card = await here.slack.wait_for(newest_card)
    root = here.slack.channels[OPS].messages[0]
    thread, on_card = Spot("", root.ts), Spot(card.ts)
    assert [spot and spot(here.slack) for spot in spots] == [thread, *[on_card] * 4, thread]


async def test_what_somebody_did_by_hand_is_not_done_again(here: World) -> None:
    told = scenario(here, "first-steps")
    await told.stage()
    await here.slack.slash(ADA, OPS, "deploy the site")
    card = await here.slack.wait_for(newest_card)
    await here.slack.click(LINUS, APPROVALS, card.ts, "approve")
    await play(told)
    assert undone(here, told) == []
    assert [one.approve for one in here.site.decisions] == [True]
    assert len([one for one in here.slack.channels[OPS].messages if one.thread_ts is None]) == 1


async def test_a_form_that_came_too_late_is_asked_for_again(here: World) -> None:
    told = scenario(here, "grant")
    here.slack.workspace.trigger_lifetime = 0.5
    here.slack.fail("views.open", "expired_trigger_id")
    await play(told)
    assert undone(here, told) == []


async def test_one_that_needs_no_card_begins_again_at_once(here: World) -> None:
    told = scenario(here, "rules")
    await play(told)
    async with asyncio.timeout(4):
        await told.stage()
    await play(told)
    assert undone(here, told) == []


async def test_a_scenario_that_somebody_took_elsewhere_says_so(here: World) -> None:
    told = scenario(here, "diff")
    await told.stage()
    card = await here.slack.wait_for(newest_card)
    await here.slack.click(LINUS, APPROVALS, card.ts, "deny")
    await here.slack.wait_for(lambda _: says(card, "Delivered."))
    with pytest.raises(StuckError, match="Start it again"):
        await play(told)
    await told.stage()
    await play(told)
    assert undone(here, told) == []


async def test_who_is_second_by_hand_is_told_in_a_race_too(here: World) -> None:
    told = scenario(here, "race")
    await told.stage()
    card = await here.slack.wait_for(newest_card)
    await here.slack.click(GRACE, APPROVALS, card.ts, "approve")
    await here.slack.wait_for(lambda slack: all(step.done(slack) for step in told.steps))
    [late] = [one for one in here.slack.ephemerals if one.user == LINUS]
    assert f"pproved by <@{GRACE}>" in late.text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("good morning", "explain how this works"),
        ("explain how this works", "What a card never does"),
        ("fail", "The agent could not finish"),
    ],
)
async def test_the_agent_answers_what_asks_for_no_tool(here: World, text: str, words: str) -> None:
    await here.slack.slash(ADA, OPS, text)
    await here.slack.wait_for(lambda slack: any(says(one, words) for one in slack.channels[OPS].messages))


async def test_two_tools_of_one_turn_are_asked_one_after_the_other(here: World) -> None:
    await here.slack.slash(ADA, OPS, "back up and update")
    for asked in ("pg_dump", "npm update"):
        card = await here.slack.wait_for(partial(card_about, words=asked))
        await here.slack.click(GRACE, APPROVALS, card.ts, "approve")
    await here.slack.wait_for(
        lambda slack: any(says(one, "the update: done") for one in slack.channels[OPS].messages)
    )


def newest_card(slack: FakeSlack) -> Message | None:
    return card_about(slack, "approval needed")


def card_about(slack: FakeSlack, words: str) -> Message | None:
    cards = [one for one in slack.channels[APPROVALS].messages if one.thread_ts is None]
    return next((one for one in reversed(cards) if says(one, words)), None)


# The command.


@contextlib.asynccontextmanager
async def relay_demo(tmp_path: Path, *arguments: str) -> AsyncIterator[Process]:
    """Run `relay demo` with its temporary folders under `tmp_path`; end it if it does not end."""
    variables = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "relay", "demo", *arguments,
        env={**variables, "TMPDIR": str(tmp_path), "PYTHONIOENCODING": "utf-8"}, stdout=PIPE, stderr=PIPE,
    )  # fmt: skip
    try:
        yield running
    finally:
        if running.returncode is None:
            running.kill()
            await running.wait()


def left_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def address(running: Process) -> str:
    """Return where the page is, once it is said."""
    assert running.stdout is not None
    async with asyncio.timeout(60):
        while line := (await running.stdout.readline()).decode():
            if found := OPEN.fullmatch(line):
                return found[1]
    raise AssertionError(f"it ended: {await running.communicate()}")


async def test_the_walk_prints_every_step_and_ends(tmp_path: Path) -> None:
    async with relay_demo(tmp_path, "--walk") as running, asyncio.timeout(60):
        out, err = await running.communicate()
    assert (running.returncode, err.decode()) == (0, "")
    said = out.decode()
    for words in (
        "/letta deploy the site",
        "[ Approve ]",
        "guests cannot do that here",
        "Every step happened.",
    ):
        assert words in said
    assert not left_in(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_the_page_answers_until_a_signal_ends_everything(tmp_path: Path, number: int) -> None:
    async with relay_demo(tmp_path, "--page", "--port", "0") as running:
        url = await address(running)
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            assert answer.status == 200 and "<html" in await answer.text()
        assert left_in(tmp_path)
        running.send_signal(number)
        async with asyncio.timeout(30):
            out, err = await running.communicate()
    assert (running.returncode, out, err) == (0, b"", b"")
    assert not left_in(tmp_path)


async def test_the_record_is_read_beside_the_page_as_it_is_told(tmp_path: Path) -> None:
    async with relay_demo(tmp_path, "--page", "--port", "0") as running, aiohttp.ClientSession() as session:
        said = ""
        async with asyncio.timeout(60):
            assert running.stdout is not None
            while not OPEN.search(said):
                said += (await running.stdout.readline()).decode()
        export, verify = re.findall(r"^  (RELAY_STORE_URL=.+ audit \w+)$", said, re.MULTILINE)
        async with session.ws_connect(f"{OPEN.findall(said)[0]}socket?user={ADA}") as tab:
            await tab.send_json({"id": 1, "act": "slash", "channel": OPS, "text": "/letta deploy the site"})
            async with asyncio.timeout(60):
                while (await tab.receive_json()).get("id") != 1:
                    pass
        exported = await shell(export)
        assert [json.loads(line) for line in exported.splitlines()]
        assert await shell(verify)
        running.send_signal(signal.SIGTERM)
        await running.communicate()


async def shell(command: str) -> str:
    """Run a command as it was told; return what it prints."""
    running = await asyncio.create_subprocess_shell(command, stdout=PIPE, stderr=PIPE)
    async with asyncio.timeout(60):
        out, err = await running.communicate()
    assert (running.returncode, err) == (0, b"")
    return out.decode()


async def test_walk_and_page_follow_each_other(tmp_path: Path) -> None:
    async with relay_demo(tmp_path, "--port", "0") as running:
        await address(running)
        running.send_signal(signal.SIGTERM)
        await running.communicate()
    assert running.returncode == 0


async def test_a_chosen_port_that_is_taken_is_one_clear_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        async with relay_demo(tmp_path, "--port", port) as running, asyncio.timeout(60):
            out, err = await running.communicate()
    assert (running.returncode, out) == (2, b"")
    [line] = err.decode().splitlines()
    assert line == (
        f"relay: port {port} of 127.0.0.1 cannot be used: address already in use; choose another with --port"
    )


async def test_the_usual_port_that_is_taken_is_another(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):  # somebody has it already: all the better
            taken.bind(("127.0.0.1", 8420))
            taken.listen()
        async with relay_demo(tmp_path, "--page") as running:
            assert ":8420/" not in await address(running)
