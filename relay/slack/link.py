"""One socket to Slack, from its hello to its end.

Slack pings every ten seconds or so, and answers pings: a socket on which nothing at all is heard is open and
deaf, whatever the operating system says of it.

https://docs.slack.dev/apis/events-api/using-socket-mode
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import aiohttp
from aiohttp import WSMsgType

_LAST_ACKNOWLEDGEMENTS = 1.0  # seconds that an ended socket gives to what was taken on it
_CLOSE_WITHIN = 0.5  # Slack does not always answer a close
_ENDS = (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR)

Envelope = Mapping[str, Any]
# Takes an envelope, and returns what its acknowledgement holds; None: it is not acknowledged.
Take = Callable[[Envelope], Awaitable[Mapping[str, Any] | None]]


class LinkLostError(Exception):
    """The socket never came to its hello; the message says why, in Slack's word where it gave one."""


class Link:
    """An open socket: takes envelopes and acknowledges them, until Slack ends it or falls silent.

    `leaving` is set when it has to be replaced, and `reason` says why; until it has ended it is still of use.
    """

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, take: Take, silence: float, log: Any) -> None:
        self.leaving = asyncio.Event()
        self.reason = ""
        self._socket = socket
        self._take = take
        self._silence = silence
        self._log = log
        self._greeted = asyncio.Event()  # by a hello, or by what rules one out
        self._is_open = False
        self._ending = False
        self._taking: set[asyncio.Task[None]] = set()
        self._listening = asyncio.create_task(self._listen())

    @classmethod
    async def open(
        cls, url: str, session: aiohttp.ClientSession, take: Take, *, silence: float, log: Any
    ) -> "Link":
        """Connect, and return once Slack said hello. Raises LinkLostError and aiohttp.ClientError."""
        # Pings are heard, too; and what was taken is acknowledged before a close is answered.
        timeout = aiohttp.ClientWSTimeout(ws_close=_CLOSE_WITHIN)
        # By its HTTP address, for a proxy is found by that: WSS_PROXY is what nobody sets.
        address = url.replace("ws", "http", 1)
        socket = await session.ws_connect(address, autoping=False, autoclose=False, timeout=timeout)
        link = cls(socket, take, silence, log)
        try:
            await link._greeted.wait()
            if not link.is_open:
                raise LinkLostError(link.reason)
        except BaseException:
            await link.close()
            raise
        return link

    @property
    def is_open(self) -> bool:
        """Whether Slack can reach us by it."""
        return self._is_open

    async def retire(self, seconds: float) -> None:
        """Take what still comes by it until Slack ends it, for `seconds` at most."""
        try:
            await asyncio.wait({self._listening, *self._taking}, timeout=seconds)
        finally:
            await self.close()

    async def close(self) -> None:
        """Acknowledge what was taken, and end."""
        if not self._ending:  # told twice, it would not finish
            self._ending = True
            self._listening.cancel()
        await asyncio.wait({self._listening})
        await self._socket.close()
        for one in self._taking:
            one.cancel()

    async def _listen(self) -> None:
        try:
            while (frame := await self._heard()).type not in _ENDS:
                if frame.type is WSMsgType.PING:
                    await self._socket.pong(frame.data)
                elif frame.type is WSMsgType.TEXT:
                    self._read(frame.data)
            self._leave("closed")
        except TimeoutError:
            self._leave("silent")
        except (ConnectionError, aiohttp.ClientError) as problem:
            self._leave(type(problem).__name__)
        finally:
            await self._end()

    async def _heard(self) -> aiohttp.WSMessage:
        """Return what comes next; when it is quiet, ask. Raises TimeoutError after too long a silence."""
        async with asyncio.timeout(self._silence):
            while True:
                try:
                    return await self._socket.receive(self._silence / 3)
                except TimeoutError:
                    await self._socket.ping()

    def _read(self, text: str) -> None:
        frame = _parsed(text)
        if frame.get("type") == "hello":
            self._is_open = True
            self._greeted.set()
        elif frame.get("type") == "disconnect":
            self._leave(str(frame.get("reason") or "disconnect"))
        elif "envelope_id" in frame:
            taking = asyncio.create_task(self._acknowledge(frame))
            self._taking.add(taking)
            taking.add_done_callback(self._taking.discard)

    async def _acknowledge(self, envelope: Envelope) -> None:
        answer = await self._take(envelope)
        if answer is None:
            return
        try:
            await self._socket.send_json({"envelope_id": envelope["envelope_id"], **answer})
        except (ConnectionError, aiohttp.ClientError):
            # It is stored. An event comes again, and is known; Slack tells a person that nobody answered.
            self._log.warning("slack.acknowledgement_lost", kind=envelope.get("type"), reason=self.reason)

    def _leave(self, reason: str) -> None:
        self.reason = self.reason or reason
        self.leaving.set()
        self._greeted.set()

    async def _end(self) -> None:
        self._is_open, self._ending = False, True
        self._leave("closed")
        if self._taking:
            await asyncio.wait(self._taking, timeout=_LAST_ACKNOWLEDGEMENTS)
        await self._socket.close()


def _parsed(text: str) -> dict[str, Any]:
    try:
        frame = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return frame if isinstance(frame, dict) else {}
