"""Which names a text has a shell carry out: what stands under them is a command, and is seen by people.

`TOKEN="rm -rf /srv"; $TOKEN` has a command where a secret would be. There are more ways to carry something
out than are known here: so what is merely handed on stays masked only while it is one plain word, as nearly
every secret is. Whatever is looked at around a reference is of a bounded length, so that all of it is linear
in the text: an agent writes it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_AROUND = 100
_LONGEST_NAME = 80  # longer ones are not told apart
# How programs read a variable; only there they are told from what a shell reads.
_ENVIRONMENT = (
    r"""\$?(?:\bos\.|\bprocess\.)?\b(?:environ|ENVIRON|getenv|env|ENV)(?:\.get)?(?:\.|[(\[{]["']?)"""
)
_SIGNS = ("$", "%", "env", "ENV", "VIRON")  # of which every reference has one: most texts have none
_REFERENCE = re.compile(
    rf"(?:{_ENVIRONMENT}|(?P<shell>\$\{{?(?:env:)?|%(?=\w{{1,80}}%))|(?P<printed>\bprintenv[ \t]{{1,3}}))"
    r"(?P<name>\w{1,80}|[@*])"
)
# What gives the places of arguments other values than a caller would.
_SETS_PLACES = re.compile(r"\bset[ \t]{1,3}(?:-\w{1,3}[ \t]{1,3})?--|\w[ \t]?\(\)|\bfunction[ \t]")
_A_PLACE, _ALL_PLACES = re.compile(r"[\d_]"), frozenset("@*")
_SETS = re.compile(r"}?[ \t]{0,3}=(?!=)")  # in PHP a name has its sign where it is set, too
_TAKES_OVER = re.compile(r"(?<!\w)(\w{1,80})=[\"']?\Z")

_SHELL = re.compile(r"(?:ba|z|da|k|fi)?sh")
_SHELLS = r"(?:/[\w/]{0,40}/)?(?:ba|z|da|k|fi)?sh(?![\w.-])"
# What takes a command as its own arguments, and the words of a shell that a command follows.
_RUNNERS = frozenset(
    """sudo doas su eval exec command builtin env nohup time nice ionice setsid xargs timeout watch trap
    source . ssh -exec -execdir then do else elif if while until { (""".split()  # noqa: SIM905 - one list in words
)
_HANDS_ON = frozenset(("-u", "-g", "-p", "-i", "-l", "-o", "-n", "-k", "-s", "-I", "-P"))  # a value follows
_EXEC = re.compile(r".*\s(-exec(?:dir)?\s)", re.DOTALL)
_LAST_PART = re.compile(r".*(?:[;&|\n`!]|\$\()", re.DOTALL)
_ITS_HOST = "what ssh reaches"
_BLANK = re.compile(r"\s")
_QUOTES = "\"'\\"
_OPENERS = " \t\n[\"'"
_CALLS = re.compile(
    r"(?<![\w$])(?:system|exec|execSync|eval|popen|shell_exec|passthru|spawn|spawnSync"
    r"|subprocess\.\w{1,20}|Popen)\([\s\[\"']*\Z"
)
_PRINTERS = ("echo", "printf", "cat")
_PRINTS = re.compile(r"(?:echo|printf|cat[ \t]{1,3}<<<)(?:[ \t]{1,3}(?:-\w{1,4}|[\"']?%s\S{0,6}))?")
_PIPED = re.compile(rf"[\w}}]{{0,40}}[\"']{{0,2}}[ \t]{{0,3}}\|[ \t]{{0,3}}(?:sudo[ \t]{{1,3}})?{_SHELLS}")
# Names of names: what these stand for cannot be told.
_INDIRECT = re.compile(r"\$\{!|\b(?:declare|local|typeset)[ \t]{1,3}-\w{0,8}n|\beval\b[^\n]{0,200}\\\$")
_INDIRECT_SIGNS = ("${!", "declare", "local", "typeset", "eval")
# What reads words for a second time, those in a name's value among them.
_READ_AGAIN = re.compile(
    r"(?<![\w.-])(?:eval[ \t]|ssh[ \t]|(?:ba|z|da|k|fi)?sh[ \t]{1,3}-\w{0,4}c)"
    rf"|\|[ \t]{{0,3}}(?:sudo[ \t]{{1,3}})?{_SHELLS}"
)
_READ_AGAIN_SIGNS = ("eval", "sh")
# One word, which is no option and no path: what does something has several. Read again, it has no signs.
_WORD = re.compile(r"[^\s/~.-]\S*")
_PLAIN = re.compile(r"[^\s/~.;&|`$(){}<>-][^\s;&|`$(){}<>]*")


@dataclass(frozen=True)
class Uses:
    """Names in small letters: those that are carried out, and those that are only handed on.

    `sets` are carried out unless it is an assignment that begins with their sign, as in PHP. With `all`
    nothing tells which are carried out; with `others` texts are read for a second time, and what stands in
    them may be.
    """

    runs: frozenset[str] = frozenset()
    sets: frozenset[str] = frozenset()
    reads: frozenset[str] = frozenset()
    all: bool = False
    others: bool = False

    def shows(self, name: str, value: Any, *, signed: bool = False) -> bool:
        """Return whether a value has to be seen for what is done with its name; `signed`: set as `$name`."""
        name = name.lower()
        long = len(name) >= _LONGEST_NAME
        if self.all or name in self.runs or (long and self.runs) or (name in self.sets and not signed):
            return True
        if not isinstance(value, str):
            return False
        if self.others and _PLAIN.fullmatch(value) is None:
            return True
        return (name in self.reads or (long and bool(self.reads))) and _WORD.fullmatch(value) is None


NONE = Uses()


def uses(value: Any) -> Uses:
    """Return what the texts of a JSON value do with names."""
    text = "\n".join(_texts(value))
    found: dict[str, set[str]] = {"runs": set(), "sets": set(), "reads": set()}
    taken_over: dict[str, list[str]] = {}  # by what has it now: the names of which it has the value
    for reference in _REFERENCE.finditer(text) if _has(text, _SIGNS) else ():
        name = reference["name"].lower()
        before = text[max(0, reference.start() - _AROUND) : reference.start()]
        if before.rstrip(_QUOTES).endswith("=") and (new := _TAKES_OVER.search(before)):
            taken_over.setdefault(new[1].lower(), []).append(name)
        found[_how(before, text, reference)].add(name)
    runs = _followed(found["runs"], taken_over)
    placed = any(_A_PLACE.fullmatch(name) for name in runs)
    every = _found(_INDIRECT, _INDIRECT_SIGNS, text) or (placed and _SETS_PLACES.search(text) is not None)
    others = placed or _found(_READ_AGAIN, _READ_AGAIN_SIGNS, text) or not runs.isdisjoint(_ALL_PLACES)
    return Uses(runs, frozenset(found["sets"]), frozenset(found["reads"]), every, others)


def _found(pattern: re.Pattern[str], signs: Sequence[str], text: str) -> bool:
    return _has(text, signs) and pattern.search(text) is not None


def _has(text: str, signs: Sequence[str]) -> bool:
    """Return whether a text has one of what a pattern needs: to look for that costs next to nothing."""
    return any(sign in text for sign in signs)


def _how(before: str, text: str, reference: re.Match[str]) -> str:
    """Return what is done with a name, by what stands before and after it."""
    if not _is_command(before, text, reference):
        return "reads"
    return "sets" if _SETS.match(text, reference.end()) else "runs"


def _is_command(before: str, text: str, reference: re.Match[str]) -> bool:
    """Return whether a shell takes what a name stands for as a command."""
    if reference["printed"]:
        return before.endswith(("$(", "`")) or _piped(text, reference.end())
    if before.rstrip(_OPENERS).endswith("(") and _CALLS.search(before):
        return True
    if not reference["shell"]:
        return False
    begin = _LAST_PART.match(before)
    part = before[begin.end() if begin else 0 :].rstrip(_QUOTES)
    if part[-1:].strip() and not part.endswith("("):  # it goes on with a word
        return False
    if _takes_a_command(_behind_exec(part).replace("(", " ( ").split()):
        return True
    return (
        part.lstrip().startswith(_PRINTERS)
        and bool(_PRINTS.fullmatch(part.strip()))
        and _piped(text, reference.end())
    )


def _piped(text: str, end: int) -> bool:
    return _PIPED.match(text, end) is not None


def _takes_a_command(words: Sequence[str]) -> bool:
    """Return whether a command comes after these words, which begin one themselves."""
    runner = last = ""
    for word in words:
        name = word.strip(_QUOTES).rpartition("/")[2] or word
        if name in _RUNNERS or _SHELL.fullmatch(name):
            runner = name
        elif not (_is_setting(word) or (runner and _belongs(word, runner, last))):
            return False
        elif runner == "ssh" and not word.startswith("-") and last not in _HANDS_ON:
            runner = _ITS_HOST
        last = word
    return True


def _behind_exec(part: str) -> str:
    """Return what stands from the last -exec on, before which anything may stand."""
    found = _EXEC.match(part)
    return part[found.start(1) :] if found else part


def _is_setting(word: str) -> bool:
    name, sign, _ = word.partition("=")
    return bool(sign) and name.isidentifier()


def _belongs(word: str, runner: str, last: str) -> bool:
    """Return whether a word is an option of what runs a command, the value of one, a time, or ssh's host."""
    return word.startswith(("-", "<<<")) or word[0].isdigit() or last in _HANDS_ON or runner == "ssh"


def _followed(names: set[str], taken_over: Mapping[str, list[str]]) -> frozenset[str]:
    """Return names, and those whose values they have taken over."""
    waiting, seen = list(names), set(names)
    while waiting:
        fresh = set(taken_over.get(waiting.pop(), ())) - seen
        seen |= fresh
        waiting.extend(fresh)
    return frozenset(seen)


def _texts(value: Any) -> Iterator[str]:
    """Yield the texts of a JSON value; what stands in a list, each a word, is one command."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, Mapping):
            waiting.extend(one.values())
        elif isinstance(one, list | tuple) and all(isinstance(word, str) for word in one):
            yield ("\n" if any(_BLANK.search(word) for word in one) else " ").join(one)
        elif isinstance(one, list | tuple):
            waiting.extend(one)
