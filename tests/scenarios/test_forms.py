"""Answers by a form: opened for who may, kept when it cannot be taken, and taken as it was meant."""

import asyncio
import threading
from dataclasses import replace
from typing import Any

import pytest

from relay.sandbox.environment import UseTool, Wait
from relay.sandbox.slack.workspace import Message, View
from relay.slack.blocks import Block
from relay.slack.forms.kinds import FORMS
from relay.use_cases.record_decision import Answer
from tests.scenarios.acts import ask_tool, rows
from tests.world import ADA, APPROVALS, GONE, GRACE, GUEST, LINUS, OPS, STRANGER, World, everything, world

INPUT = {"command": "make the zanzibar release", "timeout": 30, "force": False, "options": {"jobs": [1, 2]}}
SECRET = "ghp_16C7e42F292c6912E7710c838347Ae178B4a"
REFUSED = {
    GUEST: "guests cannot do that here",
    GONE: "your account is deactivated",
    STRANGER: "only members of this workspace",
}
RULE = """
[[policies]]
name = "release"
tools = ["*"]
action = "ask"
requester_may_approve = true
"""


async def with_rule(world: World, settings: str, tool_input: dict[str, Any] = INPUT) -> Message:
    """Start the relay under a rule with these settings and have a tool asked for; return the card."""
    (world.folder / "relay.toml").write_text(RULE + settings, encoding="utf-8")
    await world.start_relay()
    return await ask_tool(world, tool_input)


async def opened(world: World, card: Message, form: str, user: str = GRACE) -> View:
    """Open a form from a card, by its button or by its menu."""
    if form in ("deny_reason", "edit"):
        ack = await world.slack.click(user, APPROVALS, card.ts, form)
    else:
        ack = await world.slack.click(user, APPROVALS, card.ts, "more", value=option(card, form))
    assert ack.in_time
    await world.slack.wait_for(lambda slack: slack.modal_of(user) is not None)
    view = world.slack.modal_of(user)
    assert view is not None
    return view


async def ask_and_go_on(world: World) -> Message:
    """Have a tool asked for by an agent that goes on whatever the answer; return the card."""
    world.environment.script = lambda turn: [UseTool("Bash", INPUT), Wait(asyncio.Event())]
    await world.slack.slash(ADA, OPS, "please use your tool")
    return await world.card()


def option(card: Message, do: str) -> str:
    """Return the value of an option of a card's menu."""
    [menu] = [
        one for block in card.blocks for one in block.get("elements", []) if one.get("type") == "overflow"
    ]
    [value] = [one["value"] for one in menu["options"] if f'"do":"{do}"' in one["value"]]
    return str(value)


def label(view: View, name: str) -> str:
    """Return the id of the input under a label."""
    [found] = [one["block_id"] for one in view.view["blocks"] if one.get("label", {}).get("text") == name]
    return str(found)


def entered(**values: Any) -> dict[str, dict[str, Any]]:
    """Return what is entered, by the ids of the inputs' blocks."""
    return {block: {"entered": value} for block, value in values.items()}


def shown(view: View) -> str:
    """Return all that a modal shows."""
    return str(view.view["blocks"])


async def test_a_reason_reaches_the_agent_and_stands_on_the_card(both_ways: World) -> None:
    card = await ask_tool(both_ways, INPUT)
    view = await opened(both_ways, card, "deny_reason")
    ack = await both_ways.slack.submit_view(GRACE, view, entered(words="Not on a Friday."))
    assert ack.in_time and not view.is_open
    assert "Not on a Friday." in everything(await both_ways.card_says("Delivered."))
    [decision] = both_ways.environment.decisions
    assert (decision.approve, decision.reason) == (False, "Not on a Friday.")


async def test_a_ready_reason_and_words_are_both_given(idle: World) -> None:
    card = await with_rule(idle, 'quick_reasons = ["Too risky.", "Ask in #ops first."]')
    view = await opened(idle, card, "deny_reason")
    await idle.slack.submit_view(GRACE, view, entered(ready="1", words="Thanks"))
    await idle.card_says("Delivered.")
    assert idle.environment.decisions[0].reason == "Ask in #ops first.\nThanks"


async def test_a_form_without_any_reason_stays_open_and_says_so(idle: World) -> None:
    card = await with_rule(idle, 'quick_reasons = ["Too risky."]')
    view = await opened(idle, card, "deny_reason")
    labels = {one["block_id"]: one for one in view.view["blocks"] if one["type"] == "input"}
    assert not labels["ready"].get("optional")
    with pytest.raises(AssertionError, match="required"):
        await idle.slack.submit_view(GRACE, view)
    await idle.slack.submit_view(GRACE, view, entered(ready="own"))
    assert view.is_open
    assert view.errors == {
        "ready": "Choose a reason, or write one below; without a reason, use Deny on the card."
    }
    assert idle.environment.decisions == []


