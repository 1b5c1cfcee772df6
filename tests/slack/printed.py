"""Prints every state of the card as words, to be read by a person: python -m tests.slack.printed"""

import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

from relay.domain.approvals import Approval, Decision, Returned, State
from relay.domain.rules import Ask, Circle, Fact, Risk
from relay.domain.votes import Vote
from relay.slack import cards
from tests.slack.asked import APPROVED, DENIED, NOON, approval

SHOWN = "fedcba9876543210fedcba9876543210"
TWO = Ask(
    rule="production",
    reason="Production needs two people.",
    approvers=Circle(frozenset({"U0GRACE", "U0LINUS"}), frozenset({"S0LEADS"}), frozenset({"C0OPS"})),
    editors=Circle(frozenset({"U0GRACE"})),
    quorum=2,
    requester_may_approve=False,
    risk=Risk.HIGH,
    expires_after=timedelta(minutes=30),
    facts=(Fact("amount", "Amount", above=1000), Fact("target.host", "Host"), Fact("nothing", "Nothing")),
)
DIFF = {
    "mode": "advanced",
    "fileName": "src/settings.py",
    "hunks": [
        {
            "oldStart": 3,
            "oldLines": 2,
            "newStart": 3,
            "newLines": 3,
            "lines": [
                {"type": "context", "content": "DEBUG = False"},
                {"type": "remove", "content": "TIMEOUT = 5"},
                {"type": "add", "content": "TIMEOUT = 50"},
                {"type": "add", "content": 'PASSWORD = "correct horse battery"'},
            ],
        }
    ],
}
DEPLOY = {
    "amount": 1200,
    "command": "PGPASSWORD=hunter22 ./deploy --host db1",
    "cwd": "/srv/app",
    "target": {"host": "db1"},
}
VOTES = (
    Vote("U0GRACE", approve=True, reason="", shown_hash=SHOWN, voted_at=NOON),
    Vote("U0LINUS", approve=True, reason="", shown_hash="another", voted_at=NOON),
)


def every_state() -> Iterator[tuple[str, Approval, tuple[Vote, ...]]]:
    """Yield the kinds of cards that there are: a name, the request and its votes."""
    soon = NOON + timedelta(minutes=30)
    yield "pending, no rule", approval(), ()
    asked = approval(
        tool_input=DEPLOY, ask=TWO, code="K7QF", shown_hash=SHOWN, expires_at=soon, nudge_at=soon, nudges=2
    )
    yield "pending, a rule", asked, ()
    yield "half-voted", replace(asked, escalated=True), VOTES
    edited = {**DEPLOY, "amount": 900, "force": True}
    del edited["cwd"]
    yield "edited", replace(asked, edited_input=edited, edited_by="U0GRACE"), VOTES
    wide = {"file_path": "src/settings.py", "old_string": "TIMEOUT = 5", "new_string": "TIMEOUT = 50"}
    yield "a diff", approval(tool_name="Edit", tool_input=wide, diffs=(DIFF,)), ()
    yield "another kind of diff", approval(tool_name="Edit", tool_input=wide, diffs=({"odd": [1]},)), ()
    yield "expired", replace(asked, state=State.EXPIRED), ()
    for state in State:
        if state is not State.PENDING:
            yield f"{state}, undecided", approval(state, note="the reason why"), ()
            for decision in _decisions():
                yield f"{state}", approval(state, decision, note="the reason why"), VOTES


def _decisions() -> tuple[Decision, ...]:
    both = replace(APPROVED, by=("U0ADA", "U0GRACE"), updated_input={"command": "make test"})
    silent = replace(DENIED, user_id="", rule="production", reason="Nobody answered in 30 minutes.")
    ran = Returned(success=True, output="released 1.2", stderr="TOKEN=abcdef123456")
    by_hand = replace(DENIED, returned=ran, reason="grace ran this themselves instead; it succeeded.")
    stopped = replace(DENIED, reason="Not on a <Friday>", stop=True)
    return APPROVED, DENIED, both, silent, by_hand, stopped


def lines(value: Any, depth: int = 0) -> Iterator[str]:
    """Yield what a reader sees of blocks, a line each, and what the buttons are called."""
    if isinstance(value, list):
        for one in value:
            yield from lines(one, depth)
    elif isinstance(value, dict):
        if isinstance(value.get("text"), str) and value.get("type") != "plain_text_input":
            yield from (f"{'  ' * depth}{part}" for part in value["text"].split("\n"))
        for name, one in value.items():
            if name not in ("style", "block_id"):
                yield from lines(one, depth + (value.get("type") == "rich_text_preformatted"))


if __name__ == "__main__":
    for name, request, votes in every_state():
        card = cards.card(request, votes, nobody_left=name == "half-voted")
        sys.stdout.write("\n".join([f"=== {name}", *lines(card.blocks), ""]) + "\n")
