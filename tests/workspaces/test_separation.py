"""Two workspaces on one relay, with the same ids in both: whatever one tries, the other is not in it.

Every attempt is one that Slack itself would sign: what tells the workspaces apart is what relay makes of it.
"""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from relay.sandbox.environment import Say, UseTool
from relay.sandbox.slack import FakeSlack
from relay.sandbox.slack.workspace import Ack, Message, View
from tests.scenarios.acts import ask_tool, value
from tests.scenarios.test_forms import entered, option
from tests.scenarios.test_typed_answers import code
from tests.workspaces.building import ALPHA, BETA, Building, building
from tests.world import ADA, APPROVALS, GRACE, LINUS, OPS, button, everything

SECRET = "the zanzibar release of alpha"
RULES = """
[[policies]]
name = "grants"
tools = ["*"]
grant_for = "8h"
requester_may_approve = true
"""


@dataclass
class Trespass:
    """Alpha with everything that beta's people will reach for, and a card of their own to press on."""

    made: Building
    card: Message  # alpha's, which is pending
    granted: Message  # alpha's, which a grant was given on
    status: Message  # alpha's, of a message that failed
    own: Message  # beta's

    @property
    def beta(self) -> FakeSlack:
        return self.made.beta.slack

    async def press(self, action_id: str, value_of: str, user: str = GRACE) -> Ack:
        """Have somebody in beta press a button of their own card, with another's value in it."""
        return await self.beta.click(user, APPROVALS, self.own.ts, action_id, value=value_of)

    def alpha_saw(self) -> dict[str, Any]:
        """Return all that anybody in alpha can see, and all that its agent was told."""
        slack, environment = self.made.alpha.slack, self.made.alpha.environment
        return {
            "messages": [
                (channel.id, everything(one))
                for channel in slack.channels.values()
                for one in channel.messages
            ],
            "ephemerals": [one.text for one in slack.ephemerals],
            "views": [str(one.view) for one in slack.views],
            "decisions": list(environment.decisions),
            "received": [one.last_line for one in environment.received],
            "commands": len([one for one in environment.commands if one.get("type") == "abort"]),
        }

    def alpha_holds(self) -> dict[str, Any]:
        """Return everything that the store keeps of alpha."""
        return kept(self.made, ALPHA)


def kept(made: Building, team_id: str) -> dict[str, Any]:
    """Return everything that the store keeps of a workspace, by table; of the record, what was done."""
    tables = ("approvals", "copies", "votes", "grants", "messages", "deliveries", "conversations", "stops")
    with sqlite3.connect(f"file:{made.alpha.folder}/relay.db?mode=ro", uri=True) as store:
        found: dict[str, Any] = {
            table: store.execute(f"select * from {table} where team_id = ?", [team_id]).fetchall()  # noqa: S608
            for table in tables
        }
        said = store.execute("select action, actor, facts from audit where team_id = ?", [team_id])
        found["audit"] = said.fetchall()
    store.close()
    return found


@pytest.fixture(params=["http", "socket_mode"])
async def trespass(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Trespass]:
    """Both workspaces at work."""
    async with building(tmp_path, socket_mode=request.param == "socket_mode") as made:
        toml = tmp_path / "relay.toml"
        toml.write_text(toml.read_text(encoding="utf-8") + RULES, encoding="utf-8")
        await made.start_relay()
        for team_id in (ALPHA, BETA):
            await made.install(team_id)
        alpha, beta = made.alpha, made.beta
        granted = await ask_tool(alpha, {"command": "granted in alpha"}, then=[Say("It is done.")])
        await alpha.slack.click(GRACE, APPROVALS, granted.ts, "more", value=option(granted, "grant"))
        view = await alpha.slack.wait_for(lambda slack: slack.modal_of(GRACE))
        await alpha.slack.submit_view(GRACE, view)
        granted = await alpha.card_says("allowed it for a while")
        await alpha.card_says("Delivered.")
        await alpha.thread_says("It is done.")  # nothing of that turn comes later
        await alpha.environment.wait_for(lambda seen: not seen.busy())
        alpha.environment.fail_posts(status=422, body={"success": False, "error": "no"}, messages_only=True)
        await alpha.slack.slash(ADA, OPS, "this one fails")
        status = await alpha.slack.wait_for(
            lambda slack: next((m for m in slack.channels[OPS].messages if button(m, "retry")), None)
        )
        card = await ask_tool(alpha, {"command": SECRET}, number=2)
        own = await ask_tool(beta, {"command": "beta's own"})
        await made.until(lambda: quiet(made))
        yield Trespass(made, card, granted, status, own)