async def test_another_reason_than_the_ready_ones_is_given_in_words(idle: World) -> None:
    card = await with_rule(idle, 'quick_reasons = ["Too risky."]')
    view = await opened(idle, card, "deny_reason")
    await idle.slack.submit_view(GRACE, view, entered(ready="own", words="Not on a Friday"))
    await idle.card_says("Delivered.")
    assert idle.environment.decisions[0].reason == "Not on a Friday"


async def test_deny_and_stop_denies_first_and_then_stops_the_turn(both_ways: World) -> None:
    card = await ask_and_go_on(both_ways)
    await both_ways.slack.click(GRACE, APPROVALS, card.ts, "more", value=option(card, "deny_stop"))
    await both_ways.told(GRACE, "Stopped.")
    done = await both_ways.card_says("Delivered.")
    assert "to be stopped as well" in everything(done)
    assert [one.approve for one in both_ways.environment.decisions] == [False]
    assert not both_ways.environment.busy()


async def test_a_reason_may_stop_the_turn_as_well(here: World) -> None:
    card = await ask_and_go_on(here)
    view = await opened(here, card, "deny_reason")
    await here.slack.submit_view(GRACE, view, entered(words="No.", stop=["stop"]))
    await here.card_says("to be stopped as well")
    await here.thread_says("stopped the agent's turn")
    assert not here.environment.busy()


async def test_a_comment_reaches_the_agent_with_the_result(both_ways: World) -> None:
    card = await ask_tool(both_ways, INPUT)
    view = await opened(both_ways, card, "comment")
    await both_ways.slack.submit_view(GRACE, view, entered(words="Mind the port."))
    await both_ways.card_says("Delivered.")
    [decision] = both_ways.environment.decisions
    assert (decision.approve, decision.reason) == (True, "Mind the port.")


async def test_the_environments_suggestions_are_offered_where_the_rule_says_so(idle: World) -> None:
    card = await with_rule(idle, "suggestions = true")
    view = await opened(idle, card, "comment")
    await idle.slack.submit_view(GRACE, view, entered(kept=["0"]))
    done = await idle.card_says("Delivered.")
    assert "save-default" in everything(done)


async def test_the_environments_suggestions_are_offered_to_nobody_else(here: World) -> None:
    view = await opened(here, await ask_tool(here, INPUT), "comment")
    assert "ask again for" not in shown(view)


async def test_an_edit_changes_what_is_typed_and_keeps_the_type_of_everything(both_ways: World) -> None:
    card = await ask_tool(both_ways, INPUT)
    view = await opened(both_ways, card, "edit")
    values = {
        label(view, "command"): "make the quiet zanzibar release",
        label(view, "timeout"): "60",
        label(view, "force"): "true",
        label(view, "options"): '{"jobs": [3]}',
    }
    await both_ways.slack.submit_view(GRACE, view, entered(**values))
    await both_ways.card_says("Delivered.")
    changed = {
        "command": "make the quiet zanzibar release", "timeout": 60, "force": True, "options": {"jobs": [3]},
    }  # fmt: skip
    assert [run[2] for run in both_ways.environment.tool_runs] == [changed]


async def test_json_that_is_none_is_refused_under_its_field_with_the_line(here: World) -> None:
    view = await opened(here, await ask_tool(here, INPUT), "edit")
    field = label(view, "options")
    await here.slack.submit_view(GRACE, view, entered(**{field: '{\n  "jobs": [1,\n}'}))
    assert view.errors[field].startswith("Line 3")
    assert view.is_open and here.environment.decisions == []


async def test_an_edit_without_a_change_is_no_answer(here: World) -> None:
    view = await opened(here, await ask_tool(here, INPUT), "edit")
    await here.slack.submit_view(GRACE, view)
    assert "Nothing is changed" in view.errors[label(view, "command")]


async def test_a_value_of_3001_characters_stays_as_it_is_and_the_form_says_so(here: World) -> None:
    long = {"content": "z" * 3001, "path": "/tmp/notes"}  # noqa: S108 - a name, no file
    card = await ask_tool(here, long)
    view = await opened(here, card, "edit")
    assert "stays as it is" in shown(view)
    await here.slack.submit_view(GRACE, view, entered(**{label(view, "path"): "/srv/notes"}))
    await here.card_says("Delivered.")
    assert here.environment.tool_runs[0][2] == {"content": "z" * 3001, "path": "/srv/notes"}


