"""What a Slack workspace holds: people, channels, messages, views, and a record of all that was said.

Nothing here talks to a socket; the doors and the Web API change these values and say so with `changed`.
"""

import asyncio
import copy
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

Json = dict[str, Any]
Blocks = list[Json]
T = TypeVar("T")
Via = Literal["chat.postEphemeral", "response_url", "ack"]
SCOPES = frozenset(
    [f"{kind}:{right}" for kind in ("channels", "groups", "im", "mpim") for right in ("read", "history")]
    + ["app_mentions:read", "chat:write", "commands", "files:read", "im:write"]
    + ["team:read", "usergroups:read", "users:read"]
)


@dataclass
class Person:
    """One member, guest, stranger or bot, as `users.info` tells of them."""

    id: str
    name: str
    real_name: str
    team_id: str
    is_restricted: bool = False
    is_ultra_restricted: bool = False
    is_stranger: bool = False
    deleted: bool = False
    is_bot: bool = False


@dataclass
class Message:
    """One message as it stands, with what it said before in `history`."""

    ts: str
    channel: str
    user: str
    text: str
    blocks: Blocks = field(default_factory=list)
    thread_ts: str | None = None
    metadata: Json | None = None
    edited: int = 0
    history: list[tuple[str, Blocks]] = field(default_factory=list)
    streaming: bool = False
    files: list[Json] = field(default_factory=list)

    def rewrite(self, text: str, blocks: Blocks) -> None:
        """Give the message a new body and keep the old one in `history`."""
        self.history.append((self.text, self.blocks))
        self.text, self.blocks = text, blocks
        self.edited += 1


@dataclass
class Channel:
    """A channel or direct conversation; `is_member` says whether the app is in it."""

    id: str
    name: str
    is_member: bool = True
    is_private: bool = False
    is_ext_shared: bool = False
    is_archived: bool = False
    messages: list[Message] = field(default_factory=list)
    members: set[str] = field(default_factory=set)

    @property
    def is_im(self) -> bool:
        """Whether this is a direct conversation between the app and one person."""
        return self.id.startswith("D")

    def message(self, ts: object) -> Message | None:
        """Return the message of that timestamp, or None."""
        return next((message for message in self.messages if message.ts == ts), None)

    def thread(self, thread_ts: object) -> list[Message]:
        """Return the root message and its replies, oldest first."""
        return [m for m in self.messages if thread_ts in (m.ts, m.thread_ts)]


@dataclass
class Ephemeral:
    """Something only one person saw; `failed` is the command that Slack itself says this of, if it is one."""

    channel: str
    user: str
    text: str
    blocks: Blocks
    via: Via
    thread_ts: str | None = None
    ts: str = ""
    failed: str = ""


@dataclass
class View:
    """A modal or Home tab as it stands on one person's screen.

    `filled` is what was entered, by block id and action id; `errors` is what the app said of it.
    """

    id: str
    user: str
    view: Json
    trigger_id: str | None = None
    is_open: bool = True
    errors: dict[str, str] = field(default_factory=dict)
    history: list[Json] = field(default_factory=list)
    filled: dict[tuple[str, str], Json] = field(default_factory=dict)


@dataclass
class ApiCall:
    """One Web API call and how it ended; `at` is seconds since the epoch."""

    method: str
    arguments: Json
    error: str | None
    at: float


@dataclass
class Ack:
    """How the app answered one delivery.

    `status` is None when nobody answered; over Socket Mode an acknowledgement counts as 200.
    `in_time` tells that an answer of any status came within the limit, `ok` that it was a good one.
    """

    kind: str
    status: int | None
    seconds: float
    body: Json | str | None
    in_time: bool
    transport: Literal["http", "socket"]

    @property
    def ok(self) -> bool:
        """Whether Slack would take this for an acknowledgement."""
        return self.in_time and self.status is not None and 200 <= self.status < 300


@dataclass
class Trigger:
    """The right to open one modal, soon; `view_id` is the view in which somebody acted, if it was one."""

    user: str
    issued: float
    used: bool = False
    view_id: str = ""


