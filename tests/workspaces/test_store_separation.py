"""No query of the store without its workspace: every method that reads, or a reason why it needs none.

A new method has to be put on one of the two lists, or the first test fails.
"""

import inspect
import io
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from relay.app import json_log
from relay.domain.approvals import Asked
from relay.domain.deliveries import Delivery, Kind
from relay.domain.people import Person, Standing
from relay.domain.policy import Rights
from relay.domain.rules import Action, Ask, Ruling
from relay.domain.runtime import Runtime
from relay.environment.arrivals import Desk as Arriving
from relay.environment.following import Following
from relay.environment.listener import Arrivals
from relay.environment.turns import Arrival, Reply, TurnEnded, TurnFailed, TurnStopped
from relay.store import Store, Transaction
from relay.store.audit import Audit
from relay.store.deliveries import Deliveries
from relay.store.transaction import Part
from relay.use_cases.drop_delivery import Dropped, drop_delivery
from relay.use_cases.forward_user_message import Said, forward_user_message
from relay.use_cases.open_approval import Audience, Sighting, open_approval
from tests.approvals.desk import GRACE, KEY, RUNTIME, Desk
from tests.store import test_grants
from tests.workspaces.building import ALPHA, BETA

NOW = datetime.now(UTC)
_BY_OURS = "named by a row of the same workspace, or by a delivery: no person and no environment says it"
_BY_TIME = "work that time brings, for all workspaces at once; what comes of it goes by each row's own"
_BY_RUNTIME = "named by a conversation of an environment, which one workspace reaches alone"
_OPERATOR = "for the operator, on the relay's own machine"
# Why these need no workspace.
_OF_RELAYS = "tells which relay holds an environment, which no workspace has alone"
WITHOUT = {
    "approvals.add": "writes a row that says its workspace",
    "approvals.add_copy": "writes a row with its request's workspace",
    "approvals.change": _BY_OURS,
    "approvals.change_copy": _BY_OURS,
    "approvals.copies": _BY_OURS,
    "approvals.copy": _BY_OURS,
    "approvals.decide": _BY_OURS,
    "approvals.get": _BY_OURS,
    "approvals.gone_before": _BY_TIME,
    "approvals.latest": _BY_RUNTIME,
    "approvals.look_at": _BY_OURS,
    "approvals.note_asked": _BY_OURS,
    "approvals.on_the_way": _BY_RUNTIME,
    "approvals.open_ones": _BY_RUNTIME,
    "approvals.over_by": _BY_TIME,
    "approvals.past": _OPERATOR,
    "approvals.pending_calls": _BY_RUNTIME,
    "approvals.readable": _BY_TIME,
    "approvals.silent": _BY_TIME,
    "approvals.undecided": _BY_TIME,
    "approvals.undelivered": _BY_RUNTIME,
    "approvals.waiting": "a number alone, of an environment that a route of the workspace names",
    "approvals.without_effect": _BY_TIME,
    "audit.end_of": _OPERATOR,
    "audit.forget": _OPERATOR,
    "audit.oldest": _OPERATOR,
    "audit.page": _OPERATOR,
    "audit.rebase": _OPERATOR,
    "audit.up_to": _OPERATOR,
    "conversations.add": "writes a row that says its workspace",
    "conversations.bind": "by the whole key of a row, its workspace in it",
    "conversations.of_conversation": "tells whose conversation it is: the answer is the workspace",
    "conversations.use": "by the whole key of a row, its workspace in it",
    "deliveries.change_body": _BY_OURS,
    "deliveries.claim": _BY_TIME,
    "deliveries.drop": _OPERATOR,
    "deliveries.finish": _BY_OURS,
    "deliveries.free_claims": _BY_TIME,
    "deliveries.get": _OPERATOR,
    "deliveries.hurry": _BY_OURS,
    "deliveries.next_due": _BY_TIME,
    "deliveries.of_subject": _BY_OURS,
    "deliveries.renew": _BY_OURS,
    "deliveries.reopen": _BY_OURS,
    "deliveries.scrub": _BY_OURS,
    "deliveries.settle": _BY_OURS,
    "delivery_pages.before": _OPERATOR,
    "delivery_pages.count": _OPERATOR,
    "delivery_pages.end": _OPERATOR,
    "delivery_pages.from_": _OPERATOR,
    "delivery_pages.place": _OPERATOR,
    "grants.add": "writes a row that says its workspace",
    "grants.all_live": _OPERATOR,
    "grants.get": _OPERATOR,
    "grants.revoke": _BY_OURS,
    "grants.use": _BY_OURS,
    "grants.used_for": _BY_OURS,
    "held_back.hold": _BY_TIME,
    "held_back.release": _BY_TIME,
    "held_back.waiting": "a number and a reason for whoever runs relay, of an environment",
    "inbox.copies": _BY_OURS,
    "inbox.some": _BY_OURS,
    "installations.all": "read at start, for what knows each workspace by its id",
    "installations.cover_again": "named by the organisation that installs",
    "installations.covered_by": "named by the organisation that installs",
    "installations.is_state_used": "of no workspace yet: by the digest of a secret of 256 bits",
    "installations.keep": "writes a row that says its workspace",
    "installations.since": "the same, for what other relays changed",
    "installations.use_state": "of no workspace yet: by the digest of a secret of 256 bits",
    "leases.all": _OF_RELAYS,
    "leases.appear": _OF_RELAYS,
    "leases.epoch": _OF_RELAYS,
    "leases.hold": _OF_RELAYS,
    "leases.is_alive": _OF_RELAYS,
    "leases.leave": _OF_RELAYS,
    "leases.release": _OF_RELAYS,
    "live_posts.begin": "writes a row that says its workspace",
    "live_posts.forget": _BY_OURS,
    "live_posts.get": _BY_OURS,
    "live_posts.posted": _BY_OURS,
    "live_posts.take_left": _BY_TIME,
    "live_posts.working": _BY_TIME,
    "messages.add": "writes a row that says its workspace",
    "messages.arrived": _BY_OURS,
    "messages.change": _BY_OURS,
    "messages.end_turn": "by an environment's ids: after only_of, see below",
    "messages.forget_response_urls": _BY_TIME,
    "messages.get": _BY_OURS,
    "messages.in_turn": "by a conversation, and after only_of, see below",
    "messages.said_since": _BY_RUNTIME,
    "messages.some": "by an environment's ids: after only_of, see below",
    "stops.by": _BY_OURS,
    "stops.forget": _BY_OURS,
    "texts.of_approvals": _BY_TIME,
    "texts.of_deliveries": _BY_TIME,
    "texts.of_grants": _BY_TIME,
    "texts.of_messages": _BY_TIME,
    "tool_runs.busy_until": _BY_RUNTIME,
    "tool_runs.latest": _BY_OURS,
    "votes.of": _BY_OURS,
    "votes.withdraw": _BY_OURS,
    "backlog": _OPERATOR,
    "forget_seen": _BY_TIME,
    "remember_socket_way": "of an environment, not of a workspace",
    "runtimes_alive": _BY_TIME,
    "seen": "counts, and names nobody",
    "socket_ways": "of environments, not of workspaces",
    "touch": "of the store itself",
}
# Those that have a row's own workspace in what they are given, as a whole.
BY_ROW = {"deliveries.add", "deliveries.add_once", "grants.for_tool", "grants.of"}
_NAMES = {"team_id", "team_ids"}


