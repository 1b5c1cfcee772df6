"""What the policy says of a request as it is shown now, changed inputs among them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from relay.domain.approvals import Approval
from relay.domain.policy import Rights
from relay.domain.rules import Action, Ask, Circle, Request, Risk, Ruling

Policy = Callable[[Request], Ruling]
OTHER_PEOPLE = "It was changed into something that other people are asked about."


def ask_anybody(_: Request) -> Ruling:
    """Return the ruling where there is no policy."""
    return Ruling(Action.ASK, ask=Ask())


@dataclass(frozen=True)
class Authority:
    """By what an answer is judged: whose people may act, the present policy, and the store's key.

    The key binds what is shown.
    """

    rights: Rights
    key: bytes
    policy: Policy = ask_anybody


def ruling_of(policy: Policy, approval: Approval, shown: Mapping[str, Any]) -> Ruling:
    """Return what the policy says of a request that is to be shown with an input.

    What somebody made of it is ruled like a call of the agent's, and never asked about more lightly than
    what was asked at first: else an edit would be the way round a rule.
    """
    first = policy(_request(approval, approval.asked.tool_input))
    if shown == approval.asked.tool_input:
        return first
    second = policy(_request(approval, shown))
    if Action.DENY in (first.action, second.action):
        return second if second.action is Action.DENY else first
    asked = first.ask or approval.ask
    if second.ask is None:  # it would have been allowed: it still was asked about
        return Ruling(Action.ASK, first.rule, first.reason, asked)
    if not (asked.approvers.covers(second.ask.approvers) or second.ask.approvers.covers(asked.approvers)):
        return Ruling(Action.DENY, second.rule, OTHER_PEOPLE)
    return replace(second, ask=_stricter(asked, second.ask))


def present_ask(approval: Approval, ask: Ask) -> Ask:
    """Return an ask as it holds for a request that may have been escalated before."""
    return replace(ask, approvers=ask.approvers | ask.escalate_to) if approval.escalated else ask


def _stricter(first: Ask, second: Ask) -> Ask:
    return replace(
        second,
        approvers=_smaller(first.approvers, second.approvers),
        editors=_smaller(first.editors, second.editors),
        suggestions=False,
        quorum=max(first.quorum, second.quorum),
        requester_may_approve=first.requester_may_approve and second.requester_may_approve,
        edit_needs_another=first.edit_needs_another or second.edit_needs_another,
        risk=Risk.HIGH if Risk.HIGH in (first.risk, second.risk) else second.risk,
        grant_for=None,
        # How long people have had, and where they were asked, an edit does not change.
        expires_after=first.expires_after,
        on_silence=first.on_silence,
        remind_after=first.remind_after,
        hours=first.hours,
        escalate_to=first.escalate_to,
        cards=first.cards,
    )


def _smaller(first: Circle, second: Circle) -> Circle:
    return second if first.covers(second) else first


def _request(approval: Approval, tool_input: Mapping[str, Any]) -> Request:
    asked = approval.asked
    return Request(asked.tool_name, tool_input, asked.environment, approval.channels, approval.requesters)
