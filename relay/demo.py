"""`relay demo`: the whole job on real sockets, between a stand-in Slack and a stand-in environment.

No account and nothing from outside; each step is printed when it happens, with what people see.
"""

import asyncio
import io
import re
import shutil
import tempfile
import textwrap
import time
import unicodedata
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

from relay.app import App, json_log
from relay.config import load
from relay.sandbox.environment import FakeEnvironment, Say, UseTool
from relay.sandbox.slack import FakeSlack, Message

_OPS, _APPROVALS = "C0OPS", "C0APPROVALS"
_ADA, _GRACE, _GUEST = "U0REQUESTER", "U0APPROVER", "U0GUEST"
_WIDTH = 88


def demo() -> int:
    """Walk through the job and return the exit status: 0 when every step happened."""
    folder = Path(tempfile.mkdtemp(prefix="relay-demo-"))
    log = io.StringIO()
    try:
        asyncio.run(_walk(folder, log))
    except (AssertionError, TimeoutError) as problem:
        print(f"\nThe demo stopped: {problem}\n\nThe relay's log:\n{log.getvalue()}")
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def _agent(turn: Any) -> Generator[Any, Any, None]:
    """What the scripted agent does with a message."""
    text = turn.text.strip().splitlines()[-1]
    if "log" in text:
        yield Say("I would free the disk by deleting the old logs.")
        outcome = yield UseTool(
            "Bash", {"command": "rm -rf /var/log/site/*", "description": "Delete old logs"}
        )
    else:
        yield Say("I will build the site and publish it.")
        command = "make site && rsync -a --delete dist/ web1:/srv/site/"
        outcome = yield UseTool("Bash", {"command": command, "description": "Build and publish the site"})
    if outcome.approved:
        yield Say("Done: **the site is live**, 214 files were published.")
    else:
        yield Say(f"I did not do it. I was told: *{outcome.reason}*")


async def _walk(folder: Path, log: io.StringIO) -> None:
    async with FakeSlack() as slack, FakeEnvironment() as environment:
        environment.script = _agent
        app = App(load(_settings(slack, environment, folder), folder), json_log(log))
        stop = asyncio.Event()
        running = asyncio.create_task(app.serve(stop))
        try:
            await _first(app.ready.wait(), running)
            await _Walk(slack, environment).walk()
        finally:
            stop.set()
            await running


async def _first(wanted: Any, running: "asyncio.Task[None]") -> None:
    waiting = asyncio.ensure_future(wanted)
    await asyncio.wait({waiting, running}, return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        waiting.cancel()
        await running


def _settings(slack: FakeSlack, environment: FakeEnvironment, folder: Path) -> dict[str, str]:
    return {
        "SLACK_BOT_TOKEN": slack.bot_token,
        "SLACK_APP_TOKEN": slack.app_token,
        "SLACK_API_URL": slack.api_url,
        "LETTA_API_KEY": environment.api_key,
        "LETTA_BASE_URL": environment.base_url,
        "LETTA_AGENT_ID": environment.agent_id,
        "LETTA_DEVICE_ID": environment.device_id,
        "RELAY_APPROVALS_CHANNEL": _APPROVALS,
        "RELAY_STORE_URL": f"sqlite:///{folder}/relay.db",
        "RELAY_PORT": "0",
    }


class _Walk:
    """The steps, each printed when it has happened."""

    def __init__(self, slack: FakeSlack, environment: FakeEnvironment) -> None:
        self._slack = slack
        self._environment = environment
        self._number = 0
        self._began = time.monotonic()

    async def walk(self) -> None:
        """Take every step in turn."""
        print(
            "relay demo: a stand-in Slack and a stand-in environment on loopback, the real relay between them."
        )
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
        print(
            "\nEvery step happened. `make test` checks these and many more; the README says how to set up a real one."
        )

    def _step(self, text: str, shown: str = "") -> None:
        self._number += 1
        seconds = time.monotonic() - self._began
        print(f"\n{self._number:2}. [{seconds:5.2f} s] {text}")
        if shown:
            print(textwrap.indent(shown, "      "))

    async def _ask(self, text: str, replies: int) -> None:
        ack = await self._slack.slash(_ADA, _OPS, text)
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
            "The environment gets it, over POST /v1/environments/{connectionId}/messages:", _quoted(content)
        )

    async def _card(self, number: int) -> Message:
        await self._slack.wait_for(lambda seen: len(seen.channels[_APPROVALS].messages) >= number)
        card = self._slack.channels[_APPROVALS].messages[number - 1]
        self._step("The agent wants to run a tool; a card comes to #approvals:", boxed(card.blocks or []))
        return card

    async def _click_as_guest(self, card: Message) -> None:
        before = len(self._slack.ephemerals)
        await self._slack.click(_GUEST, _APPROVALS, card.ts, "approve")
        await self._slack.wait_for(lambda seen: len(seen.ephemerals) > before)
        self._step(f"A guest presses Approve; relay tells them alone:  “{self._slack.ephemerals[-1].text}”")

    async def _click(self, card: Message, action_id: str) -> None:
        ack = await self._slack.click(_GRACE, _APPROVALS, card.ts, action_id)
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
            card = seen.channels[_APPROVALS].messages[number - 1]
            return card if words in plain(card.blocks or []) else None

        card = await self._slack.wait_for(found)
        self._step("Its frames prove that it took it; the card says so:", boxed(card.blocks or []))

    async def _reply(self, words: str) -> None:
        def found(seen: FakeSlack) -> Message | None:
            return next(
                (one for one in seen.channels[_OPS].messages if words in plain(one.blocks or [])), None
            )

        reply = await self._slack.wait_for(found)
        self._step("The agent answers in the thread under Ada's message:", boxed(reply.blocks or []))

    async def _while_away(self) -> None:
        await self._environment.go_offline()
        await self._slack.slash(_ADA, _OPS, "deploy it once more")
        self._step("The environment goes offline; Ada types:  /letta deploy it once more")

        def said(words: str) -> Callable[[FakeSlack], Message | None]:
            return lambda seen: next(
                (one for one in seen.channels[_OPS].messages if words in plain(one.blocks or [])), None
            )

        waiting = await self._slack.wait_for(said("offline since"))
        self._step("She is told at once, in the thread:", boxed(waiting.blocks or []))
        received = len(self._environment.received)
        await self._environment.come_back(rotate=True)
        await self._environment.wait_for(lambda seen: len(seen.received) > received)
        self._step("It comes back under a new connection; the message that waited is delivered, once.")


