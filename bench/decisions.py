"""What a decision costs when the policy is long, when much waits, and when people look at what waits."""

import asyncio
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from types import SimpleNamespace
from typing import Any, cast

from slack_sdk.web.async_client import AsyncWebClient

from bench.contestants import ROOT
from bench.goals import goal_line, ratio
from relay.domain.approvals import Approval, Asked, State
from relay.domain.canonical import input_hash, short_code
from relay.domain.ids import new_id
from relay.domain.matching import Policy, Rule, evaluate
from relay.domain.people import Person, Standing
from relay.domain.policy import Rights
from relay.domain.rules import Action, Ask, Circle, Request
from relay.slack import home_blocks
from relay.slack.circles import Circles
from relay.slack.door import SlackDoor, Workspace
from relay.slack.inbox import Inbox
from relay.slack.people import People
from relay.store import Store, Transaction
from relay.use_cases.record_decision import Answer, Click, Recorded, record_decision
from relay.use_cases.rulings import Authority
from relay.use_cases.whisper import Listener

TEAM, CHANNEL, PERSON = "T0BENCH00", "C0CARDS00", "U0BENCH000"
RIGHTS = Rights(TEAM)
RULES, FEW, MANY, SEEN = 1_000, 10, 10_000, 500
_GROUPS = ("S0LEADS00", "S0ONCALL0", "S0STRANGE")
_ROUNDS, _CLICKS = 5, 60


@dataclass
class Decided:
    """Seconds: an evaluation, a decision with few and with many waiting, processor time for a Home tab."""

    policy: float
    few: float
    many: float
    home: float


async def decisions() -> Decided:
    """Measure all of it."""
    few, many = await _clicks()
    return Decided(_policy(), few, many, await _home())


def report(found: Decided) -> str:
    """Return what no goal's line says."""
    beside = f"with {MANY:,} waiting {found.many * 1e3:.2f} ms"
    return f"{'a decision, 10 waiting':25} {found.few * 1e3:8.2f} ms; {beside}"


def goals(found: Decided) -> list[str]:
    """Return a line for each goal."""
    return [
        goal_line("policy-1000-rules-ms", found.policy * 1e3, "<=", 1.0),
        goal_line("decide-10000-vs-10", ratio(found.many, found.few), "<=", 1.2),
        goal_line("home-500-cpu-ms", found.home * 1e3, "<=", 50.0),
    ]


def main() -> None:
    """Measure and print."""
    found = asyncio.run(decisions())
    print("\n".join([report(found), "", *goals(found)]))


def _policy() -> float:
    """Return the median time in which 1,000 rules are gone through, to the last, for inputs never seen."""
    rules = tuple(_rule(number) for number in range(RULES))
    policy = Policy(rules, Ask())
    requests = [_request(number) for number in range(200)]
    evaluate(policy, requests[0])  # globs are compiled once
    taken = []
    for request in requests[1:]:
        began = perf_counter()
        evaluate(policy, request)
        taken.append(perf_counter() - began)
    return median(taken)


def _rule(number: int) -> Rule:
    tools = (("Bash",), ("deploy_*",), ("*",))[number % 3]
    wanted = {"command": f"*--target host-{number}*"} if number % 2 else {"cwd": f"/srv/project-{number}/*"}
    return Rule(f"rule {number}", tools, Action.ASK, input=wanted, ask=Ask(rule=f"rule {number}"))


def _request(number: int) -> Request:
    tool_input = {
        "command": f"make release VERSION={number} && ./deploy.sh --env staging",
        "cwd": "/srv/site",
    }
    return Request("Bash", tool_input, "workshop", ("C0OPS",), ("U0ADA",))


async def _clicks() -> tuple[float, float]:
    """Return the medians of a click's transaction with few and with many waiting, in turns."""
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=ROOT) as folder:
        desks = [await _Desk.open(Path(folder) / f"{count}.db", count) for count in (FEW, MANY)]
        taken: list[list[float]] = [[], []]
        for _ in range(_ROUNDS):
            for desk, own in zip(desks, taken, strict=True):
                own += [await desk.click() for _ in range(_CLICKS)]
        for desk in desks:
            await desk.store.close()
    return median(taken[0]), median(taken[1])


