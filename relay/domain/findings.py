"""What an examination found: how good it is, what was seen, and what to do about it."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How good what was found is; `wrong` keeps a relay from its work."""

    OK = "ok"
    WARNING = "warning"
    WRONG = "wrong"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `fix` is a sentence that says what to do, empty where all is well."""

    level: Level
    about: str
    found: str
    fix: str = ""


def good(about: str, found: str) -> Finding:
    """Return that something is as it should be."""
    return Finding(Level.OK, about, found)


def warning(about: str, found: str, fix: str) -> Finding:
    """Return that something works and is perhaps not meant so."""
    return Finding(Level.WARNING, about, found, fix)


def wrong(about: str, found: str, fix: str) -> Finding:
    """Return that something keeps a relay from its work."""
    return Finding(Level.WRONG, about, found, fix)
