"""Answers that are typed: `/letta approve CODE`, `!deny CODE why`. Never a bot's or a workflow's.

The code on a card stands for what the card shows, so that a word, like a button, answers what was
seen. Without a code a word counts only where there is no doubt what is meant.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from relay.domain.approvals import Approval, State
from relay.domain.people import Person
from relay.domain.policy import may_send, may_vote
from relay.domain.rules import Risk
from relay.slack import sentences
from relay.slack.deciding import Answering, Deciding
from relay.slack.door import SlackDoor
from relay.store import Transaction
from relay.use_cases.record_decision import Answer, Recorded, Taken
from relay.use_cases.whisper import Listener

_WORD = re.compile(r"(approve|deny)(?:\s+(.*))?", re.IGNORECASE | re.DOTALL)
_CODE = re.compile(r"[`'\"]?([A-Za-z0-9]{5})[`'\"]?(?:\s+(.*))?", re.DOTALL)
# Of five signs that a code can be made of; in small letters a word of English is no code.
_LIKE_A_CODE = re.compile(
    r"(\S+)\s+[`'\"]?(?=[A-Z2-9]{5}|\w*[2-9])([A-HJ-NP-Za-hj-np-z2-9]{5})[`'\"]?(?:\s.*)?", re.DOTALL
)
_MOST = 20  # requests that are looked at for a word without a code


@dataclass(frozen=True)
class Word:
    """What somebody typed: yes or no, a code where there is one, and what they say besides.

    `mistyped`: it is nearly that, so that nobody's slip is taken for an answer, or for words to the agent.
    """

    approve: bool
    code: str
    words: str
    mistyped: bool = False


@dataclass(frozen=True)
class Asker:
    """Who typed it and where; no thread: in the channel itself. `key` is the same when told twice.

    `before` is what stands before an answer there: `/letta `, or a mark.
    """

    user_id: str
    team_id: str
    listener: Listener
    key: str
    before: str = "!"


def read_word(text: str) -> Word | None:
    """Return the answer in a text that begins with one; five letters and digits stand for a code."""
    found = _WORD.fullmatch(text.strip())
    if found is None:
        return _nearly(text.strip())
    approve, rest = found[1].lower() == "approve", (found[2] or "").strip()
    named = _CODE.fullmatch(rest)
    if named is None:
        return Word(approve, "", rest)
    return Word(approve, named[1].upper(), (named[2] or "").strip())


def _nearly(text: str) -> Word | None:
    """Return what a text with a code was to be whose first word is one slip from an answer's."""
    found = _LIKE_A_CODE.fullmatch(text)
    meant = [one for one in ("approve", "deny") if found and _one_slip(found[1].lower(), one)]
    return Word(meant[0] == "approve", found[2].upper(), "", mistyped=True) if found and meant else None


def _one_slip(typed: str, right: str) -> bool:
    """Return whether one letter is left out, too many or another, or two have changed places."""
    slips = set()
    for at in range(len(right) + 1):
        head, tail = right[:at], right[at:]
        slips |= {head + tail[1:], head + tail[1:2] + tail[:1] + tail[2:]}
        slips |= {head + letter + rest for letter in typed for rest in (tail, tail[1:])}
    return typed in slips


@dataclass(frozen=True)
class _Found:
    """What a word can be about; `again`: it was answered before."""

    named: Sequence[Approval] = ()
    nearby: Sequence[Approval] = ()
    again: bool = False