@dataclass
class ResponseUrl:
    """The right to answer where something happened, a few times; `ts` is the message clicked on."""

    channel: str
    user: str
    ts: str | None
    expires: float
    uses_left: int = 5


class Workspace:
    """The state of one workspace with one app installed, and the ids it gives out."""

    app_id = "A0RELAY"
    bot_id = "B0RELAY"
    bot_user = "U0RELAY"
    domain = "home"
    trigger_lifetime = 3.0
    response_url_lifetime = 1800.0
    stream_lifetime = 300.0
    status_lifetime = 120.0

    def __init__(self, signing_secret: str, bot_token: str, app_token: str, team_id: str) -> None:
        self.signing_secret = signing_secret
        self.bot_token = bot_token
        self.app_token = app_token
        self.team_id = team_id
        self.url = ""
        # Of an organisation, and by what the app is installed there: for itself, or for all of it.
        self.enterprise_id: str | None = None
        self.org_wide = False
        # What opens it besides `bot_token`: of an app that many workspaces install.
        self.other_tokens: set[str] = set()
        self.people = _people(team_id)
        self.channels = _channels(self.people)
        self.groups: dict[str, set[str]] = {"S0LEADS": {"U0APPROVER"}}
        self.scopes: set[str] = set(SCOPES)
        self.home_enabled = True
        self.clock_ahead = 0.0
        self.ephemerals: list[Ephemeral] = []
        self.views: list[View] = []
        self.calls: list[ApiCall] = []
        self.acks: list[Ack] = []
        self.statuses: dict[tuple[str, str], str] = {}
        self._statuses_end: dict[tuple[str, str], asyncio.TimerHandle] = {}
        self.triggers: dict[str, Trigger] = {}
        self.response_urls: dict[str, ResponseUrl] = {}
        self.tickets: set[str] = set()
        self.files: dict[str, bytes] = {}
        self._watchers: set[asyncio.Event] = set()
        self._last_ts = 0

    def takes(self, token: str) -> bool:
        """Return whether a bot token opens this workspace."""
        return token == self.bot_token or token in self.other_tokens

    def changed(self) -> None:
        """Wake whoever waits for the workspace to look different."""
        for watcher in self._watchers:
            watcher.set()

    async def until(self, found: Callable[[], T | None]) -> T:
        """Return the first truthy answer of `found`, asked again after every change."""
        watcher = asyncio.Event()
        self._watchers.add(watcher)
        try:
            while True:
                if answer := found():
                    return answer
                await watcher.wait()
                watcher.clear()
        finally:
            self._watchers.discard(watcher)

    def new_ts(self) -> str:
        """Return the time of now as a message timestamp, later than any given before."""
        self._last_ts = max(time.time_ns() // 1000, self._last_ts + 1)
        return f"{self._last_ts // 1_000_000}.{self._last_ts % 1_000_000:06d}"

    def new_trigger(self, user: str, view_id: str = "") -> str:
        """Return a trigger id with which one modal can be opened for this person, or put upon a view."""
        trigger_id = f"{secrets.randbelow(10**13)}.{secrets.randbelow(10**13)}.{secrets.token_hex(16)}"
        self.triggers[trigger_id] = Trigger(user, time.monotonic(), view_id=view_id)
        return trigger_id

    def new_response_url(self, channel: str, user: str, ts: str | None) -> str:
        """Return a URL under which the app may answer this person in this channel."""
        secret = secrets.token_urlsafe(18)
        expires = time.monotonic() + self.response_url_lifetime
        self.response_urls[secret] = ResponseUrl(channel, user, ts, expires)
        return f"{self.url}/response/{self.team_id}/{secret}"

    def new_ticket_url(self) -> str:
        """Return a URL under which one Socket Mode connection can be opened, once."""
        ticket = secrets.token_urlsafe(18)
        self.tickets.add(ticket)
        return f"{self.url.replace('http', 'ws', 1)}/link?ticket={ticket}&app_id={self.app_id}"

    def show_status(self, place: tuple[str, str], status: str) -> None:
        """Show a status in a thread, for some minutes at most; an empty one takes it away."""
        if ending := self._statuses_end.pop(place, None):
            ending.cancel()
        self.statuses.pop(place, None)
        if status:
            self.statuses[place] = status
            away = asyncio.get_running_loop().call_later(self.status_lifetime, self._end_status, place)
            self._statuses_end[place] = away

    def _end_status(self, place: tuple[str, str]) -> None:
        self.show_status(place, "")
        self.changed()

    def post(self, channel: Channel, user: str, text: str, blocks: Blocks, **more: Any) -> Message:
        """Add a message to a channel and return it; a live status of its thread goes away."""
        message = Message(self.new_ts(), channel.id, user, text, with_ids(blocks), **more)
        channel.messages.append(message)
        self.show_status((channel.id, message.thread_ts or ""), "")
        return message

    def whisper(
        self, channel: str, user: str, text: str, blocks: Blocks, via: Via, thread_ts: str | None = None
    ) -> Ephemeral:
        """Show something to one person alone and return it."""
        ephemeral = Ephemeral(channel, user, text, with_ids(blocks), via, thread_ts, self.new_ts())
        self.ephemerals.append(ephemeral)
        return ephemeral

    def ephemeral(self, ts: object) -> Ephemeral | None:
        """Return the ephemeral message of that timestamp, or None."""
        return next((e for e in self.ephemerals if e.ts == ts), None)

    def direct(self, user: str) -> Channel:
        """Return the direct conversation with a person, opened on demand."""
        channel = self.channels.get("D" + user)
        if channel is None:
            members = {user, self.bot_user}
            channel = Channel("D" + user, self.people[user].name, is_private=True, members=members)
            self.channels[channel.id] = channel
        return channel

    def view(self, view_id: object) -> View | None:
        """Return the view of that id, or None."""
        return next((view for view in self.views if view.id == view_id), None)


def with_ids(blocks: Blocks) -> Blocks:
    """Return a copy of the blocks in which, as in Slack, every block and element has an id."""
    blocks = copy.deepcopy(blocks)
    for block in blocks:
        block.setdefault("block_id", secrets.token_urlsafe(4))
        for element in elements_of(block):
            if element.get("type") not in ("image", "mrkdwn", "plain_text"):
                element.setdefault("action_id", secrets.token_urlsafe(4))
    return blocks


def elements_of(block: Json) -> Iterator[Json]:
    """Yield what can be acted on in a block: its elements, its accessory, its input."""
    if block.get("type") in ("actions", "context_actions", "context", "card"):
        yield from (e for e in block.get("elements") or block.get("actions") or [] if isinstance(e, dict))
    for place in ("accessory", "element"):
        if isinstance(block.get(place), dict):
            yield block[place]


def _people(team_id: str) -> dict[str, Person]:
    everyone = [
        Person("U0REQUESTER", "ada", "Ada", team_id),
        Person("U0APPROVER", "grace", "Grace", team_id),
        Person("U0MEMBER", "linus", "Linus", team_id),
        Person("U0GUEST", "guest", "Guest", team_id, is_restricted=True),
        Person("U0GONE", "gone", "Gone", team_id, deleted=True),
        Person("U0STRANGER", "stranger", "Stranger", "T0OTHER", is_stranger=True),
        Person("U0RELAY", "relay", "relay", team_id, is_bot=True),
    ]
    return {person.id: person for person in everyone}


def _channels(people: dict[str, Person]) -> dict[str, Channel]:
    home = {p.id for p in people.values() if not (p.deleted or p.is_stranger)}
    full = {p for p in home if not people[p].is_restricted}
    channels = [
        Channel("C0OPS", "ops", members=set(home)),
        Channel("C0APPROVALS", "approvals", members=set(full)),
        Channel("C0OUTSIDE", "outside", is_member=False, members=full - {"U0RELAY"}),
        Channel("C0SHARED", "shared", is_ext_shared=True, members=home | {"U0STRANGER"}),
    ]
    return {channel.id: channel for channel in channels}
