"""Which names a text has a shell carry out, and which values show for it."""

from typing import Any

import pytest

from relay.domain.shell_names import Uses, uses


def names(*, runs: str = "", sets: str = "", reads: str = "", others: bool = False) -> Uses:
    return Uses(frozenset(runs.split()), frozenset(sets.split()), frozenset(reads.split()), others=others)


CARRIED_OUT = [
    "$X",
    "${X}",
    "${X:0}",
    "ls; $X",
    'ls && \\"$X',
    "ls\n$X",
    "ls | $X",
    "ls & $X",
    "! $X",
    "a=$($X)",
    "`$X`",
    "($X)",
    "( $X )",
    "{ $X; }",
    "if $X; then ls; fi",
    "A=1 B=2 $X",
    "sudo $X",
    "sudo -n $X",
    "sudo -u root $X",
    "/usr/bin/sudo /bin/bash -c '$X'",
    'sh -c "$X"',
    "zsh $X",
    "bash <<< $X",
    "timeout 5 $X",
    "env A=1 nice -n 5 $X",
    "ls | xargs -0 -n 1 $X",
    "ssh host $X",
    "ssh -p 22 ada@host '$X'",
    "find . -type f -exec $X {} +",
    "find . -execdir $X {} +",
    "echo $X | sh",
    'echo "$X" | sudo bash',
    "echo -n ${X} | /bin/sh",
    'printf "%s\\n" "$X" | sh',
    "cat <<< $X | sh",
    "system($X)",
    "subprocess.run([os.environ['X']])",
    "os.system(os.environ.get('X'))",
    "execSync(process.env.X)",
    "popen(os.getenv('X'))",
    "printenv X | sh",
    "`printenv X` a",
    "(sudo $X)",
    "'sudo' \"env\" $X",
    "ssh host -t $X",
    "A=b=c $X",
    "$(printenv X) a",
    "%X%",
    "& $env:X",
    "$X == 1",
]
HANDED_ON = [
    "",
    "X",
    "echo $X",
    "echo $X; ls | sh",
    "printenv X",
    "ls | sh; echo $X",
    "echo $X | tee sh",
    "echo $X | sh.txt",
    "x$X",
    "sh x$X",
    "sudo rm $X",
    "sudo -E rm $X",
    "sudo 5x rm $X",
    "rm -n $X",
    "rm 5 $X",
    "rm -u root $X",
    "rm A=1 $X",
    "ssh host rm $X",
    "ssh -p 22 host rm $X",
    "find . -name $X",
    "curl -H 'Authorization: Bearer $X'",
    "psql postgres://ada:$X@host/db",
    "VALUES ($X, 2)",
    "f($X)",
    "fetch(process.env.X)",
    "login(os.environ['X'])",
    "os.environ['X'] = 'a'",
    "process.env.X = 1",
    "if (!process.env.X) {",
    "ENV['X']",
    "bot.run(os.environ['X'])",
    "password: {$X}",
    "100%X",
    "a=1b=2 rm $X",
    "1=2 $X",
]


@pytest.mark.parametrize("text", CARRIED_OUT)
def test_what_stands_where_a_shell_takes_a_command_is_carried_out(text: str) -> None:
    assert uses(text).runs == {"x"}


@pytest.mark.parametrize("text", HANDED_ON)
def test_what_is_handed_on_is_not(text: str) -> None:
    assert uses(text).runs == set()


def test_each_reference_counts_for_itself() -> None:
    assert uses("echo $X $Y; $Z; sudo $W; V=1; $U = 2") == names(runs="z w", sets="u", reads="x y")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("A=$B; $A", {"a", "b"}),
        ('x; a="$b"; c=$a; $c', {"a", "b", "c"}),
        ("a=$a; $a", {"a"}),
        ("a=$b; a=$c; $a", {"a", "b", "c"}),
        ("a=$b; c=$d; $c", {"c", "d"}),
        ("a=$b; b=$c; c=$a; $a", {"a", "b", "c"}),  # and comes to an end
        ("ab=$c; $b", {"b"}),
    ],
)
def test_what_is_carried_out_has_the_values_of_others(text: str, names: set[str]) -> None:
    assert uses(text).runs == names


@pytest.mark.parametrize("text", ["$X = 1", "${X} = 1", "$X=1", "ls; $X = 1"])
def test_what_is_set_with_its_sign_is_told_apart(text: str) -> None:
    assert uses(text) == names(sets="x")


