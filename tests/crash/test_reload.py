"""SIGHUP at a real process: the configuration is taken up, or it is said why not."""

import os
import pty
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.crash.relay_process import SERVE, RelayProcess, running
from tests.scenarios.acts import ask_tool
from tests.world import ADA, APPROVALS, GRACE, LINUS, OPS, World, button, everything

INPUT = {"command": "make release"}
LINUS_ALONE = f"""
[[policies]]
name = "linus"
tools = ["*"]
approvers = {{ users = ["{LINUS}"] }}
"""
NOBODY = """
[[policies]]
name = "never"
tools = ["*"]
action = "deny"
reason = "Not this week."
"""


def write(world: World, text: str) -> None:
    Path(world.folder / "relay.toml").write_text(text, encoding="utf-8")


async def reloaded(process: RelayProcess, event: str = "config.reloaded") -> dict[str, Any]:
    """Send the signal, and return what the log says of it."""
    process.send(signal.SIGHUP)
    return await process.logged(event=event)


async def test_a_good_file_counts_for_what_comes_and_for_what_waits(idle: World) -> None:
    async with running(idle) as process:
        waiting = await ask_tool(idle, INPUT)
        write(idle, LINUS_ALONE)
        said = await reloaded(process)
        assert (said["changed"], said["needs_restart"], said["level"]) == (["policies"], [], "info")
        await idle.slack.click(GRACE, APPROVALS, waiting.ts, "approve")
        await idle.told(GRACE, "not one of the approvers")
        assert button(waiting, "approve") is not None
        await idle.slack.click(LINUS, APPROVALS, waiting.ts, "approve")
        await idle.card_says("Delivered.")
        write(idle, NOBODY)
        process.log.clear()
        await reloaded(process)
        await idle.slack.slash(ADA, OPS, "again, please")
        denied = await idle.card_says("Not this week.", number=3)  # the second calls people to the first
        assert "denied" in everything(denied)
        assert await process.stop() == 0


async def test_a_bad_file_changes_nothing_and_every_reason_is_in_one_line(idle: World) -> None:
    write(idle, LINUS_ALONE)
    async with running(idle) as process:
        write(idle, '[[policies]]\nname = "x"\naction = "perhaps"\n\n[listening]\nmost = "many"\n')
        said = await reloaded(process, "config.not_reloaded")
        assert said["level"] == "error"
        assert len(said["reasons"]) == 3
        assert any("listening.most" in one for one in said["reasons"])
        card = await ask_tool(idle, INPUT)
        assert LINUS in everything(card)
        assert await process.stop() == 0


async def test_what_needs_a_restart_is_named_and_the_rest_counts(idle: World) -> None:
    async with running(idle) as process:
        other = '[environments.other]\nagent_id = "agent-9"\ndevice_id = "device-9"\n'
        changed = '[slack]\ncommand = "/agent"\nquote_commands = false\n'
        write(idle, f'{changed}{other}[[routes]]\nenvironment = "other"\n')
        said = await reloaded(process)
        assert said["level"] == "warning"
        assert said["changed"] == ["slack.quote_commands"]
        assert said["needs_restart"] == ["slack.command", "environments", "routes"]
        await idle.slack.slash(ADA, OPS, "hello")
        await idle.environment.wait_for(lambda seen: seen.received)
        assert await process.stop() == 0


async def test_a_place_that_another_workspace_reads_is_not_taken_up(idle: World) -> None:
    async with running(idle) as process:
        write(idle, '[[routes]]\napprovals = ["C0SHARED"]\n')
        said = await reloaded(process, "config.not_reloaded")
        assert "C0SHARED is shared with another workspace" in said["reasons"][0]
        await ask_tool(idle, INPUT)
        assert await process.stop() == 0


async def test_a_relay_whose_terminal_is_closed_stops(idle: World) -> None:
    leader, terminal = pty.openpty()
    # A session of its own whose terminal this is, as in a window that somebody closes.
    begin = (
        "import fcntl, os, sys, termios\n"
        "os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
        "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    )
    os.set_inheritable(terminal, True)
    kept = os.dup(0)
    try:
        os.dup2(terminal, 0)
        process = RelayProcess(idle, ("-c", begin, *SERVE))
        await process.start()
    finally:
        os.dup2(kept, 0)
        os.close(kept)
        os.close(terminal)
    try:
        os.close(leader)
        assert await process.ended() == 0
        assert process.log[-1]["event"] == "relay.stopped"
    finally:
        if process.is_alive:
            process.send(signal.SIGKILL)
        await process.ended()


@pytest.mark.parametrize("times", [5])
async def test_signals_that_come_at_once_are_taken_up_one_after_the_other(idle: World, times: int) -> None:
    async with running(idle) as process:
        write(idle, LINUS_ALONE)
        for _ in range(times):
            process.send(signal.SIGHUP)
        await process.logged(event="config.reloaded")
        assert await process.stop() == 0
