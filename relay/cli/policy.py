"""`relay policy`: what the rules say of a tool call, and what they would have changed."""

import asyncio
import json
import os
from argparse import Namespace
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from relay.cli.ending import failed, misused
from relay.cli.policy_words import circle_words, foreseen_words, missed_words, ruling_words, short_words
from relay.cli.table import line, moment
from relay.config import Config, ConfigError, load_rules, store_url
from relay.config.durations import duration
from relay.config.policies import place
from relay.control import PAST, ControlError, ask
from relay.domain.foresight import foresee_edit, foresee_vote
from relay.domain.matching import Policy, Rule, evaluate
from relay.domain.rules import Ask, Request, Ruling
from relay.store import StoreError

_SHOWN = 10  # rules passed over that people read of; a script gets all


class MisuseError(Exception):
    """What was typed cannot be used; the message says what to type."""


def explain(parsed: Namespace) -> int:
    """Say which rule takes a tool call, what happens, and who may decide."""
    try:
        config = _of_team(load_rules(os.environ, Path.cwd()), parsed.team)
        found = _Explained.of(config, _request(parsed, config))
    except (ConfigError, MisuseError) as problem:
        return misused(problem)
    if parsed.json:
        print(json.dumps(_written(found, parsed.user), ensure_ascii=False))
    else:
        _tell(found, parsed.user)
    return 0


def _of_team(config: Config, team_id: str) -> Config:
    """Return the rules and routes of one of many workspaces; of one alone, all of them."""
    if config.slack.oauth is None:
        return config
    if not team_id:
        raise MisuseError("many workspaces are served: say with --team whose request it is, as in T0123ABCD")
    return config.of_team(team_id)


@dataclass(frozen=True)
class _Explained:
    """A request, what the policy says of it, and the rules for its tool that were passed over."""

    request: Request
    ruling: Ruling
    rule: Rule | None
    passed: tuple[tuple[Rule, str], ...]
    file: str

    @classmethod
    def of(cls, config: Config, request: Request) -> "_Explained":
        rule = config.policy.first(request)
        before = config.policy.rules[: config.policy.rules.index(rule)] if rule else config.policy.rules
        missed = ((one, one.misses(request)) for one in before)
        passed = tuple((one, why) for one, why in missed if why != "tools")
        return cls(request, evaluate(config.policy, request), rule, passed, config.file)


def _request(parsed: Namespace, config: Config) -> Request:
    route = config.route(parsed.channel) if parsed.channel else None
    environment = parsed.environment or (route.runtime.environment if route else "")
    environment = environment or next(iter(config.environments))
    if environment not in config.environments:
        raise MisuseError(f"no environment {environment!r} (known: {', '.join(config.environments)})")
    requesters = tuple(dict.fromkeys(parsed.requester or ()))
    channels = (parsed.channel,) if parsed.channel else ()
    return Request(parsed.tool, _input(parsed.input), environment, channels, requesters)


def _input(written: str) -> dict[str, Any]:
    try:
        text = Path(written[1:]).read_text(encoding="utf-8") if written.startswith("@") else written
        found = json.loads(text)
    except OSError as problem:
        raise MisuseError(f"--input: cannot read {written[1:]}: {problem.strerror}") from problem
    except ValueError as problem:
        raise MisuseError(f"--input is no JSON: {problem}") from problem
    if not isinstance(found, dict):
        raise MisuseError('--input must be a JSON object, as in {"command": "ls"}')
    return found


def _tell(found: _Explained, user_id: str) -> None:
    request, ask = found.request, found.ruling.ask
    where = f"in {', '.join(request.channels)}" if request.channels else "outside Slack"
    print(f"{line(request.tool_name)} in environment {request.environment}, asked for {where}")
    for rule, why in found.passed[:_SHOWN]:
        print(f"  passed over: {place(rule)}: {line(missed_words(request, why))}")
    if len(found.passed) > _SHOWN:
        print(f"  passed over: {len(found.passed) - _SHOWN} more")
    print(f"  rule: {f'{place(found.rule)} of {found.file}' if found.rule else 'none'}")
    for sentence in ruling_words(found.ruling):
        print(f"  {sentence}")
    if ask is None:
        return
    kept_out = not ask.requester_may_approve
    print(f"  may approve and deny: {circle_words(ask.approvers)}{'; requesters may only deny' * kept_out}")
    print(f"  may edit: {circle_words(ask.editors)}{'; no requesters' * kept_out}")
    if user_id:
        for act, why in _of_user(found, ask, user_id).items():
            print(f"  {user_id} may {act}: {why}")
    if short := short_words(ask, request.requesters, user_id):
        print(f"  {short}")
    print("  Slack was not asked: only full members may act, whoever is named.")


