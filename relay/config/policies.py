"""The policy of relay.toml: makes rules of its [[policies]], and says what is wrong with them."""

from collections.abc import Collection, Iterator

from relay.config.policy_tables import DAYS, HoursTable, PeopleTable, PolicyTable
from relay.config.relay_toml import Tables
from relay.config.variables import Reading
from relay.domain.canonical import canonical_json
from relay.domain.foresight import falls_short
from relay.domain.matching import Policy, Rule
from relay.domain.rules import EVERYBODY, Action, Ask, Circle, Fact, Hours, Risk, Silence
from relay.domain.shadows import shadowed

_Problem = tuple[tuple[str | int, ...], str]  # where it is within the rule, and what is wrong
_OF_ALL = {"name", "team", "tools", "when", "action", "reason"}


def policy_of(
    reading: Reading, file: Tables, environments: Collection[str], approvers: Collection[str]
) -> Policy:
    """Return the rules of the file, in order; what is wrong with them is added to the problems."""
    named = Circle(users=frozenset(approvers))
    lines: dict[str, int] = {}
    rules = []
    for number, table in file.policies.items():
        found = [*_twice(table, lines), *_strangers(table, environments if file.whole else ())]
        found += [*_of_action(table), *_of_time(table), *_of_people(table, named), *_of_paths(table)]
        reading.problems += (
            f'{file.at("policies", number - 1, *steps)}policy "{table.name}": {problem}'
            for steps, problem in found
        )
        line = file.lines.of(("policies", number - 1))
        lines.setdefault(table.name, line)
        rules.append(_rule(table, number, line, named))
    if not file.policies:
        return Policy((), Ask(approvers=named or EVERYBODY, editors=named or EVERYBODY))
    return Policy(tuple(rules), Ask(approvers=named, editors=named) if named else None)


def policy_warnings(policy: Policy) -> Iterator[str]:
    """Yield a sentence about each rule that can be had but is hardly meant."""
    for rule, earlier in shadowed(policy):
        yield f"{place(rule)} can never apply: {place(earlier)} takes everything it would"
    for rule in policy.rules:
        if rule.action is Action.ALLOW and not rule.input:
            yield f"{place(rule)} allows any input: say which in when.input, unless the tool is harmless"
        if rule.ask is not None:
            yield from (f"{place(rule)}: {sentence}" for sentence in _idle(rule.ask))
            if not rule.channel_members:
                yield from (f"{place(rule)}: {sentence}" for sentence in _short(rule.ask))


def place(rule: Rule) -> str:
    """Return how messages name a rule."""
    return f'policy "{rule.name}" (line {rule.line})' if rule.line else f'policy "{rule.name}"'


def nobody_left(ask: Ask) -> str:
    """Return how messages say that too few are left to approve."""
    return f"nobody is left to {f'make up {ask.quorum}' if ask.quorum > 1 else 'approve'}"


def _idle(ask: Ask) -> Iterator[str]:
    """Yield what a rule says about silence that changes nothing."""
    late = ask.expires_after is not None and any(one >= ask.expires_after for one in ask.remind_after)
    if late and ask.on_silence is not Silence.ESCALATE:
        yield "remind_after has a reminder that is due when expires_after is over, and is never sent"
    if ask.hours is not None and ask.expires_after is None and not ask.remind_after:
        yield "hours changes nothing without expires_after or remind_after"


def _short(ask: Ask) -> Iterator[str]:
    """Yield when too few are left to approve: where one of those who must all approve asks themselves."""
    named = ask.approvers.users
    if not any(falls_short(ask, ask.approvers, {one}) for one in named):
        return
    more = ask.approvers | ask.escalate_to
    still = any(falls_short(ask, more, {one}) for one in named)
    who = "one of them" if len(named) > 1 else min(named)
    yield f"when {who} asks, {nobody_left(ask)}{'' if still else ' until it is escalated'}"


def _twice(table: PolicyTable, lines: dict[str, int]) -> Iterator[_Problem]:
    if table.name in lines:
        where = f" in line {lines[table.name]}" if lines[table.name] else ""
        yield ("name",), f"name is that of the rule{where} as well: give each a name of its own"


def _strangers(table: PolicyTable, environments: Collection[str]) -> Iterator[_Problem]:
    for name in table.when.environment:
        if environments and name not in environments:
            known = ", ".join(environments)
            yield ("when", "environment"), f"when.environment: no environment {name!r} (known: {known})"


def _of_action(table: PolicyTable) -> Iterator[_Problem]:
    idle = [name for name in type(table).model_fields if name in table.model_fields_set - _OF_ALL]
    if table.action != "ask" and idle:
        said = f'{", ".join(idle)}: action = "{table.action}" asks nobody, so it has no effect'
        yield (idle[0],), f'{said}; take it out, or write action = "ask"'


