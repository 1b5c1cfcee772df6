"""A whole relay between two stand-ins, for tests: real sockets, a real store, port 0."""

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from relay.app import App, json_log
from relay.config import load
from relay.sandbox.environment import FakeEnvironment
from relay.sandbox.slack import FakeSlack
from relay.sandbox.slack.workspace import Message

OPS, APPROVALS, OUTSIDE, SHARED = "C0OPS", "C0APPROVALS", "C0OUTSIDE", "C0SHARED"
ADA, GRACE, LINUS = "U0REQUESTER", "U0APPROVER", "U0MEMBER"
GUEST, GONE, STRANGER = "U0GUEST", "U0GONE", "U0STRANGER"


@dataclass
class Workplace:
    """A stand-in Slack, and the relay that runs beside it (or does not, yet)."""

    slack: FakeSlack
    folder: Path
    variables: dict[str, str]
    log: io.StringIO = field(default_factory=io.StringIO)
    app: App | None = None
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _running: "asyncio.Task[None] | None" = None

    async def start_relay(self, extra: Mapping[str, str] | None = None) -> None:
        """Start the relay and wait until it serves."""
        config = load({**self.variables, **(extra or {})}, self.folder)
        self.app = App(config, json_log(self.log))
        self._stop = asyncio.Event()
        self._running = asyncio.create_task(self.app.serve(self._stop))
        serving = asyncio.create_task(self.app.ready.wait())
        await asyncio.wait({self._running, serving}, return_when=asyncio.FIRST_COMPLETED)
        serving.cancel()
        if self._running.done():
            failed, self._running = self._running, None
            await failed
        if self.app.config.slack.app_token is None:
            self.slack.request_url = f"http://127.0.0.1:{self.app.port}/slack/events"
        else:
            self.slack.request_url = None

    async def ended(self) -> None:
        """Wait until the relay ends by itself, and raise what it ends by."""
        running, self._running = self._running, None
        assert running is not None
        async with asyncio.timeout(30):
            await running

    async def stop_relay(self) -> None:
        """Stop the relay as SIGTERM does."""
        self._stop.set()
        if self._running is not None:
            await self._running
            self._running = None

    @property
    def url(self) -> str:
        assert self.app is not None
        return f"http://127.0.0.1:{self.app.port}"

    async def card(self, number: int = 1, channel: str = APPROVALS) -> Message:
        """Wait for the card number `number` in a channel and return it."""
        await self.slack.wait_for(lambda slack: len(slack.channels[channel].messages) >= number)
        return self.slack.channels[channel].messages[number - 1]

    async def card_says(self, words: str, number: int = 1, channel: str = APPROVALS) -> Message:
        """Wait until a card says `words` and return it."""
        await self.slack.wait_for(
            lambda slack: (
                len(slack.channels[channel].messages) >= number
                and words in everything(slack.channels[channel].messages[number - 1])
            )
        )
        return self.slack.channels[channel].messages[number - 1]

    async def thread_says(self, words: str, channel: str = OPS) -> Message:
        """Wait until some message in a channel says `words` and return it."""
        await self.slack.wait_for(
            lambda slack: any(words in everything(one) for one in slack.channels[channel].messages)
        )
        return next(one for one in self.slack.channels[channel].messages if words in everything(one))

    async def told(self, user: str, words: str) -> str:
        """Wait until a person is told `words` in private and return the whole sentence."""
        await self.slack.wait_for(
            lambda slack: any(one.user == user and words in one.text for one in slack.ephemerals)
        )
        return next(one.text for one in self.slack.ephemerals if one.user == user and words in one.text)


@dataclass
class World(Workplace):
    """The two stand-ins, and the relay that runs between them (or does not, yet)."""

    environment: FakeEnvironment = field(kw_only=True)


def everything(message: Message) -> str:
    """Return all the words of a message, its blocks' too."""
    found = [message.text]

    def walk(value: object) -> None:
        if isinstance(value, dict):
            found.extend(one for name, one in value.items() if name == "text" and isinstance(one, str))
            for one in value.values():
                walk(one)
        elif isinstance(value, list):
            for one in value:
                walk(one)

    walk(message.blocks or [])
    return "\n".join(found)


def button(message: Message, action_id: str) -> dict[str, str] | None:
    """Return the button of a message by its action id, or None."""
    for block in message.blocks or []:
        for element in block.get("elements", []) if block["type"] == "actions" else []:
            if element.get("action_id") == action_id:
                found: dict[str, str] = element
                return found
    return None


def settings_beside(slack: FakeSlack, folder: Path, *, socket_mode: bool = False) -> dict[str, str]:
    """Return the settings of a relay, all but those of its environment."""
    variables = {
        "SLACK_BOT_TOKEN": slack.bot_token,
        "SLACK_API_URL": slack.api_url,
        "RELAY_APPROVALS_CHANNEL": APPROVALS,
        "RELAY_STORE_URL": f"sqlite:///{folder}/relay.db",
        "RELAY_PORT": "0",
    }
    if socket_mode:
        variables["SLACK_APP_TOKEN"] = slack.app_token
    else:
        variables["SLACK_SIGNING_SECRET"] = slack.signing_secret
    return variables


@contextlib.asynccontextmanager
async def world(
    folder: Path, *, socket_mode: bool = False, router: str = "translating"
) -> AsyncIterator[World]:
    """Give a world whose relay is not started yet; stop everything at the end."""
    async with FakeSlack() as slack, FakeEnvironment(router=router) as environment:  # type: ignore[arg-type]
        variables = {
            **settings_beside(slack, folder, socket_mode=socket_mode),
            "LETTA_API_KEY": environment.api_key,
            "LETTA_BASE_URL": environment.base_url,
            "LETTA_AGENT_ID": environment.agent_id,
            "LETTA_DEVICE_ID": environment.device_id,
        }
        made = World(slack, folder, variables, environment=environment)
        try:
            yield made
        finally:
            await made.stop_relay()
