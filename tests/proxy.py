"""A small HTTP proxy on the loopback, which tells what came through it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class Proxy:
    """Passes on what it is asked for: by a whole address, or, what is said over TLS, by CONNECT."""

    port: int = 0
    asked: list[str] = field(default_factory=list)
    _under_way: "set[asyncio.Task[None]]" = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def was_asked(self, method: str, path: str) -> bool:
        """Return whether a request for a path, or for one that begins so, came through."""
        return any(one.startswith(f"{method} {path}") for one in self.asked)

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one request on, and all that follows it on the connection."""
        task = asyncio.current_task()
        assert task is not None
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(_closed_at_last(writer))
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                request, _, headers = head.partition("\r\n")
                method, address, version = request.split(" ")
                through = method == "CONNECT"
                parts = urlsplit(f"//{address}" if through else address)
                self.asked.append(f"{method} {parts.netloc if through else parts.path}")
                onward_reader, onward = await asyncio.open_connection(parts.hostname, parts.port)
                await stack.enter_async_context(_closed_at_last(onward))
                if through:
                    writer.write(f"{version} 200 Connection established\r\n\r\n".encode())
                else:
                    path = parts.path + (f"?{parts.query}" if parts.query else "")
                    onward.write(f"{method} {path} {version}\r\n{_once(headers)}".encode("latin-1"))
                await asyncio.gather(_pass_on(reader, onward), _pass_on(onward_reader, writer))

    async def cut(self) -> None:
        """End all that is under way."""
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)


@contextlib.asynccontextmanager
async def _closed_at_last(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    try:
        yield
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def _once(headers: str) -> str:
    """Return the headers of a connection for one request: the next may be for another host."""
    if "upgrade: websocket" in headers.lower():
        return headers
    kept = [one for one in headers.split("\r\n") if not one.lower().startswith(("connection:", "proxy-"))]
    return "\r\n".join(["Connection: close", *kept])


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


@contextlib.asynccontextmanager
async def proxy() -> AsyncIterator[Proxy]:
    """Give a proxy that listens."""
    made = Proxy()
    server = await asyncio.start_server(made.take, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        await made.cut()
