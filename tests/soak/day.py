"""A day of life: people who type and decide, turn after turn, in several conversations at once."""

import asyncio
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from relay.sandbox.environment import Say, Step, Turn, UseTool
from relay.sandbox.slack.workspace import Channel, Message
from tests.world import ADA, GRACE, World, button

CONVERSATIONS = 8
# A turn that a restarted device lost is given up only after a while without a drop, and drops are many.
PATIENCE = 300.0
_LATELY = 60  # messages of a channel, more than a turn brings
_TOOL = re.compile(r"make <(tool \w+ \d+ try \d+)>")
TOGETHER = "Answered together with a later message"
ENDED_UNHEARD = (
    "left no words that I can read",
    "shows no sign of it",
    "turn was stopped",
    "could not finish",
    "without a word",
)


@dataclass(frozen=True)
class Typed:
    """What somebody typed, like nothing else of the day. Unacknowledged, it may have come or not."""

    text: str
    place: int
    acknowledged: bool


@dataclass
class Day:
    """Everybody of one world, the day's seed, and what they did."""

    world: World
    turns: int
    seed: int
    up: asyncio.Event = field(default_factory=asyncio.Event)
    typed: list[Typed] = field(default_factory=list)
    answered: list[Typed] = field(default_factory=list)  # what the agent has said its answer to
    cut_short: set[str] = field(default_factory=set)  # what was under way when the device lost it
    done: int = 0
    calm: float = 0.0  # until this moment of the loop nothing goes wrong
    went_on: asyncio.Event = field(default_factory=asyncio.Event)
    _newest: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.world.environment.script = self._script
        members = set(self.world.slack.channels["C0OPS"].members)
        for place in range(CONVERSATIONS):
            for channel in (people_of(place), cards_of(place)):
                self.world.slack.channels[channel] = Channel(channel, channel.lower(), members=set(members))
        routes = "\n".join(map(_route, range(CONVERSATIONS)))
        (self.world.folder / "relay.toml").write_text(routes, encoding="utf-8")

    def _script(self, turn: Turn) -> Iterator[Step]:
        """Do what the first message says, and end with an answer that names every message of the turn."""
        first = turn.messages[0].last_line
        if "tool" in first:
            yield UseTool("Bash", {"command": tool(first)}, tool_call_id=call(first))
        texts = [message.last_line for message in turn.messages]
        yield Say("answer to " + "".join(f"[{text}]" for text in texts))
        place = int(turn.conversation_id.removeprefix("conv-"))
        self.answered += (Typed(text, place, acknowledged=True) for text in texts)

    async def live(self) -> None:
        """Live through the whole day."""
        chance = Random(self.seed)
        plans: list[list[str]] = [[] for _ in range(CONVERSATIONS)]
        for number in range(self.turns):
            what = chance.choice(("talk", "talk", "tool approve", "tool deny"))
            plans[number % CONVERSATIONS].append(f"{what} {number}")
        async with asyncio.TaskGroup() as group:
            for place, plan in enumerate(plans):
                group.create_task(self._live_at(place, plan))

    async def restart_device(self) -> None:
        """Have the device lose whatever is under way."""
        over = {one.text for one in self.typed if self.answers(one.place, one.text)}
        self.cut_short |= {*self._newest.values(), *(one.text for one in self.typed)} - over
        await self.world.environment.restart()

    async def _live_at(self, place: int, plan: list[str]) -> None:
        for what in plan:
            text = await self._type(place, what)
            deciding = asyncio.create_task(self._decide(place, text)) if "tool" in what else None
            await self.world.slack.wait_for(lambda _, text=text: self.ended(place, text), PATIENCE)  # type: ignore[misc]
            if deciding is not None:
                deciding.cancel()
                await asyncio.gather(deciding, return_exceptions=True)
            self.done += 1
            self.went_on.set()

    async def _type(self, place: int, what: str) -> str:
        """Type something, again in other words until it is acknowledged; return the words that were."""
        for attempt in itertools.count():
            await self.up.wait()
            text = self._newest[place] = f"{what} try {attempt}"
            ack = await self.world.slack.slash(ADA, people_of(place), text)
            acknowledged = ack.ok and "Queued" in str(ack.body)
            self.typed.append(Typed(text, place, acknowledged))
            if acknowledged:
                return text
        raise AssertionError("unreachable")

    async def _decide(self, place: int, text: str) -> None:
        """Press a button on the card of a turn until it is gone."""
        action_id = "approve" if "approve" in text else "deny"
        slack = self.world.slack
        while True:
            card = await slack.wait_for(lambda _: self._open_card(place), PATIENCE)
            await self.up.wait()
            before = card.edited
            if button(card, action_id) is None:
                continue
            ack = await slack.click(GRACE, cards_of(place), card.ts, action_id)
            if ack.ok:  # else the relay went away, and one presses again
                await slack.wait_for(lambda _, card=card, before=before: card.edited > before, PATIENCE)  # type: ignore[misc]

    def _open_card(self, place: int) -> Message | None:
        cards = self.world.slack.channels[cards_of(place)].messages[-4:]
        return next((card for card in cards if button(card, "approve") is not None), None)

    def ended(self, place: int, text: str) -> bool:
        """Whether the turn of the message typed last is over, in the eyes of people."""
        said = self.world.slack.channels[people_of(place)].messages[-_LATELY:]
        roots = {one.ts for one in said if one.thread_ts is None and one.text.endswith(f" {text}")}
        thread = [one.text for one in said if one.thread_ts in roots]
        return any(f"[{text}]" in one or TOGETHER in one or _is_unheard(one) for one in thread)

    def answers(self, place: int, text: str) -> list[Message]:
        """Return the answers to a message: under it, or where a line under it leads."""
        thread = self._thread(place, text)
        answers = [one for one in thread if f"[{text}]" in one.text]
        leads = [one for one in thread if TOGETHER in one.text]
        return answers + (self._answers_elsewhere(place, text) if leads else [])

    def _answers_elsewhere(self, place: int, text: str) -> list[Message]:
        said = self.world.slack.channels[people_of(place)].messages
        roots = {one.ts for one in self.roots(place, text)}
        return [one for one in said if one.thread_ts not in {None, *roots} and f"[{text}]" in one.text]

    def unheard(self, place: int, text: str) -> list[Message]:
        """Return what says under a message that its turn ended without an answer."""
        return [one for one in self._thread(place, text) if _is_unheard(one.text)]

    def roots(self, place: int, text: str) -> list[Message]:
        """Return the messages that quote what somebody typed."""
        said = self.world.slack.channels[people_of(place)].messages
        return [one for one in said if one.thread_ts is None and one.text.endswith(f" {text}")]

    def _thread(self, place: int, text: str) -> list[Message]:
        said = self.world.slack.channels[people_of(place)].messages
        roots = {one.ts for one in self.roots(place, text)}
        return [one for one in said if one.thread_ts in roots]

    def cards(self) -> dict[str, list[Message]]:
        """Return the cards of every tool, by what was typed for it."""
        found: dict[str, list[Message]] = {}
        for place in range(CONVERSATIONS):
            for card in self.world.slack.channels[cards_of(place)].messages:
                for text in set(_TOOL.findall(repr(card.blocks))):
                    found.setdefault(text, []).append(card)
        return found


def _is_unheard(text: str) -> bool:
    return any(words in text for words in ENDED_UNHEARD)


def tool(text: str) -> str:
    """Return the command that the agent wants to run for a message, like no other."""
    return f"make <{text}>"


def call(text: str) -> str:
    """Return the id of the tool call for a message."""
    return f"call-{text.replace(' ', '-')}"


def people_of(place: int) -> str:
    """Return the channel of a conversation."""
    return f"C1DAY{place}"


def cards_of(place: int) -> str:
    """Return the channel of a conversation's cards."""
    return f"C2DAY{place}"


def _route(place: int) -> str:
    return (
        f'[[routes]]\nchannel = "{people_of(place)}"\nconversation = "conv-{place}"\n'
        f'approvals = ["{cards_of(place)}"]\n'
    )
