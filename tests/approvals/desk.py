"""A relay without doors: the use cases on a real store, one transaction each, and all that left it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import event

from relay.domain.approvals import Approval, Asked
from relay.domain.audit import Keys
from relay.domain.deliveries import Delivered, Delivery, Kind, Outcome
from relay.domain.people import Person, Standing
from relay.domain.policy import Rights
from relay.domain.rules import Action, Ask, Circle, Ruling
from relay.domain.runtime import Runtime
from relay.domain.store_urls import is_database
from relay.slack.cards import card
from relay.store.audit import Chain
from relay.store.opening import place_at
from relay.store.tables import metadata
from relay.store.transaction import Transaction
from relay.use_cases.follow_environment import pass_time, record_evidence, record_pending
from relay.use_cases.open_approval import Audience, Sighting, open_approval
from relay.use_cases.record_decision import Answer, Click, Recorded, record_decision
from relay.use_cases.retry_delivery import RetryClick, record_retry
from relay.use_cases.rulings import Authority
from relay.use_cases.settle_delivery import claim_deliveries, settle_delivery
from relay.use_cases.whisper import Listener
from tests.approvals.environment_model import Call, Frame

T = TypeVar("T")
HOME, PLACE = "T0HOME", "C0APPROVALS"
RUNTIME = Runtime("workshop", "agent-1", "default")
KEY = b"a key of the store's"
APPROVERS = Circle(users=frozenset({"U0ADA", "U0GRACE", "U0GUEST", "U0STRANGER"}))
RULING = Ruling(Action.ASK, ask=Ask(approvers=APPROVERS, editors=APPROVERS))
AUDIENCE = Audience(HOME, (PLACE,), KEY, lambda _: RULING)
ADA = Person("U0ADA", HOME, "Ada", Standing.MEMBER)
GRACE = Person("U0GRACE", HOME, "Grace", Standing.MEMBER)
MEMBER = Person("U0MEMBER", HOME, "Linus", Standing.MEMBER)
GUEST = Person("U0GUEST", HOME, "Guest", Standing.GUEST)
STRANGER = Person("U0STRANGER", "T0OTHER", "Stranger", Standing.FOREIGN)
RIGHTS = Rights(HOME)
AUTHORITY = Authority(RIGHTS, KEY, lambda _: RULING)
MAY_DECIDE = {ADA.user_id, GRACE.user_id}


@dataclass
class Attempt:
    """A decision on its way: `arrived` when the device has it, `end` when the relay was told."""

    delivery: Delivery
    arrived: bool = False
    taken: bool = False
    end: str = ""  # "", "no": surely not there; "maybe": it may be


@dataclass
class Desk:
    """The relay's side: its store, its clock, what is on its way out, and what its cards say."""

    url: str
    now: datetime = datetime(2026, 1, 5, 9, tzinfo=UTC)
    epoch: str = "pair-1"
    attempts: list[Attempt] = field(default_factory=list)
    posted: dict[str, str] = field(default_factory=dict)
    calls: dict[str, Call] = field(default_factory=dict)  # by approval: the call it was last asked for
    keys: int = 0

    def __post_init__(self) -> None:
        self._engine = place_at(self.url).engine
        if not is_database(self.url):  # a database comes with its tables
            event.listen(self._engine, "connect", _do_not_wait_for_the_disk)
            metadata.create_all(self._engine)
        self._read: list[Approval] | None = None
        self._chain = Chain(Keys((b"",)))

    def close(self) -> None:
        self._engine.dispose()

    def transact(self, work: Callable[[Transaction], T]) -> T:
        self.now += timedelta(milliseconds=10)
        self._read = None
        with self._engine.begin() as connection:
            return work(Transaction(connection, self._chain))

    def approvals(self) -> list[Approval]:
        """Return every request, oldest first."""
        if self._read is None:
            self._read = self._read_all()
        return self._read

    def _read_all(self) -> list[Approval]:
        from_store = "SELECT id FROM approvals ORDER BY created_at, occurrence"
        with self._engine.begin() as connection:
            tx = Transaction(connection)
            found = [tx.approvals.get(row.id) for row in connection.exec_driver_sql(from_store)]
        return [approval for approval in found if approval is not None]

    def key(self) -> str:
        self.keys += 1
        return f"click/{self.keys}"

    def take(self, frame: Frame) -> None:
        """Take in one frame as the environment door does."""
        sighting = Sighting(self.epoch, frame.event_seq)
        if frame.asks is not None:
            self._asked(frame.asks, sighting, listed=False)
        if frame.lists is not None:
            for call in frame.lists:
                self._asked(call, sighting, listed=True)
            listed = [call.tool_call_id for call in frame.lists]
            self.transact(lambda tx: record_pending(tx, RUNTIME, listed, sighting, self.now))
        if frame.sign is not None:
            which, evidence = frame.sign
            self.transact(lambda tx: record_evidence(tx, RUNTIME, which, evidence, sighting, self.now))

    def _asked(self, call: Call, sighting: Sighting, *, listed: bool) -> None:
        asked = asked_of(call)
        approval_id = self.transact(
            lambda tx: open_approval(tx, asked, sighting, AUDIENCE, (), self.now, answer_again=not listed)
        )
        if approval_id is not None:
            self.calls[approval_id] = call

    def click(self, approval: Approval, person: Person, key: str, digest: str, *, approve: bool) -> bool:
        listener = Listener(HOME, PLACE, person.user_id, None)
        press = Click(person, listener, key, approval.id, approval.asked.tool_call_id, digest, None)
        answer = Answer(approve=approve)
        recorded = self.transact(lambda tx: record_decision(tx, press, answer, AUTHORITY, self.now))
        return recorded is Recorded.DECIDED

    def retry(self, approval: Approval, person: Person) -> bool:
        press = RetryClick(person, Listener(HOME, PLACE, person.user_id, None), self.key(), approval.id)
        return self.transact(lambda tx: record_retry(tx, press, RIGHTS, self.now))

    def claim(self) -> list[Delivery]:
        """Claim all that is due; cards and whispers are posted at once, decisions go on their way."""
        claimed = self.transact(lambda tx: claim_deliveries(tx, 100, self.now))
        for delivery in claimed:
            if delivery.kind in (Kind.DECISION, Kind.ANSWER):
                self.attempts.append(Attempt(delivery))
            else:
                self._post(delivery)
        return claimed

    def _post(self, delivery: Delivery) -> None:
        def work(tx: Transaction) -> None:
            copy = tx.approvals.copy(delivery.subject_id) if delivery.kind is Kind.CARD else None
            approval = tx.approvals.get(copy.approval_id) if copy else None
            if approval is not None:
                self.posted[approval.id] = words(approval)
            receipt = {"channel": PLACE, "ts": f"{delivery.id}.1"}
            settle_delivery(tx, delivery, Delivered(receipt), self.now, 0.5)

        self.transact(work)

    def settle(self, attempt: Attempt, outcome: Outcome) -> None:
        self.transact(lambda tx: settle_delivery(tx, attempt.delivery, outcome, self.now, 0.5))

    def pass_time(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.transact(lambda tx: pass_time(tx, self.now))

    def restart(self) -> None:
        """Start again on the same file: claims are freed, the sockets are another pair."""
        self.transact(lambda tx: tx.deliveries.free_claims())
        self.reconnect()

    def reconnect(self) -> None:
        self.epoch = f"pair-{int(self.epoch.removeprefix('pair-')) + 1}"


def _do_not_wait_for_the_disk(connection: Any, _: Any) -> None:
    connection.execute("PRAGMA synchronous=OFF")  # nothing here outlives the test


def asked_of(call: Call) -> Asked:
    return Asked(
        environment=RUNTIME.environment,
        agent_id=RUNTIME.agent_id,
        conversation_id=RUNTIME.conversation_id,
        tool_call_id=call.tool_call_id,
        tool_name="Bash",
        tool_input={"command": call.command},
        diffs=(),
        words="",
    )


def words(approval: Approval) -> str:
    """Return all that a card shows, but for the ids that change at every rewriting."""
    post = card(approval)
    shown = [{name: value for name, value in block.items() if name != "block_id"} for block in post.blocks]
    return f"{post.text}\n{shown}"


def buttons(approval: Approval) -> set[str]:
    blocks: list[dict[str, Any]] = [one for one in card(approval).blocks if one["type"] == "actions"]
    return {element["action_id"] for block in blocks for element in block["elements"]}
