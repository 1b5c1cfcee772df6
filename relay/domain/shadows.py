"""Which rules can never be the first that fits: told only where it is certain."""

from collections.abc import Iterator

from relay.domain.matching import Policy, Rule
from relay.domain.patterns import glob
from relay.domain.rules import Action


def shadowed(policy: Policy) -> Iterator[tuple[Rule, Rule]]:
    """Yield each rule that can never apply, with the first one before it that takes all it would."""
    for place, rule in enumerate(policy.rules):
        for earlier in policy.rules[:place]:
            if covers(earlier, rule):
                yield rule, earlier
                break


def covers(earlier: Rule, later: Rule) -> bool:
    """Return True only if whatever fits `later` fits `earlier`; False may mean that nobody can tell."""
    return (
        _within(earlier.environments, later.environments)
        and _within(earlier.channels, later.channels)
        and _covers_requesters(earlier, later)
        and all(_covers_input(earlier, later, path) for path in earlier.input)
        and all(any(one.covers(tool) for one in earlier.tool_globs) for tool in later.tool_globs)
    )


def _within(wide: frozenset[str], narrow: frozenset[str]) -> bool:
    return not wide or (bool(narrow) and narrow <= wide)


def _covers_requesters(earlier: Rule, later: Rule) -> bool:
    # A rule that allows wants every requester to be named, the others only one of them.
    stricter = earlier.action is Action.ALLOW and later.action is not Action.ALLOW
    return not earlier.requesters or (not stricter and _within(earlier.requesters, later.requesters))


def _covers_input(earlier: Rule, later: Rule, path: str) -> bool:
    wide, narrow = earlier.input[path], later.input.get(path)
    if narrow is None:
        return False
    if earlier.action is Action.ALLOW:
        return later.action is Action.ALLOW and wide == narrow
    return glob(wide).covers(glob(narrow))
