"""Where a store is: a SQLite file, or a PostgreSQL database that several relays may share."""

from collections.abc import Callable, Collection
from datetime import datetime
from typing import Protocol

from sqlalchemy import Engine

# What others may have left: something due, and whether somebody waits for it; or a change of who is served.
SOON, URGENT, SERVED = "soon", "urgent", "served"
Wake = Callable[[Collection[str]], None]
Warn = Callable[..., None]


class Place(Protocol):
    """One opening of a store: the engine of its writer, with one connection, and what else it takes."""

    engine: Engine
    name: str  # for people: without a password
    # Whether whoever opens it is the only one, so that every claim is one of a run before.
    is_alone: bool
    # By which others on the same store know whoever opened it.
    writer: str

    def exists(self) -> bool:
        """Return whether a relay has made its store there. Raises StoreError."""

    def open(self) -> None:
        """Take hold of it. Raises StoreError."""

    def now(self) -> datetime:
        """Return the time by which everything in it goes."""

    def catch_up(self) -> None:
        """Run what works left to be run before the commit. Raises DBAPIError."""

    def let_go(self) -> None:
        """Give up what a work left that failed."""

    def leave_word(self, words: Collection[str]) -> None:
        """Have the next commit tell other relays what it leaves for them."""

    def learn(self, problem: BaseException) -> None:
        """Take from what a work failed by how to do better."""

    def again(self, problem: Exception, since: float) -> bool:
        """Return whether a batch that failed since a monotonic moment is to be run again.

        False: it was kept after all. Raises `problem` where that is no matter of its connection, StoreError
        when the connection does not come back in time, and DoubtError when it is not known what was kept.
        """

    def listen(self, wake: Wake, warn: Warn) -> None:
        """Call `wake` with what others left, or may have left, from now on."""

    def close(self) -> None:
        """Let go of it."""
