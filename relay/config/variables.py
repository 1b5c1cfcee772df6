"""The process environment, read name by name, with every problem kept; and what a value may look like."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from relay.domain.store_urls import is_database

CHANNEL = re.compile(r"[CG][A-Z0-9]{2,}")
USER = re.compile(r"[UW][A-Z0-9]{2,}")


@dataclass
class Reading:
    """The variables of the process, and the problems met while they are read.

    For the `rules_only`, nothing is missed that only a relay needs which runs.
    """

    variables: Mapping[str, str]
    problems: list[str] = field(default_factory=list)
    rules_only: bool = False

    def miss(self, problem: str) -> None:
        """Note that something is missing which a relay needs to run."""
        if not self.rules_only:
            self.problems.append(problem)

    def is_set(self, name: str) -> bool:
        """Return whether NAME or NAME_FILE says anything."""
        return any(self.variables.get(one, "").strip() for one in (name, f"{name}_FILE"))

    def value(self, name: str, default: str = "") -> str:
        """Return NAME, or the content of the file that NAME_FILE names."""
        path = self.variables.get(f"{name}_FILE", "").strip()
        if path and self.variables.get(name, "").strip():
            self.problems.append(f"{name} and {name}_FILE are both set: keep one")
        found = self._filled(f"{name}_FILE", path) if path else self.variables.get(name, "").strip()
        return found or default

    def _filled(self, where: str, path: str) -> str:
        """Return what stands in a file, of which it is a problem that it is empty: nobody means that."""
        before = len(self.problems)
        found = self.content(where, path)
        if not found and len(self.problems) == before:
            self.problems.append(f"{where}: {path} is empty: write the value into it, or unset {where}")
        return found

    def content(self, where: str, path: str) -> str:
        """Return what stands in the file at `path`, which `where` named."""
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as problem:
            reason = getattr(problem, "strerror", None) or "not UTF-8"
            self.problems.append(f"{where}: cannot read {path}: {reason}")
            return ""

    def checked(
        self, name: str, right: Callable[[str], bool], hint: str, default: str = "", *, needed: str = ""
    ) -> str:
        """Return NAME if it is `right`; an absent one is a problem only with a reason in `needed`."""
        before = len(self.problems)
        value = self.value(name, default)
        if not value and needed and len(self.problems) == before:
            self.miss(f"{name} is missing: {needed}")
        elif value and not right(value):
            self.problems.append(f"{name} is malformed: {hint}")
        return value

    def ids(self, name: str, pattern: re.Pattern[str], hint: str) -> list[str]:
        """Return the ids that NAME lists, separated by commas."""
        values = [value.strip() for value in self.value(name).split(",") if value.strip()]
        for value in values:
            if not pattern.fullmatch(value):
                self.problems.append(f"{name} is malformed at {value!r}: {hint}")
        return values


def starts(prefix: str) -> Callable[[str], bool]:
    """Return a check for a token of the kind that `prefix` tells."""
    return lambda value: value.startswith(prefix) and len(value) > len(prefix) and value.isascii()


def is_port(value: str) -> bool:
    """Return whether `value` is a port, or 0 for any that is free."""
    return value.isascii() and value.isdigit() and int(value) < 65536


def is_sqlite(value: str) -> bool:
    """Return whether `value` is the URL of a SQLite file."""
    return value.startswith("sqlite:///") and len(value) > len("sqlite:///") and ":memory:" not in value


def is_store(value: str) -> bool:
    """Return whether `value` is the URL of a store: a SQLite file, or a PostgreSQL database."""
    return is_sqlite(value) or (is_database(value) and "://" in value)


def is_letta_url(value: str) -> bool:
    """Return whether `value` is where Letta can be reached: its API, or an App Server's socket."""
    return is_url(value, ("http", "https", "ws", "wss"))


def is_socket_url(value: str) -> bool:
    """Return whether a good address is that of a socket."""
    return value.startswith(("ws://", "wss://"))


def is_url(value: str, schemes: tuple[str, ...] = ("http", "https")) -> bool:
    """Return whether `value` is a web address without query and fragment."""
    try:
        parts = urlsplit(value)
        good = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port beyond 65535, among others
        return False
    return good and not (parts.query or parts.fragment)
