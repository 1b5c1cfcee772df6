"""relay.toml, read table by table: a bad one is said in plain words, and the others are still looked at."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from relay.config.complaints import complaints, no_setting
from relay.config.policy_tables import PolicyTable
from relay.config.tables import (
    AuditTable,
    EnvironmentTable,
    ListeningTable,
    RouteTable,
    SlackTable,
    Strict,
)

Table = TypeVar("Table", bound=Strict)
_KNOWN: Mapping[str, tuple[type, str]] = {
    "slack": (dict, "write [slack] above its settings"),
    "listening": (dict, "write [listening] above its settings"),
    "audit": (dict, "write [audit] above its settings"),
    "environments": (dict, "give each a name: write [environments.NAME] above its settings"),
    "routes": (list, "write [[routes]], with two brackets, above the settings of each"),
    "policies": (list, "write [[policies]], with two brackets, above the settings of each"),
}
_TABLES: Mapping[type[Strict], str] = {
    EnvironmentTable: "environments",
    RouteTable: "routes",
    PolicyTable: "policies",
}
_HEADER = re.compile(r"^[ \t]*\[\[[ \t]*[\"']?policies[\"']?[ \t]*\]\]", re.MULTILINE)
_LONG_TEXT = re.compile(r'"""(?:[^\\]|\\.)*?"""|\'\'\'.*?\'\'\'', re.DOTALL)


@dataclass
class Tables:
    """The tables of a file that are good, and the problems of the others.

    `name` is what messages call the file. Not `whole`, nothing can be said to be missing: the part
    that could not be read may have it.
    """

    name: str = "relay.toml"
    slack: SlackTable = field(default_factory=SlackTable)
    listening: ListeningTable = field(default_factory=ListeningTable)
    audit: AuditTable = field(default_factory=AuditTable)
    environments: dict[str, EnvironmentTable] = field(default_factory=dict)
    routes: dict[int, RouteTable] = field(default_factory=dict)  # by their number in the file
    policies: dict[int, PolicyTable] = field(default_factory=dict)  # the same
    lines: dict[int, int] = field(default_factory=dict)  # where each of the policies begins
    problems: list[str] = field(default_factory=list)
    whole: bool = True

    def policy_label(self, number: int) -> str:
        """Return how messages name one of the policies."""
        table, line = self.policies.get(number), self.lines.get(number)
        named = f'policy "{table.name}"' if table else f"policy {number}"
        return f"line {line}: {named}" if line else named


def read_tables(path: Path, name: str) -> Tables:
    """Return the tables of the file at `path`."""
    tables = Tables(name)
    try:
        text = path.read_text(encoding="utf-8")
        written = tomllib.loads(text)
    except OSError as problem:
        tables.problems.append(f"RELAY_CONFIG: cannot read {path}: {problem.strerror}")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        tables.problems.append(f"{name}: no valid TOML: {problem}")
    else:
        tables.problems += [f"{name}: {one}" for one in _take(tables, written, text)]
    tables.whole = not tables.problems
    return tables


def _take(tables: Tables, written: Mapping[str, Any], text: str) -> Iterator[str]:
    """Put the good tables of the file into `tables`; yield what is wrong with the others."""
    problems = [no_setting(key, key, _KNOWN) for key in written if key not in _KNOWN]
    found = {key: written.get(key, kind()) for key, (kind, _) in _KNOWN.items()}
    for key, (kind, hint) in _KNOWN.items():
        if not isinstance(found[key], kind):
            problems.append(f"{key}: {hint}")
            found[key] = kind()
    tables.slack = _valid(SlackTable, found["slack"], "slack.", problems) or tables.slack
    tables.listening = _valid(ListeningTable, found["listening"], "listening.", problems) or tables.listening
    tables.audit = _valid(AuditTable, found["audit"], "audit.", problems) or tables.audit
    for name, table in found["environments"].items():
        if environment := _valid(EnvironmentTable, table, f"environments.{name}.", problems):
            tables.environments[name] = environment
    for number, table in enumerate(found["routes"], start=1):
        if route := _valid(RouteTable, table, f"route {number}: ", problems):
            tables.routes[number] = route
    tables.lines = _policy_lines(text, len(found["policies"]))
    for number, table in enumerate(found["policies"], start=1):
        if policy := _valid(PolicyTable, table, f"{tables.policy_label(number)}: ", problems):
            tables.policies[number] = policy
    yield from problems


def _policy_lines(text: str, count: int) -> dict[int, int]:
    """Return the line of each header; none where they cannot be told for sure."""
    without = _LONG_TEXT.sub(lambda found: "\n" * found[0].count("\n"), text)
    lines = [without.count("\n", 0, found.start()) + 1 for found in _HEADER.finditer(without)]
    return dict(enumerate(lines, start=1)) if len(lines) == count else {}


def _valid(model: type[Table], written: Any, prefix: str, problems: list[str]) -> Table | None:
    """Return the table, or None with what is wrong added to `problems`."""
    if not isinstance(written, dict):
        hint = _KNOWN[_TABLES[model]][1]
        problems.append(f"{prefix.rstrip('.: ')}: {hint}")
        return None
    try:
        return model.model_validate(written)
    except ValidationError as problem:
        # The same sentence once, however many items of a list are wrong.
        problems += dict.fromkeys(complaints(model, prefix, problem))
        return None
