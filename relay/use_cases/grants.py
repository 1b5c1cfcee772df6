"""Somebody allows a tool for a while, a grant decides a request, somebody revokes a grant."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from relay.domain.approvals import Approval, Decision
from relay.domain.canonical import input_hash
from relay.domain.grants import Grant, Wish, by_grant, patterns_of, takes
from relay.domain.ids import new_id
from relay.domain.people import Person
from relay.domain.policy import Rights, Verdict, may_send, may_vote
from relay.store.transaction import Transaction
from relay.use_cases.cards import refresh_cards
from relay.use_cases.evidence import evidence_of
from relay.use_cases.send_decision import send_decision
from relay.use_cases.whisper import Listener, Sentence, whisper

OPERATOR = "operator"  # who acts from the command line: no person of the workspace


@dataclass(frozen=True)
class Revoking:
    """A press of Revoke, or what stands for one."""

    person: Person
    listener: Listener
    key: str
    grant_id: str


def keep_grant(
    tx: Transaction, approval: Approval, person: Person, wish: Wish, key: bytes, now: datetime
) -> None:
    """Keep the grant that somebody gives with their approval of a request.

    Whether they may, and whether the rule lets them, was found out with the approval. `key` is the store's.
    """
    grant = _granted(approval, person, wish, key, now)
    tx.grants.add(grant)
    facts, actor = {**_facts(grant), **evidence_of(person)}, person.user_id
    tx.record(approval.team_id, now, "grant.given", actor=actor, subject=grant.id, facts=facts)
    refresh_cards(tx, approval.id, now)


def _granted(approval: Approval, person: Person, wish: Wish, key: bytes, now: datetime) -> Grant:
    asked = approval.asked
    return Grant(
        id=new_id("grt", now),
        team_id=approval.team_id,
        environment=asked.environment,
        agent_id=asked.agent_id,
        conversation_id=asked.conversation_id,
        tool_name=asked.tool_name,
        input_hash=input_hash(key, asked.tool_name, asked.tool_input, ()),
        patterns=patterns_of(asked.tool_input, wish.globs),
        rule=approval.ask.rule,
        approval_id=approval.id,
        granted_by=person.user_id,
        created_at=now,
        expires_at=now + wish.lasts,
        uses=0,
        most_uses=wish.most_uses,
        approvers=approval.ask.approvers,
    )


def decide_by_grant(tx: Transaction, approval: Approval, key: bytes, now: datetime) -> bool:
    """Approve a request that people would be asked about if a grant takes it; return whether one did.

    Whether whoever gave it is still an approver is not asked again: they may leave, and the grant ends
    with its time, its uses, or by being revoked.
    """
    asked, ask = approval.asked, approval.ask
    grants = tx.grants.for_tool(approval, now)
    if not grants:
        return False
    digest = input_hash(key, asked.tool_name, asked.tool_input, ())
    for grant in grants:
        if takes(grant, ask, approval.requesters, asked.tool_input, digest) and tx.grants.use(grant, now):
            _decide(tx, approval, grant, now)
            return True
    return False


def _decide(tx: Transaction, approval: Approval, grant: Grant, now: datetime) -> None:
    decision = Decision(approve=True, reason="", user_id="", decided_at=now, rule=by_grant(grant.id))
    tx.approvals.decide(approval, decision)
    send_decision(tx, approval, decision, now)
    facts = {"grant": grant.id, "granted_by": grant.granted_by, "use": grant.uses + 1, "of": grant.most_uses}
    tx.record(approval.team_id, now, "grant.used", subject=approval.id, facts=facts)
    if grant.uses + 1 >= grant.most_uses:
        refresh_cards(tx, grant.approval_id, now)  # there is nothing left to revoke


def revoke_grant(tx: Transaction, revoking: Revoking, rights: Rights, now: datetime) -> bool:
    """Revoke a grant at once, for whoever gave it or may decide under its rule; tell what came of it."""
    person, listener = revoking.person, revoking.listener
    if not tx.first_time(listener.team_id, revoking.key, now):
        return False
    grant = tx.grants.theirs(listener.team_id, revoking.grant_id)
    if grant is None:
        whisper(tx, listener, Sentence.GRANT_OVER, now)
        return False
    verdict = may_revoke(rights, grant, tx.approvals.get(grant.approval_id), person)
    if not verdict.allowed:
        whisper(tx, listener, Sentence.MAY_NOT_REVOKE, now, {"reason": verdict.reason})
        facts = {"why": verdict.reason, **evidence_of(person)}
        actor = person.user_id
        tx.record(grant.team_id, now, "grant.kept", actor=actor, subject=grant.id, facts=facts)
        return False
    revoked = _revoke(tx, grant, person.user_id, evidence_of(person), now)
    whisper(tx, listener, Sentence.GRANT_REVOKED if revoked else Sentence.GRANT_OVER, now)
    return revoked


def revoke_by_operator(tx: Transaction, grant: Grant, now: datetime) -> bool:
    """Revoke a grant at once, for whoever runs the relay; return whether it could still be used."""
    return _revoke(tx, grant, OPERATOR, {}, now)


def _revoke(tx: Transaction, grant: Grant, actor: str, evidence: Mapping[str, Any], now: datetime) -> bool:
    """Revoke a grant and have every card say so that has to do with it."""
    revoked = tx.grants.revoke(grant.id, actor, now)
    if revoked:
        facts = {"uses": grant.uses, **evidence}
        tx.record(grant.team_id, now, "grant.revoked", actor=actor, subject=grant.id, facts=facts)
    for approval_id in dict.fromkeys([grant.approval_id, *tx.grants.used_for(grant)]):
        refresh_cards(tx, approval_id, now)
    return revoked


def may_revoke(rights: Rights, grant: Grant, given_with: Approval | None, person: Person) -> Verdict:
    """Return whether somebody gave a grant, or may decide what it was given with, and so may revoke it."""
    if given_with is None or person.user_id == grant.granted_by:
        return may_send(rights, person)
    return may_vote(rights, given_with.ask, (), person, approve=False)


def _facts(grant: Grant) -> Mapping[str, Any]:
    """Return what the audit keeps of a grant: none of its patterns, which are words of an input."""
    return {
        "approval": grant.approval_id,
        "environment": grant.environment,
        "conversation": grant.conversation_id,
        "tool": grant.tool_name,
        "rule": grant.rule,
        "exactly": not grant.patterns,
        "input_hash": grant.input_hash,
        "expires_at": grant.expires_at.isoformat(timespec="seconds"),
        "most_uses": grant.most_uses,
    }
