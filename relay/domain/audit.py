"""The record's chains: each entry is signed together with the one before it, so that a change shows.

A chain belongs to one writer, which is one opening of the store by one process. It begins with an entry
that names its key and where the record ended before; retention replaces its beginning by a signed base.
"""

import contextlib
import hashlib
import hmac
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from json.encoder import encode_basestring as _quoted
from typing import Any, NamedTuple

from relay.domain.canonical import canonical_json
from relay.domain.moments import iso, microseconds_of

OPENED, CLOSED, PRUNED = "audit.chain_opened", "audit.chain_closed", "audit.pruned"
ACCEPTED = "audit.chain_accepted"  # of a chain that the store's own key signed: its owner stands for it
ANCHOR = "audit.anchor"  # of a line elsewhere: in a log, or at the end of an export
# Every action that a relay records.
ACTIONS = (
    OPENED, CLOSED, PRUNED, ACCEPTED,
    "approval.asked_again", "approval.decided_elsewhere", "approval.delivered", "approval.edited",
    "approval.escalated", "approval.expired", "approval.reminded", "approval.requested",
    "approval.ruled_anew", "approval.snoozed", "approval.superseded", "approval.unconfirmed",
    "approval.withdrawn",
    "card.refused",
    "conversation.made",
    "decision.answered_by_socket", "decision.delivered", "decision.failed", "decision.pending",
    "decision.recorded", "decision.refused", "decision.sent_again",
    "delivery.dropped",
    "delivery.retried",
    "files.not_passed",
    "grant.given", "grant.kept", "grant.revoked", "grant.used",
    "message.away", "message.delivered", "message.failed", "message.queued", "message.refused",
    "message.retrying",
    "press.refused",
    "reply.queued",
    "tool.returned", "tool.started",
    "turn.failed", "turn.stop_found_nothing", "turn.stop_not_delivered", "turn.stop_refused",
    "turn.stopped", "turn.unheard", "turn.unseen", "turn.wordless",
    "vote.given",
    "workspace.covered", "workspace.installed", "workspace.refresh_refused", "workspace.tokens_rotated",
    "workspace.uninstalled",
)  # fmt: skip
_DIGITS = 32  # half of what HMAC-SHA256 gives: as RFC 2104 allows, and half the room
BEFORE_CHAINS = ""  # the chain of what was recorded before there were chains


class Anchor(NamedTuple):
    """Where a chain was: kept elsewhere, it shows later that the chain was cut or replaced."""

    chain: str
    number: int
    mac: str

    def written(self) -> dict[str, Any]:
        """Return it as JSON keeps it."""
        return {"chain": self.chain, "number": self.number, "mac": self.mac}

    @classmethod
    def read(cls, written: Mapping[str, Any]) -> "Anchor":
        """Return what `written` made of it. Raises KeyError, ValueError."""
        return cls(str(written["chain"]), int(written["number"]), str(written["mac"]))


@dataclass(frozen=True)
class Entry:
    """One line of the record: who did what to what, when, and on which evidence."""

    chain: str
    number: int
    at: datetime
    team_id: str
    action: str
    actor: str
    subject_id: str
    facts: Mapping[str, Any]
    mac: str = ""

    @property
    def anchor(self) -> Anchor:
        """Where its chain is with it; a base stands for what it replaced."""
        mac = str(self.facts.get("mac")) if self.action == PRUNED else self.mac
        return Anchor(self.chain, self.number, mac)

    def written(self) -> dict[str, Any]:
        """Return it as an export has it."""
        return {
            "chain": self.chain,
            "number": self.number,
            "at": moment(self.at),
            "team_id": self.team_id,
            "action": self.action,
            "actor": self.actor,
            "subject_id": self.subject_id,
            "facts": self.facts,
            "mac": self.mac,
        }

    @classmethod
    def read(cls, written: Mapping[str, Any]) -> "Entry":
        """Return what `written` made of it."""
        return cls(**{**written, "at": datetime.fromisoformat(written["at"])})


class Keys:
    """The keys of a record: the first signs, all are known.

    The last is the store's own (`derived_key`): whoever has the file has it, so that it proves less.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        self.by_id = {key_id(key): key for key in keys}
        self.id = key_id(keys[0])
        self.weak_id = key_id(keys[-1])
        # Begun once: to take in the key costs as much as an entry does.
        self._begun = hmac.new(keys[0], digestmod="sha256")

    def sign(self, before: str, text: str) -> str:
        """Return the signature of an entry's `signed_text` behind one whose signature is `before`."""
        signing = self._begun.copy()
        signing.update(f"{before}{text}".encode("utf-8", "surrogatepass"))
        return signing.hexdigest()[:_DIGITS]


def derived_key(store_key: bytes) -> bytes:
    """Return the key of a record whose owner named none: it stands in the same file."""
    return hmac.digest(store_key, b"audit", "sha256")


def key_id(key: bytes) -> str:
    """Return what names a key without telling it."""
    return hashlib.sha256(b"relay audit key " + key).hexdigest()[:8]


def moment(at: datetime) -> str:
    """Return a moment in UTC as the record has it."""
    return f"{iso(microseconds_of(at))}+00:00"


def signed_text(
    anchor: Anchor, at: datetime, team_id: str, who_what: tuple[str, str, str], facts: str
) -> str:
    """Return the text that is signed: the entry as a canonical JSON array, `facts` being canonical JSON.

    Put together by hand: every record pays for it.
    """
    action, actor, subject_id = map(_quoted, who_what)
    where = f"{_quoted(anchor.chain)},{anchor.number},{_quoted(moment(at))},{_quoted(team_id)}"
    return f"[{where},{action},{actor},{subject_id},{facts}]"


def is_right(entry: Entry, before: str, key: bytes) -> bool:
    """Return whether an entry is as it was signed, behind one whose signature is `before`."""
    who_what = (entry.action, entry.actor, entry.subject_id)
    at = Anchor(entry.chain, entry.number, "")
    text = signed_text(at, entry.at, entry.team_id, who_what, canonical_json(entry.facts))
    signed = hmac.digest(key, f"{before}{text}".encode("utf-8", "surrogatepass"), "sha256")
    return is_same(signed.hex()[:_DIGITS], entry.mac)


def is_same(one: str, other: str) -> bool:
    """Return whether two signatures are the same, telling nobody how much of them is."""
    return hmac.compare_digest(one.encode("utf-8", "surrogatepass"), other.encode("utf-8", "surrogatepass"))


def anchors_in(lines: Iterable[Mapping[str, Any]]) -> Iterator[Anchor]:
    """Yield the anchors among lines of a log or of an export, and pass over everything else."""
    for line in lines:
        if (line.get("event") or line.get("action")) == ANCHOR:
            with contextlib.suppress(KeyError, TypeError, ValueError):
                yield Anchor.read(line)
