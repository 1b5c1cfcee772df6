"""A status socket as the router keeps it: numbers frames, delivers them, and lets some overtake others."""

import asyncio
import json
import re
from dataclasses import dataclass, field

from aiohttp import web

from relay.sandbox.environment.script import Json

# Recorded: requests came before the deltas of their run, a turn's end before the status that precedes it.
LAGGING: dict[str, set[str]] = {
    "control": {"stream_delta", "update_loop_status"},
    "stream": {"update_device_status"},
}
OVERTAKING: dict[str, set[str] | None] = {
    "control": {"control_request", "update_device_status", "turn_finished"},
    "stream": None,  # anything
}
MOST_OVERTAKEN = 6
# JSON.stringify writes half a character as an escape; everything else goes as it is.
HALVES = re.compile("[\ud800-\udfff]")
QUIET_SECONDS = 0.02


@dataclass(eq=False)
class StatusSocket:
    """One open status socket, with what its client did on it."""

    request: web.Request
    channel: str
    agent: str
    conversation: str
    connection_id: str
    socket: web.WebSocketResponse = field(default_factory=lambda: web.WebSocketResponse(timeout=1.0))
    acked: list[int] = field(default_factory=list)
    pings: int = 0
    seq: int = 0
    _outgoing: asyncio.Queue[str | None] = field(default_factory=asyncio.Queue)
    _lagging: list[Json] = field(default_factory=list)
    _quiet: asyncio.TimerHandle | None = None

    def listens_to(self, runtime: Json) -> bool:
        """Whether a runtime's feed goes to this socket."""
        return self.agent == runtime.get("agent_id") and self.conversation == runtime.get("conversation_id")

    def deliver(self, frame: Json, *, overtake: bool = False) -> None:
        """Send one frame of the feed, perhaps behind a later one."""
        if (
            overtake
            and frame["type"] in LAGGING.get(self.channel, ())
            and len(self._lagging) < MOST_OVERTAKEN
        ):
            self._lagging.append(frame)
            self._release_when_quiet()
            return
        overtaking = OVERTAKING.get(self.channel)
        if overtaking is not None and frame["type"] not in overtaking:
            self._release()
        self.send(frame)
        self._release()

    def send(self, frame: Json) -> None:
        """Send one frame now, with this socket's next number."""
        self.seq += 1
        text = json.dumps({**frame, "seq": self.seq}, ensure_ascii=False)
        self.send_text(HALVES.sub(lambda half: f"\\u{ord(half[0]):04x}", text))

    def send_text(self, text: str) -> None:
        """Send text as it is."""
        self._outgoing.put_nowait(text)

    async def write(self) -> None:
        """Carry what is to be sent, until the socket is cut."""
        try:
            while (text := await self._outgoing.get()) is not None:
                await self.socket.send_str(text)
        except ConnectionError:
            return  # the client went away; its reader notices

    async def close(self) -> None:
        """Close in order, after what was already said."""
        self._stop_lagging()
        await self.socket.close(code=1001, message=b"going away")

    def cut(self) -> None:
        """Break the connection without a closing frame."""
        self._stop_lagging()
        self._outgoing.put_nowait(None)
        if self.request.transport is not None:
            self.request.transport.abort()

    def _release_when_quiet(self) -> None:
        self._stop_waiting()
        self._quiet = asyncio.get_running_loop().call_later(QUIET_SECONDS, self._release)

    def _release(self) -> None:
        self._stop_waiting()
        for frame in self._lagging:
            self.send(frame)
        self._lagging.clear()

    def _stop_lagging(self) -> None:
        self._stop_waiting()
        self._lagging.clear()

    def _stop_waiting(self) -> None:
        if self._quiet is not None:
            self._quiet.cancel()
            self._quiet = None
