"""Hears from other relays on the same database what they left; where it cannot, it asks."""

import contextlib
import os
import select
import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg

from relay.store.place import SERVED, SOON, URGENT, Wake, Warn

CHANNEL = "relay_due"
_PROBE = "probe"
_PROBE_WITHIN = 2.0  # seconds
_POLL = 1.0
_TRY_AGAIN = 30.0  # where notifications do not come, as through a pooler
_RECONNECT = 1.0
_STOPS_WITHIN = 3.0
_LOOK = 60.0  # a quiet connection is asked whether it still stands
_ANYTHING = (SOON, SERVED)  # what nobody heard of may be any of it


class Listening:
    """A thread with a connection of its own. `wake` is called from it, with what was left."""

    def __init__(
        self, connected: Callable[[], "psycopg.Connection[Any]"], name: str, wake: Wake, warn: Warn
    ) -> None:
        self._connected = connected
        self._name = name
        self._wake = wake
        self._warn = warn
        self._warned = False
        self._stopping, self._stop = os.pipe()
        self._thread = threading.Thread(target=self._run, name="store-listener", daemon=True)

    def start(self) -> None:
        """Listen from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Listen no longer."""
        os.write(self._stop, b".")
        self._thread.join(_STOPS_WITHIN)
        if not self._thread.is_alive():  # one that still waits for a name or a server ends with the process
            os.close(self._stop)
            os.close(self._stopping)

    def _run(self) -> None:
        going = True
        while going:
            try:
                with contextlib.closing(self._connected()) as connection:
                    going = self._hear(connection) if self._is_heard(connection) else self._ask()
            except (psycopg.Error, OSError):
                # The writer says what is wrong with the database; what was left meanwhile is looked for.
                going = not self._is_stopped_within(_RECONNECT)
                self._wake(_ANYTHING)

    def _is_heard(self, connection: "psycopg.Connection[Any]") -> bool:
        """Listen, and return whether what is said is heard: a pooler takes LISTEN, and passes on nothing."""
        connection.execute(f"LISTEN {CHANNEL}")
        connection.execute(f"NOTIFY {CHANNEL}, '{self._name} {_PROBE}'")
        until = time.monotonic() + _PROBE_WITHIN
        while (left := until - time.monotonic()) > 0:
            for notice in connection.notifies(timeout=min(left, 0.2)):
                if notice.payload == f"{self._name} {_PROBE}":
                    self._warned = False
                    self._wake((URGENT, SERVED))  # what was left before it could be heard
                    return True
        return False

    def _hear(self, connection: "psycopg.Connection[Any]") -> bool:
        """Wake on every word of others; return False once stopped. Raises psycopg.Error."""
        while True:
            readable, _, _ = select.select([connection.fileno(), self._stopping], [], [], _LOOK)
            if self._stopping in readable:
                return False
            if not readable:
                connection.execute("SELECT 1")
            heard = [notice.payload.split() for notice in connection.notifies(timeout=0)]
            others = {word for said in heard if said[:1] != [self._name] for word in said[1:]} - {_PROBE}
            if others:
                self._wake(others)

    def _ask(self) -> bool:
        """Wake every second instead, for a while; return False once stopped."""
        if not self._warned:
            self._warned = True
            self._warn("store.polling", reason="the database passes no notifications on: a pooler?")
        until = time.monotonic() + _TRY_AGAIN
        while time.monotonic() < until:
            if self._is_stopped_within(_POLL):
                return False
            self._wake(_ANYTHING)
        return True

    def _is_stopped_within(self, seconds: float) -> bool:
        return bool(select.select([self._stopping], [], [], seconds)[0])