def plain(blocks: list[dict[str, Any]]) -> str:
    """Return what blocks say, a paragraph a line."""
    return _as_slack_shows("\n".join(line for block in blocks for line in _lines(block) if line))


def _lines(block: dict[str, Any]) -> list[str]:
    kind = block["type"]
    if kind in ("header", "section"):
        return [block["text"]["text"]]
    if kind == "markdown":
        return [block["text"]]
    if kind == "context":
        return [" ".join(element["text"] for element in block["elements"])]
    if kind == "actions":
        return ["   ".join(f"[ {element['text']['text']} ]" for element in block["elements"])]
    return [_rich_line(element) for element in block.get("elements", [])]


def _rich_line(element: dict[str, Any]) -> str:
    parts = (part.get("text") or f"<@{part.get('user_id')}>" for part in element.get("elements", []))
    text = "".join(parts)
    mark = {"rich_text_preformatted": "  │ ", "rich_text_quote": "  ▏ "}.get(element["type"], "")
    return textwrap.indent(text, mark) if mark else text


def boxed(blocks: list[dict[str, Any]]) -> str:
    """Return what blocks say, in a box."""
    lines = [
        piece
        for line in plain(blocks).splitlines()
        for piece in textwrap.wrap(line, _WIDTH - 4, subsequent_indent="  ", drop_whitespace=False) or [""]
    ]
    edge = "─" * (_WIDTH - 2)
    body = "\n".join(f"│ {line}{' ' * (_WIDTH - 4 - _columns(line))} │" for line in lines)
    return f"┌{edge}┐\n{body}\n└{edge}┘"


_NAMES = {_ADA: "@Ada", _GRACE: "@Grace", _GUEST: "@Gus"}
_MENTION = re.compile(r"<@(\w+)>")
_DATE = re.compile(r"<!date\^[^|]*\|([^>]*)>")
_EMOJI = {":white_check_mark:": "✅", ":no_entry:": "⛔", ":zzz:": "💤"}


def _as_slack_shows(text: str) -> str:
    text = _DATE.sub(r"\1", _MENTION.sub(lambda found: _NAMES.get(found.group(1), found.group()), text))
    for name, sign in _EMOJI.items():
        text = text.replace(name, sign)
    return text


def _columns(text: str) -> int:
    """Return how wide a terminal shows `text`: emoji take two columns."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def _quoted(text: str) -> str:
    return textwrap.indent(text, "> ", lambda _: True)
