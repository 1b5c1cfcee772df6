"""Where secrets stand in a text: which spans they take, and by what a value is told from code and prose."""

import random
import string
from itertools import combinations, product

import pytest

from relay.domain.secret_kinds import _Quotes, may_be_hidden, names_a_secret, spans
from relay.domain.shell_names import Uses, uses

_RANDOM = random.Random(11)  # what looks like a key is made here, so that no scanner of ours finds one


def key(length: int) -> str:
    return "".join(_RANDOM.choice(string.ascii_letters + string.digits) for _ in range(length))


GITHUB = "ghp_" + key(36)
BEGIN, END = "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----"
LINE = "aB" + key(62)
BLOCK = f"{BEGIN}\n{LINE}\n{END}"


def found(text: str, *breaks: int) -> list[tuple[str, str]]:
    """Return the secrets of a text with their kinds, the surest first."""
    at = spans(text, frozenset(breaks), uses(text))
    return [(text[begin:end], kind) for begin, end, kind in at]


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        # An option takes a word behind a blank; a variable and an option take any behind a sign.
        ("--token abc", "abc"),
        ("x --db-token abc", "abc"),
        ("my token abc", ""),
        ("-token abc", ""),
        ('"--token" hunter22', ""),
        ("--token=abc", "abc"),
        ("--token= abc", ""),
        ("--token: abc", ""),
        ("--secret abc", ""),
        ("--Secret abc", ""),
        ("--credentials abc", ""),
        ("--client-secret=abc", "abc"),
        ("--token =abc", ""),
        ('"--token"=abc', ""),
        ("TOKEN=abc", "abc"),
        ("A_1_TOKEN=abc", "abc"),
        ("xTOKEN=abc", ""),
        (".TOKEN=abc", ""),
        ("x.TOKEN=abc", ""),
        ("Token=abc", ""),
        ("token=abc", ""),
        ("TOKEN= 'abc'", ""),
        ("TOKEN = 'abc'", "abc"),
        ("TOKEN =abc", ""),
        ("TOKEN:abc", ""),
        ("TOKEN: 'abc'", "abc"),
        ('"token": "abc"', "abc"),
        ('"TOKEN"=abc', ""),
        ('"TOKEN"= "abc"', "abc"),
        # In code and prose a value has six characters, digits and letters, and is no path of names.
        ("token: abcd1", ""),
        ("token: abcde1", "abcde1"),
        ("token: abcdef", ""),
        ("token: 123456", ""),
        ("token: abc.de1", ""),
        ("token: 1abc.de", "1abc.de"),
        ("token: abc.de1-", "abc.de1-"),
        ("password: äöüß12", "äöüß12"),
        # By the words before it.
        ("alias TOKEN=abc", ""),
        ("alias x=y; TOKEN=abc", "abc"),
        ("TOKEN=abc; alias x", "abc"),
        ("aTOKEN=/srv; ls $TOKEN", ""),
        ("B_TOKEN=/srv; ls $A_TOKEN", "/srv"),
        ("A_TOKEN=/srv; ls $A_TOKEN", ""),
        ("Ä1_TOKEN='/a b'; ls $Ä1_TOKEN", ""),
        ("Ä1_TOKEN='/a b'; ls $A1_TOKEN", "/a b"),
        ("1_TOKEN='/a b'; ls $TOKEN", "/a b"),
        ("x-TOKEN='/a b'; ls $TOKEN", ""),
        ("$token = 'reboot'", "reboot"),
        ("$a_token = 'reboot'", "reboot"),
        ("x $token = 'reboot'", "reboot"),
        ("$token = 1\ntoken = 'reboot'", ""),
        # Quotes that open and quotes that close.
        ("token: 'a b'", "a b"),
        ("'token: 'a b'", ""),
        ('token: "a b"', "a b"),
        ('"token: "a b"', ""),
        ("it's token: 'a b'", ""),
        ("it's\ntoken: 'a b'", "a b"),
    ],
)  # fmt: skip
def test_what_is_a_value_and_what_only_stands_behind_a_name(text: str, secret: str) -> None:
    assert [one for one, _ in found(text)] == ([secret] if secret else [])


