"""FakeEnvironment: a Letta environment to try things on, with a scripted agent and trouble on demand."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Literal, Self, TypeVar

from aiohttp import web

from relay.sandbox.environment.approvals import Answer
from relay.sandbox.environment.device import DEFAULT_CONVERSATION, Device
from relay.sandbox.environment.place import Place, RouterKind, new_connection_id
from relay.sandbox.environment.records import Decision, Ledger, Post, ToolReturn
from relay.sandbox.environment.router import Router
from relay.sandbox.environment.script import Agent, Json, Script, UserMessage
from relay.sandbox.environment.sockets import StatusSocket
from relay.sandbox.environment.trouble import PostTrouble

T = TypeVar("T")


class FakeEnvironment:
    """One device with one agent behind a router on 127.0.0.1, from `start` to `stop`."""

    def __init__(
        self,
        *,
        api_key: str = "sk-letta-sandbox",
        device_id: str = "device-1",
        agent_id: str = "agent-1",
        router: RouterKind = "translating",
        delta_seconds: float = 0.0,
    ) -> None:
        self.ledger = Ledger()
        self.place = Place(api_key, device_id, router)
        self.agent = Agent(agent_id, delta_seconds)
        self.device = Device(self.agent, self.ledger, self._broadcast)
        self.router = Router(self.place, self.device, self.ledger)
        self.base_url = ""
        self._runner: web.AppRunner | None = None

    # Life.

    async def start(self) -> None:
        """Listen on a free port of 127.0.0.1; `base_url` says which."""
        self._runner = web.AppRunner(self.router.application(), access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.base_url = f"http://127.0.0.1:{port}"

    async def stop(self) -> None:
        """End turns, sockets and hanging posts, then stop listening."""
        self.router.cut_hanging_posts()
        self.device.restart()
        self.router.cut_sockets()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    # What it is.

    @property
    def api_key(self) -> str:
        """The key the router wants."""
        return self.place.api_key

    @property
    def device_id(self) -> str:
        """The id that stays."""
        return self.place.device_id

    @property
    def agent_id(self) -> str:
        """The one agent that answers."""
        return self.agent.agent_id

    @property
    def connection_id(self) -> str:
        """The id that changes with a rotation or restart."""
        return self.place.connection_id

    @property
    def script(self) -> Script:
        """What the agent does with a user turn; assign another at any time."""
        return self.agent.script

    @script.setter
    def script(self, script: Script) -> None:
        self.agent.script = script

    @property
    def current_mode(self) -> str:
        """The permission mode, as the directory and the device show it."""
        return self.agent.permission_mode

    @current_mode.setter
    def current_mode(self, mode: str) -> None:
        self.agent.permission_mode = mode

    # What it saw.

    @property
    def posts(self) -> list[Post]:
        """Every POST …/messages."""
        return self.ledger.posts

    @property
    def received(self) -> list[UserMessage]:
        """Every user message that reached the device, duplicates marked."""
        return self.ledger.received

    @property
    def decisions(self) -> list[Decision]:
        """Every approve or deny that reached the device over the wire."""
        return self.ledger.decisions

    @property
    def conversations_made(self) -> list[str]:
        """The ids of the conversations that the API was asked for."""
        return self.ledger.conversations_made

    def refuse_conversations(self, *statuses: int) -> None:
        """Answer the next requests for a conversation with these statuses; 0: made, and the line cut."""
        self.ledger.conversation_refusals += statuses

    @property
    def tool_returns(self) -> list[ToolReturn]:
        """Every result given in a tool's place."""
        return self.ledger.tool_returns

    @property
    def tool_runs(self) -> list[tuple[str, str, Json]]:
        """Every tool that ran: call id, name, the input it got."""
        return self.ledger.tool_runs

    @property
    def commands(self) -> list[Json]:
        """Every frame a client sent on a status socket, pings and acks aside."""
        return self.ledger.commands

    @property
    def sockets(self) -> list[StatusSocket]:
        """The status sockets that are open."""
        return self.router.sockets

    @property
    def acked(self) -> list[int]:
        """Every seq acknowledged, on any socket."""
        return self.ledger.acked

    @property
    def pings(self) -> int:
        """How many pings came, on any socket."""
        return self.ledger.pings

    def pending(self, conversation_id: str = DEFAULT_CONVERSATION) -> list[Json]:
        """The requests that wait for a person now."""
        conversation = self.device.conversations.get(conversation_id)
        return conversation.runtime.pending if conversation else []

    def busy(self, conversation_id: str = DEFAULT_CONVERSATION) -> bool:
        """Whether a turn runs, waiting for a person included."""
        conversation = self.device.conversations.get(conversation_id)
        return conversation is not None and conversation.busy

    async def wait_for(self, predicate: Callable[["FakeEnvironment"], T], timeout: float = 30.0) -> T:
        """The predicate's first true result; after timeout seconds an AssertionError says what happened."""
        try:
            async with asyncio.timeout(timeout):
                while not (result := predicate(self)):
                    self._raise_script_error()
                    await self.ledger.next_change()
                return result
        except TimeoutError:
            raise AssertionError(f"nothing after {timeout} s\n{self.dump()}") from None

    def dump(self) -> str:
        """A readable account of everything seen."""
        sockets = [f"{s.channel}/{s.conversation}" for s in self.sockets]
        pending = {name: self.pending(name) for name in self.device.conversations}
        return f"online={self.offline is False} sockets={sockets}\npending={pending}\n{self.ledger.dump()}"

    # Things people do without Slack.

    async def answer_at_terminal(self, tool_call_id: str, approve: bool, reason: str | None = None) -> bool:
        """Answer as the person at the device would; False when the request is not pending."""
        for conversation_id in list(self.device.conversations):
            if any(
                request["request_id"] == f"perm-{tool_call_id}" for request in self.pending(conversation_id)
            ):
                return self.device.answer(conversation_id, tool_call_id, Answer(approve, reason), None)
        return False

    async def abort(self, conversation_id: str = DEFAULT_CONVERSATION) -> None:
        """Interrupt the running turn at the device."""
        self.device.conversation(conversation_id).abort()
        self.ledger.changed()

    async def send_frame(
        self,
        frame: Json | str,
        *,
        channel: Literal["control", "stream", "both"] = "both",
        conversation_id: str = DEFAULT_CONVERSATION,
    ) -> None:
        """Put something on the sockets as it is: text untouched, a frame with nothing but a seq added."""
        for socket in self.sockets:
            if socket.conversation == conversation_id and channel in ("both", socket.channel):
                if isinstance(frame, str):
                    socket.send_text(frame)
                else:
                    socket.send(frame)

    async def send_event(self, frame: Json, *, conversation_id: str = DEFAULT_CONVERSATION) -> None:
        """Send a frame of any kind as an event of the device, numbered and stamped."""
        self.device.conversation(conversation_id).runtime.say(frame)

    # Trouble.

    @property
    def offline(self) -> bool:
        """Whether the device is away; assigning cuts the sockets at once."""
        return not self.place.online

    @offline.setter
    def offline(self, away: bool) -> None:
        if away:
            self.place.leave()
            self.router.cut_sockets()
        else:
            self.place.come_back(rotate=False)

    @property
    def offline_status(self) -> int:
        """The status of posts and sockets whose connection is gone."""
        return self.place.offline_status

    @offline_status.setter
    def offline_status(self, status: int) -> None:
        self.place.offline_status = status

    @property
    def overtake(self) -> bool:
        """Whether frames overtake each other, differently on the two sockets."""
        return self.place.overtake

    @overtake.setter
    def overtake(self, overtake: bool) -> None:
        self.place.overtake = overtake

    async def go_offline(self, hard: bool = True) -> None:
        """Be away: sockets are cut when hard, else closed in order."""
        self.place.leave()
        await self.drop_sockets(hard=hard)

    async def come_back(self, rotate: bool = False) -> None:
        """Be there again, with the same turns and requests."""
        self.place.come_back(rotate=rotate)

    async def rotate(self) -> None:
        """Change the connection id; the old one is not found any more and its sockets close."""
        self.place.connection_id = new_connection_id()
        await self.router.close_sockets()

    async def restart(self, *, rotate: bool = True) -> None:
        """Restart the device in silence; without rotation sockets stay open and only a sync shows it."""
        self.device.restart()
        self.place.come_back(rotate=False)
        if rotate:
            await self.rotate()
        self.ledger.changed()

    async def drop_device_socket(self) -> None:
        """Break the device's own socket to the router: the same requests come again under new keys."""
        for conversation in self.device.conversations.values():
            conversation.replay()

    async def drop_sockets(self, *, hard: bool = False) -> None:
        """Close the status sockets, or cut them when hard; all else stays."""
        if hard:
            self.router.cut_sockets()
        else:
            await self.router.close_sockets()

    def fail_posts(
        self,
        *,
        times: int = 1,
        status: int = 500,
        body: str | Json | None = None,
        retry_after: str | float | None = None,
        hang: bool = False,
        after: bool = False,
        approvals_only: bool = False,
        messages_only: bool = False,
    ) -> None:
        """Fail the next posts; after: they take effect, then the connection is cut; hang: no answer."""
        trouble = PostTrouble(times, status, body, retry_after, hang, after, approvals_only, messages_only)
        self.router.troubles.to_come.append(trouble)

    def cut_hanging_posts(self) -> None:
        """Break the connection of every post that hangs now; none of them takes effect."""
        self.router.cut_hanging_posts()

    def _broadcast(self, frame: Json) -> None:
        # The device is made before the router it speaks to.
        self.router.broadcast(frame)
        self.ledger.changed()

    def _raise_script_error(self) -> None:
        for error in self.ledger.script_errors:
            raise AssertionError(f"the agent's script failed\n{self.dump()}") from error
