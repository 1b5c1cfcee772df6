"""Scenarios: what a newcomer can try, step by step, and how far they have come with each."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from relay.sandbox.slack.fake import FakeSlack
from relay.sandbox.slack.workspace import Json

# What a step looks at may be missing still: then it is not done.
_NOT_THERE_YET = (LookupError, AttributeError, TypeError, ValueError, AssertionError, StopIteration)


@dataclass(frozen=True)
class Step:
    """One thing to do or to see; `person` and `place` say who to be and where to look, "" for no matter.

    A place is a channel's id, "home" for the app's Home tab, or "dm" for the conversation with the app.
    """

    text: str
    done: Callable[[FakeSlack], bool]
    person: str = ""
    place: str = ""


@dataclass(frozen=True)
class Scenario:
    """A named walk: `stage` sets it up, `play` does by itself what is left of it."""

    name: str
    title: str
    about: str
    steps: Sequence[Step]
    stage: Callable[[], Awaitable[None]]
    play: Callable[[], Awaitable[None]] | None = None


@dataclass(frozen=True)
class Command:
    """A slash command for the box's completion; `words` are its subcommands and what follows them."""

    command: str
    about: str
    usage: str
    words: Sequence[str]


@dataclass
class _Run:
    """How far a scenario has come: a step that was done once stays done until the next start."""

    done: set[int] = field(default_factory=set)
    started: bool = False
    doing: str = ""
    error: str = ""


class Lessons:
    """All scenarios of a page, started, played and looked at."""

    def __init__(self, slack: FakeSlack, scenarios: Sequence[Scenario]) -> None:
        self._slack = slack
        self._scenarios = {scenario.name: scenario for scenario in scenarios}
        self._runs = {scenario.name: _Run() for scenario in scenarios}

    def named(self, name: str) -> Scenario | None:
        """Return the scenario of that name, or None."""
        return self._scenarios.get(name)

    async def start(self, name: str) -> str:
        """Set a scenario up, afresh, and return what went wrong, "" for nothing."""
        if self._runs[name].doing:
            return "This scenario is busy: wait until it has gone on."
        self._runs[name] = _Run()
        return await self._do(name, "starting", self._scenarios[name].stage)

    async def play(self, name: str) -> str:
        """Do the rest of a scenario, from its start where it has not begun, and return what went wrong."""
        scenario, run = self._scenarios[name], self._runs[name]
        if scenario.play is None:
            return "This scenario does nothing by itself: it is yours to walk."
        if not run.doing and (not run.started or self._finished(name)) and (wrong := await self.start(name)):
            return wrong
        if self._runs[name].doing:
            return "This scenario is busy: wait until it has gone on."
        return await self._do(name, "playing", scenario.play)

    async def _do(self, name: str, doing: str, action: Callable[[], Awaitable[None]]) -> str:
        run = self._runs[name]
        run.doing, run.error = doing, ""
        self._slack.workspace.changed()
        try:
            await action()
        except Exception as problem:  # noqa: BLE001 - whatever a scenario runs into is told where it was started
            run.error = str(problem).partition("\n")[0] or type(problem).__name__
        else:
            run.started = True
        finally:
            run.doing = ""
            self.look()
            self._slack.workspace.changed()
        return run.error

    def look(self) -> bool:
        """Tick what is done by now and return whether anything was ticked."""
        found = False
        for name, run in self._runs.items():
            # While a scenario is set up, what its steps look for may still be there from the last time.
            if run.started and run.doing != "starting" and not self._finished(name):
                new = {n for n, step in enumerate(self._scenarios[name].steps) if self._is_done(step)}
                found = found or not new <= run.done
                run.done |= new
        return found

    async def watch(self, every: float) -> None:
        """Tick steps as they are done; some are done outside Slack, and looked for now and then."""
        while True:
            try:
                async with asyncio.timeout(every):
                    await self._slack.workspace.until(self.look)
            except TimeoutError:
                if not self.look():
                    continue
            self._slack.workspace.changed()

    def told(self) -> list[Json]:
        """Return the scenarios as the page shows them."""
        return [self._told(scenario) for scenario in self._scenarios.values()]

    def _told(self, scenario: Scenario) -> Json:
        run = self._runs[scenario.name]
        steps = [
            {"text": step.text, "person": step.person, "place": step.place, "done": number in run.done}
            for number, step in enumerate(scenario.steps)
        ]
        told: Json = {"name": scenario.name, "title": scenario.title, "about": scenario.about, "steps": steps}
        plays = scenario.play is not None
        return told | {"started": run.started, "doing": run.doing, "error": run.error, "plays": plays}

    def _finished(self, name: str) -> bool:
        return len(self._runs[name].done) == len(self._scenarios[name].steps)

    def _is_done(self, step: Step) -> bool:
        try:
            return bool(step.done(self._slack))
        except _NOT_THERE_YET:
            return False
