"""Stands between a store and its PostgreSQL server, and cuts connections where it hurts most."""

import contextlib
import shutil
import socket
import struct
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.postgres import Server, database_of

_NOTIFICATION, _QUERY, _READY = b"A", b"Q", b"Z"


class Lossy:
    """A proxy in threads of its own, message by message: a store connects while the test's loop waits.

    `cut` says what becomes of the next commit of something `carrying` these words: lost "before" the server
    has it, or "after", on the way back. `shut` refuses new connections; `mute` keeps notifications back, as
    a pooler does.
    """

    def __init__(self, server: Server) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="relay-lossy-", dir="/tmp"))
        self.cut = ""
        self.carrying = b""
        self.cuts = 0
        self.shut_after_cut = False
        self.shut = False
        self.mute = False
        self._server = server
        self._open: set[socket.socket] = set()
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(self.folder / ".s.PGSQL.5432"))
        self._listening.listen()
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def url(self, url: str) -> str:
        """Return the URL of the same database through here."""
        return self._server.url(database_of(url), str(self.folder))

    def drop(self) -> None:
        """Cut every connection."""
        for one in list(self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End all of it."""
        self.shut = True
        self._listening.shutdown(socket.SHUT_RDWR)
        self.drop()
        for thread in self._threads:
            thread.join()
        self._listening.close()
        shutil.rmtree(self.folder)

    def _start(self, run: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=run, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                if self.shut:
                    client.close()
                    continue
                onward = socket.socket(socket.AF_UNIX)
                try:
                    onward.connect(self._server.socket)
                except OSError:
                    client.close()
                    onward.close()
                    continue
                self._open |= {client, onward}
                lost = threading.Event()
                self._start(self._pass, client, onward, self._out, lost)
                self._start(self._pass, onward, client, self._back, lost)

    def _pass(
        self,
        source: socket.socket,
        to: socket.socket,
        way: "Callable[[socket.socket, socket.socket, threading.Event], None]",
        lost: threading.Event,
    ) -> None:
        with contextlib.suppress(OSError, EOFError):
            way(source, to, lost)
        for one in (source, to):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._open.discard(source)
        source.close()

    def _out(self, client: socket.socket, server: socket.socket, lost: threading.Event) -> None:
        [length] = struct.unpack("!I", head := _read(client, 4))  # the first message has no kind
        server.sendall(head + _read(client, length - 4))
        said = b""
        while True:
            kind, whole = _message(client)
            said = whole if kind == _QUERY and b"BEGIN" in whole else said + whole
            commits = kind == _QUERY and whole.endswith(b";COMMIT\0")
            if commits and self.cut and self.carrying in said:
                cut, self.cut = self.cut, ""
                self.cuts += 1
                self.shut = self.shut_after_cut
                if cut == "before":
                    return
                lost.set()
            server.sendall(whole)

    def _back(self, server: socket.socket, client: socket.socket, lost: threading.Event) -> None:
        while True:
            kind, whole = _message(server)
            if lost.is_set():
                if kind == _READY:
                    return
                continue
            if not (kind == _NOTIFICATION and self.mute):
                client.sendall(whole)


def _message(source: socket.socket) -> tuple[bytes, bytes]:
    head = _read(source, 5)
    [length] = struct.unpack("!I", head[1:])
    return head[:1], head + _read(source, length - 4)


def _read(source: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        piece = source.recv(count - len(found))
        if not piece:
            raise EOFError
        found += piece
    return found


@contextlib.contextmanager
def lossy(server: Server) -> Iterator[Lossy]:
    """Give a proxy before a server."""
    made = Lossy(server)
    try:
        yield made
    finally:
        made.close()