def quiet(made: Building) -> bool:
    """Return whether nothing is on its way any more."""
    with sqlite3.connect(f"file:{made.alpha.folder}/relay.db?mode=ro", uri=True) as store:
        [left] = store.execute(
            "select count(*) from deliveries where state in ('pending', 'sending')"
        ).fetchone()
    store.close()
    return bool(left == 0)


async def form_of_alphas(there: Trespass, form: str) -> Ack:
    """Have somebody in beta hand in a form of beta's that names alpha's request."""
    await there.press(form, value(there.own))
    view = await there.beta.wait_for(lambda slack: slack.modal_of(GRACE))
    held = json.loads(value(there.card))
    payload = there.beta.submission_payload(GRACE, view)
    meant = json.loads(payload["view"]["private_metadata"])
    meant |= {"approval_id": held["approval_id"], "tool_call_id": held["tool_call_id"]}
    payload["view"]["private_metadata"] = json.dumps(meant | {"shown_hash": held["input_hash"]})
    payload["view"]["state"]["values"] |= entered_as(entered(words="by the back door"))
    return await there.beta.deliver("view_submission", payload)


def entered_as(values: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return what stands in inputs, as Slack tells it."""
    return {
        block: {action: {"type": "plain_text_input", "value": one} for action, one in by_action.items()}
        for block, by_action in values.items()
    }


def more(there: Trespass, do: str) -> str:
    """Return what an option of alpha's menu carries."""
    held = json.loads(value(there.card))
    return json.dumps({"do": do, "a": held["approval_id"], "h": held["input_hash"][:8]})


async def choose(there: Trespass, do: str) -> Ack:
    """Have somebody in beta choose from their own card's menu, with what alpha's carries."""
    click = there.beta.click_payload(
        GRACE, APPROVALS, there.own.ts, "more", value=option(there.own, "comment")
    )
    click["actions"][0]["selected_option"]["value"] = more(there, do)
    return await there.beta.deliver("action", click)


def grant_of(there: Trespass) -> str:
    """Return the value of alpha's Revoke button."""
    found = button(there.granted, "revoke")
    assert found is not None
    return found["value"]


def retry_of(there: Trespass) -> str:
    """Return the value of alpha's Retry button."""
    found = button(there.status, "retry")
    assert found is not None
    return found["value"]


Attempt = Callable[[Trespass], Awaitable[Any]]
TOLD: dict[str, tuple[Attempt, str]] = {
    "approve": (lambda there: there.press("approve", value(there.card)), "do not know the request"),
    "deny": (lambda there: there.press("deny", value(there.card)), "do not know the request"),
    "details": (lambda there: there.press("details", value(there.card)), "do not know the request"),
    "deny with a reason": (
        lambda there: there.press("deny_reason", value(there.card)),
        "do not know the request",
    ),
    "edit": (lambda there: there.press("edit", value(there.card)), "do not know the request"),
    "comment": (lambda there: choose(there, "comment"), "do not know the request"),
    "ran it": (lambda there: choose(there, "ran_it"), "do not know the request"),
    "deny and stop": (lambda there: choose(there, "deny_stop"), "do not know the request"),
    "grant": (lambda there: choose(there, "grant"), "do not know the request"),
    "snooze": (lambda there: choose(there, "snooze"), "do not know the request"),
    "ask again": (lambda there: there.press("ask_again", value(there.card)), "do not know the request"),
    "revoke": (lambda there: there.press("revoke", grant_of(there)), "allows nothing any more"),
    "retry": (lambda there: there.press("retry", retry_of(there)), "nothing left to send again"),
    "stop": (lambda there: there.press("stop", retry_of(there)), "cannot tell what that button was for"),
    "approve by its code": (lambda there: by_command(there, "approve"), "No request has the code"),
    "deny by its code": (lambda there: by_command(there, "deny"), "No request has the code"),
    "a word with its code": (lambda there: by_word(there), "No request has the code"),
}


async def by_command(there: Trespass, word: str) -> None:
    """Have somebody in beta name the code of alpha's card."""
    await there.beta.slash(GRACE, OPS, f"{word} {code(there.card)}")


async def by_word(there: Trespass) -> None:
    """Have somebody in beta do so in the thread of their own card."""
    await there.beta.say(GRACE, APPROVALS, f"!approve {code(there.card)}", thread_ts=there.own.ts)


@pytest.mark.parametrize("what", TOLD)
async def test_what_names_something_of_another_workspace_is_refused_and_shows_nothing(
    trespass: Trespass, what: str
) -> None:
    saw, held = trespass.alpha_saw(), trespass.alpha_holds()
    attempt, words = TOLD[what]
    await attempt(trespass)
    told = await trespass.made.beta.told(GRACE, words)
    await trespass.made.until(lambda: quiet(trespass.made))
    assert SECRET not in told
    shown = [one.text for one in trespass.beta.ephemerals] + [str(one.view) for one in trespass.beta.views]
    assert not any(SECRET in one or "alpha" in one for one in shown)
    assert trespass.alpha_saw() == saw
    assert trespass.alpha_holds() == held
    assert trespass.made.beta.environment.decisions == []
    assert button(await trespass.made.beta.card(), "approve") is not None


async def test_a_form_that_names_a_request_of_another_workspace_decides_nothing(trespass: Trespass) -> None:
    saw, held = trespass.alpha_saw(), trespass.alpha_holds()
    ack = await form_of_alphas(trespass, "deny_reason")
    assert ack.ok
    assert "do not know the request" in json.dumps(ack.body)
    assert SECRET not in json.dumps(ack.body)
    assert (trespass.alpha_saw(), trespass.alpha_holds()) == (saw, held)
    assert trespass.made.beta.environment.decisions == []


async def test_home_and_lists_show_what_waits_in_ones_own_workspace_alone(trespass: Trespass) -> None:
    for user in (ADA, GRACE, LINUS):
        await trespass.beta.home_opened(user)
        await trespass.beta.slash(user, OPS, "approvals")
        await trespass.beta.slash(user, OPS, "grants")
    for user in (ADA, GRACE, LINUS):
        home = await home_of(trespass.beta, user)
        assert "beta's own" in str(home.view)
        assert SECRET not in str(home.view) and "granted in alpha" not in str(home.view)
    await trespass.beta.wait_for(lambda slack: len(slack.ephemerals) >= 6)
    lists = [one.text + str(one.blocks) for one in trespass.beta.ephemerals]
    assert any("beta's own" in one for one in lists)
    assert not any(SECRET in one or "granted in alpha" in one for one in lists)
    await trespass.made.alpha.slack.home_opened(GRACE)
    home = await trespass.made.alpha.slack.wait_for(lambda slack: slack.home_of(GRACE))
    assert SECRET in str(home.view) and "beta's own" not in str(home.view)


async def home_of(slack: FakeSlack, user: str) -> View:
    """Return somebody's Home tab, once it is there."""
    return await slack.wait_for(lambda seen: seen.home_of(user))


async def test_a_thread_of_the_same_name_is_another_thread(trespass: Trespass) -> None:
    alpha, beta = trespass.made.alpha, trespass.made.beta
    root = next(one for one in alpha.slack.channels[OPS].messages if one.thread_ts is None)
    beta.slack.workspace.post(beta.slack.channels[OPS], ADA, "by chance at the same moment", [])
    beta.slack.channels[OPS].messages[-1].ts = root.ts
    said = len(beta.environment.received)
    await beta.slack.say(ADA, OPS, "is that for the agent", thread_ts=root.ts)
    await beta.slack.say(ADA, OPS, "!stop", thread_ts=root.ts)
    await beta.slack.slash(ADA, OPS, "one that is")
    await beta.environment.wait_for(lambda seen: any("one that is" in one.last_line for one in seen.received))
    assert [one.last_line for one in beta.environment.received[said:]] == ["one that is"]
    assert not any("agent" in one.last_line for one in alpha.environment.received)


async def test_the_same_arrival_in_both_workspaces_is_two_arrivals(trespass: Trespass) -> None:
    alpha, beta = trespass.made.alpha, trespass.made.beta
    ours = alpha.slack.click_payload(GRACE, APPROVALS, trespass.card.ts, "deny")
    theirs = beta.slack.click_payload(GRACE, APPROVALS, trespass.own.ts, "approve")
    for payload in (ours, theirs):  # and of both Slack says the same trigger, by chance
        payload["trigger_id"] = "1.2.3"
        payload["actions"][0]["action_ts"] = "1.0"
        payload["actions"][0]["action_id"] = "deny"
    await asyncio.gather(alpha.slack.deliver("action", ours), beta.slack.deliver("action", theirs))
    await alpha.environment.wait_for(lambda seen: len(seen.decisions) == 2)
    await beta.environment.wait_for(lambda seen: len(seen.decisions) == 1)


async def test_a_grant_of_one_workspace_decides_nothing_in_another(trespass: Trespass) -> None:
    beta = trespass.made.beta
    await beta.slack.click(GRACE, APPROVALS, trespass.own.ts, "deny")
    await beta.card_says("Delivered.")
    await beta.environment.wait_for(lambda seen: not seen.busy())
    card = await ask_tool(beta, {"command": "granted in alpha"}, number=2)
    assert "approval needed" in card.text
    assert len(beta.environment.decisions) == 1


async def test_each_call_to_slack_has_the_token_of_its_own_workspace(trespass: Trespass) -> None:
    # The stand-in takes a call for the workspace whose token it comes with: a wrong one would be seen there.
    for world, other in (
        (trespass.made.alpha, trespass.made.beta),
        (trespass.made.beta, trespass.made.alpha),
    ):
        posted = [one for one in world.slack.calls if one.method == "chat.postMessage" and one.error is None]
        assert posted
        assert {one.error for one in world.slack.calls} <= {None}
        own = {
            everything(message) for channel in world.slack.channels.values() for message in channel.messages
        }
        theirs = {
            everything(message) for channel in other.slack.channels.values() for message in channel.messages
        }
        assert not own & theirs


async def test_what_one_workspace_shares_ends_nothing_for_the_other(tmp_path: Path) -> None:
    async with building(tmp_path) as made:
        made.alpha.slack.channels[APPROVALS].is_ext_shared = True
        await made.start_relay()
        for team_id in (ALPHA, BETA):
            await made.install(team_id)
        made.alpha.environment.script = lambda turn: [UseTool("Bash", {"command": SECRET})]
        await made.alpha.slack.slash(ADA, OPS, "ask in a shared channel")
        await made.alpha.environment.wait_for(lambda seen: seen.decisions)
        assert not made.alpha.environment.decisions[0].approve
        assert made.alpha.slack.channels[APPROVALS].messages == []
        await ask_tool(made.beta, {"command": "beta goes on"})
