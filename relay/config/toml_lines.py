"""In which line of a TOML file each value stands: the parser of the standard library does not tell."""

import re
import tomllib
from bisect import bisect_right
from collections.abc import Iterable

Path = tuple[str | int, ...]
_BLANK = re.compile(r"(?:[ \t\n]+|#[^\n]*)*+")
_DOT = re.compile(r"[ \t]*\.[ \t]*")
_KEY = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'""")
_TEXT = re.compile(r"\"\"\"(?:[^\\]|\\.)*?\"{3,5}|'''.*?'{3,5}|\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*'", re.DOTALL)
_BARE = re.compile(r"[^,\]}#\n]*")


class Lines:
    """The line of each table, key and item of a file; of what is not there, that of what holds it."""

    def __init__(self, text: str = "") -> None:
        """Find them in `text`, which must be valid TOML."""
        self.found: dict[Path, int] = {}
        _Walk(text, self.found).file()

    def of(self, path: Iterable[object]) -> int:
        """Return the line of the last step of `path` that is there, or 0."""
        line, known = 0, Path()
        for step in path:
            known = (*known, step) if isinstance(step, str | int) else known
            if known not in self.found:
                break
            line = self.found[known]
        return line


class _Walk:
    """One way through a text, from its first letter to the last."""

    def __init__(self, text: str, found: dict[Path, int]) -> None:
        self._text = text.replace("\r\n", "\n")
        self._at = 0
        self._breaks = [place.start() for place in re.finditer("\n", self._text)]
        self._found = found
        self._last: dict[Path, int] = {}  # of each array of tables, the one that is being written

    def file(self) -> None:
        """Note every line."""
        table: Path = ()
        while self._more():
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)

    def _header(self) -> Path:
        """Go past a header; return the table whose settings stand under it."""
        brackets, start, path = 2 if self._text.startswith("[[", self._at) else 1, self._at, Path()
        self._at += brackets
        self._more()
        *above, last = self._keys()
        for key in above:
            path = (*path, key)
            self._note(path, start)
            path = (*path, self._last[path]) if path in self._last else path
        path = (*path, last)
        self._note(path, start)
        if brackets == 2:
            self._last[path] = self._last.get(path, -1) + 1
            path = (*path, self._last[path])
            self._note(path, start)
        self._more()
        self._at += brackets
        return path

    def _pair(self, table: Path) -> None:
        path, start = table, self._at
        for key in self._keys():
            path = (*path, key)
            self._note(path, start)
        self._more()
        self._at += 1  # the equals sign
        self._more()
        self._value(path)

    def _value(self, path: Path) -> None:
        match self._text[self._at]:
            case "[":
                self._array(path)
            case "{":
                self._inline(path)
            case '"' | "'":
                self._take(_TEXT)
            case _:
                self._take(_BARE)

    def _array(self, path: Path) -> None:
        number = 0
        while self._another("]"):
            self._note((*path, number), self._at)
            self._value((*path, number))
            number += 1

    def _inline(self, path: Path) -> None:
        while self._another("}"):
            self._pair(path)

    def _another(self, end: str) -> bool:
        """Go past a bracket or comma; return whether another item follows, or else go past the `end`."""
        self._more()
        if self._text[self._at] != end:
            self._at += 1
            self._more()
        if self._text[self._at] != end:
            return True
        self._at += 1
        return False

    def _keys(self) -> list[str]:
        keys = [self._key()]
        while self._take(_DOT):
            keys.append(self._key())
        return keys

    def _key(self) -> str:
        written = self._take(_KEY)
        return tomllib.loads(f"it = {written}")["it"] if written[0] in "\"'" else written

    def _more(self) -> bool:
        """Go past blanks and remarks; return whether anything follows."""
        self._take(_BLANK)
        return self._at < len(self._text)

    def _take(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._at)
        self._at = found.end() if found else self._at
        return found[0] if found else ""

    def _note(self, path: Path, place: int) -> None:
        self._found.setdefault(path, bisect_right(self._breaks, place) + 1)
