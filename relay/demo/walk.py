"""The printed walk: the main job and an absence, each step printed when it has happened."""

import textwrap
import time
from collections.abc import Callable

from relay.demo.places import ADA, APPROVALS, GRACE, GUEST, OPS
from relay.demo.words import boxed, plain, quoted
from relay.sandbox.environment import FakeEnvironment
from relay.sandbox.slack import FakeSlack, Message

_BEGINNING = (
    "relay demo: a stand-in Slack and a stand-in environment on loopback, the real relay between them."
)
_END = """
Every step happened. `make test` checks these and many more; the README says how to set up a real one."""


class Walk:
    """The steps, each printed when it has happened."""

    def __init__(self, slack: FakeSlack, environment: FakeEnvironment) -> None:
        self._slack = slack
        self._environment = environment
        self._number = 0
        self._began = time.monotonic()

    async def walk(self) -> None:
        """Take every step in turn."""
        print(_BEGINNING)
        await self._ask("deploy the site", replies=0)
        card = await self._card(1)
        await self._click_as_guest(card)
        await self._click(card, "approve")
        await self._decision(1)
        await self._card_says(1, "Delivered.")
        await self._reply("the site is live")
        await self._ask("free some disk: delete the logs", replies=1)
        card = await self._card(2)
        await self._click(card, "deny")
        await self._decision(2)
        await self._card_says(2, "Delivered.")
        await self._reply("I did not do it")
        await self._while_away()
        print(_END)

    def _step(self, text: str, shown: str = "") -> None:
        self._number += 1
        seconds = time.monotonic() - self._began
        print(f"\n{self._number:2}. [{seconds:5.2f} s] {text}")
        if shown:
            print(textwrap.indent(shown, "      "))

    async def _ask(self, text: str, replies: int) -> None:
        ack = await self._slack.slash(ADA, OPS, text)
        assert ack.in_time, "the command was not acknowledged in time"
        self._step(f"Ada types in #ops:  /letta {text}")
        self._step(
            f"relay answers her alone after {ack.seconds * 1000:.0f} ms:  “{self._slack.ephemerals[-1].text}”"
        )
        post = await self._environment.wait_for(
            lambda seen: seen.posts[-1] if len(seen.received) > replies else None
        )
        assert post is not None
        content = post.body["messages"][0]["content"]
        self._step(
            "The environment gets it, over POST /v1/environments/{connectionId}/messages:", quoted(content)
        )

    async def _card(self, number: int) -> Message:
        await self._slack.wait_for(lambda seen: len(seen.channels[APPROVALS].messages) >= number)
        card = self._slack.channels[APPROVALS].messages[number - 1]
        self._step("The agent wants to run a tool; a card comes to #approvals:", boxed(card.blocks or []))
        return card

    async def _click_as_guest(self, card: Message) -> None:
        before = len(self._slack.ephemerals)
        await self._slack.click(GUEST, APPROVALS, card.ts, "approve")
        await self._slack.wait_for(lambda seen: len(seen.ephemerals) > before)
        self._step(f"A guest presses Approve; relay tells them alone:  “{self._slack.ephemerals[-1].text}”")

    async def _click(self, card: Message, action_id: str) -> None:
        ack = await self._slack.click(GRACE, APPROVALS, card.ts, action_id)
        self._step(
            f"Grace presses {action_id.capitalize()}; Slack's question is answered after {ack.seconds * 1000:.0f} ms."
        )

    async def _decision(self, number: int) -> None:
        decision = await self._environment.wait_for(
            lambda seen: seen.decisions[number - 1] if len(seen.decisions) >= number else None
        )
        assert decision is not None
        reason = f", reason “{decision.reason}”" if decision.reason else ""
        self._step(f"The environment gets the decision: approve={str(decision.approve).lower()}{reason}")

    async def _card_says(self, number: int, words: str) -> None:
        def found(seen: FakeSlack) -> Message | None:
            card = seen.channels[APPROVALS].messages[number - 1]
            return card if words in plain(card.blocks or []) else None

        card = await self._slack.wait_for(found)
        self._step("Its frames prove that it took it; the card says so:", boxed(card.blocks or []))

    async def _reply(self, words: str) -> None:
        def found(seen: FakeSlack) -> Message | None:
            return next(
                (one for one in seen.channels[OPS].messages if words in plain(one.blocks or [])), None
            )

        reply = await self._slack.wait_for(found)
        self._step("The agent answers in the thread under Ada's message:", boxed(reply.blocks or []))

    async def _while_away(self) -> None:
        await self._environment.go_offline()
        await self._slack.slash(ADA, OPS, "deploy it once more")
        self._step("The environment goes offline; Ada types:  /letta deploy it once more")

        def said(words: str) -> Callable[[FakeSlack], Message | None]:
            return lambda seen: next(
                (one for one in seen.channels[OPS].messages if words in plain(one.blocks or [])), None
            )

        waiting = await self._slack.wait_for(said("offline since"))
        self._step("She is told at once, in the thread:", boxed(waiting.blocks or []))
        received = len(self._environment.received)
        await self._environment.come_back(rotate=True)
        await self._environment.wait_for(lambda seen: len(seen.received) > received)
        self._step("It comes back under a new connection; the message that waited is delivered, once.")