@pytest.mark.parametrize(
    ("text", "secrets"),
    [
        ("token x; token: 'a b'", ["a b"]),
        ("token: 'a;b' token: 'a b'", ["a b"]),
        ("token: abc token: 'a b'", ["a b"]),
        ("alias TOKEN=abc\nTOKEN=def", ["def"]),
        ("TOKEN=abc A_TOKEN=def", ["abc", "def"]),
        ("token='a b'token='c d'", ["a b", "c d"]),
        ("token='a token: bcdef1'", ["a token: bcdef1"]),
        ("'token: 'a b' token: 'c d'\ntoken: 'e f'", ["e f"]),
    ],
)
def test_behind_one_value_and_behind_what_is_none_others_are_found(text: str, secrets: list[str]) -> None:
    assert [one for one, _ in found(text)] == secrets


def test_an_option_is_parted_from_its_value_by_a_new_item_alone() -> None:
    text = "--token\nabc\n--token\ndef"
    assert found(text) == []
    assert found(text, 19) == [("def", "token")]
    assert found(text, 7, 19) == [("abc", "token"), ("def", "token")]


@pytest.mark.parametrize("before", [79, 80, 81, 200])
def test_a_name_is_told_by_what_stands_close_before_it(before: int) -> None:
    assert found("x" * before + " TOKEN=abc") == [("abc", "token")]
    assert found("x" * before + "TOKEN=abc") == []
    assert found("alias " + "x" * before + " TOKEN=abc") == [("abc", "token")]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("password", "password"), ("passwd", "password"), ("PASSPHRASE", "password"),
        ("passcode", "password"), ("db_pass", "password"), ("PWD", "password"), ("pass", "password"),
        ("Pin", "password"), ("token", "token"), ("Token", "token"), ("tokens", "token"),
        ("secret", "secret"), ("Credentials", "secret"), ("api_key", "key"), ("access-key", "key"),
        ("apiKey", "key"), ("api key", "key"),
        ("secret token", "token"), ("token secret", "secret"), ("", ""), ("pins", ""),
        ("token name", ""), ("maxTokens", ""), ("count of tokens", ""),
        ("token" + "x" * 95, ""), ("x" * 99 + "token", "token"),
        ("max" + "x" * 92 + "tokens", "token"), ("max" + "x" * 91 + "tokens", ""),
    ],
)  # fmt: skip
def test_the_last_words_of_a_name_tell_what_stands_under_it(name: str, kind: str) -> None:
    assert names_a_secret(name) == kind


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("", True),
        ("a b", True),
        ("a;b", False),
        ("a " * 100, True),
        ("a " * 100 + "a", False),
        ("a" * 201, True),
        ("a" * 4_000, True),
        ("a" * 4_001, False),
        ("a" * 201 + "$", False),
    ],
)
def test_a_command_has_no_room_in_what_may_be_hidden(text: str, hidden: bool) -> None:
    assert may_be_hidden(text) is hidden


@pytest.mark.parametrize(
    ("text", "secrets"),
    [
        (GITHUB, [(GITHUB, "GitHub token")]),
        (f"{GITHUB}-and_more! x", [(f"{GITHUB}-and_more", "GitHub token")]),
        (f"{GITHUB} {GITHUB[::-1]} {GITHUB}", 2 * [(GITHUB, "GitHub token")]),
        (f"{GITHUB}{GITHUB}", [(GITHUB + GITHUB, "GitHub token")]),
        (f"ghp_ {GITHUB}", [(GITHUB, "GitHub token")]),
        (f"x glpat-{GITHUB[:24]} {GITHUB}", [
            (GITHUB, "GitHub token"), (f"glpat-{GITHUB[:24]}", "GitLab token"),
        ]),
    ],
)  # fmt: skip
def test_a_vendor_s_key_is_taken_for_as_long_as_it_goes_on(text: str, secrets: list[tuple[str, str]]) -> None:
    assert found(text) == secrets


@pytest.mark.parametrize(
    ("text", "secrets"),
    [
        ("sshpass -p abc x", [("abc", "password")]),
        ("SSHPASS -p abc x", []),
        ("sshpass -p 'abc' x", [("abc", "password")]),
        ("'sshpass -p 'abc' x", []),
        ("sshpass -p abc; sshpass -p def", [("abc", "password"), ("def", "password")]),
        ("'sshpass -p 'abc' x\nsshpass -p 'def'", [("def", "password")]),
        ("identified by 'abc'", [("abc", "password")]),
        ("identified by 'a;c' identified by 'abc'", [("abc", "password")]),
        ("Authorization: Bearer abcdefgh1", [("abcdefgh1", "credentials")]),
        ("mysql -u root -pabc", [("abc", "password")]),
        ("curl -u ab:cde", [("cde", "password")]),
        ("curl -u ab:cde sshpass -p abc", [("cde", "password"), ("abc", "password")]),
    ],
)
def test_what_stands_around_a_secret_tells_it(text: str, secrets: list[tuple[str, str]]) -> None:
    assert found(text) == secrets


