"""Somebody answers a request: their vote is counted, and with enough of them it is decided."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from relay.domain.approvals import Approval, Decision, Returned, State, ran_it, wordless_denial
from relay.domain.canonical import canonical_json, input_hash, short_code
from relay.domain.grants import Wish, flaw, takes_suggestions
from relay.domain.people import Person
from relay.domain.policy import Rights, Verdict, may_edit, may_vote
from relay.domain.rules import Action
from relay.domain.text import plain_name
from relay.domain.votes import Tally, Vote, tally
from relay.store.transaction import Transaction
from relay.use_cases.asking_others import ask_others
from relay.use_cases.cards import refresh_cards, refresh_copy
from relay.use_cases.evidence import evidence_of
from relay.use_cases.grants import keep_grant
from relay.use_cases.rulings import Authority, present_ask, ruling_of
from relay.use_cases.send_decision import send_decision
from relay.use_cases.stop_after import stop_after
from relay.use_cases.whisper import Listener, Sentence, whisper


@dataclass(frozen=True)
class Click:
    """A press of a button, or what stands for one: who, and for what they were shown."""

    person: Person
    listener: Listener
    key: str
    approval_id: str
    tool_call_id: str
    input_hash: str
    message_ts: str | None


@dataclass(frozen=True)
class Answer:
    """What somebody answers. At most one of `updated_input` and `returned`.

    `reason` is their own words: a denial's reason, or a comment the agent reads with an approval.
    """

    approve: bool
    reason: str = ""
    updated_input: Mapping[str, Any] | None = None
    returned: Returned | None = None
    stop: bool = False
    asked_by: tuple[str, ...] = ()  # with a stop: the messages of the run that asked, where that is known
    suggestions: tuple[str, ...] = ()
    grant: Wish | None = None  # with an approval: what is allowed for a while besides


class Recorded(StrEnum):
    """What came of an answer."""

    AGAIN = "again"  # the same arrival, told twice
    REFUSED = "refused"
    VOTED = "voted"
    DECIDED = "decided"


@dataclass(frozen=True)
class Taken:
    """What came of an answer, what there is to say of it, and the request as it is now."""

    recorded: Recorded
    sentence: Sentence | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    approval: Approval | None = None


def record_decision(
    tx: Transaction, click: Click, answer: Answer, authority: Authority, now: datetime
) -> Recorded:
    """Count an answer, once, if the person may give it and was shown what is asked now.

    Whoever did not decide with it is told why, in private.
    """
    return _told(tx, click, take_answer(tx, click, answer, authority, now), now).recorded


def take_answer(tx: Transaction, click: Click, answer: Answer, authority: Authority, now: datetime) -> Taken:
    """Do the same for a door that says itself, where the answer was given, what came of it."""
    approval, taken = _admitted(tx, click, answer, authority, now)
    if approval is None:
        return taken
    was, approval = approval.ask, _edited(tx, approval, click, answer, authority, now)
    taken = _count(tx, approval, click, answer, authority.rights, now)
    if taken.recorded is Recorded.DECIDED and answer.grant is not None:
        keep_grant(tx, approval, click.person, answer.grant, authority.key, now)
    present = tx.approvals.get(approval.id)
    if present is not None and present.ask != was:
        present = ask_others(tx, present, was, now)
    return replace(taken, approval=present)


def admit_form(
    tx: Transaction, click: Click, answer: Answer, authority: Authority, now: datetime
) -> Approval | None:
    """Return the request for which somebody may fill in a form that leads to an answer like this one.

    Whoever may not is told why, and sees none of it.
    """
    approval, taken = _admitted(tx, click, answer, authority, now)
    _told(tx, click, taken, now)
    return approval


def _admitted(
    tx: Transaction, click: Click, answer: Answer, authority: Authority, now: datetime
) -> tuple[Approval | None, Taken]:
    team_id = click.listener.team_id
    if not tx.first_time(team_id, click.key, now):
        return None, Taken(Recorded.AGAIN)
    approval = tx.approvals.theirs(team_id, click.approval_id)
    if approval is None:
        return None, Taken(Recorded.REFUSED, Sentence.UNKNOWN_CARD)
    own_card = _learn_copy(tx, approval, click, now)
    refusal = _refusal(approval, click, answer, authority, own_card=own_card)
    refusal = refusal or _repeats(tx, approval, click, answer)
    if refusal is None:
        return approval, Taken(Recorded.VOTED)
    return None, _refuse(tx, approval, click, answer, refusal, now)


def _told(tx: Transaction, click: Click, taken: Taken, now: datetime) -> Taken:
    if taken.sentence is not None:
        about = {"approval_id": taken.approval.id} if taken.approval else {}
        whisper(tx, click.listener, taken.sentence, now, {**taken.facts, **about})
    return taken


def _count(
    tx: Transaction, approval: Approval, click: Click, answer: Answer, rights: Rights, now: datetime
) -> Taken:
    person = click.person
    reason = _words(answer, plain_name(person.name) or person.user_id)
    votes = _verdict(approval, replace(answer, updated_input=None), rights, person).allowed
    if votes:
        vote = Vote(person.user_id, answer.approve, reason, approval.shown_hash, now)
        tx.votes.give(approval.id, approval.team_id, vote)
        facts = {"approve": answer.approve, "shown_hash": approval.shown_hash, **evidence_of(person)}
        tx.record(approval.team_id, now, "vote.given", actor=person.user_id, subject=approval.id, facts=facts)
    counted = tally(approval.ask, tx.votes.of(approval.id), approval.shown_hash, approval.edited_by)
    if answer.returned is None and answer.approve and not counted.approved:
        told = {"approving": len(counted.approving), "needed": counted.needed}
        counts = votes and person.user_id in counted.approving
        tx.approvals.change(approval.id, {})
        refresh_cards(tx, approval.id, now)
        return Taken(Recorded.VOTED, Sentence.VOTED if counts else Sentence.EDITED, told)
    decision = _decision(approval, answer, reason, person, counted, now)
    tx.approvals.decide(approval, decision)
    send_decision(tx, approval, decision, now)
    if decision.stop:
        stop_after(tx, approval, person, click.listener, click.key, answer.asked_by, now)
    return Taken(Recorded.DECIDED)


def _decision(
    approval: Approval, answer: Answer, reason: str, person: Person, counted: Tally, now: datetime
) -> Decision:
    approve = answer.approve and answer.returned is None
    return Decision(
        approve=approve,
        reason=reason,
        user_id=person.user_id,
        decided_at=now,
        updated_input=approval.edited_input if approve else None,
        returned=answer.returned,
        by=counted.approving if approve else (person.user_id,),
        stop=answer.stop,
        suggestions=answer.suggestions,
    )


def _edited(
    tx: Transaction, approval: Approval, click: Click, answer: Answer, authority: Authority, now: datetime
) -> Approval:
    """Show the changed input, asked about by its own rule; votes on what was shown before no longer count."""
    if answer.updated_input is None:
        return approval
    asked = approval.asked
    if canonical_json(dict(answer.updated_input)) == canonical_json(dict(approval.present_input)):
        return approval
    digest = input_hash(authority.key, asked.tool_name, dict(answer.updated_input), asked.diffs)
    back = digest == approval.input_hash
    values = {
        "edited_input": None if back else dict(answer.updated_input),
        "edited_by": "" if back else click.person.user_id,
        "shown_hash": digest,
        "code": short_code(approval.id, digest),
    }
    ruling = ruling_of(authority.policy, approval, answer.updated_input)
    ask = present_ask(approval, ruling.ask or approval.ask)
    tx.approvals.change(approval.id, {**values, "ask": ask.written()})
    facts = {"shown_hash": digest, "was": approval.shown_hash, "rule": ask.rule, **evidence_of(click.person)}
    tx.record(
        approval.team_id, now, "approval.edited", actor=click.person.user_id, subject=approval.id, facts=facts
    )
    return tx.approvals.get(approval.id) or approval


Refusal = tuple[Sentence, dict[str, Any]]


def _refusal(
    approval: Approval, click: Click, answer: Answer, authority: Authority, *, own_card: bool
) -> Refusal | None:
    verdict = _verdict(approval, answer, authority.rights, click.person)
    if not verdict.allowed:
        sentence = Sentence.MAY_NOT_DECIDE if answer.updated_input is None else Sentence.MAY_NOT_EDIT
        return sentence, {"reason": verdict.reason}
    if approval.state is not State.PENDING:
        return Sentence.NOT_PENDING, {}
    another = click.tool_call_id not in ("", approval.asked.tool_call_id)  # a long one is left out
    if not own_card or another or click.input_hash != approval.shown_hash:
        return Sentence.CARD_OUTDATED, {}
    if answer.updated_input is not None:
        ruling = ruling_of(authority.policy, approval, answer.updated_input)
        if ruling.action is Action.DENY:
            return Sentence.EDIT_DENIED, {"rule": ruling.rule, "why": ruling.reason}
    if answer.suggestions and (answer.updated_input is not None or not takes_suggestions(approval)):
        return Sentence.NOT_SUGGESTED, {}
    if answer.grant is not None and flaw(approval, answer.grant) is not None:
        return Sentence.NOT_GRANTABLE, {}
    return None


def _repeats(tx: Transaction, approval: Approval, click: Click, answer: Answer) -> Refusal | None:
    """Return what to say to who has approved what is shown, and approves it again: each counts once."""
    approves_it = answer.approve and answer.returned is None and answer.updated_input is None
    if not approves_it or approval.ask.quorum == 1:
        return None
    counted = tally(approval.ask, tx.votes.of(approval.id), approval.shown_hash, approval.edited_by)
    if click.person.user_id not in counted.approving or counted.approved:
        return None
    return Sentence.VOTED_ALREADY, {"approving": len(counted.approving), "needed": counted.needed}


def _verdict(approval: Approval, answer: Answer, rights: Rights, person: Person) -> Verdict:
    if answer.updated_input is not None:
        return may_edit(rights, approval.ask, approval.requesters, person)
    approve = answer.approve or answer.returned is not None  # an output stands for a run
    return may_vote(rights, approval.ask, approval.requesters, person, approve=approve)


def _refuse(
    tx: Transaction, approval: Approval, click: Click, answer: Answer, refusal: Refusal, now: datetime
) -> Taken:
    sentence, facts = refusal
    refresh_cards(tx, approval.id, now)
    tx.record(
        approval.team_id, now, "decision.refused", actor=click.person.user_id, subject=approval.id,
        facts={"approve": answer.approve, "why": sentence, **facts, **evidence_of(click.person)},
    )  # fmt: skip
    return Taken(Recorded.REFUSED, sentence, facts, approval)


def _words(answer: Answer, name: str) -> str:
    if answer.returned is not None:
        return ran_it(answer.returned, name)
    return answer.reason or ("" if answer.approve else wordless_denial(name))


def _learn_copy(tx: Transaction, approval: Approval, click: Click, now: datetime) -> bool:
    """Know a card again that was posted but not remembered before a crash: its button names it.

    Return whether the button may stand where it was pressed: False on another request's card.
    """
    place = (click.listener.channel_id, click.message_ts or "")
    if not all(place):
        return True
    copies = tx.approvals.copies(approval.id)
    if any((copy.channel_id, copy.ts) == place for copy in copies):
        return True
    if tx.approvals.copy_at(approval.team_id, *place) is not None:
        return False
    lost = next((copy for copy in copies if copy.ts is None and copy.places[:1] == place[:1]), None)
    if lost is not None:
        tx.approvals.change_copy(lost.id, {"channel_id": place[0], "ts": place[1]})
    else:
        copy_id = tx.approvals.add_copy(approval, (), now, channel_id=place[0], ts=place[1])
        refresh_copy(tx, copy_id, approval.team_id, now)
    return True
