"""A grant in words: on the cards it has to do with, and in lists."""

from collections.abc import Iterator

from relay.domain.approvals import Approval
from relay.domain.canonical import canonical_json
from relay.domain.grants import LIKE, Grant, grant_of
from relay.domain.secrets import mask
from relay.slack.blocks import Block, actions, button, confirm, context
from relay.slack.mrkdwn import code, counted, day_and_time
from relay.use_cases.grants import OPERATOR

_ID_LIMIT = 60
_GLOB_LIMIT = 120
_GLOBS = 3


def on_card(approval: Approval, grant: Grant) -> Iterator[Block]:
    """Yield what a card says of the grant that decided its request, or was given with it."""
    by_it = approval.decision is not None and grant_of(approval.decision.rule) == grant.id
    who = f"<@{grant.granted_by}>"
    if by_it:
        yield context(f":key: Allowed by {who}'s grant {terms(grant)}.")
    else:
        # This card is not rewritten with every use: while it may be used, it tells no number that grows.
        often = f"at most {counted(grant.most_uses, 'time')}" if revocable(grant) else _used(grant)
        said = f"{who} allowed it for a while, in this conversation,"
        yield context(f":key: {said} {_inputs(grant)} {_ends(grant)}, {often}.")
    if revocable(grant):
        yield actions(revoke(grant))


def terms(grant: Grant) -> str:
    """Return for which input a grant is, until when, and how often it was used."""
    return f"{_inputs(grant)} {_ends(grant)}, {_used(grant)}"


def _ends(grant: Grant) -> str:
    if grant.revoked_at is None:
        return f"until {day_and_time(grant.expires_at)}"
    who = "the operator" if grant.revoked_by == OPERATOR else f"<@{grant.revoked_by}>"
    return f"revoked by {who} {day_and_time(grant.revoked_at)}"


def _used(grant: Grant) -> str:
    return f"used {grant.uses:,} of {counted(grant.most_uses, 'time')}"


def revocable(grant: Grant) -> bool:
    """Return whether there was something left to revoke, when it was read."""
    return grant.revoked_at is None and grant.uses < grant.most_uses


def revoke(grant: Grant) -> Block:
    """Return the button that revokes a grant."""
    once_more = confirm(
        "Revoke this grant?",
        "People are asked again from now on. What it allowed so far stays allowed.",
        "Revoke",
        "Keep it",
    )
    return button(
        "Revoke", "revoke", canonical_json({"subject_id": grant.id}), style="danger", confirm=once_more
    )


def _inputs(grant: Grant) -> str:
    likes = {key: str(one[LIKE]) for key, one in grant.patterns.items() if LIKE in one}
    if not likes:
        return "for exactly this input"
    masked: dict[str, str] = mask(likes).value
    told = [f"{code(key, _ID_LIMIT)} like {code(glob, _GLOB_LIMIT)}" for key, glob in masked.items()]
    more = [f"{len(told) - _GLOBS} more"] if len(told) > _GLOBS else []
    return f"for {', '.join(told[:_GLOBS] + more)}"
