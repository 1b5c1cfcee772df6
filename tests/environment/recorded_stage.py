"""Several recordings at once between a stand-in Slack and a whole relay, and what people see of each."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from relay.sandbox.slack import FakeSlack
from relay.sandbox.slack.workspace import Channel, Message
from tests.environment.recorded_acts import (
    STORIES,
    TOGETHER,
    Act,
    AnswersBySocket,
    Decides,
    Hears,
    Leaves,
    Seen,
    SeesCard,
    Types,
    is_ending,
)
from tests.environment.recorded_router import AGENT, API_KEY, DEVICE, FakeRecorder
from tests.environment.recorded_tape import Tape
from tests.environment.recorded_ways import Way
from tests.world import ADA, GRACE, Workplace, button, everything, settings_beside

_PATIENCE = 80.0  # a busy machine may need the look that comes once a minute
_MOMENT = re.compile(r" at <!date\^[^>]*>")


class Stage(Workplace):
    """A workplace in which each tape has a channel for its people and another for its cards."""

    async def perform(self, tape: Tape) -> None:
        """Play a tape to its end and do what people do in it, until they see what they are to see."""
        await tape.until(lambda: len(tape.sockets) == 2)
        for acts in tape.play():
            for act in acts:
                await self._act(tape, act)
            await asyncio.sleep(0)
        with contextlib.suppress(AssertionError):
            await self.slack.wait_for(lambda _: self.is_right(tape), _PATIENCE)

    async def _act(self, tape: Tape, act: Act) -> None:
        match act:
            case Types():
                await self._type(tape, act)
            case Decides():
                await self._decide(tape, act)
            case AnswersBySocket():
                await tape.until(lambda: act.tool_call_id in tape.by_socket)
            case SeesCard():
                await self.card(channel=cards_of(tape))
            case Hears():
                await tape.until(tape.heard)
            case Leaves():
                pass  # the tape itself does

    async def _type(self, tape: Tape, act: Types) -> None:
        before = len(tape.arrived)
        await self.slack.slash(ADA, people_of(tape), f"say something ({act.message_id})")
        await tape.until(lambda: len(tape.arrived) > before)
        tape.say_instead(act.message_id, tape.arrived[before])
        if not act.waits:
            tape.remember_message(tape.arrived[before])

    async def _decide(self, tape: Tape, act: Decides) -> None:
        channel = cards_of(tape)
        number = [one for one in tape.story.acts if isinstance(one, Decides)].index(act) + 1
        card = await self.card(number, channel)
        await self.slack.click(GRACE, channel, card.ts, "approve" if act.approve else "deny")
        await tape.until(lambda: act.tool_call_id in tape.decided)
        if not act.approve:
            decision = tape.decided[act.tool_call_id][0]
            tape.say_instead(act.reason, decision.get("reason") or decision["message"])

    def is_right(self, tape: Tape) -> bool:
        """Whether people see of a tape what they are to see."""
        told, seen = tape.story.seen, self.seen(tape)
        if tape.way.cut is None:
            return seen == told
        return told.after_a_drop(seen, tape.told, tape.unproven())

    def seen(self, tape: Tape) -> Seen:
        """Return what people see of a tape now."""
        said = self.slack.channels[people_of(tape)].messages
        roots = [one.ts for one in said if one.thread_ts is None]
        threads = ([_words(one) for one in said if one.thread_ts == root] for root in roots)
        cards = self.slack.channels[cards_of(tape)].messages
        return Seen(
            tuple(tuple(word for word in thread if word) for thread in threads),
            tuple(_ending(card) for card in cards),
        )


def people_of(tape: Tape) -> str:
    """Return the channel in which the people of a tape type."""
    return f"C1{tape.conversation_id.replace('-', '').upper()}"


def cards_of(tape: Tape) -> str:
    """Return the channel in which the cards of a tape are posted."""
    return f"C2{tape.conversation_id.replace('-', '').upper()}"


@contextlib.asynccontextmanager
async def stage(folder: Path, tapes: Sequence[Tape]) -> AsyncIterator[Stage]:
    """Give a running relay with a route for each tape."""
    async with FakeSlack() as slack, FakeRecorder(list(tapes)) as recorder:
        for tape in tapes:
            for channel in (people_of(tape), cards_of(tape)):
                members = set(slack.channels["C0OPS"].members)
                slack.channels[channel] = Channel(channel, channel.lower(), members=members)
        variables = {
            **settings_beside(slack, folder),
            "LETTA_API_KEY": API_KEY,
            "LETTA_BASE_URL": recorder.url,
            "LETTA_AGENT_ID": AGENT,
            "LETTA_DEVICE_ID": DEVICE,
        }
        (folder / "relay.toml").write_text("\n".join(map(_route, tapes)), encoding="utf-8")
        made = Stage(slack, folder, variables)
        try:
            await made.start_relay()
            yield made
        finally:
            await made.stop_relay()


def _route(tape: Tape) -> str:
    return (
        f'[[routes]]\nchannel = "{people_of(tape)}"\nconversation = "{tape.conversation_id}"\n'
        f'approvals = ["{cards_of(tape)}"]\n'
    )


async def seen_otherwise(folder: Path, plays: Sequence[tuple[str, Way]]) -> dict[str, Seen]:
    """Play recordings in these ways, all at once; return what people saw where it was not the same."""
    tapes = [Tape(name, STORIES[name], way, f"conv-{number}") for number, (name, way) in enumerate(plays)]
    async with stage(folder, tapes) as made:
        await asyncio.gather(*(made.perform(tape) for tape in tapes))
        # Looked at again once all is over: what is too much comes late.
        return {f"{tape.name} {tape.way}": made.seen(tape) for tape in tapes if not made.is_right(tape)}


def _words(message: Message) -> str:
    """Return the agent's words in a message, or what relay says of them and of the turn; else nothing."""
    for block in message.blocks or []:
        if block["type"] == "markdown":
            words: Any = block["text"]
            return str(words).strip()
    text = everything(message).splitlines()[0]
    if text.startswith(TOGETHER):
        return TOGETHER
    return text.partition(": ")[2] if is_ending(text) else ""


def _ending(card: Message) -> str:
    """Return the sentence that says how a card ended; empty while it is open."""
    sections = [block["text"]["text"] for block in card.blocks or [] if block["type"] == "section"]
    said: str = sections[-1] if sections and button(card, "approve") is None else ""
    return _MOMENT.sub("", said.partition(": ")[2]).splitlines()[0] if said else ""
