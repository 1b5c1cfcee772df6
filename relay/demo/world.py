"""A world to try relay in: the real one between the stand-ins, with rules for everything it does."""

import asyncio
import contextlib
import io
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from relay.app import App, json_log
from relay.config import load
from relay.demo import agent
from relay.demo.places import APPROVALS, GRACE, GUEST, LINUS, WORKSHOP
from relay.sandbox.environment import FakeEnvironment
from relay.sandbox.slack import Channel, FakeSlack

_RULES = """\
[environments.site]
agent_id = "{site.agent_id}"
device_id = "{site.device_id}"
base_url = "{site.base_url}"

[environments.workshop]
agent_id = "{workshop.agent_id}"
device_id = "{workshop.device_id}"
base_url = "{workshop.base_url}"

[[routes]]
channel = "{workshop_channel}"
environment = "workshop"
conversation = "thread"

[[routes]]
environment = "site"
conversation = "thread"

[[policies]]
name = "tests"
tools = ["Bash"]
when.input = {{ command = "make test*" }}
action = "allow"

[[policies]]
name = "no dropping"
tools = ["Bash"]
when.input = {{ command = "*DROP DATABASE*" }}
action = "deny"
reason = "Databases are dropped by people, never by an agent."

[[policies]]
name = "production"
tools = ["Bash"]
when.input = {{ command = "*production*" }}
approvers = {{ users = ["{grace}", "{linus}"] }}
quorum = 2
risk = "high"
reason = "Production needs two people."
quick_reasons = ["Not during the release.", "Not on a Friday."]

[[policies]]
name = "while it matters"
tools = ["Bash"]
when.input = {{ command = "cdn purge*" }}
approvers = {{ users = ["{grace}", "{linus}"] }}
remind_after = ["{remind_after}"]
expires_after = "{expires_after}"

[[policies]]
name = "refunds"
tools = ["refund_*"]
approvers = {{ users = ["{grace}"] }}
facts = [
  {{ path = "amount", label = "Amount", above = 1000 }},
  {{ path = "currency", label = "Currency" }},
]

[[policies]]
name = "the rest"
tools = ["*"]
approvers = {{ users = ["{grace}", "{linus}"] }}
quick_reasons = ["Not now.", "Ask in #ops first."]
grant_for = "8h"
grant_uses = 20
suggestions = true
"""


@dataclass(frozen=True)
class Pace:
    """How fast things happen by themselves, in seconds: slowly enough to see them, or at once in tests."""

    step: float = 1.5  # before each thing that `play` does
    others: float = 6.0  # before others act, so that one may be first
    word: float = 0.04
    remind_after: str = "15s"
    expires_after: str = "45s"
    effect: float = 30.0  # before what somebody did is taken to have none
    longest: float = 120.0  # before a step that does not come is given up


@dataclass
class World:
    """The stand-ins, and what goes on between them; a person fills in one form at a time."""

    slack: FakeSlack
    site: FakeEnvironment
    workshop: FakeEnvironment
    pace: Pace
    log: io.StringIO
    running: "asyncio.Task[None]"
    hands: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)

    def start(self, act: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Let somebody act beside all else, until the world ends."""
        task = asyncio.create_task(act)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def end(self) -> None:
        """Let nobody act any more."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (problem := task.exception()) is not None:
            # They act on what others may have changed meanwhile: then they have nothing to do any more.
            self.log.write(f"A stand-in could not act: {problem}\n")


@contextlib.asynccontextmanager
async def world(folder: Path, pace: Pace, log: io.StringIO) -> AsyncIterator[World]:
    """Give a world with rules, whose relay serves; end it all afterwards."""
    async with (
        FakeSlack() as slack,
        FakeEnvironment(delta_seconds=pace.word) as site,
        FakeEnvironment(device_id="device-2", agent_id="agent-2", delta_seconds=pace.word) as workshop,
    ):
        site.script, workshop.script = agent.script, agent.workshop
        _furnish(slack)
        (folder / "relay.toml").write_text(_rules(site, workshop, pace), encoding="utf-8")
        variables = settings(slack, folder) | {
            "LETTA_API_KEY": site.api_key,
            "RELAY_APPROVERS": f"{GRACE},{LINUS}",
        }
        async with serving(variables, folder, log) as running:
            made = World(slack, site, workshop, pace, log, running)
            try:
                yield made
            finally:
                await made.end()


@contextlib.asynccontextmanager
async def serving(
    variables: dict[str, str], folder: Path, log: io.StringIO
) -> AsyncIterator["asyncio.Task[None]"]:
    """Give a relay that serves, as the task it runs in; stop it afterwards."""
    app = App(load(variables, folder), json_log(log))
    stop = asyncio.Event()
    running = asyncio.create_task(app.serve(stop))
    try:
        await _first(app.ready.wait(), running)
        yield running
    finally:
        stop.set()
        await running


def settings(slack: FakeSlack, folder: Path) -> dict[str, str]:
    """Return the settings of a relay beside a stand-in Slack, all but those of its environment."""
    return {
        "SLACK_BOT_TOKEN": slack.bot_token,
        "SLACK_APP_TOKEN": slack.app_token,
        "SLACK_API_URL": slack.api_url,
        "RELAY_APPROVALS_CHANNEL": APPROVALS,
        "RELAY_STORE_URL": store_url(folder),
        "RELAY_PORT": "0",
    }


def store_url(folder: Path) -> str:
    """Return where the record of a world in a folder is kept."""
    return f"sqlite:///{folder}/relay.db"


async def _first(wanted: Awaitable[Any], running: "asyncio.Task[None]") -> None:
    waiting = asyncio.ensure_future(wanted)
    await asyncio.wait({waiting, running}, return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        waiting.cancel()
        await running


def _furnish(slack: FakeSlack) -> None:
    """Add a channel with an agent of its own, and let the guest see the cards."""
    full = slack.channels[APPROVALS].members
    slack.channels[WORKSHOP] = Channel(WORKSHOP, "workshop", members=set(full))
    full.add(GUEST)


def _rules(site: FakeEnvironment, workshop: FakeEnvironment, pace: Pace) -> str:
    return _RULES.format(
        site=site,
        workshop=workshop,
        workshop_channel=WORKSHOP,
        grace=GRACE,
        linus=LINUS,
        remind_after=pace.remind_after,
        expires_after=pace.expires_after,
    )