def test_where_nothing_tells_what_is_carried_out_nothing_is_hidden_for_its_name() -> None:
    text = f"sshpass -p abc TOKEN=abc {GITHUB}"
    assert [text[begin:end] for begin, end, _ in spans(text, names=Uses(all=True))] == [GITHUB, "abc"]


@pytest.mark.parametrize(
    ("text", "secrets"),
    [
        # What stands beside the key in the value of a name is no secret for its name.
        (f"TOKEN={GITHUB}", [GITHUB]),
        (f"TOKEN=x-{GITHUB}", [GITHUB]),
        (f"token='x {GITHUB} y'", [GITHUB]),
        (f"{GITHUB} TOKEN=abc", [GITHUB, "abc"]),
        (f"TOKEN=abc {GITHUB}", [GITHUB, "abc"]),
        (f"{GITHUB} TOKEN=abc {GITHUB}", [GITHUB, GITHUB, "abc"]),
        (f"{BLOCK}\nTOKEN=x-{GITHUB}", [BLOCK, GITHUB]),
        (f"TOKEN={'a' * 401}{BLOCK}", [BLOCK, "a" * 401]),
    ],
)
def test_a_key_in_what_a_name_stands_for_is_surer(text: str, secrets: list[str]) -> None:
    assert [one for one, _ in found(text)] == secrets


@pytest.mark.parametrize(
    ("text", "secrets"),
    [
        (BLOCK, [BLOCK]),
        (BEGIN, []),
        (f"{BEGIN}{END}", [f"{BEGIN}{END}"]),
        (f"{BEGIN} x {BLOCK}", [BLOCK]),
        (f"{BLOCK}{BLOCK}", [BLOCK, BLOCK]),
        (f"x{BLOCK}\nx\n{BLOCK}x", [BLOCK, BLOCK]),
        (f"{BEGIN}\n{LINE}\n{LINE}", [f"{BEGIN}\n{LINE}\n{LINE}"]),
        (f"{BEGIN}\n{LINE}\nreboot now", [f"{BEGIN}\n{LINE}"]),
        # One that begins within another is a part of it.
        (f"{BEGIN}\nComment: {BEGIN}\n{LINE}\n{END}", [f"{BEGIN}\nComment: {BEGIN}\n{LINE}\n{END}"]),
        (f"{BEGIN}\nComment: {BLOCK}\n{BLOCK}", [f"{BEGIN}\nComment: {BLOCK}", BLOCK]),
    ],
)
def test_a_private_key_is_taken_whole_and_nothing_behind_it(text: str, secrets: list[str]) -> None:
    assert found(text) == [(one, "private key") for one in secrets]


def opens(text: str, at: int) -> bool:
    """Return what `_Quotes.opens` promises, counted anew for each place."""
    quote = text[at - 1 : at] if at else ""
    if quote not in ("'", '"'):
        return True
    line = text[: at - 1].rpartition("\n")[2]
    slashed = line.endswith("\\")
    line = line.removesuffix("\\")
    behind = line.count("\\" + quote)
    plain = line.count(quote) - behind
    return plain % 2 == 1 and behind % 2 == 0 if slashed else plain % 2 == 0


@pytest.mark.parametrize("quote", ["'", '"'])
@pytest.mark.parametrize("before", ["", "{}\\{}", "\\{}{}\n"])
def test_quotes_counted_once_are_as_if_they_were_counted_at_every_place(quote: str, before: str) -> None:
    other = '"' if quote == "'" else "'"
    for piece in product((quote, "\\", "\n", other), repeat=4):
        text = before.format(quote, quote) + "".join(piece) + quote + "\n" + quote
        for places in combinations(range(len(text) + 1), 2):
            quotes = _Quotes(text)
            assert [quotes.opens(at) for at in places] == [opens(text, at) for at in places], (text, places)