def methods() -> dict[str, Callable[..., Any]]:
    """Return every public method of a transaction and its parts."""
    parts = {name: of.made for name, of in vars(Transaction).items() if isinstance(of, Part)}
    owners: dict[str, Any] = {"": Transaction, **parts, "audit": Audit, "deliveries": Deliveries}
    return {
        f"{part}.{name}".removeprefix("."): one
        for part, owner in owners.items()
        for name, one in inspect.getmembers(owner, inspect.isfunction)
        if not name.startswith("_")
    }


def test_every_method_takes_the_workspace_or_is_said_to_need_none() -> None:
    takes = {name for name, one in methods().items() if _NAMES & inspect.signature(one).parameters.keys()}
    assert takes.isdisjoint(WITHOUT)
    assert takes | BY_ROW | set(WITHOUT) == set(methods())


@pytest.fixture
def desk(file_url: str) -> Iterator[Desk]:
    """A store, and who asks for tools."""
    made = Desk(file_url)
    yield made
    made.close()


class Twins:
    """The same in two workspaces: one store, and rows that differ in nothing but whose they are."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.ids = {team_id: self._made(team_id) for team_id in (ALPHA, BETA)}

    def _made(self, team_id: str) -> dict[str, str]:
        # Of an environment of each: what is asked in a conversation belongs to one workspace.
        runtime = Runtime(team_id, RUNTIME.agent_id, RUNTIME.conversation_id)
        ask = Ask(rule="builds", grant_for=timedelta(hours=1))
        audience = Audience(team_id, ("C0CARDS",), KEY, lambda _: Ruling(Action.ASK, "builds", ask=ask))
        said = Said(
            team_id, "C0OPS", "", Person(GRACE.user_id, team_id, "Grace", Standing.MEMBER), "hello", "key",
            None, posted=True, thread_ts="1.0",
        )  # fmt: skip

        def work(tx: Transaction) -> dict[str, str]:
            message_id = str(
                forward_user_message(
                    tx, said, runtime, Rights(team_id), quote=False, now=self.desk.now, per="thread"
                ).message_id
            )
            tx.messages.change(message_id, {"state": "delivered", "settled_at": self.desk.now})
            asked = Asked(
                team_id, runtime.agent_id, runtime.conversation_id, "call", "Bash", {"command": "x"}, (), ""
            )
            approval_id = open_approval(tx, asked, Sighting("e", 1), audience, (message_id,), self.desk.now)
            assert approval_id is not None
            tx.approvals.change(approval_id, {"code": "AAAAA"})
            [copy] = tx.approvals.copies(approval_id)
            tx.approvals.change_copy(copy.id, {"channel_id": "C0CARDS", "ts": "2.0"})
            grant = replace(
                test_grants.grant(self.desk), id=f"grt_{team_id}", team_id=team_id, environment=team_id,
                approval_id=approval_id,
            )  # fmt: skip
            tx.grants.add(grant)
            return {"message": message_id, "approval": approval_id, "copy": copy.id, "grant": grant.id}

        return self.desk.transact(work)

    def read(self, work: Callable[[Transaction], Any]) -> Any:
        return self.desk.transact(work)


SINCE = datetime(2026, 1, 1, tzinfo=UTC)
# What each reads of one workspace, though the other has the very same.
READS: dict[str, Callable[[Transaction, str, dict[str, str]], tuple[Any, Any]]] = {
    "approvals.theirs": lambda tx, team, ids: (
        getattr(tx.approvals.theirs(team, ids["approval"]), "id", None), ids["approval"]),
    "approvals.by_code": lambda tx, team, ids: (
        [one.id for one in tx.approvals.by_code(team, "AAAAA")], [ids["approval"]]),
    "approvals.closed_by_code": lambda tx, team, ids: (
        [one.id for one in tx.approvals.closed_by_code(team, "AAAAA")], [ids["approval"]]),
    "approvals.pending_at": lambda tx, team, ids: (
        [one.id for one in tx.approvals.pending_at(team, "C0OPS", "1.0", 9)], [ids["approval"]]),
    "approvals.copy_at": lambda tx, team, ids: (
        getattr(tx.approvals.copy_at(team, "C0CARDS", "2.0"), "id", None), ids["copy"]),
    "grants.theirs": lambda tx, team, ids: (
        getattr(tx.grants.theirs(team, ids["grant"]), "id", None), ids["grant"]),
    "grants.live": lambda tx, team, ids: ([one.id for one in tx.grants.live(team, SINCE)], [ids["grant"]]),
    "messages.theirs": lambda tx, team, ids: (
        getattr(tx.messages.theirs(team, ids["message"]), "id", None), ids["message"]),
    "messages.in_thread": lambda tx, team, ids: (
        getattr(tx.messages.in_thread(team, "C0OPS", "1.0"), "id", None), ids["message"]),
    "deliveries.theirs": lambda tx, team, ids: (
        [one.subject_id for one in tx.deliveries.theirs(team, ids["copy"], Kind.CARD)], [ids["copy"]]),
    "stops.can_be": lambda tx, team, ids: (
        [one.environment for one, _ in tx.stops.can_be(team, "C0OPS", "1.0", SINCE)], [team]),
    "inbox.waiting": lambda tx, team, ids: (
        [one.id for one in tx.inbox.waiting(team, "U1", 9)], [ids["approval"]]),
    "conversations.of_thread": lambda tx, team, ids: (
        getattr(tx.conversations.of_thread(team, team, "agent-1", "C0OPS", "1.0"), "team_id", None), team),
}  # fmt: skip


@pytest.mark.parametrize("which", READS)
def test_what_a_person_names_is_read_in_their_own_workspace_alone(desk: Desk, which: str) -> None:
    twins = Twins(desk)
    for team_id, other in ((ALPHA, BETA), (BETA, ALPHA)):
        mine, expected = twins.read(lambda tx: READS[which](tx, team_id, twins.ids[team_id]))  # noqa: B023
        assert mine == expected
        theirs, _ = twins.read(lambda tx: READS[which](tx, team_id, twins.ids[other]))  # noqa: B023
        assert theirs in (None, [], expected)  # by an id of the other's: nothing


def test_words_that_are_dropped_are_told_in_their_own_workspace_alone(desk: Desk) -> None:
    twins = Twins(desk)
    mine, theirs = (twins.ids[team_id]["message"] for team_id in (ALPHA, BETA))

    def drop(tx: Transaction) -> tuple[list[Delivery], list[Delivery]]:
        which = tx.deliveries.add(
            Kind.REPLY, team_id=ALPHA, ordering_key="reply", subject_id=mine, now=desk.now,
            body={"text": "hello", "stream": "reply/1", "together": [theirs]},
        )  # fmt: skip
        reply = tx.deliveries.get(which)
        assert reply is not None
        assert drop_delivery(tx, reply, "operator", desk.now) is Dropped.DROPPED
        told = tx.deliveries.of_subject(mine, Kind.REPLY)
        return told, tx.deliveries.of_subject(theirs, Kind.REPLY)

    told, elsewhere = desk.transact(drop)
    assert [one.body.get("ending") for one in told] == [None, "dropped"]
    assert elsewhere == []


def test_a_key_that_was_seen_in_one_workspace_is_new_in_the_other(desk: Desk) -> None:
    assert desk.transact(lambda tx: tx.first_time(ALPHA, "click/1", NOW))
    assert desk.transact(lambda tx: tx.first_time(BETA, "click/1", NOW))
    assert not desk.transact(lambda tx: tx.first_time(BETA, "click/1", NOW))
    assert not desk.transact(lambda tx: tx.seen_before("T0OTHER", "click/1"))


def test_a_grant_is_for_its_own_workspace_though_the_conversation_was_given_to_another(desk: Desk) -> None:
    mine = replace(test_grants.grant(desk), team_id=ALPHA)
    desk.transact(lambda tx: tx.grants.add(mine))
    for team_id, found in ((ALPHA, ["grt_1"]), (BETA, [])):
        audience = replace(test_grants.AUDIENCE, team_id=team_id, policy=lambda _: Ruling(Action.DENY, "no"))
        asked = Asked(
            RUNTIME.environment, RUNTIME.agent_id, RUNTIME.conversation_id, team_id, "Bash", {}, (), ""
        )

        def work(tx: Transaction, asked: Asked = asked, audience: Audience = audience) -> list[str]:
            which = open_approval(tx, asked, Sighting("e", 1), audience, (), desk.now)
            approval = tx.approvals.get(str(which))
            assert approval is not None
            return [one.id for one in tx.grants.for_tool(approval, desk.now)]

        assert desk.transact(work) == found


ENVIRONMENT = Runtime("beta", "agent-beta", "default")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """An empty store."""
    opened = Store.open(f"sqlite:///{tmp_path}/relay.db")
    yield opened
    await opened.close()


@pytest.mark.parametrize("apart", [True, False])
@pytest.mark.parametrize(
    "arrival",
    [
        lambda ids: Reply(ids, "run-1", "forged"),
        lambda ids: TurnFailed(ids, "run-1", "forged"),
        TurnStopped,
        TurnEnded,
    ],
)
async def test_an_environment_that_names_messages_of_another_workspace_changes_nothing_there(
    store: Store, arrival: Callable[[tuple[str, ...]], Arrival], apart: bool
) -> None:
    """Where one workspace is served there is no other: the environments may name any message."""
    said = Said(
        ALPHA, "C0OPS", "", Person("U0ADA", ALPHA, "Ada", Standing.MEMBER), "hello", "key", None,
        posted=True, thread_ts="1.0",
    )  # fmt: skip

    def say(tx: Transaction) -> str:
        runtime = Runtime("alpha", "agent-alpha", "default")
        sent = forward_user_message(tx, said, runtime, Rights(ALPHA), quote=False, now=NOW)
        tx.messages.change(str(sent.message_id), {"state": "delivered", "settled_at": NOW})
        return str(sent.message_id)

    message_id = await store.transact(say)
    audience, log = Audience(BETA, (), b""), json_log(io.StringIO())
    arriving = Arriving(store, lambda *_: audience, 1000, lambda: NOW, Following(store), log, apart=apart)
    await arriving.take(ENVIRONMENT, Arrivals("pair-1", (arrival((message_id,)),)))
    posted = await store.transact(lambda tx: tx.deliveries.of_subject(message_id, Kind.REPLY))
    message = await store.transact(lambda tx: tx.messages.get(message_id))
    assert message is not None
    assert (bool(posted) or message.turn_ended) is not apart
