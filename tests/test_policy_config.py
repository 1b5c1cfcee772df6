"""[[policies]] of relay.toml: what they come to, and in plain words what is wrong with them."""

import re
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from relay.config.policies import policy_warnings
from relay.domain.hours import within_hours
from relay.domain.matching import Policy
from relay.domain.rules import EVERYBODY, Action, Ask, Circle, Fact, Hours, Risk, Silence
from tests.settings import config_of, problems_of

HEAD = '[[policies]]\nname = "production"\ntools = ["Bash"]\n'
PEOPLE = (
    "say { users = [user ids], groups = [user group ids], channels = [channel ids], channel_members = true }"
)
DURATION = 'say a number and s, m, h or d, as in "90s", "5m", "2h" or "1d" (at most 365d)'
WHOLE = """
[slack]
command = "/letta"

[[policies]]                     # in line 5
name = "production"
tools = ["Bash", "deploy_*"]
when.channel = "C0123"
when.environment = ["default"]
when.requester = "U0ADA"
when.input = { command = "*prod*", n = 2 }
action = "ask"
approvers.users = ["U0APPROVER", "U0OTHER"]
approvers.groups = ["S0LEADS"]
approvers.channels = ["C0LEADS"]
approvers.channel_members = true
editors = { groups = ["S0EDITORS"] }
quorum = 2
requester_may_approve = true
edit_needs_another = true
expires_after = "30m"
on_silence = "escalate"
remind_after = ["15m", "90s"]
escalate_to = { groups = ["S0ONCALL"], users = ["U0BOSS"] }
hours = { zone = "Europe/Berlin", days = ["mon", "sun"], from = "08:30", to = "18:00" }
risk = "high"
reason = "Production needs two people."
cards = ["C0CARDS", "thread", "dm"]
quick_reasons = ["not now", "too risky"]
facts = [{ path = "amount", label = "Amount", above = 100 }]
"""


def _policy(tmp_path: Path, toml: str, approvers: str = "") -> Policy:
    return config_of(tmp_path, toml=toml, RELAY_APPROVERS=approvers).policy


def _ask(tmp_path: Path, more: str = "", approvers: str = "") -> Ask:
    [rule] = _policy(tmp_path, HEAD + more, approvers).rules
    assert rule.ask is not None
    return rule.ask


def _warnings(tmp_path: Path, toml: str) -> list[str]:
    return list(policy_warnings(_policy(tmp_path, toml)))


def test_a_rule_says_what_it_is_for(tmp_path: Path) -> None:
    [rule] = _policy(tmp_path, WHOLE).rules
    assert (rule.name, rule.number, rule.line) == ("production", 1, 5)
    assert (rule.tools, rule.action, rule.channel_members) == (("Bash", "deploy_*"), Action.ASK, True)
    assert [*rule.channels, *rule.environments] == ["C0123", "default"]
    assert rule.requesters == {"U0ADA"}
    assert rule.input == {"command": "*prod*", "n": "2"}
    assert not rule.channel_edits


def test_a_rule_says_how_people_are_asked(tmp_path: Path) -> None:
    [rule] = _policy(tmp_path, WHOLE).rules
    assert rule.ask == Ask(
        rule="production",
        reason="Production needs two people.",
        approvers=Circle(
            frozenset({"U0APPROVER", "U0OTHER"}), frozenset({"S0LEADS"}), frozenset({"C0LEADS"})
        ),
        editors=Circle(groups=frozenset({"S0EDITORS"})),
        quorum=2,
        requester_may_approve=True,
        edit_needs_another=True,
        risk=Risk.HIGH,
        expires_after=timedelta(minutes=30),
        on_silence=Silence.ESCALATE,
        remind_after=(timedelta(seconds=90), timedelta(minutes=15)),
        escalate_to=Circle(frozenset({"U0BOSS"}), frozenset({"S0ONCALL"})),
        hours=Hours("Europe/Berlin", frozenset({0, 6}), time(8, 30), time(18)),
        cards=("C0CARDS", "thread", "dm"),
        quick_reasons=("not now", "too risky"),
        facts=(Fact("amount", "Amount", 100),),
    )


def test_a_rule_keeps_the_requester_out_unless_it_says_otherwise(tmp_path: Path) -> None:
    assert _ask(tmp_path) == Ask(rule="production", requester_may_approve=False)
    assert _ask(tmp_path, "requester_may_approve = true").requester_may_approve


def test_a_rule_that_names_nobody_means_the_approvers_of_all(tmp_path: Path) -> None:
    assert _ask(tmp_path).approvers == EVERYBODY
    named = Circle(users=frozenset({"U0A", "U0B"}))
    asked = _ask(tmp_path, approvers="U0A,U0B")
    assert (asked.approvers, asked.editors) == (named, named)


