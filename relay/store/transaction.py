"""What one work may read and write, by kind of row."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, bindparam, select

from relay.domain.audit import Keys
from relay.domain.runtime import Runtime
from relay.store import runtimes, tables
from relay.store.approvals import Approvals
from relay.store.audit import Audit, Chain
from relay.store.backlog import Backlog, backlog
from relay.store.conversations import Conversations
from relay.store.deliveries import Deliveries
from relay.store.delivery_pages import DeliveryPages
from relay.store.dialects import upsert
from relay.store.grants import Grants
from relay.store.held_back import HeldBack
from relay.store.inbox import Inbox
from relay.store.installations import Installations
from relay.store.leases import Leases
from relay.store.live_posts import LivePosts, Stops
from relay.store.messages import Messages
from relay.store.statement import Statement
from relay.store.texts import Texts
from relay.store.tool_runs import ToolRuns
from relay.store.votes import Votes

_SEE = Statement(upsert(tables.seen).on_conflict_do_nothing(), columns=["team_id", "key", "seen_at"])
_SEEN = Statement(
    select(tables.seen.c.key).where(
        tables.seen.c.team_id == bindparam("team"), tables.seen.c.key == bindparam("which")
    )
)
_FORGET = tables.seen.delete().where(tables.seen.c.seen_at < bindparam("before"))
_TOUCHED = upsert(tables.settings)
_TOUCH = _TOUCHED.on_conflict_do_update(index_elements=["name"], set_={"value": _TOUCHED.excluded.value})
_SOCKET_WAY = "approvals_via/"
# What a work tells whoever counts: the name, how much, and the labels.
Figure = tuple[str, float, Mapping[str, str]]
_NO_KEY = Keys((b"",))  # of a transaction whose record nobody verifies


P = TypeVar("P")


class Part(Generic[P]):
    """A part of a transaction, `made` once it is asked for; functools' own takes a lock in Python 3.11."""

    def __init__(self, made: Callable[[Connection], P]) -> None:
        self.made = made

    def __set_name__(self, _: type, name: str) -> None:
        self._name = name

    def __get__(self, tx: "Transaction", _: type) -> P:
        part = self.made(tx.connection)
        tx.__dict__[self._name] = part
        return part


class Transaction:
    """One transaction: everything in it becomes durable together, or nothing of it."""

    figures: tuple[Figure, ...] = ()

    held_back = Part(HeldBack)
    delivery_pages = Part(DeliveryPages)
    messages = Part(Messages)
    conversations = Part(Conversations)
    approvals = Part(Approvals)
    grants = Part(Grants)
    inbox = Part(Inbox)
    votes = Part(Votes)
    texts = Part(Texts)
    tool_runs = Part(ToolRuns)
    live_posts = Part(LivePosts)
    stops = Part(Stops)
    installations = Part(Installations)
    leases = Part(Leases)

    def __init__(self, connection: Connection, chain: Chain | None = None, trace: str = "") -> None:
        """Begin with the `trace` of what is done here: each delivery that is added goes on with it."""
        self.connection = connection
        self.audit = Audit(connection, chain or Chain(_NO_KEY))
        self.deliveries = Deliveries(connection, trace)

    @property
    def wakes(self) -> bool:
        """Whether something was left here that may be delivered at once."""
        return self.deliveries.wakes

    @property
    def urgent(self) -> bool:
        """Whether it is something that people or the agent wait for now."""
        return self.deliveries.urgent

    @property
    def serves(self) -> bool:
        """Whether it was changed here who is served, or by which tokens."""
        return "installations" in self.__dict__ and self.installations.changed

    def first_time(self, team_id: str, key: str, now: datetime) -> bool:
        """Return whether `key` was not seen before in this workspace, and remember it."""
        return _SEE.run(self.connection, {"team_id": team_id, "key": key, "seen_at": now}).rowcount == 1

    def seen_before(self, team_id: str, key: str) -> bool:
        """Return whether `key` was seen before in this workspace, without remembering it."""
        return _SEEN.run(self.connection, {"team": team_id, "which": key}).fetchone() is not None

    def forget_seen(self, before: datetime) -> int:
        """Forget the keys seen before `before` and return how many they were."""
        return self.connection.execute(_FORGET, {"before": before}).rowcount

    def backlog(self) -> list[Backlog]:
        """Return what has not left yet, by kind."""
        return backlog(self.connection)

    def runtimes_alive(self, since: datetime) -> list[Runtime]:
        """Return the conversations in which something is asked, or was said after `since` and goes on."""
        return runtimes.alive(self.connection, since)

    def remember_socket_way(self, environment: str) -> None:
        """Remember that decisions take effect over the sockets of an environment, and not otherwise."""
        self.connection.execute(_TOUCH, {"name": f"{_SOCKET_WAY}{environment}", "value": "socket"})

    def socket_ways(self) -> list[str]:
        """Return the environments of which that is remembered."""
        names = select(tables.settings.c.name).where(tables.settings.c.name.startswith(_SOCKET_WAY))
        return [row.name.removeprefix(_SOCKET_WAY) for row in self.connection.execute(names)]

    def seen(self, name: str, value: float = 1.0, /, **labels: str) -> None:
        """Have something counted once this is durable; not at all if it never is."""
        self.figures = (*self.figures, (name, value, labels))

    def touch(self, now: datetime) -> None:
        """Write something small: raises what any write would raise."""
        self.connection.execute(_TOUCH, {"name": "touched_at", "value": now.isoformat()})

    def record(
        self,
        team_id: str,
        now: datetime,
        action: str,
        *,
        actor: str = "",
        subject: str = "",
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        """Add an audit entry: who did what to what, and the evidence."""
        self.audit.record(team_id, now, action, actor, subject, facts or {})