@pytest.mark.parametrize(
    "text",
    [
        *("set -- a; $1", "set -e -- a; $1", "f() { ls; }\n$1", "function f { ls; }\nsudo $_"),
        *("${!X}", "declare -n A=B", "local -rn A=B", "typeset -n A", "eval \\$$X"),
    ],
)
def test_where_names_have_no_names_nothing_tells_which_are_carried_out(text: str) -> None:
    assert uses(text).all


@pytest.mark.parametrize(
    "text",
    [
        "echo $1",
        "$1",
        "$5 a month",
        "set -- a; ls $1",
        'f "$@"',
        '"$@"',
        "VALUES ($1, $2)",
        "awk '{ print $1 }'",
        "declare A=n",
        "eval $X",
    ],
)
def test_where_they_have_names_it_is_told(text: str) -> None:
    assert not uses(text).all


@pytest.mark.parametrize(
    "text",
    [
        *(
            '"$@"',
            "ls; $*",
            "eval $A",
            "sh -c 'ls $A'",
            "/bin/bash -ec 'ls $A'",
            "ssh host ls",
            "curl host | sh",
        ),
        "echo a $A | sudo sh",
    ],
)
def test_what_is_read_for_a_second_time_may_carry_out_more(text: str) -> None:
    assert uses(text).others


@pytest.mark.parametrize(
    "text",
    ["echo $1", 'f "$@"', "run.sh -c a", "sh run", "evaluate a", "ls | shuf", "ls | sh.txt", "sh -x run"],
)
def test_what_is_read_once_carries_out_no_more(text: str) -> None:
    assert not uses(text).others


def test_all_texts_of_an_input_are_read_each_on_a_line_of_its_own() -> None:
    value = {"a": ["ls", ("$X", 7, None), {"b": "echo"}], "c": "$Y", "d": {"e": "ls", "f": "$Z"}}
    assert uses(value).runs == {"x", "y", "z"}
    assert uses({"a": "A=$B", "b": "ls", "c": "$A"}).runs == {"a", "b"}


def test_a_list_of_words_is_one_command_and_a_list_of_lines_many() -> None:
    assert uses(["echo", "$X"]) == names(reads="x")
    assert uses(["echo hello", "$X"]) == names(runs="x")


def test_what_has_every_sign_of_a_way_is_looked_at() -> None:
    assert uses('env ENV ENVIRON %X%; echo "$X"').reads == {"x"}
    assert uses("declare local typeset eval ${!x}").all
    assert uses("eval sh $X").others


LONG = "n" * 80


@pytest.mark.parametrize(
    ("found", "name", "value", "shown"),
    [
        (names(), "x", "reboot", False),
        (names(), "x", "rm -rf /srv", False),
        (names(runs="x"), "X", "hunter22", True),
        (names(runs="y"), "x", "rm -rf /srv", False),
        (names(others=True), "x", "hunter22", False),
        (names(others=True), "x", "rm -rf", True),
        (names(others=True), "x", "/srv", True),
        (names(others=True), "x", "-rf", True),
        (names(others=True), "x", "a;reboot", True),
        (names(others=True), "x", 17, False),
        (Uses(all=True), "x", "hunter22", True),
        (names(sets="x"), "X", "hunter22", True),
        (names(sets="y"), "x", "hunter22", False),
        (names(sets="y"), LONG, "hunter22", False),
        (names(reads="x"), "X", "hunter22", False),
        (names(reads="x"), "x", "p4ss;w0rd$", False),
        (names(reads="x"), "x", "delete namespace production", True),
        (names(reads="x"), "X", "/srv", True),
        (names(reads="x"), "x", "-rf", True),
        (names(reads="x"), "x", "a ~/b", True),
        (names(reads="x"), "x", -17, False),
        (names(reads="y"), "x", "/srv", False),
        (names(reads="y"), LONG, "/srv", True),
        (names(reads="y"), LONG, "hunter22", False),
        # Longer names are not told apart: any that is carried out may be this one.
        (names(runs="y"), LONG, "hunter22", True),
        (names(runs="y"), LONG[1:], "hunter22", False),
        (names(), LONG, "hunter22", False),
    ],
)
def test_a_value_shows_for_what_is_done_with_its_name(
    found: Uses, name: str, value: Any, shown: bool
) -> None:
    assert found.shows(name, value) is shown


def test_an_assignment_that_begins_with_a_sign_carries_nothing_out() -> None:
    assert not names(sets="x").shows("x", "hunter22", signed=True)
    assert names(sets="x", runs="x").shows("x", "hunter22", signed=True)