def test_who_may_approve_may_edit_unless_editors_are_named(tmp_path: Path) -> None:
    [rule] = _policy(tmp_path, HEAD + "approvers = { channel_members = true }").rules
    assert rule.ask is not None
    assert (rule.ask.approvers, rule.ask.editors) == (Circle(), Circle())
    assert rule.channel_members and rule.channel_edits


def test_a_grant_lasts_as_long_as_the_rule_says(tmp_path: Path) -> None:
    asked = _ask(tmp_path, 'grant_for = "7d"\ngrant_uses = 3')
    assert (asked.grant_for, asked.grant_uses) == (timedelta(days=7), 3)


def test_keys_joined_by_dots_name_nested_values_with_quotes_and_without(tmp_path: Path) -> None:
    more = 'when.input = { options.target = "a", "options.dry" = true, n.m.0 = 1.5 }'
    [rule] = _policy(tmp_path, HEAD + more).rules
    assert rule.input == {"options.target": "a", "options.dry": "true", "n.m.0": "1.5"}


@pytest.mark.parametrize("approvers", ["", "U0A,U0B"])
def test_without_rules_the_approvers_of_all_are_asked_the_requester_too(
    tmp_path: Path, approvers: str
) -> None:
    circle = Circle(users=frozenset({"U0A", "U0B"})) if approvers else EVERYBODY
    assert _policy(tmp_path, "", approvers) == Policy((), Ask(approvers=circle, editors=circle))


