"""Grants: "allow this for a while", for one tool in one conversation, until a moment, so many times.

A grant takes exactly the input it was given for, or inputs like it: a glob for each text that may differ,
with nothing in a gap that a shell takes for more than a word. All else has to be the same.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from relay.domain.approvals import Approval
from relay.domain.canonical import canonical_json
from relay.domain.patterns import glob, safely_matches
from relay.domain.rules import Ask, Circle, Risk

LIKE, IS = "like", "is"
_BY = "grant "


@dataclass(frozen=True)
class Grant:
    """What somebody allowed for a while. `patterns` by key; empty: exactly the input of `input_hash`."""

    id: str
    team_id: str
    environment: str
    agent_id: str
    conversation_id: str
    tool_name: str
    input_hash: str  # of the tool and its input, without diffs
    patterns: Mapping[str, Mapping[str, Any]]
    rule: str
    approval_id: str  # the request it was given with
    granted_by: str
    created_at: datetime
    expires_at: datetime
    uses: int
    most_uses: int
    revoked_at: datetime | None = None
    revoked_by: str = ""
    approvers: Circle = field(default_factory=Circle)  # who could approve where it was given

    def lives(self, now: datetime) -> bool:
        """Return whether it may still be used."""
        return self.revoked_at is None and now < self.expires_at and self.uses < self.most_uses


class Flaw(StrEnum):
    """What is wrong with a grant that somebody wants to give."""

    NOT_OFFERED = "not_offered"  # the rule allows none, or somebody changed the input
    TOO_LONG = "too_long"
    TOO_OFTEN = "too_often"
    MISSES = "misses"  # what is asked now is not like its patterns
    BEGINS_WITH_GAP = "begins_with_gap"


@dataclass(frozen=True)
class Wish:
    """The grant that somebody wants to give; `globs` by key, for the texts that may differ."""

    lasts: timedelta
    most_uses: int
    globs: Mapping[str, str]


def offers(ask: Ask) -> bool:
    """Return whether a rule lets its approvers give grants."""
    return ask.grant_for is not None and ask.quorum == 1 and ask.risk is Risk.NORMAL


def takes_suggestions(approval: Approval) -> bool:
    """Return whether the environment's own suggestions may be taken up: rules that outlive the request."""
    ask = approval.ask
    unchanged = approval.edited_input is None
    return ask.suggestions and ask.quorum == 1 and ask.risk is Risk.NORMAL and unchanged


def may_be_granted(approval: Approval) -> bool:
    """Return whether a grant may be given with a request: an input that somebody changed is never granted."""
    return offers(approval.ask) and approval.edited_input is None


def flaw(approval: Approval, wish: Wish) -> tuple[Flaw, str] | None:
    """Return what is wrong with a wish, and at which key, or None."""
    longest, asked = approval.ask.grant_for, approval.asked.tool_input
    if longest is None or not may_be_granted(approval):
        return Flaw.NOT_OFFERED, ""
    if not timedelta(0) < wish.lasts <= longest:
        return Flaw.TOO_LONG, ""
    if not 0 < wish.most_uses <= approval.ask.grant_uses:
        return Flaw.TOO_OFTEN, ""
    for key, pattern in wish.globs.items():
        present = asked.get(key)
        if not isinstance(present, str) or not safely_matches(pattern, present):
            return Flaw.MISSES, key
        if not glob(pattern).pieces[:1] or not glob(pattern).pieces[0].literal:
            return Flaw.BEGINS_WITH_GAP, key
    return None


def patterns_of(tool_input: Mapping[str, Any], globs: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return what a grant keeps of an input: nothing where every value has to be the same anyway."""
    if not any(glob(pattern).literal is None for pattern in globs.values()):
        return {}
    return {key: {LIKE: globs[key]} if key in globs else {IS: held} for key, held in tool_input.items()}


def spelled(text: str) -> str:
    """Return a glob that matches a text and nothing else."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in text)


def takes(
    grant: Grant, ask: Ask, requesters: Collection[str], tool_input: Mapping[str, Any], input_hash: str
) -> bool:
    """Return whether a grant takes a request for its tool in its conversation.

    The rule that asks must be the one it was given under, and still allow it. Who gave it is not looked at
    again, but where requesters may not approve, their own grants do not either.
    """
    if ask.grant_for is None or not offers(ask) or ask.rule != grant.rule:
        return False
    if not ask.approvers.covers(grant.approvers):  # of another channel, or the rule names others by now
        return False
    if grant.expires_at - grant.created_at > ask.grant_for or grant.uses >= ask.grant_uses:
        return False
    if not ask.requester_may_approve and grant.granted_by in requesters:
        return False
    if not grant.patterns:
        return grant.input_hash == input_hash
    same_keys = grant.patterns.keys() == tool_input.keys()
    return same_keys and all(_fits(grant.patterns[key], held) for key, held in tool_input.items())


def _fits(pattern: Mapping[str, Any], held: Any) -> bool:
    if LIKE in pattern:
        return isinstance(held, str) and safely_matches(pattern[LIKE], held)
    # As JSON, where 1, 1.0 and true are three different things.
    return IS in pattern and canonical_json(pattern[IS]) == canonical_json(held)


def by_grant(grant_id: str) -> str:
    """Return how a decision names the grant that made it."""
    return f"{_BY}{grant_id}"


def grant_of(rule: str) -> str | None:
    """Return the id of the grant in what a decision names, or None where that is a rule."""
    return rule.removeprefix(_BY) if rule.startswith(f"{_BY}grt_") else None