class _Desk:
    """A store in which always as many requests wait."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._waiting: list[Approval] = []
        self._made = 0

    @classmethod
    async def open(cls, path: Path, count: int) -> "_Desk":
        desk = cls(Store.open(f"sqlite:///{path}"))
        while len(desk._waiting) < count:
            await desk.more(min(500, count - len(desk._waiting)))
        return desk

    async def more(self, count: int) -> None:
        """Have some more requests wait, each with a card that is posted."""
        new = [_approval(self.store.key, self._made + number) for number in range(count)]
        self._made += count

        def add(tx: Transaction) -> None:
            for approval in new:
                tx.approvals.add(approval)
                now, ts = approval.created_at, f"1795000000.{int(approval.id[-6:], 16) % 10**6:06d}"
                tx.approvals.add_copy(approval, (CHANNEL,), now, channel_id=CHANNEL, ts=ts)

        await self.store.transact(add)
        self._waiting += new

    async def click(self) -> float:
        """Return how long one click takes from its arrival to its being stored, then have another wait."""
        approval = self._waiting.pop(len(self._waiting) // 2)
        person = Person(PERSON, TEAM, "Grace", Standing.MEMBER)
        where = Listener(TEAM, "", PERSON, None)
        click = Click(
            person, where, f"click/{approval.id}", approval.id, approval.asked.tool_call_id,
            approval.shown_hash, None,
        )  # fmt: skip
        now, key = datetime.now(UTC), self.store.key
        began = perf_counter()
        recorded = await self.store.transact(
            lambda tx: record_decision(tx, click, Answer(approve=True), Authority(RIGHTS, key), now)
        )
        taken = perf_counter() - began
        assert recorded is Recorded.DECIDED
        await self.more(1)
        return taken


def _approval(key: bytes, number: int, ask: Ask | None = None, requester: str = "U0ADA") -> Approval:
    now = datetime(2026, 11, 3, 12, tzinfo=UTC) + timedelta(seconds=number)
    tool_input = {"command": f"make release VERSION=1.{number} && ./deploy.sh --env staging", "timeout": 60}
    asked = Asked("workshop", "agent-1", f"conv-{number % 50}", f"call-{number}", "Bash", tool_input, (), "")
    digest = input_hash(key, asked.tool_name, tool_input, ())
    which = new_id("apr", now)
    return Approval(
        id=which, team_id=TEAM, asked=asked, input_hash=digest, occurrence=1,
        state=State.PENDING, decision=None, requesters=(requester,), message_id=None, epoch="e",
        event_seq=number, gone_at=None, sent=False, note="", created_at=now, revision=1, ask=ask or Ask(),
        code=short_code(which, digest), shown_hash=digest,
    )  # fmt: skip


class _Slack:
    """Slack's answers at once: what they take is not the relay's processor time."""

    async def users_info(self, user: str) -> dict[str, Any]:
        return {"user": {"id": user, "team_id": TEAM, "name": "grace"}}

    async def usergroups_users_list(self, usergroup: str) -> dict[str, Any]:
        return {"users": [] if usergroup == "S0STRANGE" else [PERSON, "U0ADA"]}

    async def conversations_members(self, **_: Any) -> dict[str, Any]:
        return {"members": [PERSON]}

    async def chat_getPermalink(self, channel: str, message_ts: str) -> dict[str, Any]:  # noqa: N802 - the SDK's name
        return {"permalink": f"https://home.slack.com/archives/{channel}/p{message_ts.replace('.', '')}"}


async def _home() -> float:
    """Return the median processor time, all threads', of a Home tab while 500 requests wait."""
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=ROOT) as folder:
        desk = await _Desk.open(Path(folder) / "home.db", 0)
        await desk.store.transact(lambda tx: _fill(tx, desk.store.key))
        inbox, taken = _inbox(desk.store), []
        for _ in range(15):
            began = process_time()
            contents = await inbox.of(PERSON, TEAM, home_blocks.HOME)
            view = home_blocks.home(contents, PERSON)
            taken.append(process_time() - began)
            assert len(view["blocks"]) > home_blocks.HOME.yours
        await desk.store.close()
    return median(taken)


def _fill(tx: Transaction, key: bytes) -> None:
    for number, ask in zip(range(SEEN), _asks(), strict=False):
        approval = _approval(key, number, ask, PERSON if number % 7 == 0 else "U0ADA")
        tx.approvals.add(approval)
        where = {"channel_id": CHANNEL, "ts": f"1795000000.{number:06d}"}
        tx.approvals.add_copy(approval, (CHANNEL,), approval.created_at, **where)


def _asks() -> Iterator[Ask]:
    """Yield how people are asked, by twenty rules of three groups in turn."""
    number = 0
    while True:
        rule, approvers = f"rule {number % 20}", Circle(groups=frozenset({_GROUPS[number % 3]}))
        yield Ask(rule=rule, approvers=approvers, editors=approvers, requester_may_approve=False)
        number += 1


def _inbox(store: Store) -> Inbox:
    client = cast("AsyncWebClient", _Slack())
    door = SlackDoor(
        present=cast("Any", SimpleNamespace(config=SimpleNamespace(rights=lambda _: RIGHTS))),
        workspace=Workspace(TEAM, "U0RELAY", "B0RELAY"),
        store=store,
        people=People(client, TEAM),
        client=client,
        clock=lambda: datetime.now(UTC),
        away_since=lambda _: None,
        report=cast("Any", None),
        log=None,
    )
    return Inbox(door, Circles(client, None))


if __name__ == "__main__":
    main()
