"""Where the secrets of a text stand: vendors' keys as detect-secrets knows them, passwords as people write.

Every pattern here and every one taken over is linear in the text, or bounded: an agent writes it.
And none hides what a shell would carry out: but for what vendors' keys and private keys are made of,
a span holds no character that ends a word's being a word.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator
from functools import lru_cache

from detect_secrets.plugins.aws import AWSKeyDetector
from detect_secrets.plugins.basic_auth import BasicAuthDetector
from detect_secrets.plugins.discord import DiscordBotTokenDetector
from detect_secrets.plugins.github_token import GitHubTokenDetector
from detect_secrets.plugins.mailchimp import MailchimpDetector
from detect_secrets.plugins.npm import NpmDetector
from detect_secrets.plugins.sendgrid import SendGridDetector
from detect_secrets.plugins.slack import SlackDetector
from detect_secrets.plugins.square_oauth import SquareOAuthDetector
from detect_secrets.plugins.stripe import StripeDetector
from detect_secrets.plugins.twilio import TwilioKeyDetector

Span = tuple[int, int, str]

# A kind, what a text has without which there is none of it, and what one looks like. By whole match:
# what a key is made of goes on for as long as its characters do.
_KEYS = (
    ("AWS key", "AKIA ASIA ABIA ACCA A3T", AWSKeyDetector.denylist[0]),
    ("GitHub token", "ghp_ gho_ ghu_ ghs_ ghr_", GitHubTokenDetector.denylist[0]),
    ("Slack token", "xox XOX", SlackDetector.denylist[0]),
    ("Slack webhook", "hooks.slack.com", SlackDetector.denylist[1]),
    ("Stripe key", "k_live_", StripeDetector.denylist[0]),
    ("npm token", "npm_", re.compile(r"npm_[A-Za-z0-9]{36}")),
    ("SendGrid key", "SG.", SendGridDetector.denylist[0]),
    ("Square secret", "sq0csp-", SquareOAuthDetector.denylist[0]),
    ("Twilio key", "SK", TwilioKeyDetector.denylist[1]),
    ("Mailchimp key", "-us", MailchimpDetector.denylist[0]),
    # What detect-secrets does not know, or knows only in old forms.
    ("GitHub token", "github_pat_", re.compile(r"github_pat_\w{30,}")),
    ("GitLab token", "gl", re.compile(r"\bgl(?:pat|oas|ptt|dt|rt|cbt|ft|soat|agent|imt)-[\w-]{20,}")),
    ("Slack token", "xox xapp-", re.compile(r"\bx(?:ox[a-z]|app)-[\w.-]{20,}")),
    ("Stripe key", "k_live_ k_test_ whsec_", re.compile(r"\b(?:[rs]k_(?:live|test)|whsec)_\w{20,}")),
    ("JSON web token", "eyJ", re.compile(r"(?<![\w-])eyJ[\w-]{10,}(?:\.[\w-]*){2,4}")),
    ("Anthropic key", "sk-ant-", re.compile(r"\bsk-ant-[\w-]{20,}")),
    ("Letta key", "sk-let-", re.compile(r"\bsk-let-[\w-]{20,}")),
    ("OpenAI key", "sk-", re.compile(r"\bsk-(?!ant-|let-)(?:proj-|svcacct-|admin-)?\w[\w-]{30,}")),
    ("Google key", "AIza", re.compile(r"AIza[\w-]{35}")),
    ("Google secret", "GOCSPX- ya29.", re.compile(r"\b(?:GOCSPX-[\w-]{20,}|ya29\.[\w-]{20,})")),
    ("PyPI token", "pypi-AgE", re.compile(r"pypi-AgE[\w-]{30,}")),
    ("Hugging Face token", "hf_", re.compile(r"\bhf_[A-Za-z]{30,}")),
    ("DigitalOcean token", "_v1_", re.compile(r"\bdo[opr]_v1_[0-9a-f]{64}")),
    ("Telegram token", ":AA", re.compile(r"\b\d{8,10}:AA[\w-]{33}(?![\w-])")),
    ("Azure key", "AccountKey=", re.compile(r"(?<=AccountKey=)[A-Za-z0-9+/]{86}==")),
    ("age key", "AGE-SECRET-KEY-", re.compile(r"AGE-SECRET-KEY-1[0-9A-Z]{58}")),
    ("Discord token", ".", DiscordBotTokenDetector.denylist[0]),
)
_GOES_ON = re.compile(r"[\w-]*")
# What people write after an option, as far as it is one word to a shell.
_ONE_WORD = r"[^\s;&|<>(){}`$\"']{3,200}"
# By group: what stands around them tells what they are. Looked for in any case where the word is small.
_WITHIN = (
    ("AWS key", "aws", AWSKeyDetector.denylist[1]),
    ("npm token", "_authtoken npm", NpmDetector.denylist[0]),
    ("password", "://", BasicAuthDetector.denylist[0]),
    (
        "credentials",
        "authorization",
        re.compile(
            r"authorization[\"']?[ \t]{0,3}[:=][ \t]{0,3}[\"']?(?:bearer|token|basic|apikey)[ \t]{1,3}"
            r"([\w.~+/=-]{8,})",
            re.IGNORECASE,
        ),
    ),
    ("credentials", "bearer", re.compile(r"Bearer ([\w.~+/=-]{20,})")),
    (
        "password",
        "curl",
        re.compile(
            rf"curl\b[^\n|;&]{{0,160}}?\s(?:-u|--user)[ \t=]{{0,2}}[\"']?[^\s:\"'$]{{1,80}}:({_ONE_WORD})"
        ),
    ),
    ("password", "sshpass", re.compile(rf"sshpass[ \t]{{1,3}}-p[ \t]{{0,3}}[\"']?({_ONE_WORD})")),
    ("password", "mysql", re.compile(rf"mysql\w{{0,10}}\b[^\n|;&]{{0,160}}?\s-p({_ONE_WORD})")),
    (
        "password",
        "docker login",
        re.compile(rf"docker login\b[^\n|;&]{{0,160}}?\s-p[ \t]{{0,3}}[\"']?({_ONE_WORD})"),
    ),
    (
        "password",
        "password identified",
        re.compile(r"\b(?:password|identified by)[ \t]{1,3}'([^'\n]{3,200})'", re.IGNORECASE),
    ),
)

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
def spans(text: str, ends: frozenset[int] = frozenset()) -> tuple[Span, ...]:
    """Return where secrets stand in a text and of which kind, the surest first; they may overlap.

    `ends` are the line breaks between the items of a list: no others part an option from its value.
    """
    small = text.translate(_SMALL)
    surest = [*_blocks(text), *_keys(text, small)]
    taken = sorted(surest)
    return (*surest, *(one for one in _assigned(text, small, ends) if not _holds(one, taken)))


_SMALL = {capital: capital + 32 for capital in range(ord("A"), ord("Z") + 1)}  # never changes the length


def _holds(span: Span, surer: list[Span]) -> bool:
    """Return whether something surer stands within: the rest of what follows a name is no secret then."""
    at = bisect_left(surer, (span[0], 0, ""))
    return at < len(surer) and surer[at][0] < span[1]


def _keys(text: str, small: str) -> Iterator[Span]:
    for kind, signs, pattern in _KEYS:
        end = 0
        while any(sign in text for sign in signs.split()) and (found := pattern.search(text, end)):
            rest = _GOES_ON.match(text, found.end())
            end = rest.end() if rest else found.end()
            yield found.start(), end, kind
    for kind, signs, pattern in _WITHIN:
        if not any(sign in small for sign in signs.split()):
            continue
        quotes = _Quotes(text)
        for found in pattern.finditer(text):
            if found[1] and may_be_hidden(found[1]) and quotes.opens(found.start(1)):
                yield *found.span(1), kind


def _assigned(text: str, small: str, ends: frozenset[int]) -> Iterator[Span]:
    end, quotes = 0, _Quotes(text)
    for word in _SECRET_WORD.finditer(small):
        found = _VALUE.match(text, word.end()) if word.start() >= end else None
        if found is None or (found["sign"] == "\n" and found.start("sign") not in ends):
            continue
        group = found.lastgroup or "bare"
        name = text[word.start() : word.end()]
        before = text[max(0, word.start() - 80) : word.start()]
        if not may_be_hidden(found[group]) or not _is_meant(found, group, name, before):
            continue
        if group == "bare" or quotes.opens(found.start(group)):
            end = found.end()
            yield *found.span(group), _kind(name)


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
