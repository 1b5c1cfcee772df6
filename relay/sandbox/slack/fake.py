"""FakeSlack: a workspace to try an app in, with people who type and click."""

import asyncio
import re
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from aiohttp import web

from relay.sandbox.slack import gestures, posts
from relay.sandbox.slack.chat import shown
from relay.sandbox.slack.deliveries import Deliveries
from relay.sandbox.slack.doors import MOST_RETRIES, HttpDoor, sign
from relay.sandbox.slack.gestures import FromButton, Value
from relay.sandbox.slack.posts import FileStore, Upload
from relay.sandbox.slack.response_urls import ResponseUrls
from relay.sandbox.slack.rights import Rates
from relay.sandbox.slack.screens import Screens
from relay.sandbox.slack.sockets import CLOSE_AFTER, Reason, SocketDoor
from relay.sandbox.slack.web_api import Trouble, WebApi
from relay.sandbox.slack.workspace import Ack, Channel, Json, Message, Workspace

T = TypeVar("T")
_LARGEST_BODY = 10_000_000


class FakeSlack(Screens):
    """A stand-in for Slack on 127.0.0.1, that keeps Slack's limits and names Slack's errors."""

    def __init__(
        self,
        *,
        signing_secret: str = "sandbox-signing-secret",  # noqa: S107 - opens nothing but this stand-in
        bot_token: str = "xoxb-sandbox",  # noqa: S107 - the same
        app_token: str = "xapp-sandbox",  # noqa: S107 - the same
        team_id: str = "T0HOME",
        ack_limit: float = 3.0,
        messages_a_second: float | None = None,
        keep_tiers: bool = False,
        sockets: SocketDoor | None = None,
    ) -> None:
        self.workspace = Workspace(signing_secret, bot_token, app_token, team_id)
        self.people = self.workspace.people
        self.channels = self.workspace.channels
        self.groups = self.workspace.groups
        self.scopes = self.workspace.scopes
        self.ephemerals = self.workspace.ephemerals
        self.views = self.workspace.views
        self.calls = self.workspace.calls
        self.acks = self.workspace.acks
        self.statuses = self.workspace.statuses
        self.file_store = FileStore(self.workspace)
        self._web_api = WebApi(self.workspace, Rates(messages_a_second, tiers=keep_tiers))
        self._http = HttpDoor(signing_secret)
        self.sockets = sockets or SocketDoor(self.workspace)
        self._deliveries = Deliveries(self.workspace, self._http, self.sockets, ack_limit)
        self._runner: web.AppRunner | None = None
        self._port = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one request to the Web API, for who serves several workspaces at one address."""
        return await self._web_api.answer(request)

    async def answer_response_url(self, request: web.Request) -> web.StreamResponse:
        """Answer one use of a response_url, for the same."""
        return await ResponseUrls(self.workspace).answer(request)

    @property
    def signing_secret(self) -> str:
        """The secret that signs what goes out over HTTP."""
        return self.workspace.signing_secret

    @property
    def bot_token(self) -> str:
        """The token the Web API takes."""
        return self.workspace.bot_token

    @property
    def app_token(self) -> str:
        """The token that opens Socket Mode connections."""
        return self.workspace.app_token

    @property
    def team_id(self) -> str:
        """The home workspace's id."""
        return self.workspace.team_id

    @property
    def api_url(self) -> str:
        """Where the Web API is: the base URL for a client."""
        return f"{self.workspace.url}/api/"

    @property
    def request_url(self) -> str | None:
        """Where signed HTTP goes; None while Socket Mode is used."""
        return self._deliveries.request_url

    @request_url.setter
    def request_url(self, url: str | None) -> None:
        self._deliveries.request_url = url

    @property
    def ack_limit(self) -> float:
        """How many seconds the app has to acknowledge."""
        return self._deliveries.ack_limit

    @ack_limit.setter
    def ack_limit(self, seconds: float) -> None:
        self._deliveries.ack_limit = seconds

    @property
    def clock_ahead(self) -> float:
        """By how many seconds Slack's clock is ahead of ours, as its answers date themselves."""
        return self.workspace.clock_ahead

    @clock_ahead.setter
    def clock_ahead(self, seconds: float) -> None:
        self.workspace.clock_ahead = seconds

    @property
    def connected(self) -> int:
        """How many Socket Mode connections are open."""
        return self.sockets.connected

    @property
    def pinged(self) -> int:
        """How often the app asked by a ping whether a Socket Mode connection is alive."""
        return self.sockets.pinged

    @property
    def refuse_tickets(self) -> int:
        """How many of the next Socket Mode tickets are refused."""
        return self.sockets.refuse_tickets

    @refuse_tickets.setter
    def refuse_tickets(self, number: int) -> None:
        self.sockets.refuse_tickets = number

    @property
    def refused_tickets(self) -> list[str]:
        """The Socket Mode tickets that were refused, each as often as it was tried."""
        return self.sockets.refused

    @property
    def events(self) -> list[Json]:
        """Every `event_callback` sent, retries aside."""
        return self._deliveries.events

    async def start(self) -> None:
        """Serve on a free port of 127.0.0.1; after a stop, on the same port again."""
        self._web_api.stopping.clear()
        app = web.Application(client_max_size=_LARGEST_BODY)
        app.router.add_route("*", "/api/{method}", self._web_api.answer)
        app.router.add_post("/response/{team}/{secret}", ResponseUrls(self.workspace).answer)
        app.router.add_get("/link", self.sockets.link)
        app.router.add_get("/files-pri/{file}/{name}", self.file_store.answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self._port = self._runner.addresses[0][1]
        self.workspace.url = f"http://127.0.0.1:{self._port}"

    async def stop(self) -> None:
        """Close every connection and stop serving; the workspace keeps what it holds."""
        self._web_api.stopping.set()
        await self.sockets.close()
        await self._http.close()
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    # What a person does.

    async def slash(
        self, user: str, channel: str, text: str, command: str = "/letta", **overrides: Any
    ) -> Ack:
        """Type a slash command; in a thread Slack itself says no, and tells nobody."""
        if overrides.get("thread_ts"):
            raise AssertionError(f"Slack says: {command} is not supported in threads. Sorry!")
        payload = self.slash_payload(user, channel, text, command, **overrides)
        if channel in self.channels:
            self.channels[channel].members.add(user)  # who types in a channel is in it
        return await self.deliver("command", payload)

    async def click(
        self,
        user: str,
        channel: str,
        ts: str,
        action_id: str,
        *,
        value: Value = FromButton.VALUE,
        double: bool = False,
        **overrides: Any,
    ) -> Ack:
        """Click a button in a message; `double` delivers two clicks at once and returns one's answer."""
        clicks = [
            self.click_payload(user, channel, ts, action_id, value=value, **overrides)
            for _ in range(2 if double else 1)
        ]
        first, *_ = await asyncio.gather(*(self.deliver("action", click) for click in clicks))
        return first

    async def say(
        self,
        user: str,
        channel: str,
        text: str,
        thread_ts: str | None = None,
        *,
        files: Sequence[Upload] = (),
    ) -> list[Ack]:
        """Type an ordinary message; `@name` becomes a mention. The app hears of it where it is a member."""
        place = self._place(user, channel)
        words = self._with_mentions(gestures.escape(text))
        attached = [posts.stored(self.workspace, user, one) for one in files]
        message = self.workspace.post(place, user, words, [], thread_ts=thread_ts, files=attached)
        self.workspace.changed()
        return await self._tell(place, posts.happened(self.workspace, place, message))

    async def rewrite(self, user: str, channel: str, ts: str, text: str) -> list[Ack]:
        """Edit a message of one's own."""
        place = self._place(user, channel)
        message, before = self._own(place, ts)
        message.rewrite(self._with_mentions(gestures.escape(text)), [])
        self.workspace.changed()
        return await self._tell(place, [posts.rewritten(self.workspace, place, message, before)])

    async def delete(self, user: str, channel: str, ts: str) -> list[Ack]:
        """Delete a message of one's own."""
        place = self._place(user, channel)
        message, before = self._own(place, ts)
        place.messages.remove(message)
        self.workspace.changed()
        return await self._tell(place, [posts.deleted(self.workspace, place, before)])

    async def event(
        self, event: Json, *, retry_num: int | None = None, retry_reason: str | None = None
    ) -> Ack:
        """Send an event, or a whole `event_callback` (of `event_payload`) as it is, maybe as a retry."""
        payload = event if event.get("type") == "event_callback" else self.event_payload(event)
        retry = None if retry_num is None else (retry_num, retry_reason or "http_timeout")
        return await self._deliveries.deliver("event", payload, retry=retry)

    async def redeliver(self, event: Json | None = None, *, attempt: int = 1) -> Ack:
        """Send an event (of `events`, the last unless one is named) once more, without Slack's pause.

        Slack pauses before the first attempt not at all, before the second a minute, before the third five.
        """
        if not 1 <= attempt <= MOST_RETRIES:
            raise AssertionError(f"Slack sends an event again {MOST_RETRIES} times, not {attempt}.")
        reason = "timeout" if self.request_url is None else "http_timeout"
        return await self.event(event or self.events[-1], retry_num=attempt, retry_reason=reason)

    async def deliver(
        self, kind: str, payload: Json, *, headers: dict[str, str] | None = None, body: bytes | None = None
    ) -> Ack:
        """Send a payload; over HTTP `headers` replace the signature and `body` the encoded payload."""
        return await self._deliveries.deliver(kind, payload, headers=headers, body=body)

    def slash_payload(
        self, user: str, channel: str, text: str, command: str = "/letta", **overrides: Any
    ) -> Json:
        """Return what a slash command would send; an override of None leaves the field out."""
        return gestures.overridden(gestures.slash(self.workspace, user, channel, text, command), overrides)

    def click_payload(
        self,
        user: str,
        channel: str,
        ts: str,
        action_id: str,
        *,
        value: Value = FromButton.VALUE,
        **overrides: Any,
    ) -> Json:
        """Return what a click would send; an override of None leaves the field out."""
        return gestures.overridden(
            gestures.click(self.workspace, user, channel, ts, action_id, value), overrides
        )

    def event_payload(self, event: Json) -> Json:
        """Return what an event would send, so that the same `event_id` can be sent again."""
        return gestures.event(self.workspace, event)

    def sign(self, body: bytes, timestamp: int | None = None) -> dict[str, str]:
        """Return the signature headers for a body."""
        return sign(self.signing_secret, body, timestamp)

    # Waiting, and trouble on demand.

    async def wait_for(self, predicate: Callable[["FakeSlack"], T | None], timeout: float = 30.0) -> T:
        """Return the predicate's first truthy answer, asked again at every change of the workspace."""
        try:
            async with asyncio.timeout(timeout):
                return await self.workspace.until(lambda: predicate(self))
        except TimeoutError:
            raise AssertionError(f"Not seen in {timeout} s.\n{self._report()}") from None

    def fail(
        self,
        method: str,
        error: str,
        *,
        times: int = 1,
        status: int = 200,
        retry_after: int | None = None,
        hang: bool = False,
        after: bool = False,
        when: Callable[[Json], bool] | None = None,
    ) -> None:
        """Make the next calls of a method go wrong; `after` lets them take effect and then cuts the line."""
        trouble = Trouble(method, error, times, status, retry_after, hang, after, when)
        self._web_api.troubles.append(trouble)

    def end_streams(self) -> None:
        """Let every stream die, as Slack does after some minutes; its message stays as it is."""
        for channel in self.channels.values():
            for message in channel.messages:
                message.streaming = False
        self.workspace.changed()

    async def press_stop(self, user: str, channel: str, thread_ts: str) -> Ack:
        """Press the stop button that Slack shows while an agent works in a thread."""
        live = [one for one in self.channels[channel].thread(thread_ts) if one.streaming]
        for message in live:
            message.streaming = False
        return await self.event(
            {
                "type": "agent_session_stopped",
                "user": user,
                "channel": channel,
                "thread_ts": thread_ts,
                "event_ts": self.workspace.new_ts(),
                "streaming_message_ts": [message.ts for message in live],
            }
        )

    async def disconnect(
        self, reason: Reason = "refresh_requested", number: int | None = None, after: float = CLOSE_AFTER
    ) -> None:
        """Send `disconnect` on all sockets, or `number` of them; what is there `after` seconds is closed."""
        await self.sockets.disconnect(reason, number, after)

    def lose_acknowledgements(self, times: int = 1) -> None:
        """Let the next acknowledgements over a socket get lost, and their sockets break with them."""
        self.sockets.lose_acknowledgements = times

    def cut(self, number: int | None = None) -> None:
        """Break every socket, or `number` of them, without a word."""
        self.sockets.cut(number)

    def fall_silent(self, number: int = 1) -> None:
        """Let `number` sockets stay open, and bring nothing any more: no envelope, no ping, no pong."""
        self.sockets.fall_silent(number)

    def expire_response_urls(self) -> None:
        """Make every response_url given out so far thirty minutes old."""
        for right in self.workspace.response_urls.values():
            right.expires = 0.0

    def _place(self, user: str, channel: str) -> Channel:
        return self.workspace.direct(user) if channel == f"D{user}" else self.channels[channel]

    def _own(self, place: Channel, ts: str) -> tuple[Message, Json]:
        message = place.message(ts)
        if message is None:
            raise AssertionError(f"There is no message {ts} in {place.id}.")
        return message, shown(self.workspace, message)

    async def _tell(self, place: Channel, events: list[Json]) -> list[Ack]:
        if not place.is_member:
            return []
        return list(await asyncio.gather(*(self.event(event) for event in events)))

    def _with_mentions(self, text: str) -> str:
        ids = {person.name: person.id for person in self.people.values()}
        return re.sub(r"@(\w+)", lambda m: f"<@{ids[m[1]]}>" if m[1] in ids else m[0], text)

    def _report(self) -> str:
        calls = [f"  {c.method} {str(c.arguments)[:200]} -> {c.error or 'ok'}" for c in self.calls[-12:]]
        said = [
            f"  {m.channel} {m.ts} {m.user}: {m.text[:200]!r} (edited {m.edited})"
            for channel in self.channels.values()
            for m in channel.messages[-6:]
        ]
        seen = [f"  {e.via} to {e.user}: {e.text[:200]!r}" for e in self.ephemerals[-6:]]
        return "\n".join(["Calls:", *calls, "Messages:", *said, "Ephemerals:", *seen])
