"""The policy of relay.toml: makes rules of its [[policies]], and says what is wrong with them."""

from collections.abc import Collection, Iterator

from relay.config.policy_tables import DAYS, HoursTable, PeopleTable, PolicyTable
from relay.config.relay_toml import Tables
from relay.config.variables import Reading
from relay.domain.canonical import canonical_json
from relay.domain.matching import Policy, Rule
from relay.domain.rules import EVERYBODY, Action, Ask, Circle, Fact, Hours, Risk, Silence
from relay.domain.shadows import shadowed

_OF_ALL = {"name", "tools", "when", "action", "reason"}


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
        reading.problems += (f"{file.name}: {file.policy_label(number)}: {problem}" for problem in found)
        lines.setdefault(table.name, file.lines.get(number, 0))
        rules.append(_rule(table, number, file.lines.get(number, 0), named))
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


def place(rule: Rule) -> str:
    """Return how messages name a rule."""
    return f'policy "{rule.name}" (line {rule.line})' if rule.line else f'policy "{rule.name}"'


def _idle(ask: Ask) -> Iterator[str]:
    """Yield what a rule says about silence that changes nothing."""
    late = ask.expires_after is not None and any(one >= ask.expires_after for one in ask.remind_after)
    if late and ask.on_silence is not Silence.ESCALATE:
        yield "remind_after has a reminder that is due when expires_after is over, and is never sent"
    if ask.hours is not None and ask.expires_after is None and not ask.remind_after:
        yield "hours changes nothing without expires_after or remind_after"


def _twice(table: PolicyTable, lines: dict[str, int]) -> Iterator[str]:
    if table.name in lines:
        where = f" in line {lines[table.name]}" if lines[table.name] else ""
        yield f"name is that of the rule{where} as well: give each a name of its own"


def _strangers(table: PolicyTable, environments: Collection[str]) -> Iterator[str]:
    for name in table.when.environment:
        if environments and name not in environments:
            known = ", ".join(environments)
            yield f"when.environment: no environment {name!r} (known: {known})"


def _of_action(table: PolicyTable) -> Iterator[str]:
    idle = [name for name in type(table).model_fields if name in table.model_fields_set - _OF_ALL]
    if table.action != "ask" and idle:
        yield (
            f'{", ".join(idle)}: action = "{table.action}" asks nobody, so it has no effect; '
            'take it out, or write action = "ask"'
        )


def _of_time(table: PolicyTable) -> Iterator[str]:
    if table.on_silence != "wait" and table.expires_after is None:
        yield f'on_silence = "{table.on_silence}" needs expires_after: say after how long, as in "30m"'
    escalates = table.on_silence == "escalate"
    others = table.escalate_to is not None and (table.escalate_to.users or table.escalate_to.groups)
    if escalates and not others:
        yield 'on_silence = "escalate" needs escalate_to: say whom, as in { groups = ["S0123ABCD"] }'
    if table.escalate_to is not None and not escalates:
        yield 'escalate_to has no effect: write on_silence = "escalate" as well'
    if table.hours is not None and table.hours.begin >= table.hours.end:
        yield 'hours: from must be before to, as in from = "09:00", to = "17:00"'


def _of_people(table: PolicyTable, named: Circle) -> Iterator[str]:
    for setting in ("approvers", "editors"):
        people = getattr(table, setting)
        if people is not None and not _circle(people) and not people.channel_members:
            yield f"{setting} names nobody: say users, groups, channels or channel_members = true"
    approvers = _circle(table.approvers) if table.approvers else named
    few = approvers.users and not approvers.groups and not approvers.channels
    if few and not (table.approvers and table.approvers.channel_members):
        count = len(approvers.users)
        if table.quorum > count:
            source = "approvers" if table.approvers else "RELAY_APPROVERS"
            yield f"quorum is {table.quorum}, and {source} names {count}: name more, or say at most {count}"
    if "dm" in table.cards and not approvers.users | approvers.groups:
        yield (
            'cards has "dm", and the rule names no user and no group: add approvers.users or '
            'approvers.groups, or take "dm" out'
        )
    if table.grant_for is not None and (table.quorum > 1 or table.risk == "high"):
        yield "grant_for: grants are for quorum = 1 and normal risk alone; take it out"
    if table.suggestions and (table.quorum > 1 or table.risk == "high"):
        yield "suggestions: they are for quorum = 1 and normal risk alone; take it out"
    if table.grant_for is None and "grant_uses" in table.model_fields_set and table.action == "ask":
        yield "grant_uses has no effect without grant_for: say for how long, or take it out"


def _of_paths(table: PolicyTable) -> Iterator[str]:
    for setting, paths in (
        ("when.input", list(table.when.input)),
        ("facts.path", [one.path for one in table.facts]),
    ):
        for path in paths:
            if not all(path.split(".")):
                yield f'{setting}: {path!r} is no path: join keys by single dots, as in "options.target"'


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