async def test_of_fifty_arguments_one_text_is_edited(here: World) -> None:
    many = {f"argument_{number}": number for number in range(50)}
    view = await opened(here, await ask_tool(here, many), "edit")
    field = label(view, "The whole input")
    await here.slack.submit_view(GRACE, view, entered(**{field: '{"argument_0": 7}'}))
    await here.card_says("Delivered.")
    assert here.environment.tool_runs[0][2] == {"argument_0": 7}


async def test_secrets_are_in_no_view_and_reach_the_tool_unchanged(both_ways: World) -> None:
    held = {
        "command": f"curl -H 'Authorization: token {SECRET}' https://example.org",
        "password": "hunter22!x",
    }
    view = await opened(both_ways, await ask_tool(both_ways, held), "edit")
    masked = view.view["blocks"][-3]["element"]["initial_value"]
    field = label(view, "command")
    for block in view.view["blocks"]:
        if block.get("block_id") == field:
            masked = block["element"]["initial_value"]
    await both_ways.slack.submit_view(GRACE, view, entered(**{field: f"{masked} --silent"}))
    await both_ways.card_says("Delivered.")
    expected = {"command": f"{held['command']} --silent", "password": "hunter22!x"}
    assert both_ways.environment.tool_runs[0][2] == expected
    seen = str(
        [one.view for one in both_ways.slack.views] + [call.arguments for call in both_ways.slack.calls]
    )
    assert SECRET not in seen and "hunter22!x" not in seen


async def test_a_mark_that_stands_for_nothing_is_refused(here: World) -> None:
    view = await opened(here, await ask_tool(here, {"command": f"deploy {SECRET}"}), "edit")
    field = label(view, "command")
    await here.slack.submit_view(GRACE, view, entered(**{field: "deploy ‹secret 9: GitHub token›"}))
    assert "stands for no secret" in view.errors[field]


async def test_the_change_of_an_editor_who_may_not_approve_waits_for_who_may(idle: World) -> None:
    settings = f'approvers = {{ users = ["{GRACE}"] }}\neditors = {{ users = ["{LINUS}"] }}'
    card = await with_rule(idle, settings)
    view = await opened(idle, card, "edit", LINUS)
    assert view.view["submit"]["text"] == "Change"
    await idle.slack.submit_view(LINUS, view, entered(**{label(view, "command"): "make nothing"}))
    await idle.told(LINUS, "Your change is on the card")
    card = await idle.card_says("Changed")
    assert idle.environment.decisions == [] and rows(idle, "votes") == 0
    await idle.slack.click(GRACE, APPROVALS, card.ts, "approve")
    await idle.card_says("Delivered.")
    assert idle.environment.tool_runs[0][2]["command"] == "make nothing"


@pytest.mark.parametrize("form", ["deny_reason", "edit", "comment", "ran_it", "deny_stop"])
@pytest.mark.parametrize("who", REFUSED)
async def test_who_may_not_answer_sees_no_form_and_is_told_why(here: World, who: str, form: str) -> None:
    card = await ask_tool(here, INPUT)
    action = form if form in ("deny_reason", "edit") else "more"
    if action == "more":
        await here.slack.click(who, APPROVALS, card.ts, "more", value=option(card, form))
    else:
        await here.slack.click(who, APPROVALS, card.ts, form)
    await here.told(who, REFUSED[who])
    assert here.slack.views == [] and here.environment.decisions == []


@pytest.mark.parametrize("form", ["deny_reason", "edit", "comment", "ran_it"])
async def test_a_form_of_a_request_decided_meanwhile_says_so_and_keeps_what_was_typed(
    here: World, form: str
) -> None:
    card = await ask_tool(here, INPUT)
    view = await opened(here, card, form)
    await here.slack.click(LINUS, APPROVALS, card.ts, "approve")
    await here.card_says("Delivered.")
    field = {"edit": "value-0", "ran_it": "output"}.get(form, "words")
    chosen = {"status": "success"} if form == "ran_it" else {}
    await here.slack.submit_view(GRACE, view, entered(**{field: "these were my words"}, **chosen))
    assert view.is_open and "is decided already: approved by" in shown(view)
    assert "these were my words" in shown(view) and "zanzibar" not in shown(view)
    assert len(here.environment.decisions) == 1


async def test_a_form_of_an_input_that_was_changed_meanwhile_is_not_taken(idle: World) -> None:
    settings = f'approvers = {{ users = ["{GRACE}"] }}\neditors = {{ users = ["{LINUS}"] }}'
    card = await with_rule(idle, settings)
    view, other = await opened(idle, card, "comment"), await opened(idle, card, "edit", LINUS)
    await idle.slack.submit_view(LINUS, other, entered(**{label(other, "command"): "make nothing"}))
    await idle.slack.submit_view(GRACE, view, entered(words="looks good"))
    assert "something else than what is asked now" in shown(view) and "looks good" in shown(view)
    assert idle.environment.decisions == []


