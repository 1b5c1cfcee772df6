"""The rules in order, and the first that fits a request."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from relay.domain.patterns import Glob, glob, texts_at
from relay.domain.rules import Action, Ask, Circle, Request, Ruling

DIRECT = "dm"  # in the channels of a rule: any conversation of one person with the app
NO_RULE = "no rule allows this"
_TOOLS = 256


@dataclass(frozen=True)
class Rule:
    """One rule of a policy: what it is for, and what it does. An empty condition holds for everything.

    A rule that allows is stricter than the others in what it takes for a match: every requester, every item
    of a list, and nothing in a wildcard's gap that a shell takes for more than a word.
    """

    name: str
    tools: tuple[str, ...]
    action: Action
    channels: frozenset[str] = frozenset()
    environments: frozenset[str] = frozenset()
    requesters: frozenset[str] = frozenset()
    input: Mapping[str, str] = field(default_factory=dict)
    ask: Ask | None = None
    reason: str = ""
    channel_members: bool = False  # may approve: those of the channel that asks
    channel_edits: bool = False  # may edit: the same
    number: int = 0  # its place in the file, from 1
    line: int = 0  # where its table begins; 0: nobody knows
    team: str = ""  # whose requests it is for; empty: any workspace's

    def misses(self, request: Request) -> str:
        """Return which condition does not hold of `request`, or nothing when the rule fits."""
        return self.first_miss(Seen(request)) if self.is_for(request.tool_name) else "tools"

    def is_for(self, tool_name: str) -> bool:
        """Return whether it is for a tool."""
        for one in self.tool_globs:  # noqa: SIM110 - see _fits
            if one.matches(tool_name):
                return True
        return False

    def first_miss(self, seen: "Seen") -> str:
        """Return the same as `misses` for a request with a tool that it is for."""
        if self.environments and seen.request.environment not in self.environments:
            return "environment"
        if self.channels and not self._takes_channels(seen.request.channels):
            return "channel"
        if self.requesters and not self._takes(seen.request.requesters):
            return "requester"
        for path, wanted, begin, needle in self._inputs:
            whole, texts = seen.found.get(path) or seen.look(path)
            # What is quick to see comes first: a long text is searched only where it begins as it should.
            if begin and len(texts) == 1 and not whole.startswith(begin):
                return f"input.{path}"
            if needle not in whole or not self._fits(wanted, texts):
                return f"input.{path}"
        return ""

    def ruling(self, request: Request) -> Ruling:
        """Return what it says of a request that it fits."""
        ask = self.ask
        # Of several channels nobody knows who may speak for all: then their members are nobody.
        if ask is not None and len(request.channels) == 1:
            here = Circle(channels=frozenset(request.channels))
            if self.channel_members:
                ask = replace(ask, approvers=ask.approvers | here)
            if self.channel_edits:
                ask = replace(ask, editors=ask.editors | here)
        return Ruling(self.action, self.name, self.reason, ask)

    @cached_property
    def tool_globs(self) -> tuple[Glob, ...]:
        """The tools it is for."""
        return tuple(map(glob, self.tools))

    @cached_property
    def _inputs(self) -> tuple[tuple[str, Glob, str, str], ...]:
        wanted = ((path, glob(pattern)) for path, pattern in self.input.items())
        return tuple((path, one, one.begin, one.needle) for path, one in wanted)

    def _takes_channels(self, channels: tuple[str, ...]) -> bool:
        fits = [one in self.channels or (one.startswith("D") and DIRECT in self.channels) for one in channels]
        return bool(fits) and (all(fits) if self.action is Action.ALLOW else any(fits))

    def _takes(self, requesters: tuple[str, ...]) -> bool:
        if self.action is Action.ALLOW:
            return bool(requesters) and self.requesters.issuperset(requesters)
        return not self.requesters.isdisjoint(requesters)

    def _fits(self, wanted: Glob, texts: Sequence[str | None]) -> bool:
        # Loops, not any() and all(): a thousand rules are gone through for every request.
        if self.action is Action.ALLOW:
            for text in texts:
                if text is None or not wanted.safely_matches(text):
                    return False
            return bool(texts)
        for text in texts:  # noqa: SIM110 - see above
            if text is not None and wanted.matches(text):
                return True
        return False


class Seen:
    """A request and what was found out about it, so that a thousand rules look at each value once."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.found: dict[str, tuple[str, Sequence[str | None]]] = {}

    def look(self, path: str) -> tuple[str, Sequence[str | None]]:
        """Return what stands at a path of the input, in one text and one by one, and remember it."""
        texts = texts_at(self.request.tool_input, path)
        found = self.found[path] = "\n".join(text for text in texts if text is not None), texts
        return found


@dataclass(frozen=True)
class Policy:
    """Rules in order; `default` is how people are asked where none fits. None: then it is denied."""

    rules: tuple[Rule, ...] = ()
    default: Ask | None = field(default_factory=Ask)

    @cached_property
    def asks_slack(self) -> bool:
        """Whether who may act can depend on a user group or the members of a channel."""
        asks = [rule.ask for rule in self.rules if rule.ask is not None] + (
            [self.default] if self.default else []
        )
        circles = [circle for ask in asks for circle in (ask.approvers, ask.editors, ask.escalate_to)]
        by_channel = any(rule.channel_members or rule.channel_edits for rule in self.rules)
        return by_channel or any(circle.groups or circle.channels for circle in circles)

    def of_team(self, team_id: str) -> "Policy":
        """Return the rules that are for the requests of a workspace."""
        return replace(self, rules=tuple(rule for rule in self.rules if rule.team in ("", team_id)))

    def first(self, request: Request) -> Rule | None:
        """Return the first rule that fits `request`."""
        seen = Seen(request)
        return next((rule for rule in self._for(request.tool_name) if not rule.first_miss(seen)), None)

    def _for(self, tool_name: str) -> tuple[Rule, ...]:
        """Return the rules for a tool, in order; those for a tool that was met before are known."""
        found = self._by_tool.get(tool_name)
        if found is None:
            found = tuple(rule for rule in self.rules if rule.is_for(tool_name))
            if len(self._by_tool) >= _TOOLS:  # the agent says the names: there may be any number
                self._by_tool.clear()
            self._by_tool[tool_name] = found
        return found

    @cached_property
    def _by_tool(self) -> dict[str, tuple[Rule, ...]]:
        return {}


def evaluate(policy: Policy, request: Request) -> Ruling:
    """Return what the first rule that fits says of `request`, or what holds where none does."""
    rule = policy.first(request)
    if rule is not None:
        return rule.ruling(request)
    if policy.default is None:
        return Ruling(Action.DENY, reason=NO_RULE)
    return Ruling(Action.ASK, ask=policy.default)
