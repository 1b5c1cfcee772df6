"""A sentence for one person alone: nobody's click or word is ever silently ignored."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from relay.domain.deliveries import WHISPER_DEADLINE, Kind
from relay.domain.ids import new_id
from relay.store.transaction import Transaction


class Sentence(StrEnum):
    """What there is to say in private; the Slack door has the words."""

    MAY_NOT_DECIDE = "may_not_decide"
    MAY_NOT_RETRY = "may_not_retry"
    UNKNOWN_CARD = "unknown_card"
    CARD_OUTDATED = "card_outdated"
    NOT_PENDING = "not_pending"
    MAY_NOT_EDIT = "may_not_edit"
    EDIT_DENIED = "edit_denied"
    NOT_SUGGESTED = "not_suggested"
    VOTED = "voted"
    VOTED_ALREADY = "voted_already"
    EDITED = "edited"
    NOTHING_TO_RETRY = "nothing_to_retry"
    RETRYING = "retrying"
    MAY_NOT_ASK_AGAIN = "may_not_ask_again"
    ASKED_ALREADY = "asked_already"
    MAY_NOT_SNOOZE = "may_not_snooze"
    SNOOZED = "snoozed"
    INVITE_ME = "invite_me"
    NOT_GRANTABLE = "not_grantable"
    GRANT_REVOKED = "grant_revoked"
    GRANT_OVER = "grant_over"
    MAY_NOT_REVOKE = "may_not_revoke"
    STOP_DROPPED = "stop_dropped"


@dataclass(frozen=True)
class Listener:
    """Who is told, and by which door: the response_url of what they did, while it lives."""

    team_id: str
    channel_id: str
    user_id: str
    response_url: str | None
    thread_ts: str | None = None


def whisper(
    tx: Transaction,
    listener: Listener,
    sentence: Sentence,
    now: datetime,
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Have `sentence` said to `listener` alone."""
    which = new_id("dlv", now)
    tx.deliveries.add(
        Kind.WHISPER,
        delivery_id=which,
        team_id=listener.team_id,
        ordering_key=f"whisper/{which}",
        subject_id=which,
        body={
            "sentence": sentence,
            "facts": dict(facts or {}),
            "channel_id": listener.channel_id,
            "user_id": listener.user_id,
            "response_url": listener.response_url,
        },
        deadline=now + WHISPER_DEADLINE,
        now=now,
    )