async def test_a_form_of_a_withdrawn_request_says_that_nobody_asks_any_more(here: World) -> None:
    view = await opened(here, await ask_tool(here, INPUT), "deny_reason")
    await here.environment.abort()
    await here.card_says("asks no longer")
    await here.slack.submit_view(GRACE, view, entered(words="not this"))
    assert "no longer asks for this" in shown(view) and "not this" in shown(view)


async def test_a_form_by_a_person_who_has_become_a_guest_is_refused_in_the_form(here: World) -> None:
    view = await opened(here, await ask_tool(here, INPUT), "comment")
    payload = here.slack.submission_payload(GRACE, view, entered(words="yes"))
    payload["user"] = {**payload["user"], "id": GUEST}
    await here.slack.deliver("view_submission", payload)
    assert REFUSED[GUEST] in shown(view)
    assert here.environment.decisions == []


async def test_a_form_by_a_person_whom_slack_cannot_describe_stays_open(here: World) -> None:
    view = await opened(here, await ask_tool(here, INPUT), "comment")
    payload = here.slack.submission_payload(GRACE, view, entered(words="yes"))
    payload["user"] = {**payload["user"], "id": LINUS}
    here.slack.fail("users.info", "internal_error", status=500)
    await here.slack.deliver("view_submission", payload)
    assert "could not ask Slack who you are" in view.errors["words"]


async def test_when_slack_opens_no_form_the_person_is_told(both_ways: World) -> None:
    card = await ask_tool(both_ways, INPUT)
    both_ways.slack.fail("views.open", "expired_trigger_id")
    assert (await both_ways.slack.click(GRACE, APPROVALS, card.ts, "edit")).ok
    await both_ways.told(GRACE, "could not open that form")


async def test_a_form_that_is_told_twice_is_taken_once(here: World) -> None:
    view = await opened(here, await ask_tool(here, INPUT), "comment")
    payload = here.slack.submission_payload(GRACE, view, entered(words="once"))
    await here.slack.deliver("view_submission", payload)
    assert (await here.slack.deliver("view_submission", payload)).ok
    await here.card_says("Delivered.")
    assert len(here.environment.decisions) == 1 and not view.is_open


async def test_an_output_by_hand_takes_the_tools_place(both_ways: World) -> None:
    card = await ask_tool(both_ways, INPUT)
    view = await opened(both_ways, card, "ran_it")
    await both_ways.slack.submit_view(
        GRACE, view, entered(status="success", output="released 7", stdout="one\ntwo", stderr="a warning")
    )
    done = await both_ways.card_says("Delivered.")
    assert "in place of its own call's" in everything(done) and "released 7" in everything(done)
    [post] = [one for one in both_ways.environment.posts if "approvals" in str(one.body)]
    [answer] = post.body["messages"][0]["approvals"]
    assert (answer["status"], answer["tool_return"]) == ("success", "released 7")
    assert (answer["stdout"], answer["stderr"]) == (["one", "two"], ["a warning"])
    assert both_ways.environment.tool_runs == []


async def test_where_outputs_are_not_taken_a_denial_carries_them_and_the_card_says_so(tmp_path: Any) -> None:
    async with world(tmp_path, router="verbatim") as there:
        await there.start_relay()
        view = await opened(there, await ask_tool(there, INPUT), "ran_it")
        await there.slack.submit_view(GRACE, view, entered(status="error", output="exit 2: no such host"))
        done = await there.card_says("as a denial that carries the output")
        assert "Delivered." in everything(done)
        decision = [one for one in there.environment.decisions if one.accepted][-1]
        assert not decision.approve and "exit 2: no such host" in str(decision.reason)


async def test_a_form_is_laid_out_and_read_beside_the_loop(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """People's clicks do not wait for somebody's large input."""
    edit, threads = FORMS["edit"], []

    def view(*about: Any) -> Block:
        threads.append(threading.current_thread())
        return edit.view(*about)

    def read(*about: Any) -> Answer:
        threads.append(threading.current_thread())
        return edit.read(*about)

    monkeypatch.setitem(FORMS, "edit", replace(edit, view=view, read=read))
    form = await opened(here, await ask_tool(here, {"command": "word " * 100_000, "n": 1}), "edit")
    await here.slack.submit_view(GRACE, form, entered(**{"value-1": "2"}))
    await here.card_says("Delivered.")
    assert len(threads) == 2
    assert threading.main_thread() not in threads
