"""Where the secrets of a text stand.

Every pattern here and in `secret_patterns` is linear in the text, or bounded: an agent writes it.
And none hides what a shell would carry out: but for what vendors' keys and private keys are made of,
a span holds no character that ends a word's being a word.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator
from functools import lru_cache

from relay.domain.shell_names import NONE, Uses

Span = tuple[int, int, str]

_GOES_ON = re.compile(r"[\w-]*")

_WORDS = (
    r"(?:pass(?:word|wd|phrase|code)|(?<![a-z])pwd|(?<=[_-])pass|secret|token|credentials?"
    r"|(?:api|access|auth|account|private|secret|client|service|signing|encryption|deploy|master|shared)[_-]?key)"
)
_SECRET_WORD = re.compile(rf"{_WORDS}(?=[\\\"'\] \t\n:=])")  # in small letters
# `name = "value"`, `name: value`, `"name": "value"`, `NAME=value`, `--name value`: behind such a name.
_VALUE = re.compile(
    r"(?P<shut>\\?[\"'])?(?P<gap>\]?[ \t]{0,3})"
    r"(?P<sign>:=|=>|[=:](?!=)|[ \n](?=[^\s=:-]))(?P<blank>[ \t]{0,3})"
    r"(?:\\?\"(?P<double>[^\"\\\n]{3,400})\\?\"|\\?'(?P<single>[^'\\\n]{3,400})\\?'"
    r"|(?P<bare>[^\s\"'`$;|&<>(){}\[\],\\=][^\s\"'`$;|&<>(){}\[\],\\=]{2,400}={0,2})(?![\w(\[=]))",
)
_LONGEST = 200  # of words; what goes on for longer is one run of what keys are made of
_ONE_RUN = re.compile(r"[\w.~+/=:%-]{1,4000}")
_ALIAS = re.compile(r"\balias[ \t][^\n;|&]{0,60}\Z")  # a command by another name
_OPTION = re.compile(r"--[\w-]{0,40}\Z")
_VARIABLE = re.compile(r"(?:\A|[^\w.])[A-Z0-9_]{0,60}\Z")
_DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")
_DIGIT, _LETTER = re.compile(r"\d"), re.compile(r"[^\W\d]")
_SHELLS = re.compile(r"[;&|<>(){}`$\"'\r\n]")  # begins, ends or joins commands, or what is quoted

_BEGIN = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----"
    r"|PuTTY-User-Key-File-\d: ?(?:ssh|ecdsa)-[\w-]{1,40}"
)
_END = re.compile(r"(?:\r?\n|\\r\\n|\\n)?[\s+\-]{0,8}-----END [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----")
_NEW_LINE = r"(?:\r?\n|\\r\\n|\\n)[\s+\-]{0,8}"  # in a diff, and in JSON within a text, too
_BREAK = r"(?:\r?\n|\\r\\n|\\n| )[\s+\-]{0,8}"
_HEADERS = r"Proc-Type|DEK-Info|Version|Comment|Hash|Charset|Encryption|P(?:ublic|rivate)-(?:Lines|MAC)"
# A path or a word that stands where a line of a key would is in small letters, and stays in sight.
_KEY_LINE = re.compile(
    rf"(?:{_NEW_LINE}(?:{_HEADERS}): [\w ,./:()-]{{0,80}}"
    rf"|{_BREAK}(?:"
    r"(?=[a-z0-9+/]{0,200}[A-Z])(?=[A-Z0-9+/]{0,200}[a-z])[A-Za-z0-9+/]{20,}={0,2}"
    rf"|[A-Za-z0-9+/]{{1,19}}={{0,2}}(?={_BREAK}(?:-----END |=))|=[A-Za-z0-9+/]{{4}}|))"
    r"(?=\r?\n|\\r|\\n| |\Z)"
)

_NAME = re.compile(rf"{_WORDS}s?", re.IGNORECASE)
_COUNTED = re.compile(r"(?:max|min|num|total|input|output|completion|prompt|count)[a-z_-]*tokens")
_CAPITAL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def names_a_secret(name: object) -> str:
    """Return the kind of secret that stands under a name, empty for a name like any other."""
    words = _CAPITAL.sub("_", str(name)[-100:]).replace(" ", "_").lower()
    if _COUNTED.search(words):
        return ""
    ends = [found.group() for found in _NAME.finditer(words) if found.end() == len(words)]
    if ends:
        return _kind(ends[0])
    return "password" if words in ("pass", "pin") else ""


def may_be_hidden(text: str) -> bool:
    """Return whether a value may be hidden for its name or place alone: a command has no room in it."""
    return _SHELLS.search(text) is None and (len(text) <= _LONGEST or _ONE_RUN.fullmatch(text) is not None)


@lru_cache(maxsize=32)  # a card is laid out again at every change, of the same texts
def spans(text: str, ends: frozenset[int] = frozenset(), names: Uses = NONE) -> tuple[Span, ...]:
    """Return where secrets stand in a text and of which kind, the surest first; they may overlap.

    `ends` are the line breaks between the items of a list: no others part an option from its value.
    `names` tells what is done with names, in this text and in those that it belongs to.
    """
    small = text.translate(_SMALL)
    surest = [*_blocks(text), *_keys(text), *_within(text, small)]
    taken = sorted(surest)
    return (*surest, *(one for one in _assigned(text, small, ends, names) if not _holds(one, taken)))


_SMALL = {capital: capital + 32 for capital in range(ord("A"), ord("Z") + 1)}  # never changes the length


def _holds(span: Span, surer: list[Span]) -> bool:
    """Return whether something surer stands within: the rest of what follows a name is no secret then."""
    at = bisect_left(surer, (span[0], 0, ""))
    return at < len(surer) and surer[at][0] < span[1]


def _keys(text: str) -> Iterator[Span]:
    from relay.domain.secret_patterns import KEYS

    for kind, signs, pattern in KEYS:
        end = 0
        while any(sign in text for sign in signs.split()) and (found := pattern.search(text, end)):
            rest = _GOES_ON.match(text, found.end())
            end = rest.end() if rest else found.end()
            yield found.start(), end, kind


def _within(text: str, small: str) -> Iterator[Span]:
    from relay.domain.secret_patterns import WITHIN

    for kind, signs, pattern in WITHIN:
        if not any(sign in small for sign in signs.split()):
            continue
        quotes = _Quotes(text)
        for found in pattern.finditer(text):
            if found[1] and may_be_hidden(found[1]) and quotes.opens(found.start(1)):
                yield *found.span(1), kind


def _assigned(text: str, small: str, ends: frozenset[int], names: Uses) -> Iterator[Span]:
    end, quotes = 0, _Quotes(text)
    for word in _SECRET_WORD.finditer(small):
        found = _VALUE.match(text, word.end()) if word.start() >= end else None
        if found is None or (found["sign"] == "\n" and found.start("sign") not in ends):
            continue
        group = str(found.lastgroup)
        name = text[word.start() : word.end()]
        before = text[max(0, word.start() - 80) : word.start()]
        if not may_be_hidden(found[group]) or not _is_meant(found, group, name, before):
            continue
        if _ALIAS.search(before) or _is_used(names, before, name, found[group]):
            continue
        if quotes.opens(found.start(group)):
            end = found.end()
            yield *found.span(group), _kind(name)


def _is_used(names: Uses, before: str, name: str, value: str) -> bool:
    """Return whether a value has to be seen for what is done elsewhere with the variable it is set to."""
    begin = len(before)
    while begin and (before[begin - 1].isalnum() or before[begin - 1] == "_"):
        begin -= 1
    return names.shows(before[begin:] + name, value, signed=before[:begin].endswith(("$", "$env:")))


def _is_meant(found: re.Match[str], group: str, name: str, before: str) -> bool:
    """Return whether a value is a value: code and prose use the same words."""
    option = _OPTION.search(before) is not None and not found["shut"]
    if found["sign"] in (" ", "\n"):  # --password VALUE; Docker's --secret says id=… after it
        return option and name.lower() not in ("secret", "credentials")
    alone = found["sign"] == "=" and not found["gap"] and not found["shut"]
    if alone and found["blank"]:  # NAME= COMMAND: a shell runs it
        return False
    if group != "bare":
        return True
    value = found[group]
    if alone and (option or (name.isupper() and _VARIABLE.search(before))):
        return True
    mixed = _DIGIT.search(value) is not None and _LETTER.search(value) is not None
    return len(value) >= 6 and mixed and not _DOTTED.fullmatch(value)


class _Quotes:
    """The quotes on a text's line so far, counted once for all that is asked about, from first to last."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._plain = {"'": 0, '"': 0}
        self._slashed = {"'": 0, '"': 0}

    def opens(self, at: int) -> bool:
        """Return whether a quote right before `at` begins what it quotes, as far as its line tells.

        An even number of the same stand before it. One behind a backslash counts with its like, and
        begins nothing but within what the plain ones quote.
        """
        quote = self._text[at - 1 : at]
        if quote not in self._plain:
            return True
        slashed = self._text[at - 2 : at - 1] == "\\"
        self._count(at - 1 - slashed)
        plain, behind = self._plain[quote] % 2, self._slashed[quote] % 2
        return bool(plain) and not behind if slashed else not plain

    def _count(self, end: int) -> None:
        line = self._text.rfind("\n", self._at, end) + 1
        for quote in self._plain:
            if line:
                self._plain[quote] = self._slashed[quote] = 0
            behind = self._text.count("\\" + quote, line or self._at, end)
            self._slashed[quote] += behind
            self._plain[quote] += self._text.count(quote, line or self._at, end) - behind
        self._at = max(self._at, end)


def _blocks(text: str) -> Iterator[Span]:
    """Yield private keys, whole, in diffs and in texts within JSON too: nothing but what a key is made of."""
    end = 0
    for begin in _BEGIN.finditer(text):
        if begin.start() < end:
            continue
        end = begin.end()
        while line := _KEY_LINE.match(text, end):
            end = line.end()
        over = _END.match(text, end)
        end = over.end() if over else end
        if end > begin.end():
            yield begin.start(), end, "private key"


def _kind(name: str) -> str:
    word = name.lower()
    for part, kind in (("pass", "password"), ("pwd", "password"), ("token", "token"), ("key", "key")):
        if part in word:
            return kind
    return "secret"
