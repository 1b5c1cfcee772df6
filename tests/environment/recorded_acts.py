"""What people did in each recording, before which of its frames, and what they are to see of it in Slack."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Types:
    """Somebody types a message, known to the recording as `message_id`; `waits`: a turn is under way."""

    at: int
    message_id: str
    waits: bool = False


@dataclass(frozen=True)
class Decides:
    """Somebody presses a button on the card of a tool call; `reason` is what a denial told the agent."""

    at: int
    tool_call_id: str
    approve: bool
    reason: str = ""


@dataclass(frozen=True)
class AnswersBySocket:
    """The device dropped what was posted: the relay is to say it again over its control socket."""

    at: int
    tool_call_id: str


@dataclass(frozen=True)
class SeesCard:
    """Nobody does anything, but the card is there before the device goes on."""

    at: int


@dataclass(frozen=True)
class Leaves:
    """The status sockets drop."""

    at: int


@dataclass(frozen=True)
class Hears:
    """Nobody does anything, but the relay has acknowledged all that was said."""

    at: int


Act = Types | Decides | AnswersBySocket | SeesCard | Leaves | Hears


@dataclass(frozen=True)
class Seen:
    """What people see in the end: the words under each message, and how each card ended."""

    threads: tuple[tuple[str, ...], ...]
    cards: tuple[str, ...] = ()

    def after_a_drop(self, seen: "Seen", told: Collection[str], unproven: Sequence[bool]) -> bool:
        """Whether `seen` is this as far as it can be known to somebody who was away for a while.

        What was `told` before the drop stands where it does without one, and what was missed stands
        behind it, each of the words once, where several messages share them under one of these at
        least. How a turn ended may have been told to nobody: without words, that is what is said. A
        decision may be unsure where the first sign of it was missed: it is `unproven`.
        """
        if len(self.threads) != len(seen.threads) or len(self.cards) != len(seen.cards):
            return False
        threads = zip(self.threads, seen.threads, strict=True)
        cards = zip(self.cards, seen.cards, unproven or [False] * len(self.cards), strict=True)
        said, heard = ({*filter(_is_spoken, sum(one.threads, ()))} for one in (self, seen))
        return (
            said == heard
            and all(_same_words(*one, told) for one in threads)
            and all(_same_end(*one) for one in cards)
        )


def is_ending(words: str) -> bool:
    """Whether words are relay's own, on how a turn ended."""
    return any(one in words for one in _ENDINGS)


def _is_spoken(words: str) -> bool:
    return not is_ending(words) and words != TOGETHER


def _same_words(whole: tuple[str, ...], seen: tuple[str, ...], told: Collection[str]) -> bool:
    first = tuple(one for one in whole if one in told)
    endings = [one for one in seen if is_ending(one)]
    return (
        seen[: len(first)] == first
        and len({*seen}) == len(seen)
        and len(endings) <= 1
        and {*seen} <= {*whole, _UNHEARD}
        and bool(seen or not whole)
    )


def _same_end(whole: str, seen: str, unproven: bool) -> bool:
    unsure = whole.removesuffix("Delivered.") + _UNSURE
    return seen == whole or (unproven and whole.endswith(" Delivered.") and seen == unsure)


TOGETHER = "Answered together with a later message"
_UNHEARD = "The agent's turn ended while I could not listen, and left no words that I can read."
_UNSURE = "It was sent, and the agent asks no longer, but nothing shows that it was this answer that arrived."
_ENDINGS = ("could not finish", "turn was stopped", "without a word", "left no words")


@dataclass(frozen=True)
class Story:
    """The acts of a recording, in the order of its frames, and what comes of it."""

    acts: tuple[Act, ...]
    seen: Seen


_ASKED = "I will run a tool."
_COMMENT = "The user approved the tool execution with the following comment:"
_APPROVED = "Approved by <@U0APPROVER>. Delivered."
_DENIED = "Denied by <@U0APPROVER>. Delivered."
_FAILED = "The agent could not finish: scripted HTTP {status}"

STORIES = {
    "approve": Story(
        (Types(7, "cm-fbd72f01"), Decides(21, "call_1_0", approve=True)),
        Seen(((_ASKED, f'FINAL: tool said {_COMMENT} "ok from slack"\nhello-from-tool'),), (_APPROVED,)),
    ),
    "approve_with_changed_input": Story(
        (Types(7, "cm-4a3bc925"), Decides(21, "call_5_0", approve=True)),
        Seen(((_ASKED, f'FINAL: tool said {_COMMENT} "edited"\nEDITED'),), (_APPROVED,)),
    ),
    "deny": Story(
        (Types(7, "cm-b0f681fb"), Decides(21, "call_3_0", approve=False, reason="Not on a Friday (alice)")),
        Seen(((_ASKED, "FINAL: tool said Not on a Friday (alice)"),), (_DENIED,)),
    ),
    "write_with_diff": Story(
        (Types(7, "cm-1eeb4edc"), Decides(21, "call_28_0", approve=True)),
        Seen(
            ((_ASKED, "FINAL: tool said Successfully wrote 11 characters to /workspace/new.txt"),),
            (_APPROVED,),
        ),
    ),
    "two_parallel_tools": Story(
        (
            Types(7, "cm-37f94213"),
            Decides(23, "call_9_0", approve=True),
            Decides(29, "call_9_1", approve=False, reason="second no"),
        ),
        Seen(((_ASKED, "FINAL: tool said one\n | second no"),), (_APPROVED, _DENIED)),
    ),
    "approval_refused": Story(
        (
            Types(4, "cm-raw"),
            Decides(18, "call_90_0", approve=True),
            AnswersBySocket(19, "call_90_0"),
        ),
        Seen(((_ASKED, f'FINAL: tool said {_COMMENT} "via ws"\nraw'),), (_APPROVED,)),
    ),
    "abort_while_pending": Story(
        (Types(7, "cm-3c3a4854"), SeesCard(20), Types(31, "cm-e387a833", waits=True)),
        Seen(
            ((_ASKED, "The agent's turn was stopped."), ("echo: after abort hello",)),
            ("The agent asks no longer; nothing was decided here.",),
        ),
    ),
    "coalesced_messages": Story(
        (
            Types(7, "cm-s-0"),
            Types(14, "cm-s-A", waits=True),
            Types(15, "cm-s-B", waits=True),
        ),
        Seen((("part0 part1 part2 part3 part4",), (TOGETHER,), ("echo: beta",))),
    ),
    "model_failure": Story(
        (
            Types(7, "cm-c9f4cb8d"),
            Types(21, "cm-c1a436d0"),
            Types(35, "cm-0947fffe"),
            Types(49, "cm-97c234a5"),
        ),
        Seen(tuple((_FAILED.format(status=status),) for status in (400, 401, 429, 500))),
    ),
    "device_reconnects_with_pending": Story(
        (
            Types(6, "cm-68ac6a75"),
            SeesCard(20),
            Types(23, "cm-down", waits=True),
            Decides(24, "call_47_0", approve=True),
        ),
        Seen(((_ASKED, TOGETHER), ("echo: x",)), (_APPROVED,)),
    ),
    "missed_reply": Story(
        (
            Types(4, "cm-miss"),
            Leaves(11),
            Types(18, "cm-x1"),
            SeesCard(32),
            Types(32, "cm-x2", waits=True),
        ),
        Seen(
            (
                ("part0 part1 part2 part3 part4 part5",),
                (_ASKED, "The agent's turn was stopped."),
                (),
            ),
            ("The agent asks no longer; nothing was decided here.",),
        ),
    ),
}
