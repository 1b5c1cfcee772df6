"""A story that people can walk through, or watch: who does what where, and how each step shows in Slack.

A story can be begun again at any time, also while others wait: it looks only at what came since, and at
what its own sentence and its own tool call are known by.
"""

import asyncio
import contextlib
import json
import re
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from relay.demo.places import ADA, APPROVALS, OPS
from relay.demo.words import ever_said, everything, quotes, says
from relay.demo.world import World
from relay.sandbox.slack import FakeSlack, Message, View
from relay.sandbox.slack.page import Scenario, Spot, Step

_SETTLED = 30.0
_TRIES = 5
_CODE = re.compile(r"Code `(\w+)`")
Blocks = list[dict[str, Any]]
Done = Callable[[FakeSlack], bool]
Seen = Callable[[FakeSlack], Spot | None]
Act = Callable[[], Awaitable[Any]]
Others = Callable[[], Coroutine[Any, Any, None]]


class StuckError(Exception):
    """A story went another way than it was written."""


@dataclass(frozen=True)
class Part:
    """One step of a story; without `act` it comes by itself, or by what others do.

    `spot` is where it shows, if not where its place says: on the story's card, or in its thread.
    """

    text: str
    done: Done
    person: str = ""
    place: str = ""
    act: Act | None = None
    spot: Seen | None = None


