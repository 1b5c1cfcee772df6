"""Somebody asks again what expired: the environment still waits, so people are asked anew."""

from dataclasses import dataclass
from datetime import datetime

from relay.domain import silence
from relay.domain.approvals import Approval, State
from relay.domain.people import Person
from relay.domain.policy import Reason, Rights, Verdict, may_send, may_vote
from relay.store.transaction import Transaction
from relay.use_cases.cards import refresh_cards
from relay.use_cases.evidence import evidence_of
from relay.use_cases.pass_silence import set_clock
from relay.use_cases.remind import Why, call_people
from relay.use_cases.whisper import Listener, Sentence, whisper


@dataclass(frozen=True)
class Press:
    """A press on a card that decides nothing: by whom, and on which request."""

    person: Person
    listener: Listener
    key: str
    approval_id: str


def ask_again(tx: Transaction, press: Press, rights: Rights, now: datetime) -> bool:
    """Ask again by a fresh clock, with no vote counted from before; return whether it was this press.

    Whoever may not, or comes too late, is told why in private.
    """
    approval = pressed(tx, press, now)
    if approval is None:
        return False
    verdict = _may(rights, approval, press.person)
    if not verdict.allowed:
        refuse(tx, press, approval, Sentence.MAY_NOT_ASK_AGAIN, verdict.reason, now)
        return False
    if approval.state is not State.EXPIRED:
        sentence = Sentence.ASKED_ALREADY if approval.state is State.PENDING else Sentence.NOT_PENDING
        refuse(tx, press, approval, sentence, None, now)
        return False
    tx.votes.withdraw(approval.id, [vote.user_id for vote in tx.votes.of(approval.id)])
    clock = silence.started(approval.ask, now)
    approval = set_clock(tx, approval, clock, state=State.PENDING, snoozed_by="")
    refresh_cards(tx, approval.id, now)
    call_people(tx, approval, Why.AGAIN, now, by=press.person.user_id)
    record(tx, press, approval, "asked_again", now)
    return True


def pressed(tx: Transaction, press: Press, now: datetime) -> Approval | None:
    """Return the request of a press that is told for the first time; that it is unknown is said."""
    team_id = press.listener.team_id
    if not tx.first_time(team_id, press.key, now):
        return None
    approval = tx.approvals.theirs(team_id, press.approval_id)
    if approval is not None:
        return approval
    whisper(tx, press.listener, Sentence.UNKNOWN_CARD, now)
    return None


def refuse(
    tx: Transaction,
    press: Press,
    approval: Approval,
    sentence: Sentence,
    reason: Reason | None,
    now: datetime,
) -> None:
    """Say why a press changed nothing, renew its card and keep that it was refused."""
    why = {"reason": reason} if reason else {}
    whisper(tx, press.listener, sentence, now, {**why, "approval_id": approval.id})
    refresh_cards(tx, approval.id, now)
    facts = {"why": sentence, **why, **evidence_of(press.person)}
    user_id = press.person.user_id
    tx.record(approval.team_id, now, "press.refused", actor=user_id, subject=approval.id, facts=facts)


def record(tx: Transaction, press: Press, approval: Approval, what: str, now: datetime) -> None:
    """Keep who pressed, and what was known of them."""
    tx.record(
        approval.team_id, now, f"approval.{what}", actor=press.person.user_id, subject=approval.id,
        facts=evidence_of(press.person),
    )  # fmt: skip


def _may(rights: Rights, approval: Approval, person: Person) -> Verdict:
    """Whoever may deny it may ask again, and so may those it was asked for."""
    if person.user_id in approval.requesters:
        return may_send(rights, person)
    return may_vote(rights, approval.ask, approval.requesters, person, approve=False)
