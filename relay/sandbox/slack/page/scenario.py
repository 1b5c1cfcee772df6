"""Scenarios: what a newcomer can try, step by step, and how far they have come with each."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from relay.sandbox.slack.fake import FakeSlack
from relay.sandbox.slack.workspace import Json

# What a step looks at may be missing still: then it is not done.
_NOT_THERE_YET = (LookupError, AttributeError, TypeError, ValueError, AssertionError, StopIteration)


@dataclass(frozen=True)
class Spot:
    """The message at which something happens, and the root of the thread to open, "" for none."""

    ts: str = ""
    thread_ts: str = ""


@dataclass(frozen=True)
class Step:
    """One thing to do or to see; `person` and `place` say who to be and where to look, "" for no matter.

    A place is a channel's id, "home" for the app's Home tab, or "dm" for the conversation with the app;
    `spot` finds what to look at there, None while it is not there yet.
    """

    text: str
    done: Callable[[FakeSlack], bool]
    person: str = ""
    place: str = ""
    spot: Callable[[FakeSlack], Spot | None] | None = None


@dataclass(frozen=True)
class Scenario:
    """A named walk: `stage` sets it up, `play` does by itself what is left of it.

    Who types `begun_by` after a command, where its first step is, begins it too.
    """

    name: str
    title: str
    about: str
    steps: Sequence[Step]
    stage: Callable[[], Awaitable[None]]
    play: Callable[[], Awaitable[None]] | None = None
    begun_by: str = ""


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
    spots: dict[int, Spot] = field(default_factory=dict)
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

    async def typed(self, place: str, words: str) -> None:
        """Begin what somebody is about to begin with a command, unless it is under way or done."""
        for name, scenario in self._scenarios.items():
            run = self._runs[name]
            begins = scenario.begun_by and _plain(scenario.begun_by) in _plain(words)
            if begins and scenario.steps[0].place == place and not (run.started or run.doing):
                await self.start(name)

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
        """Tick what is done by now and return whether anything was ticked, or has come into sight."""
        found = False
        for name, run in self._runs.items():
            # While a scenario is set up, what its steps look for may still be there from the last time.
            if run.started and run.doing != "starting" and not self._finished(name):
                steps = self._scenarios[name].steps
                new = {n for n, step in enumerate(steps) if self._is_done(step)}
                spots = {n: spot for n, step in enumerate(steps) if (spot := self._spot(step))}
                found = found or not new <= run.done or not spots.items() <= run.spots.items()
                run.done |= new
                run.spots |= spots
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
        steps = [_step(step, n in run.done, run.spots.get(n)) for n, step in enumerate(scenario.steps)]
        told: Json = {"name": scenario.name, "title": scenario.title, "about": scenario.about, "steps": steps}
        plays = scenario.play is not None
        so_far = {"started": run.started, "doing": run.doing, "error": run.error}
        return told | so_far | {"plays": plays, "begun_by": scenario.begun_by}

    def _finished(self, name: str) -> bool:
        return len(self._runs[name].done) == len(self._scenarios[name].steps)

    def _is_done(self, step: Step) -> bool:
        try:
            return bool(step.done(self._slack))
        except _NOT_THERE_YET:
            return False

    def _spot(self, step: Step) -> Spot | None:
        try:
            return step.spot(self._slack) if step.spot else None
        except _NOT_THERE_YET:
            return None


def _step(step: Step, done: bool, spot: Spot | None) -> Json:
    """Return a step as the page shows it."""
    told: Json = {"text": step.text, "person": step.person, "place": step.place, "done": done}
    return told | {"ts": spot.ts if spot else "", "thread_ts": spot.thread_ts if spot else ""}


def _plain(words: str) -> str:
    """Return words without what people vary: capitals, and how much space stands between."""
    return " ".join(words.casefold().split())