def test_where_no_rule_fits_only_the_approvers_of_all_are_asked(tmp_path: Path) -> None:
    named = Circle(users=frozenset({"U0A"}))
    assert _policy(tmp_path, HEAD).default is None
    assert _policy(tmp_path, HEAD, "U0A").default == Ask(approvers=named, editors=named)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("qorum = 2", "qorum is no setting; did you mean quorum?"),
        ('approvers = { user = ["U0A"] }', "approvers.user is no setting; did you mean users?"),
        ("approvers = { x = 1 }", f"approvers: {PEOPLE}"),
        ('approvers = ["U0A"]', f"approvers: {PEOPLE}"),
        ("approvers = {}", "approvers names nobody: say users, groups, channels or channel_members = true"),
        ("editors = { users = [] }", "editors names nobody: say users, groups, channels or channel_members"),
        ('approvers = { users = ["ada"] }', "approvers.users: say a list of user ids, as in"),
        ('approvers = { groups = ["U0A"] }', "approvers.groups: say a list of user group ids, as in"),
        ('approvers = { channels = ["S0A"] }', "approvers.channels: say a list of the ids of channels"),
        ("approvers = { channel_members = 1 }", "approvers.channel_members: say true to count the members"),
        ('action = "alow"', 'action: say "ask", "allow" or "deny"'),
        ('when = { chanel = "C0A" }', "when.chanel is no setting; did you mean channel?"),
        ('when = { channel = "ops" }', 'when.channel: say a channel id, "dm", or a list of them'),
        ('when = { requester = ["ada"] }', "when.requester: say a user id, or a list of them"),
        ('when = { input = "ls" }', "when.input: say which value is like what, as in"),
        ("when = { input = { a = [1] } }", "when.input: say which value is like what, as in"),
        ("when = { input = {} }", "when.input: say which value is like what, as in"),
        ('when = { input = { "a..b" = "x" } }', "when.input: 'a..b' is no path: join keys by single dots"),
        ('when = { environment = "attic" }', "when.environment: no environment 'attic' (known: default)"),
        ("quorum = 11", "quorum: say how many people must approve, from 1 to 10"),
        ("quorum = 0", "quorum: say how many people must approve, from 1 to 10"),
        ('quorum = "2"', "quorum: say how many people must approve, from 1 to 10"),
        (
            'quorum = 3\napprovers = { users = ["U0A", "U0B", "U0A"] }',
            "quorum is 3, and approvers names 2, so that nothing can ever be approved: name more, or say at",
        ),
        ('expires_after = "half an hour"', f"expires_after: {DURATION}"),
        ('expires_after = "0m"', f"expires_after: {DURATION}"),
        ('expires_after = "366d"', f"expires_after: {DURATION}"),
        ("expires_after = 30", f"expires_after: {DURATION}"),
        ('remind_after = ["5 minutes"]', "remind_after: say a list of at most 10 durations, as in"),
        ('remind_after = "5m"', "remind_after: say a list of at most 10 durations, as in"),
        ('on_silence = "deny"', 'on_silence = "deny" needs expires_after: say after how long, as in "30m"'),
        (
            'on_silence = "escalate"\nescalate_to = { users = ["U0A"] }',
            'on_silence = "escalate" needs expires_after',
        ),
        (
            'on_silence = "escalate"\nexpires_after = "5m"',
            'on_silence = "escalate" needs escalate_to: say whom, as in',
        ),
        (
            'on_silence = "escalate"\nexpires_after = "5m"\nescalate_to = {}',
            'on_silence = "escalate" needs escalate_to: say whom, as in',
        ),
        (
            'escalate_to = { users = ["U0A"] }',
            'escalate_to has no effect: write on_silence = "escalate" as well',
        ),
        ('hours = { zone = "Berlin" }', "hours.zone: say a time zone of the IANA list, as in"),
        ('hours = { zone = "../x" }', "hours.zone: say a time zone of the IANA list, as in"),
        ('hours = { days = ["monday"] }', "hours.days: say a list of days, of mon, tue, wed"),
        ('hours = { from = "9" }', 'hours.from: say hours and minutes in quotes, as in "09:00"'),
        ('hours = { form = "09:00" }', "hours.form is no setting; did you mean from?"),
        ('hours = { from = "17:00" }', "hours: from and to are both 17:00: say another time for one of"),
        ('risk = "low"', 'risk: say "normal" or "high"'),
        ('cards = ["ops"]', 'cards: say a list of channel ids, user ids, "thread" and "dm"'),
        ('cards = ["dm"]', 'cards has "dm", and the rule names no user and no group: add approvers.users'),
        (f'quick_reasons = ["{"x" * 76}"]', "quick_reasons: say a list of at most 5 texts of at most 75"),
        ('quick_reasons = ["a", "b", "c", "d", "e", "f"]', "quick_reasons: say a list of at most 5 texts"),
        ('facts = [{ path = "a" }]', "facts.label is missing: say what the card calls it"),
        ('facts = [{ path = "a", labl = "A" }]', "facts.labl is no setting; did you mean label?"),
        ('facts = [{ path = "a.", label = "A" }]', "facts.path: 'a.' is no path: join keys by single dots"),
        ('grant_for = "8d"', 'grant_for: say the longest a grant may last, as in "8h" (at most 7d)'),
        (
            'grant_for = "8h"\nrisk = "high"',
            "grant_for: grants are for quorum = 1 and normal risk alone; take it out",
        ),
        ('grant_for = "8h"\nquorum = 2', "grant_for: grants are for quorum = 1 and normal risk alone"),
        ("suggestions = true\nquorum = 2", "suggestions: they are for quorum = 1 and normal risk alone"),
        ("grant_uses = 3", "grant_uses has no effect without grant_for: say for how long, or take it out"),
        (
            'action = "deny"\nquorum = 2\napprovers = { users = ["U0A", "U0B"] }',
            'approvers, quorum: action = "deny" asks nobody, so it has no effect; take it out, or write',
        ),
        ('action = "allow"\nrisk = "high"', 'risk: action = "allow" asks nobody, so it has no effect'),
    ],
)
def test_a_problem_of_a_rule_names_its_line_and_what_to_write_there(
    tmp_path: Path, more: str, words: str
) -> None:
    [problem] = problems_of(tmp_path, toml=f"\n\n{HEAD}{more}\n")
    assert re.match(rf'relay\.toml: line [678]: policy (1|"production"): {re.escape(words)}', problem)


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        (
            '[[policies]]\ntools = ["Bash"]',
            "line 1: policy 1: name is missing: give each rule a name of its own",
        ),
        ('[[policies]]\nname = "x"', "line 1: policy 1: tools is missing: say a list of tool names"),
        ('[[policies]]\nname = "x"\ntools = []', "line 3: policy 1: tools: say a list of tool names"),
        (
            '[[policies]]\nname = ""\ntools = ["x"]',
            "line 2: policy 1: name: give each rule a name of its own",
        ),
        ("[policies]", "line 1: policies: write [[policies]], with two brackets, above the settings of each"),
        (
            'policies = ["x"]',
            "line 1: policy 1: write [[policies]], with two brackets, above the settings of each",
        ),
        (
            HEAD + HEAD,
            'line 5: policy "production": name is that of the rule in line 1 as well: give each',
        ),
        (
            'policies = [{ name = "x", tools = ["y"], quorum = 0 }]',
            "line 1: policy 1: quorum: say how many people must approve",
        ),
    ],
)
def test_a_rule_needs_a_name_of_its_own_and_tools(tmp_path: Path, toml: str, words: str) -> None:
    [problem] = problems_of(tmp_path, toml=toml)
    assert problem.startswith(f"relay.toml: {words}")


def test_more_approvals_than_relay_approvers_can_give_are_refused(tmp_path: Path) -> None:
    [problem] = problems_of(tmp_path, toml=HEAD + "quorum = 2", RELAY_APPROVERS="U0A")
    assert "quorum is 2, and RELAY_APPROVERS names 1" in problem