def _of_user(found: _Explained, ask: Ask, user_id: str) -> dict[str, str]:
    requesters = found.request.requesters
    return {
        "approve": foreseen_words(foresee_vote(ask, requesters, user_id, approve=True)),
        "deny": foreseen_words(foresee_vote(ask, requesters, user_id, approve=False)),
        "edit": foreseen_words(foresee_edit(ask, requesters, user_id)),
    }


def _written(found: _Explained, user_id: str) -> dict[str, Any]:
    rule, ask = found.rule, found.ruling.ask
    return {
        "rule": rule.name if rule else None,
        "line": rule.line if rule else None,
        "action": found.ruling.action.value,
        "reason": found.ruling.reason,
        "passed_over": [
            {
                "rule": one.name,
                "line": one.line,
                "does_not_match": why,
                "words": missed_words(found.request, why),
            }
            for one, why in found.passed
        ],
        "ask": ask.written() if ask else None,
        "too_few": (short_words(ask, found.request.requesters, user_id) if ask else "") or None,
        "user": {"id": user_id, **_of_user(found, ask, user_id)} if user_id and ask else None,
        "slack_asked": False,
    }


def replay(parsed: Namespace) -> int:
    """Say of each past request whether the rules would now treat it otherwise."""
    try:
        variables = dict(os.environ)
        if parsed.policy:
            variables.pop("RELAY_CONFIG_FILE", None)
            variables["RELAY_CONFIG"] = parsed.policy
        since = datetime.now(UTC) - _since(parsed.since)
        asyncio.run(_replay(parsed, load_rules(variables, Path.cwd()).policy, since))
    except (ConfigError, MisuseError) as problem:
        return misused(problem)
    except (ControlError, StoreError) as problem:
        return failed(problem)
    return 0


def _since(written: str) -> timedelta:
    try:
        return duration(written)
    except ValueError as problem:
        raise MisuseError(f"--since: {problem}") from problem


async def _replay(parsed: Namespace, policy: Policy, since: datetime) -> None:
    seen, differing = 0, list[dict[str, Any]]()
    counts: Counter[str] = Counter()
    removed = 0
    of_team = cache(policy.of_team)
    async for past in _past(since):
        if isinstance(past, int):
            removed += past
            continue
        seen += 1
        if (differs := _difference(of_team(past.get("team_id", "")), past)) is None:
            continue
        counts[f"{differs['was']['action']} -> {differs['would_be']['action']}"] += 1
        if parsed.json:
            differing.append(differs)
        else:
            _tell_difference(differs)
    if parsed.json:
        found = {"requests": seen, "differing": differing, "counts": dict(counts), "removed": removed}
        print(json.dumps(found, ensure_ascii=False))
        return
    print(f"{seen} requests since {moment(since.isoformat())}, {sum(counts.values())} would differ")
    for change, count in sorted(counts.items()):
        print(f"  {change}: {count}")
    if removed:
        print(f"  left out: {removed}, whose inputs were removed by [retention]")


async def _past(since: datetime) -> AsyncIterator[dict[str, Any] | int]:
    """Yield past requests, oldest first, and how many of a page cannot be told any more.

    What people send is stored between the pages.
    """
    url, after = store_url(os.environ), ""
    while True:
        page = await ask(url, PAST, {"since": since.isoformat(), "after": after})
        for past in page["approvals"]:
            yield past
        yield int(page["removed"])
        after = page["after"]
        if not after:
            return


def _difference(policy: Policy, past: dict[str, Any]) -> dict[str, Any] | None:
    """Return what was and what would be, or None where nothing would differ."""
    ruling = evaluate(
        policy,
        Request(
            past["tool_name"],
            past["tool_input"],
            past["environment"],
            tuple(past["channels"]),
            tuple(past["requesters"]),
        ),
    )
    settings: list[str] = []
    if ruling.ask is not None and past["action"] == "ask":
        before, after = past["ask"], ruling.ask.written()
        settings = [name for name, value in after.items() if name != "rule" and before.get(name) != value]
    was = {"action": past["action"], "rule": past["rule"]}
    would_be = {"action": ruling.action.value, "rule": ruling.rule}
    if was == would_be and not settings:
        return None
    told = {name: past[name] for name in ("id", "created_at", "environment", "tool_name")}
    return {**told, "was": was, "would_be": would_be, "settings": settings}


def _tell_difference(differs: dict[str, Any]) -> None:
    was, would_be = (_by(differs[which]) for which in ("was", "would_be"))
    settings = f" ({', '.join(differs['settings'])})" if differs["settings"] else ""
    what = f"{moment(differs['created_at'])}  {differs['id']}  {line(differs['tool_name'])}"
    print(f"{what}  {was} -> {would_be}{settings}")


def _by(ruled: dict[str, str]) -> str:
    words = {"ask": "asked", "allow": "allowed", "deny": "denied"}[ruled["action"]]
    return f'{words} by "{line(ruled["rule"])}"' if ruled["rule"] else f"{words} by no rule"
