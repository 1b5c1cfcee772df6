"""What is wrong with a table of relay.toml, in plain words: where, and what to write there."""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from relay.config.tables import Strict
from relay.config.toml_lines import Lines, Path


@dataclass(frozen=True)
class Place:
    """Where a table stands, and what begins the sentences about its settings."""

    lines: Lines
    path: Path
    label: str

    def at(self, steps: Iterable[object] = ()) -> str:
        """Return how a sentence about one of its settings begins: with the line, and the label."""
        line = self.lines.of((*self.path, *steps))
        return f"line {line}: {self.label}" if line else self.label


def complaints(model: type[Strict], place: Place, problem: ValidationError) -> Iterator[str]:
    """Yield what to do about each error; never the value, which may be a secret in the wrong place."""
    errors = problem.errors(include_url=False, include_input=False)
    found = [
        (error, _spot(model, [step for step in error["loc"] if isinstance(step, str)])) for error in errors
    ]
    meant = {
        (error["loc"][:-1], _nearest(spot.stranger, spot.settings))
        for error, spot in found
        if error["type"] == "extra_forbidden"
    }
    for error, spot in found:
        prefix = place.at((*error["loc"], *error.get("ctx", {}).get("within", ())))
        if not error["loc"]:
            yield f"{prefix.rstrip('.: ')}: {error['ctx']['error']}"
        elif error["type"] == "extra_forbidden":
            yield _strange(prefix, spot)
        elif error["type"] != "missing":
            yield f"{prefix}{spot.path}: {spot.description}"
        elif (
            error["loc"][:-1],
            error["loc"][-1],
        ) not in meant:  # it is there, misspelt: that is said already
            yield f"{prefix}{spot.path} is missing: {spot.description}"


@dataclass
class _Spot:
    """Where an error is: the settings that lead there, what was to be said, and what nobody knows."""

    path: str
    description: str
    settings: Mapping[str, FieldInfo]
    stranger: str = ""


def _spot(model: type[Strict], steps: list[str]) -> _Spot:
    spot = _Spot("", "", _settings(model))
    for place, step in enumerate(steps):
        setting = spot.settings.get(step)
        if setting is None:
            spot.stranger = ".".join(steps[place:])
            break
        described = setting.description
        if described is None:  # a part of a setting that is described as a whole
            break
        spot.path, spot.description = ".".join(steps[: place + 1]), described
        nested = _nested(setting.annotation)
        if nested is None:
            break
        spot.settings = _settings(nested)
    return spot


def _settings(model: type[Strict]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _nested(annotation: Any) -> type[Strict] | None:
    """Return the table that a setting is, or is a list of, or may be."""
    if isinstance(annotation, type) and issubclass(annotation, Strict):
        return annotation
    return next((found for part in get_args(annotation) if (found := _nested(part))), None)


def _strange(prefix: str, spot: _Spot) -> str:
    if not spot.path:
        return no_setting(prefix + spot.stranger, spot.stranger, spot.settings)
    if _nearest(spot.stranger, spot.settings):
        return no_setting(f"{prefix}{spot.path}.{spot.stranger}", spot.stranger, spot.settings)
    return f"{prefix}{spot.path}: {spot.description}"


def no_setting(at: str, key: str, known: Iterable[str]) -> str:
    """Return the sentence about a setting that nobody reads: which was meant, or which there are."""
    nearest = _nearest(key, known)
    hint = f"did you mean {nearest}?" if nearest else f"there are {', '.join(known)}"
    return f"{at} is no setting; {hint}"


def _nearest(key: str, known: Iterable[str]) -> str:
    return next(iter(difflib.get_close_matches(key, list(known), n=1)), "")
