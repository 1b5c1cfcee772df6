"""A problem of relay.toml names the line of the value that it is about, wherever that stands."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from relay.config.toml_lines import Lines
from tests.settings import problems_of

ENVIRONMENT = '[environments.x]\nagent_id = "a"\n'
NAMED = ENVIRONMENT + 'name = "n"\n'
RULE = '\n[[policies]]\nname = "production"\ntools = ["Bash"]\n'  # ends with line 4
TRICKY = """# [remark]
title = "a # b" # ]
"quoted key" . 'o.k' = 1
[ slack ] # }
long = \"\"\"
[[policies]]
\\\"\"\" x\"\"\"\"\"
ids = [ "a" , # one
  [ 1, 2 , ], { a.b = 3 , c = [ ] },
  'd'
]
when = 1979-05-27 07:32:00
literal = '''
x]'''''
[[ routes ]]
channel="x"
[routes.sub."k.l"]
y = {}
[[routes]]
[[routes.inner]]
z=1
[[routes.inner]]
z=2
[environments.a]
x=1"""


def _numbers(problems: list[str]) -> list[str]:
    return [problem.split(": ")[1] for problem in problems]


@pytest.mark.parametrize(
    ("toml", "numbers"),
    [
        ('[slack]\ncommand = "/x', [2]),
        ('[slack]\ncommand = """x\n\n', [2]),
        ("[slack]\n[slack]", [2]),
        ("\n\nslak = 1\n[odd]", [3, 4]),
        ("# a remark\nslack = 3", [2]),
        ('[slack]\nallowed_workspaces = [\n  "T0",\n  2, # two\n  3,\n]\nicon = 1', [4, 5, 7]),
        ('[environments]\n\nagent_id = "a"', [3]),
        ('\n[environments.x]\nname = "n"', [2]),
        (NAMED + 'api_key = { flie = "x" }', [4]),
        (NAMED + 'api_key.env = "NOWHERE_KEY"', [4]),
        (NAMED + 'base_url = "x"', [4]),
        (ENVIRONMENT + 'base_url = "ws://h"\napprovals_via = "rest"', [4]),
        ('routes = [{ channel = "C0A" },\n  { chanel = "C0B" }]', [2]),
        ('[[routes]]\n[[routes]]\nconversation = "a"\napprovals = [\n  "thread",\n  "ops",\n]', [6]),
        ('[[routes]]\n[[routes]]\nchannel = "C0A"\nenvironment = "attic"', [4]),
        ('[[routes]]\n[[routes]]\nchannel = "C0A"\n\napprovals = ["C0B"]', [5]),
        ('[listening]\n\nmost = 1\n[[routes]]\nconversation = "a"\n[[routes]]', [3]),
        ("[audit]\n\nretention = 365", [3]),
    ],
)
def test_a_problem_of_the_file_names_the_line_of_the_value(
    tmp_path: Path, toml: str, numbers: list[int]
) -> None:
    assert _numbers(problems_of(tmp_path, toml=toml)) == [f"line {number}" for number in numbers]


@pytest.mark.parametrize(
    ("more", "numbers"),
    [
        ('when.input = { a = "x", b = [1] }', [5]),
        ('[policies.when.input]\na = "x"\n\nb = [1]', [8]),
        ('[policies.when.input]\na = "x"\nb.c = [1]', [7]),
        ('[policies.when.input]\na = "x"\n"b..c" = "x"', [7]),
        ('[policies.when]\nchannel = [\n  "C0A",\n  "ops",\n]', [8]),
        ('[policies.when]\n\nenvironment = "attic"', [7]),
        ('[policies.approvers]\nusers = [\n  "U0A",\n  "ada"]\ngroups = ["S"]', [8, 9]),
        ('facts = [\n  { path = "a", label = "A" },\n  { path = "b", label = "B", above = "x" },\n]', [7]),
        ('facts = [\n  { path = "a", label = "A" },\n  { path = "b" },\n]', [7]),
        ('[[policies.facts]]\npath = "a"\nlabel = "A"\n[[policies.facts]]\npath = "b."\nlabel = "B"', [9]),
        ('remind_after = [ "5m",\n  "soon" ]', [6]),
        ('hours = { from = "9" }', [5]),
        ('[policies.hours]\nzone = "UTC"\nfrom = "9"', [7]),
        ('\nquorum = 3\napprovers.users = ["U0A"]', [6]),
        ('action = "allow"\n\nquorum = 2', [7]),
        ("reason = '''\n[[policies]]\n'''\nqorum = 1", [8]),
        (RULE, [7]),
        ('[[policies]]\nname = "another"', [5]),
    ],
)
def test_a_problem_of_a_rule_names_the_line_of_the_value(
    tmp_path: Path, more: str, numbers: list[int]
) -> None:
    problems = problems_of(tmp_path, toml=f"{RULE}{more}\n")
    assert _numbers(problems) == [f"line {number}" for number in numbers]


def test_of_a_file_that_is_no_text_the_line_is_named(tmp_path: Path) -> None:
    (tmp_path / "relay.toml").write_bytes(b"[slack]\n\ncommand = '\xff'")
    [problem] = problems_of(tmp_path)
    assert problem.startswith("relay.toml: line 3: no valid TOML: ")


def _paths(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, one in items:
        yield (*path, step)
        yield from _paths(one, (*path, step))


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_every_value_of_a_file_has_a_line_and_nothing_else_has(end: str) -> None:
    text = TRICKY.replace("\n", end)
    lines = Lines(text)
    assert lines.found.keys() == set(_paths(tomllib.loads(text)))
    wanted = {
        ("quoted key", "o.k"): 3, ("slack", "long"): 5, ("slack", "ids", 0): 8, ("slack", "ids", 1, 1): 9,
        ("slack", "ids", 2, "a", "b"): 9, ("slack", "ids", 3): 10, ("slack", "when"): 12,
        ("routes", 0, "channel"): 16, ("routes", 0, "sub", "k.l", "y"): 18, ("routes", 1): 19,
        ("routes", 1, "inner", 1, "z"): 23, ("environments", "a", "x"): 25,
    }  # fmt: skip
    assert {path: lines.of(path) for path in wanted} == wanted


def test_what_is_not_there_has_the_line_of_what_would_hold_it() -> None:
    lines = Lines("\n[slack]\n\nx = [1]\n")
    assert [lines.of(path) for path in (("slack", "y"), ("slack", "x", 7), ("other",), ())] == [2, 4, 0, 0]
