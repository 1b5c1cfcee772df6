"""relay.toml, read table by table: a bad one is said in plain words, and the others are still looked at."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from relay.config.complaints import Place, complaints, no_setting
from relay.config.policy_tables import PolicyTable
from relay.config.tables import (
    AuditTable,
    EnvironmentTable,
    ListeningTable,
    MetricsTable,
    RetentionTable,
    RouteTable,
    SlackTable,
    Strict,
    TracingTable,
)
from relay.config.toml_lines import Lines

Table = TypeVar("Table", bound=Strict)
_KNOWN: Mapping[str, tuple[type, str]] = {
    "slack": (dict, "write [slack] above its settings"),
    "listening": (dict, "write [listening] above its settings"),
    "audit": (dict, "write [audit] above its settings"),
    "metrics": (dict, "write [metrics] above its settings"),
    "retention": (dict, "write [retention] above its settings"),
    "tracing": (dict, "write [tracing] above its settings"),
    "environments": (dict, "give each a name: write [environments.NAME] above its settings"),
    "routes": (list, "write [[routes]], with two brackets, above the settings of each"),
    "policies": (list, "write [[policies]], with two brackets, above the settings of each"),
}
_SINGLE: Mapping[str, type[Strict]] = {
    "slack": SlackTable,
    "listening": ListeningTable,
    "audit": AuditTable,
    "metrics": MetricsTable,
    "retention": RetentionTable,
    "tracing": TracingTable,
}
_TABLES: Mapping[type[Strict], str] = {
    EnvironmentTable: "environments",
    RouteTable: "routes",
    PolicyTable: "policies",
}
_WHERE = re.compile(r" \(at (?:line ([0-9]+), column [0-9]+|end of document)\)\Z")


@dataclass
class Tables:
    """The tables of a file that are good, and the problems of the others.

    `name` is what messages call the file; not `found`, there is none. Not `whole`, nothing can be said to
    be missing: the part that could not be read may have it.
    """

    name: str = "relay.toml"
    slack: SlackTable = field(default_factory=SlackTable)
    listening: ListeningTable = field(default_factory=ListeningTable)
    audit: AuditTable = field(default_factory=AuditTable)
    metrics: MetricsTable = field(default_factory=MetricsTable)
    retention: RetentionTable = field(default_factory=RetentionTable)
    tracing: TracingTable = field(default_factory=TracingTable)
    environments: dict[str, EnvironmentTable] = field(default_factory=dict)
    routes: dict[int, RouteTable] = field(default_factory=dict)  # by their number in the file
    policies: dict[int, PolicyTable] = field(default_factory=dict)  # the same
    lines: Lines = field(default_factory=Lines)
    problems: list[str] = field(default_factory=list)
    whole: bool = True
    found: bool = True

    def at(self, *steps: object) -> str:
        """Return how a sentence about a setting begins: with the name of the file, and the line."""
        return f"{self.name}: {Place(self.lines, (), '').at(steps)}"


def read_tables(path: Path, name: str) -> Tables:
    """Return the tables of the file at `path`."""
    tables = Tables(name)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as problem:
        tables.problems.append(f"RELAY_CONFIG: cannot read {path}: {problem.strerror}")
    except UnicodeDecodeError as problem:
        line = problem.object.count(b"\n", 0, problem.start) + 1
        tables.problems.append(f"{name}: line {line}: no valid TOML: {problem.reason}, save it as UTF-8")
    else:
        tables.problems += [f"{name}: {one}" for one in _parsed(tables, text)]
    tables.whole = not tables.problems
    return tables


def _parsed(tables: Tables, text: str) -> Iterator[str]:
    """Put what is good of a text into `tables`; yield what is wrong with the rest."""
    try:
        written = tomllib.loads(text)
    except ValueError as problem:
        yield _no_toml(str(problem), text)
    else:
        tables.lines = Lines(text)
        yield from _take(tables, written)


def _no_toml(problem: str, text: str) -> str:
    """Return what the parser said, with the line where everything of ours has it."""
    found = _WHERE.search(problem)
    line = 0 if found is None else found[1] or text.rstrip().count("\n") + 1
    return f"{f'line {line}: ' if line else ''}no valid TOML: {_WHERE.sub('', problem)}"


def _take(tables: Tables, written: Mapping[str, Any]) -> Iterator[str]:
    """Put the good tables of the file into `tables`; yield what is wrong with the others."""
    lines = tables.lines
    strange = [key for key in written if key not in _KNOWN]
    problems = [f"{Place(lines, (key,), '').at()}{no_setting(key, key, _KNOWN)}" for key in strange]
    found = {key: written.get(key, kind()) for key, (kind, _) in _KNOWN.items()}
    for key, (kind, hint) in _KNOWN.items():
        if not isinstance(found[key], kind):
            problems.append(f"{Place(lines, (key,), key).at()}: {hint}")
            found[key] = kind()
    for key, model in _SINGLE.items():
        if single := _valid(model, found[key], Place(lines, (key,), f"{key}."), problems):
            setattr(tables, key, single)
    for name, table in found["environments"].items():
        place = Place(lines, ("environments", name), f"environments.{name}.")
        if environment := _valid(EnvironmentTable, table, place, problems):
            tables.environments[name] = environment
    for number, table in enumerate(found["routes"], start=1):
        place = Place(lines, ("routes", number - 1), f"route {number}: ")
        if route := _valid(RouteTable, table, place, problems):
            tables.routes[number] = route
    for number, table in enumerate(found["policies"], start=1):
        place = Place(lines, ("policies", number - 1), f"policy {number}: ")
        if policy := _valid(PolicyTable, table, place, problems):
            tables.policies[number] = policy
    yield from problems


def _valid(model: type[Table], written: Any, place: Place, problems: list[str]) -> Table | None:
    """Return the table, or None with what is wrong added to `problems`."""
    if not isinstance(written, dict):
        hint = _KNOWN[_TABLES[model]][1]
        problems.append(f"{place.at().rstrip('.: ')}: {hint}")
        return None
    try:
        return model.model_validate(written)
    except ValidationError as problem:
        # The same sentence once, however many items of a list are wrong.
        problems += dict.fromkeys(complaints(model, place, problem))
        return None
