"""Which names a text has a shell carry out, or only read: what stands under them is seen by people.

`TOKEN="rm -rf /srv"; $TOKEN` has a command where a secret would be. Whatever is looked at around a
reference is of a bounded length, so that all of it is linear in the text: an agent writes it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_AROUND = 100
_LONGEST_NAME = 80  # longer ones are not told apart
_REFERENCE = re.compile(
    r"(?:\$[({]?[!#]?(?:env:)?|%|\b(?:environ|getenv|ENV)\W{1,4}|\bprintenv[ \t]{1,3})(\w{1,80}|[@*])"
)
# Names of names, and words of the command before: what they stand for cannot be told.
_INDIRECT = re.compile(r"\$\{!|\b(?:declare|local|typeset)[ \t]{1,3}-\w{0,8}n|\beval\b[^\n]{0,200}\\\$")
_NAMELESS = re.compile(r"[\d_@*]")
_SETS = re.compile(r"\}?[ \t]{0,3}=(?!=)")
_SHELL = r"(?:/[\w/]{0,40}/)?(?:ba|z|da|k|fi)?sh"
_RUNNER = re.compile(
    r"(?:\A|[\s;&|(){}`\"'])(?:"
    rf"(?:{_SHELL}|sudo|doas|su|eval|exec|command|builtin|env|nohup|time|nice|setsid|xargs|timeout|watch|trap|source|\."
    r"|python3?|perl|ruby|node|iex|then|do|else|elif|if|while|until)(?:\s{1,3}(?:-[^\s\"']{1,40}|\d\w{0,8}|\w{1,40}=\S{0,40})){0,4}"
    r"|ssh(?:\s{1,3}-\S{1,40}){0,3}\s{1,3}[^\s-]\S{0,60})\s{0,3}(?:<<<\s{0,3})?\Z"
    r"|(?:\A|[;&|(){}`!\n])[ \t]{0,3}(?:\w{1,40}=\S{0,40}[ \t]{1,3}){1,3}\Z"
)
_TAKES_OVER = re.compile(r"(?<!\w)(\w{1,80})=[\"']?\Z")
_PIPED = re.compile(rf"[^\n|]{{0,60}}\|[^\n]{{0,40}}?(?<![\w.-]){_SHELL}(?![\w.-])")
_BEGINS = tuple(";&|(){}`!\n")
# In a program: what is handed to a function, unless that one runs commands.
_CALL = re.compile(r"(?<!\w)(?!(?:system|exec|eval|popen|shell_exec|passthru|spawn|call|run)\()\w{1,40}\(\Z")
_WORD = re.compile(r"[^\s/~.-]\S*")  # no option, no path, and nothing in several words


@dataclass(frozen=True)
class Uses:
    """Names in small letters: those that are carried out, those that are only read.

    `sets` are carried out unless it is an assignment that begins with their sign, as in PHP; with `all`
    nothing tells which are carried out.
    """

    runs: frozenset[str] = frozenset()
    sets: frozenset[str] = frozenset()
    reads: frozenset[str] = frozenset()
    all: bool = False

    def shows(self, name: str, value: Any, *, signed: bool = False) -> bool:
        """Return whether a value has to be seen for what is done with its name; `signed`: set as `$name`."""
        name = name.lower()
        if self.all or name in self.runs or (name in self.sets and not signed):
            return True
        if len(name) >= _LONGEST_NAME and (self.runs or self.reads):
            return True
        return name in self.reads and isinstance(value, str) and _WORD.fullmatch(value) is None


NONE = Uses()


def uses(value: Any) -> Uses:
    """Return what the texts of a JSON value do with names."""
    text = "\n".join(_texts(value))
    if _INDIRECT.search(text):
        return Uses(all=True)
    found: dict[str, set[str]] = {"runs": set(), "sets": set(), "reads": set()}
    taken_over: dict[str, list[str]] = {}  # by what has it now: the names of which it has the value
    for reference in _REFERENCE.finditer(text):
        name = reference[1].lower()
        how = _how(text, reference)
        if how == "runs" and _NAMELESS.fullmatch(name):
            return Uses(all=True)
        found[how].add(name)
        if new := _TAKES_OVER.search(text[max(0, reference.start() - _AROUND) : reference.start()]):
            taken_over.setdefault(new[1].lower(), []).append(name)
    runs = frozenset(_followed(found["runs"], taken_over))
    return Uses(runs, frozenset(found["sets"]), frozenset(found["reads"]))


def _followed(names: set[str], taken_over: Mapping[str, list[str]]) -> Iterator[str]:
    """Yield names, and those whose values they have taken over."""
    waiting, seen = list(names), set(names)
    while waiting:
        name = waiting.pop()
        yield name
        fresh = set(taken_over.get(name, ())) - seen
        seen |= fresh
        waiting.extend(fresh)


def _how(text: str, reference: re.Match[str]) -> str:
    """Return what is done with a name where it stands."""
    before = text[max(0, reference.start() - _AROUND) : reference.start()]
    stripped = before.rstrip("\"'\\ \t")
    begins = not stripped or (stripped.endswith(_BEGINS) and not _CALL.search(stripped))
    if begins or _RUNNER.search(before.rstrip("\"'\\")) or _PIPED.match(text, reference.end()):
        return "sets" if _SETS.match(text, reference.end()) else "runs"
    return "reads"


def _texts(value: Any) -> Iterator[str]:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, Mapping):
            waiting.extend(list(one.values())[::-1])
        elif isinstance(one, list | tuple):
            waiting.extend(one[::-1])
