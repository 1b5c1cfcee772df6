"""relay.toml, read table by table: a bad one is said in plain words, and the others are still looked at."""

import difflib
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from relay.config.tables import EnvironmentTable, RouteTable, SecretSource, SlackTable, Strict

Table = TypeVar("Table", bound=Strict)
_KNOWN: Mapping[str, tuple[type, str]] = {
    "slack": (dict, "write [slack] above its settings"),
    "environments": (dict, "give each a name: write [environments.NAME] above its settings"),
    "routes": (list, "write [[routes]], with two brackets, above the settings of each"),
}


@dataclass
class Tables:
    """The tables of a file that are good, and the problems of the others.

    `name` is what messages call the file. Not `whole`, nothing can be said to be missing: the part
    that could not be read may have it.
    """

    name: str = "relay.toml"
    slack: SlackTable = field(default_factory=SlackTable)
    environments: dict[str, EnvironmentTable] = field(default_factory=dict)
    routes: dict[int, RouteTable] = field(default_factory=dict)  # by their number in the file
    problems: list[str] = field(default_factory=list)
    whole: bool = True


def read_tables(path: Path, name: str) -> Tables:
    """Return the tables of the file at `path`."""
    tables = Tables(name)
    try:
        written = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        tables.problems.append(f"RELAY_CONFIG: cannot read {path}: {problem.strerror}")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        tables.problems.append(f"{name}: no valid TOML: {problem}")
    else:
        tables.problems += [f"{name}: {one}" for one in _take(tables, written)]
    tables.whole = not tables.problems
    return tables


def _take(tables: Tables, written: Mapping[str, Any]) -> Iterator[str]:
    """Put the good tables of the file into `tables`; yield what is wrong with the others."""
    problems = [no_setting(key, key, _KNOWN) for key in written if key not in _KNOWN]
    found = {key: written.get(key, kind()) for key, (kind, _) in _KNOWN.items()}
    for key, (kind, hint) in _KNOWN.items():
        if not isinstance(found[key], kind):
            problems.append(f"{key}: {hint}")
            found[key] = kind()
    tables.slack = _valid(SlackTable, found["slack"], "slack.", problems) or tables.slack
    for name, table in found["environments"].items():
        if environment := _valid(EnvironmentTable, table, f"environments.{name}.", problems):
            tables.environments[name] = environment
    for number, table in enumerate(found["routes"], start=1):
        if route := _valid(RouteTable, table, f"route {number}: ", problems):
            tables.routes[number] = route
    yield from problems


def _valid(model: type[Table], written: Any, prefix: str, problems: list[str]) -> Table | None:
    """Return the table, or None with what is wrong added to `problems`."""
    if not isinstance(written, dict):
        hint = _KNOWN["routes" if model is RouteTable else "environments"][1]
        problems.append(f"{prefix.rstrip('.: ')}: {hint}")
        return None
    try:
        return model.model_validate(written)
    except ValidationError as problem:
        # The same sentence once, however many items of a list are wrong.
        problems += dict.fromkeys(_complaints(model, prefix, problem))
        return None


def _complaints(model: type[Strict], prefix: str, problem: ValidationError) -> Iterator[str]:
    """Yield what to do about each error; never the value, which may be a secret in the wrong place."""
    errors = problem.errors(include_url=False, include_input=False)
    strange = [error["loc"] for error in errors if error["type"] == "extra_forbidden"]
    meant = {_nearest(str(steps[0]), model.model_fields) for steps in strange if len(steps) == 1}
    for error in errors:
        steps = [str(step) for step in error["loc"]]
        if not steps:
            yield f"{prefix.rstrip('.: ')}: {error['ctx']['error']}"
        elif error["type"] == "extra_forbidden":
            yield _strange(model, prefix, steps)
        elif error["type"] != "missing":
            yield f"{prefix}{steps[0]}: {model.model_fields[steps[0]].description}"
        elif steps[0] not in meant:  # it is there, misspelt: that is said already
            yield f"{prefix}{steps[0]} is missing: {model.model_fields[steps[0]].description}"


def _strange(model: type[Strict], prefix: str, steps: list[str]) -> str:
    if len(steps) == 1:
        return no_setting(prefix + steps[0], steps[0], model.model_fields)
    if _nearest(steps[-1], SecretSource.model_fields):
        return no_setting(prefix + ".".join(steps), steps[-1], SecretSource.model_fields)
    return f"{prefix}{steps[0]}: {model.model_fields[steps[0]].description}"


def no_setting(at: str, key: str, known: Iterable[str]) -> str:
    """Return the sentence about a setting that nobody reads: which was meant, or which there are."""
    nearest = _nearest(key, known)
    hint = f"did you mean {nearest}?" if nearest else f"there are {', '.join(known)}"
    return f"{at} is no setting; {hint}"


def _nearest(key: str, known: Iterable[str]) -> str:
    return next(iter(difflib.get_close_matches(key, list(known), n=1)), "")