class Story:
    """Looks for what belongs to one story in a workspace, and acts in it."""

    def __init__(self, world: World, said: str, asked: str, place: str = OPS) -> None:
        """`said` is what Ada types, `asked` what the tool call of the agent is known by."""
        self.world = world
        self.slack = world.slack
        self.said = said
        self.asked = asked
        self.place = place
        self._since = ""
        self._number = 0  # of the telling: an earlier one that is still under way ends itself
        self._typed = False
        self._decided = self._received = 0  # how many decisions and messages had reached the agent before
        self._parts: Sequence[Part] = ()
        self._set_up: Act = self.ask
        self._others: Others | None = None
        self._acting: asyncio.Task[None] | None = None

    def told_as(
        self,
        name: str,
        title: str,
        about: str,
        parts: Sequence[Part],
        *,
        set_up: Act | None = None,
        others: Others | None = None,
        begun_by: str = "",
    ) -> Scenario:
        """Return the scenario of it; `set_up` is done at its start, `others` act when their time has come."""
        self._parts, self._others = parts, others
        self._set_up = set_up or self.ask
        steps = [
            Step(one.text, self._since_begun(one.done), one.person, one.place, self._spot(one))
            for one in parts
        ]
        return Scenario(name, title, about, steps, self.stage, self.play, begun_by)

    async def stage(self) -> None:
        """Begin it, maybe anew, and do what comes before its first step."""
        await self._settled()
        self.begin()
        await self._set_up()
        if self._others is not None:
            self._acting = self.world.start(self._others())

    def begin(self) -> None:
        """Look only at what comes from now on."""
        if self._acting is not None:
            self._acting.cancel()
        self._number += 1
        self._since = self.slack.workspace.new_ts()
        self._decided = len(self.world.site.decisions)
        self._received = len(self.world.site.received)
        self.slack.workspace.changed()

    async def _settled(self) -> None:
        """Let what was asked for in an earlier telling come first: else it would be taken for the new one's."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SETTLED if self._typed else 0):
                await self.slack.workspace.until(lambda: self._is_settled() or None)
        self._typed = False

    def _is_settled(self) -> bool:
        if self.root() is None:
            return False
        if not self.asked or self.cards():
            return True
        # Where a rule allows the call, the turn ends without a card.
        turns = self._conversations()
        return bool(turns) and not any(map(self.world.site.busy, turns))

    def _conversations(self) -> set[str]:
        """Return in which conversations the agent heard the story's sentence since it began."""
        heard = self.world.site.received[self._received :]
        return {one.conversation_id for one in heard if self.said in one.content}

    async def play(self) -> None:
        """Do what is left of it. Raises StuckError where somebody took it elsewhere."""
        if not self._since:
            await self.stage()
        number = self._number
        for part in self._parts:
            if part.act is not None and not part.done(self.slack):
                await asyncio.sleep(self.world.pace.step)
                await self._do(part, number)
            await self._see(part, number)

    async def _do(self, part: Part, number: int) -> None:
        if part.act is None or part.done(self.slack) or self._number != number:
            return
        try:
            await part.act()
        except AssertionError as problem:
            raise StuckError(f"It went another way than “{part.text}”. Start it again.") from problem

    async def _see(self, part: Part, number: int) -> None:
        try:
            # What somebody was to do has been done by now: only its effect is waited for.
            async with asyncio.timeout(self.world.pace.effect if part.act else self.world.pace.longest):
                await self.slack.workspace.until(
                    lambda: self._number != number or part.done(self.slack) or None
                )
        except TimeoutError:
            raise StuckError(f"“{part.text}” did not come. Start it again.") from None

    def _since_begun(self, done: Done) -> Done:
        return lambda slack: bool(self._since) and done(slack)

    def _spot(self, part: Part) -> Seen | None:
        return part.spot or {APPROVALS: self.at_card(), self.place: self.at_thread}.get(part.place)

    # What is there.

    def cards(self) -> list[Message]:
        """Return the story's cards, the oldest first."""
        return [
            one
            for one in self.news(APPROVALS)
            if one.thread_ts is None and one.user == self.slack.workspace.bot_user and self._is_its_card(one)
        ]

    def card(self) -> Message:
        """Return the story's first card. Raises StuckError where there is none yet."""
        if not (found := self.cards()):
            raise StuckError("Its card is not there yet. Try again in a moment.")
        return found[0]

    def root(self) -> Message | None:
        """Return the message that quotes what Ada typed."""
        begins = (one for one in self.news(self.place) if one.thread_ts is None and quotes(one, self.said))
        return next(begins, None)

    def thread(self) -> list[Message]:
        """Return what stands under that message."""
        root = self.root()
        return self.slack.channels[self.place].thread(root.ts)[1:] if root else []

    def news_for(self, user: str) -> Iterator[str]:
        """Yield what only one person was told since it began."""
        yield from (one.text for one in self.slack.ephemerals if one.user == user and one.ts > self._since)

    def news(self, channel: str) -> Iterator[Message]:
        """Return what was posted in a channel since it began."""
        messages = self.slack.channels[channel].messages
        # What is kept while others write must not change under the walk.
        return (one for one in list(messages) if one.ts > self._since)

    def _is_its_card(self, message: Message) -> bool:
        return any(block["type"] == "header" for block in message.blocks) and ever_said(message, self.asked)

    # How a step shows.

    def begun(self, _: FakeSlack) -> bool:
        """Whether what Ada typed stands in the channel."""
        return self.root() is not None

    def card_says(self, words: str, number: int = 1) -> Done:
        """Return whether one of the story's cards says some words, or did so before."""
        return lambda _: len(self.cards()) >= number and ever_said(self.cards()[number - 1], words)

    def under_card(self, words: str) -> Done:
        """Return whether somebody says some words in the thread of the card."""

        def done(_: FakeSlack) -> bool:
            threads = {one.ts for one in self.cards()}
            return any(one.thread_ts in threads and says(one, words) for one in self.news(APPROVALS))

        return done

    def thread_says(self, words: str) -> Done:
        """Return whether somebody says some words in the thread of what Ada typed."""
        return lambda _: any(ever_said(one, words) for one in self.thread())

    def told(self, user: str, words: str = "") -> Done:
        """Return whether a person was told some words alone, given in small letters."""
        return lambda _: any(words in text.lower() for text in self.news_for(user))

    def changed(self, _: FakeSlack) -> bool:
        """Whether an approver has changed what the agent asked for, in whatever way."""
        turns = self._conversations()
        decisions = self.world.site.decisions[self._decided :]
        return any(one.updated_input is not None and one.conversation_id in turns for one in decisions)

    # Where a step shows.

    def at_card(self, number: int = 1, *, thread: bool = False) -> Seen:
        """Return what finds one of the story's cards, or the thread under it."""

        def spot(_: FakeSlack) -> Spot | None:
            found = self.cards()[number - 1 : number] if self._since else []
            return next((Spot(one.ts, one.ts if thread else "") for one in found), None)

        return spot

    def at_thread(self, _: FakeSlack) -> Spot | None:
        """Find the thread of what Ada typed."""
        root = self.root() if self._since else None
        return Spot("", root.ts) if root else None

    # What people do.

    async def ask(self) -> None:
        """Have Ada type the story's sentence."""
        self._typed = True
        await self.slack.slash(ADA, self.place, self.said)

    def clicks(self, user: str, action_id: str, *, stale: bool = False) -> Act:
        """Return what presses a button of the card; `stale`: also one that was there a moment ago."""

        async def act() -> None:
            card = self.card()
            shown = [card.blocks, *(before for _, before in reversed(card.history))]
            value = next((one["value"] for one in _elements(shown if stale else shown[:1], action_id)), None)
            assert value is not None, f"there is no button {action_id}"
            await self.slack.click(user, APPROVALS, card.ts, action_id, value=value)

        return act

    def fills(self, user: str, form: str, **entered: Any) -> Act:
        """Return what opens a form from the card, fills in its inputs by label or id, and submits it."""

        async def act() -> None:
            async with self.world.hands[user]:
                view = await self._opened(user, form)
                values = {_block_id(view, name): {"entered": value} for name, value in entered.items()}
                await asyncio.sleep(self.world.pace.step)
                await self.slack.submit_view(user, view, values)

        return act

    async def _opened(self, user: str, form: str) -> View:
        before = {view.id for view in self.slack.views}

        def newest() -> View | None:
            view = self.slack.modal_of(user)
            return view if view is not None and view.id not in before else None

        for _ in range(_TRIES):
            await self._press(user, form)
            with contextlib.suppress(TimeoutError):
                # What has not opened by then never opens: the app was too slow, and asks to press again.
                async with asyncio.timeout(self.slack.workspace.trigger_lifetime):
                    return await self.slack.workspace.until(newest)
        raise AssertionError(f"The form {form} does not open.")

    async def _press(self, user: str, form: str) -> None:
        card = self.card()
        if any(_elements([card.blocks], form)):
            await self.slack.click(user, APPROVALS, card.ts, form)
        else:
            await self.slack.click(user, APPROVALS, card.ts, "more", value=_option(card, form))

    def replies(self, user: str, text: str) -> Act:
        """Return what writes something in the thread of what Ada typed."""

        async def act() -> None:
            root = self.root()
            assert root is not None, "there is no thread yet"
            await self.slack.say(user, self.place, text, thread_ts=root.ts)

        return act