class Words:
    """Takes typed answers."""

    def __init__(self, door: SlackDoor, deciding: Deciding) -> None:
        self._door = door
        self._deciding = deciding

    async def take(self, word: Word, asker: Asker) -> str:
        """Count a typed answer; return what to say of it, nothing where it was said. Raises StoreError."""
        if word.mistyped:
            right = f"{asker.before}{'approve' if word.approve else 'deny'} {word.code}"
            return await self._once(asker, sentences.did_you_mean(right))
        found = await self._door.store.transact(lambda tx: self._found(tx, word, asker))
        if found.again:
            return ""
        person = await self._door.people.person(asker.user_id, asker.team_id)
        verdict = may_send(self._door.rights, person)
        if not verdict.allowed and not found.named:
            return await self._once(asker, sentences.refused_word(verdict.reason))
        approval = await self._meant(word, found, asker)
        if isinstance(approval, str):
            return await self._once(asker, approval)
        return await self._answer(word, approval, asker)

    def _found(self, tx: Transaction, word: Word, asker: Asker) -> _Found:
        team_id, listener = self._door.workspace.team_id, asker.listener
        if tx.seen_before(team_id, asker.key):
            return _Found(again=True)
        named = tx.approvals.by_code(team_id, word.code) if word.code else []
        if word.code and not named:
            named = tx.approvals.closed_by_code(team_id, word.code)
        nearby = tx.approvals.pending_at(team_id, listener.channel_id, listener.thread_ts, _MOST + 1)
        if not nearby and listener.channel_id.startswith("D"):
            nearby = tx.approvals.pending_at(team_id, None, None, _MOST + 1)
        return _Found(named, nearby)

    async def _meant(self, word: Word, found: _Found, asker: Asker) -> Approval | str:
        """Return the request that is meant, or what to say where that is in doubt."""
        command = self._door.config.slack.command
        if word.code:
            pending = [one for one in found.named if one.state is State.PENDING]
            if len(pending) > 1:
                return sentences.AMBIGUOUS_CODE
            if found.named:
                return pending[0] if pending else found.named[-1]
            return sentences.unknown_code(command, word.code, _open_codes(found.nearby))
        theirs = await self._for(found.nearby[:_MOST], word, asker)
        meant = theirs or list(found.nearby)
        if len(meant) != 1 or len(found.nearby) > _MOST:
            return sentences.which_code(command, _open_codes(found.nearby))
        if word.approve and (word.words or meant[0].ask.risk is Risk.HIGH):
            # Words that say "approve the plan" may be meant for the agent; and high risk is confirmed.
            return sentences.code_needed(command, _open_codes(meant))
        return meant[0]

    async def _for(self, nearby: Sequence[Approval], word: Word, asker: Asker) -> list[Approval]:
        """Return those that this person may answer so."""
        found = []
        for one in nearby:
            person = await self._deciding.person(asker.user_id, asker.team_id, one)
            if self._may(word, one, person):
                found.append(one)
        return found

    def _may(self, word: Word, approval: Approval, person: Person) -> bool:
        rights = self._door.rights
        return may_vote(rights, approval.ask, approval.requesters, person, approve=word.approve).allowed

    async def _answer(self, word: Word, approval: Approval, asker: Asker) -> str:
        answering = Answering(
            user_id=asker.user_id,
            team_id=asker.team_id,
            listener=asker.listener,
            key=asker.key,
            approval_id=approval.id,
            tool_call_id=approval.asked.tool_call_id,
            input_hash=approval.shown_hash,
        )
        taken = await self._deciding.take(answering, Answer(approve=word.approve, reason=word.words))
        return _said(taken, approval, word)

    async def _once(self, asker: Asker, sentence: str) -> str:
        """Return what is said and not counted, once: Slack tells of a mention twice."""
        team_id, now = self._door.workspace.team_id, self._door.clock()
        first = await self._door.store.transact(lambda tx: tx.first_time(team_id, asker.key, now))
        return sentence if first else ""


def _said(taken: Taken, approval: Approval, word: Word) -> str:
    if taken.recorded is Recorded.AGAIN:
        return ""
    if taken.sentence is not None:
        return sentences.whispered(taken.sentence, taken.facts, taken.approval or approval)
    return sentences.decided_by_word(approval.asked.tool_name, approval.code, approve=word.approve)


def _open_codes(nearby: Sequence[Approval]) -> list[tuple[str, str]]:
    """Return tool and code of each: of what it is called with, nothing."""
    return [(one.asked.tool_name, one.code) for one in nearby]
