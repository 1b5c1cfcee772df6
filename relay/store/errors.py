"""What can go wrong with the store.

StoreError             a transaction was not made durable; nothing of it was kept
├── StoreLockedError   another process holds the store
├── FencedError        another relay holds by now what the transaction was to speak for
└── DoubtError         the database was lost in the middle of a commit: it may have been kept
"""


class StoreError(Exception):
    """The store did not keep what it was given; the message says why, and by a `step` what to do."""

    def __init__(self, words: str, step: str = "") -> None:
        super().__init__(f"{words}. {step}" if step else words)
        self.words, self.step = words, step


class StoreLockedError(StoreError):
    """Another process works on the same store file."""


class FencedError(StoreError):
    """Another relay speaks for it by now: nothing of this was stored."""


class DoubtError(StoreError):
    """Nobody can say whether what the store was given is kept: who brings it again must be known again."""


class CopyRefusedError(Exception):
    """A store is not copied to where it was asked to; the message says what to do."""


def cause(problem: BaseException) -> str:
    """Return the driver's words for a problem: their first line, for the others may quote what was stored."""
    lines = str(getattr(problem, "orig", None) or problem).strip().splitlines()
    return lines[0] if lines else type(problem).__name__