@pytest.mark.parametrize("more", ['groups = ["S0A"]', 'channels = ["C0A"]', "channel_members = true"])
def test_of_a_group_or_channel_nobody_knows_how_many_there_are(tmp_path: Path, more: str) -> None:
    assert _ask(tmp_path, f'quorum = 2\napprovers = {{ users = ["U0A"], {more} }}').quorum == 2


def test_every_problem_of_every_rule_is_in_one_message(tmp_path: Path) -> None:
    other = HEAD.replace("production", "other")
    toml = HEAD + 'on_silence = "deny"\ngrant_uses = 3\n' + other + "quorum = 0\n"
    said = [problem.split(": ")[1] for problem in problems_of(tmp_path, toml=toml)]
    assert sorted(said) == ["line 4", "line 5", "line 9"]


def test_a_header_within_a_text_is_no_header(tmp_path: Path) -> None:
    text = 'reason = """\n[[policies]]\n"""\n'
    toml = HEAD + text + HEAD.replace("production", "other").replace("[[policies]]", " [[ policies ]]  # x")
    assert [rule.line for rule in _policy(tmp_path, toml).rules] == [1, 7]


def test_a_rule_that_never_applies_is_told_with_the_one_before_it(tmp_path: Path) -> None:
    narrow = HEAD.replace("production", "narrow") + 'when = { channel = "C0A" }\n'
    assert _warnings(tmp_path, HEAD + narrow) == [
        'policy "narrow" (line 4) can never apply: policy "production" (line 1) takes everything it would'
    ]
    assert _warnings(tmp_path, narrow + HEAD) == []


def test_a_rule_that_allows_any_input_is_told(tmp_path: Path) -> None:
    [said] = _warnings(tmp_path, HEAD + 'action = "allow"')
    assert said.startswith('policy "production" (line 1) allows any input: ')
    assert _warnings(tmp_path, HEAD + 'action = "allow"\nwhen = { input = { command = "ls" } }') == []


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ('expires_after = "5m"\nremind_after = ["5m"]', "remind_after has a reminder that is due when"),
        ("hours = {}", "hours changes nothing without expires_after or remind_after"),
    ],
)
def test_what_a_rule_says_of_silence_in_vain_is_told(tmp_path: Path, more: str, words: str) -> None:
    [said] = _warnings(tmp_path, HEAD + more)
    assert said.startswith(f'policy "production" (line 1): {words}')


@pytest.mark.parametrize("page", ["README.md", "docs/policy.md"])
def test_the_rules_of_the_documentation_are_good(tmp_path: Path, page: str) -> None:
    text = (Path(__file__).parent.parent / page).read_text(encoding="utf-8")
    [toml] = re.findall(r"^```toml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert config_of(tmp_path, toml=toml, RELAY_APPROVERS="U0ADA", WORKSHOP_KEY="sk-2").policy.rules


def test_hours_may_end_before_they_begin_and_go_on_over_midnight(tmp_path: Path) -> None:
    hours = 'hours = { zone = "Europe/Berlin", days = ["mon"], from = "22:00", to = "06:00" }\n'
    night = _ask(tmp_path, f'expires_after = "2h"\n{hours}').hours
    assert night == Hours("Europe/Berlin", frozenset({0}), time(22), time(6))
    berlin = ZoneInfo("Europe/Berlin")
    tuesday = datetime(2026, 6, 2, 5, tzinfo=berlin)  # within Monday's night, of which an hour is left
    assert within_hours(tuesday, timedelta(minutes=30), night) == tuesday + timedelta(minutes=30)
    assert within_hours(tuesday, timedelta(hours=2), night) == datetime(2026, 6, 8, 23, tzinfo=berlin)


@pytest.mark.parametrize(
    ("more", "until"),
    [
        ('from = "18:00", to = "00:00"', datetime(2026, 6, 2, 19, tzinfo=UTC)),
        ('from = "00:00", to = "06:00"', datetime(2026, 6, 2, 2, tzinfo=UTC)),
        ('from = "17:01"', datetime(2026, 6, 2, 1, tzinfo=UTC)),
        ('to = "08:59"', datetime(2026, 6, 2, 1, tzinfo=UTC)),
    ],
)
def test_hours_may_begin_or_end_at_midnight_or_last_nearly_all_day(
    tmp_path: Path, more: str, until: datetime
) -> None:
    hours = _ask(tmp_path, f'expires_after = "2h"\nhours = {{ {more} }}').hours
    assert within_hours(datetime(2026, 6, 1, 23, tzinfo=UTC), timedelta(hours=2), hours) == until


def test_a_rule_may_let_its_approvers_take_up_what_the_environment_suggests(tmp_path: Path) -> None:
    assert _ask(tmp_path, "suggestions = true").suggestions