def _elements(shown: Sequence[Blocks], action_id: str) -> Iterator[dict[str, Any]]:
    """Yield the elements of that name in what a message shows, or showed."""
    for blocks in shown:
        for block in blocks:
            if block["type"] == "actions":
                yield from (one for one in block["elements"] if one.get("action_id") == action_id)


def _option(card: Message, do: str) -> str:
    """Return the value of an option of the card's menu."""
    options = (one for menu in _elements([card.blocks], "more") for one in menu["options"])
    found = next((one["value"] for one in options if json.loads(one["value"])["do"] == do), None)
    assert found is not None, f"the card's menu has no {do}"
    return str(found)


def _block_id(view: View, name: str) -> str:
    """Return the id of the input under a label; what is no label is an id."""
    labelled = (one for one in view.view["blocks"] if one.get("label", {}).get("text") == name)
    return str(next((one["block_id"] for one in labelled), name))


def home_text(slack: FakeSlack, user: str) -> str:
    """Return what a person's Home tab says now."""
    home = slack.home_of(user)
    return everything(home.view["blocks"]) if home else ""


def code_of(card: Message) -> str:
    """Return the code that stands on a card, or did while it was open; empty before it has one."""
    for blocks in (card.blocks, *(before for _, before in card.history)):
        if found := _CODE.search(everything(blocks)):
            return found[1]
    return ""