def _of_time(table: PolicyTable) -> Iterator[_Problem]:
    silence = f'on_silence = "{table.on_silence}" needs'
    if table.on_silence != "wait" and table.expires_after is None:
        yield ("on_silence",), f'{silence} expires_after: say after how long, as in "30m"'
    escalates = table.on_silence == "escalate"
    others = table.escalate_to is not None and (table.escalate_to.users or table.escalate_to.groups)
    if escalates and not others:
        yield ("on_silence",), f'{silence} escalate_to: say whom, as in {{ groups = ["S0123ABCD"] }}'
    if table.escalate_to is not None and not escalates:
        yield ("escalate_to",), 'escalate_to has no effect: write on_silence = "escalate" as well'
    if table.hours is not None and table.hours.begin == table.hours.end:
        over = 'what ends before it begins, as in from = "22:00", to = "06:00", goes over midnight'
        both = f"hours: from and to are both {table.hours.begin:%H:%M}"
        yield ("hours", "to"), f"{both}: say another time for one of them; {over}"


def _of_people(table: PolicyTable, named: Circle) -> Iterator[_Problem]:
    for setting in ("approvers", "editors"):
        people = getattr(table, setting)
        if people is not None and not _circle(people) and not people.channel_members:
            said = "names nobody: say users, groups, channels or channel_members = true"
            yield (setting,), f"{setting} {said}"
    approvers = _circle(table.approvers) if table.approvers else named
    by_channel = approvers.channels or (table.approvers and table.approvers.channel_members)
    count = len(approvers.users)
    if 0 < count < table.quorum and not approvers.groups and not by_channel:
        source = "approvers" if table.approvers else "RELAY_APPROVERS"
        said = f"quorum is {table.quorum}, and {source} names {count}, so that nothing can ever be approved"
        yield ("quorum",), f"{said}: name more, or say at most {count}"
    if "dm" in table.cards and not approvers.users | approvers.groups:
        said = 'cards has "dm", and the rule names no user and no group'
        yield ("cards",), f'{said}: add approvers.users or approvers.groups, or take "dm" out'
    yield from _of_favours(table)


def _of_favours(table: PolicyTable) -> Iterator[_Problem]:
    """Yield what is wrong with what makes approving easier."""
    alone = "for quorum = 1 and normal risk alone; take it out"
    if table.grant_for is not None and (table.quorum > 1 or table.risk == "high"):
        yield ("grant_for",), f"grant_for: grants are {alone}"
    if table.suggestions and (table.quorum > 1 or table.risk == "high"):
        yield ("suggestions",), f"suggestions: they are {alone}"
    if table.grant_for is None and "grant_uses" in table.model_fields_set and table.action == "ask":
        said = "grant_uses has no effect without grant_for: say for how long, or take it out"
        yield ("grant_uses",), said


def _of_paths(table: PolicyTable) -> Iterator[_Problem]:
    paths: list[tuple[tuple[str | int, ...], str, str]] = [
        (("when", "input", path), "when.input", path) for path in table.when.input
    ]
    paths += [(("facts", place, "path"), "facts.path", one.path) for place, one in enumerate(table.facts)]
    for steps, setting, path in paths:
        if not all(path.split(".")):
            yield steps, f'{setting}: {path!r} is no path: join keys by single dots, as in "options.target"'


def _rule(table: PolicyTable, number: int, line: int, named: Circle) -> Rule:
    asks = table.action == "ask"
    editors = table.editors or table.approvers
    return Rule(
        name=table.name,
        tools=tuple(table.tools),
        action=Action(table.action),
        channels=frozenset(table.when.channel),
        environments=frozenset(table.when.environment),
        requesters=frozenset(table.when.requester),
        input={path: _pattern(value) for path, value in table.when.input.items()},
        ask=_ask(table, named) if asks else None,
        reason=table.reason,
        channel_members=asks and table.approvers is not None and table.approvers.channel_members,
        channel_edits=asks and editors is not None and editors.channel_members,
        number=number,
        line=line,
        team=table.team,
    )


def _pattern(value: str | bool | float) -> str:
    return value if isinstance(value, str) else canonical_json(value)


def _ask(table: PolicyTable, named: Circle) -> Ask:
    approvers = _circle(table.approvers) if table.approvers else named or EVERYBODY
    escalate_to = table.escalate_to
    return Ask(
        rule=table.name,
        reason=table.reason,
        approvers=approvers,
        editors=_circle(table.editors) if table.editors else approvers,
        quorum=table.quorum,
        requester_may_approve=table.requester_may_approve,
        edit_needs_another=table.edit_needs_another,
        risk=Risk(table.risk),
        expires_after=table.expires_after,
        on_silence=Silence(table.on_silence),
        remind_after=tuple(sorted(set(table.remind_after))),
        escalate_to=Circle(frozenset(escalate_to.users), frozenset(escalate_to.groups))
        if escalate_to
        else Circle(),
        hours=_hours(table.hours) if table.hours else None,
        cards=tuple(dict.fromkeys(table.cards)),
        quick_reasons=tuple(dict.fromkeys(table.quick_reasons)),
        facts=tuple(Fact(one.path, one.label, one.above) for one in table.facts),
        grant_for=table.grant_for,
        grant_uses=table.grant_uses,
        suggestions=table.suggestions,
    )


def _circle(people: PeopleTable) -> Circle:
    return Circle(frozenset(people.users), frozenset(people.groups), frozenset(people.channels))


def _hours(table: HoursTable) -> Hours:
    return Hours(table.zone, frozenset(map(DAYS.index, table.days)), table.begin, table.end)
