"""Modals and the Home tab of the stand-in Slack, as people use them and as Bolt hears of it."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from relay.sandbox.slack import FakeSlack, View
from tests.sandbox.test_fake_slack import ADA, GRACE, OPS, client_of, error_of, section

Json = dict[str, Any]
ANY = re.compile(".*")


@dataclass
class Stage:
    """A stand-in Slack, and an app that remembers all it hears and answers submissions with `answer`."""

    slack: FakeSlack
    client: AsyncWebClient
    heard: list[Any] = field(default_factory=list)
    answer: Json = field(default_factory=dict)

    def app(self) -> AsyncApp:
        """Return the application; it is told of everything that people do."""
        made = AsyncApp(
            client=self.client, signing_secret=self.slack.signing_secret, process_before_response=True
        )

        async def remember(ack: Any, body: Any) -> None:
            self.heard.append(body)
            await ack()

        async def submitted(ack: Any, body: Any) -> None:
            self.heard.append(body)
            await ack(**self.answer)

        made.action(ANY)(remember)
        made.event("app_home_opened")(remember)
        made.view_closed(ANY)(remember)
        made.view_submission(ANY)(submitted)
        return made

    async def open(self, *blocks: Json, user: str = ADA, **more: Any) -> View:
        """Open a modal of these blocks before somebody."""
        trigger = self.slack.workspace.new_trigger(user)
        await self.client.views_open(trigger_id=trigger, view=modal(*blocks, **more))
        return self.slack.views[-1]

    def values(self) -> Json:
        """Return the state's values of what was heard last."""
        values: Json = self.heard[-1]["view"]["state"]["values"]
        return values


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with FakeSlack() as slack:
        made = Stage(slack, client_of(slack))
        runner = web.AppRunner(made.app().web_app("/slack/events"))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        slack.request_url = f"http://127.0.0.1:{runner.addresses[0][1]}/slack/events"
        yield made
        await runner.cleanup()


def words(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def option(value: str) -> Json:
    return {"text": words(value.upper()), "value": value}


def modal(*blocks: Json, **more: Any) -> Json:
    whole = {"type": "modal", "callback_id": "form", "title": words("Form"), "submit": words("Send")}
    return whole | {"blocks": list(blocks)} | more


def asks(kind: str = "plain_text_input", block_id: str = "b", *, optional: bool = False, **more: Any) -> Json:
    element = {"type": kind, "action_id": "a", **more}
    block = {"type": "input", "block_id": block_id, "label": words("Label"), "element": element}
    return block | {"optional": optional}


def actions(kind: str, **more: Any) -> Json:
    return {"type": "actions", "block_id": "acts", "elements": [{"type": kind, "action_id": "act", **more}]}


AB: Json = {"options": [option("a"), option("b")]}


async def submitted(stage: Stage, element: Json, value: Any) -> Any:
    """Submit a modal with one input; return what the app is told of it."""
    view = await stage.open(asks(element.pop("type"), **element))
    await stage.slack.submit_view(ADA, view, {"b": {"a": value}})
    return stage.values()["b"]["a"]


@pytest.mark.parametrize(
    ("element", "value", "told"),
    [
        ({"type": "plain_text_input"}, "why not", {"value": "why not"}),
        ({"type": "number_input", "is_decimal_allowed": True}, "1.5", {"value": "1.5"}),
        ({"type": "static_select", **AB}, "b", {"selected_option": option("b")}),
        ({"type": "radio_buttons", **AB}, "a", {"selected_option": option("a")}),
        ({"type": "checkboxes", **AB}, ["b"], {"selected_options": [option("b")]}),
        ({"type": "multi_static_select", **AB}, ["a", "b"], {"selected_options": [option("a"), option("b")]}),
        ({"type": "datetimepicker"}, 1_800_000_000, {"selected_date_time": 1_800_000_000}),
        ({"type": "datepicker"}, "2026-11-21", {"selected_date": "2026-11-21"}),
        ({"type": "users_select"}, GRACE, {"selected_user": GRACE}),
    ],
)
async def test_a_submission_tells_of_each_input_as_slack_does(
    stage: Stage, element: Json, value: Any, told: Json
) -> None:
    kind = element["type"]
    assert await submitted(stage, {**element}, value) == {"type": kind, **told}


@pytest.mark.parametrize(
    ("element", "told"),
    [
        ({"kind": "plain_text_input"}, {"value": None}),
        ({"kind": "plain_text_input", "initial_value": "first"}, {"value": "first"}),
        ({"kind": "static_select", **AB}, {"selected_option": None}),
        ({"kind": "static_select", **AB, "initial_option": option("b")}, {"selected_option": option("b")}),
        ({"kind": "checkboxes", **AB}, {"selected_options": []}),
        ({"kind": "datetimepicker"}, {"selected_date_time": None}),
    ],
)
async def test_an_untouched_input_holds_what_it_began_with(stage: Stage, element: Json, told: Json) -> None:
    view = await stage.open(asks(**element, optional=True))
    await stage.slack.submit_view(ADA, view)
    assert stage.values()["b"]["a"] == {"type": element["kind"], **told}


@pytest.mark.parametrize(
    ("element", "value", "complaint"),
    [
        ({"kind": "plain_text_input"}, "", "required"),
        ({"kind": "plain_text_input"}, None, "required"),
        ({"kind": "checkboxes", **AB}, [], "required"),
        ({"kind": "static_select", **AB}, None, "required"),
        ({"kind": "static_select", **AB}, "c", "No option 'c'"),
        ({"kind": "plain_text_input"}, "x" * 3001, "3000 characters"),
        ({"kind": "plain_text_input", "min_length": 3, "max_length": 5}, "xx", "between 3 and 5"),
        ({"kind": "number_input", "is_decimal_allowed": False}, "1.5", "whole number"),
        ({"kind": "number_input", "is_decimal_allowed": False}, "many", "enter a number"),
        ({"kind": "number_input", "is_decimal_allowed": False, "max_value": "3"}, "4", "at most 3"),
        ({"kind": "email_text_input"}, "nobody", "email"),
    ],
)
async def test_slack_itself_refuses_what_an_input_does_not_take(
    stage: Stage, element: Json, value: Any, complaint: str
) -> None:
    view = await stage.open(asks(**element))
    with pytest.raises(AssertionError, match=complaint):
        await stage.slack.submit_view(ADA, view, {"b": {"a": value}})
    assert (stage.heard, view.is_open) == ([], True)


async def test_an_input_that_is_not_there_cannot_be_filled(stage: Stage) -> None:
    view = await stage.open(asks())
    with pytest.raises(AssertionError, match="No input c/a"):
        stage.slack.fill(ADA, view, {"c": {"a": "x"}})


async def test_errors_stand_at_their_inputs_and_what_was_typed_stays(stage: Stage) -> None:
    view = await stage.open(asks())
    stage.answer = {"response_action": "errors", "errors": {"b": "Line 3: no."}}
    await stage.slack.submit_view(ADA, view, {"b": {"a": "{"}})
    assert (view.is_open, view.errors) == (True, {"b": "Line 3: no."})
    stage.answer = {}
    await stage.slack.submit_view(ADA, view)
    assert (view.is_open, stage.values()["b"]["a"]["value"]) == (False, "{")


@pytest.mark.parametrize("errors", [{"nowhere": "No."}, {"b": ""}, {"head": "No."}])
async def test_errors_that_no_input_can_show_are_told(stage: Stage, errors: Json) -> None:
    view = await stage.open(section("Head") | {"block_id": "head"}, asks())
    stage.answer = {"response_action": "errors", "errors": errors}
    await stage.slack.submit_view(ADA, view, {"b": {"a": "x"}})
    assert "invalid response_action" in view.errors["view"]


async def test_an_update_in_the_answer_shows_another_form(stage: Stage) -> None:
    view = await stage.open(asks())
    stage.answer = {"response_action": "update", "view": modal(section("Thanks"), title=words("Done"))}
    await stage.slack.submit_view(ADA, view, {"b": {"a": "x"}})
    assert (view.is_open, view.view["title"]["text"], len(view.history)) == (True, "Done", 1)


async def test_clear_closes_the_whole_stack(stage: Stage) -> None:
    view = await stage.open(asks())
    stage.answer = {"response_action": "push", "view": modal(asks(), title=words("Second"))}
    await stage.slack.submit_view(ADA, view, {"b": {"a": "x"}})
    second = stage.slack.modal_of(ADA)
    assert second is not None
    assert (second.view["previous_view_id"], second.view["root_view_id"]) == (view.id, view.id)
    stage.answer = {"response_action": "clear"}
    await stage.slack.submit_view(ADA, second, {"b": {"a": "x"}})
    assert stage.slack.modal_of(ADA) is None


async def test_a_modal_has_three_views_at_most(stage: Stage) -> None:
    view = await stage.open(actions("button", text=words("More")))
    for _ in range(2):
        await stage.slack.click_view(ADA, view, "act")
        trigger = stage.heard[-1]["trigger_id"]
        more = modal(actions("button", text=words("More")))
        await stage.client.views_push(trigger_id=trigger, view=more)
        view = stage.slack.views[-1]
    await stage.slack.click_view(ADA, view, "act")
    trigger = stage.heard[-1]["trigger_id"]
    assert await error_of(stage.client.views_push(trigger_id=trigger, view=modal())) == "push_limit_reached"


async def test_a_trigger_from_outside_pushes_nothing(stage: Stage) -> None:
    trigger = stage.slack.workspace.new_trigger(ADA)
    assert await error_of(stage.client.views_push(trigger_id=trigger, view=modal())) == "not_found"


async def test_only_the_uppermost_view_is_seen_and_by_its_person_alone(stage: Stage) -> None:
    first = await stage.open(asks())
    second = await stage.open(asks())
    with pytest.raises(AssertionError, match="another is over it"):
        await stage.slack.submit_view(ADA, first, {"b": {"a": "x"}})
    with pytest.raises(AssertionError, match="screen of"):
        await stage.slack.submit_view(GRACE, second, {"b": {"a": "x"}})
    assert await stage.slack.close_view(ADA, second) is None
    await stage.slack.submit_view(ADA, first, {"b": {"a": "x"}})
    assert len(stage.heard) == 1


async def test_a_dismissed_modal_is_told_of_where_the_app_wants_it(stage: Stage) -> None:
    view = await stage.open(asks(), notify_on_close=True, private_metadata="apr_1")
    ack = await stage.slack.close_view(ADA, view)
    assert ack is not None
    assert (ack.ok, view.is_open) == (True, False)
    assert (stage.heard[0]["type"], stage.heard[0]["view"]["private_metadata"]) == ("view_closed", "apr_1")


async def test_a_stack_is_dismissed_as_a_whole_and_told_of_from_the_uppermost_down(stage: Stage) -> None:
    for number, told in enumerate((True, False, True)):
        await stage.open(asks(), notify_on_close=told, private_metadata=str(number))
    others = await stage.open(asks(), user=GRACE, notify_on_close=True)
    acks = await stage.slack.clear_views(ADA)
    assert [ack.ok for ack in acks] == [True, True]
    assert (stage.slack.modal_of(ADA), stage.slack.modal_of(GRACE)) == (None, others)
    assert [one["view"]["private_metadata"] for one in stage.heard] == ["2", "0"]
    assert all(one["is_cleared"] for one in stage.heard)


async def test_a_choice_in_a_modal_is_told_with_all_that_is_filled_in(stage: Stage) -> None:
    view = await stage.open(asks(), actions("static_select", **AB))
    stage.slack.fill(ADA, view, {"b": {"a": "half"}})
    await stage.slack.click_view(ADA, view, "act", value="b")
    [action] = stage.heard[0]["actions"]
    assert (action["type"], action["selected_option"], action["block_id"]) == (
        "static_select",
        option("b"),
        "acts",
    )
    assert stage.heard[0]["container"] == {"type": "view", "view_id": view.id}
    assert stage.values()["b"]["a"]["value"] == "half"
    assert stage.values()["acts"]["act"]["selected_option"] == option("b")


async def test_an_update_keeps_what_was_entered_under_the_same_ids(stage: Stage) -> None:
    view = await stage.open(asks(), asks(block_id="c", initial_value="old"))
    stage.slack.fill(ADA, view, {"b": {"a": "mine"}})
    renewed = modal(asks(initial_value="new"), asks(block_id="c", initial_value="new"), asks(block_id="d"))
    await stage.client.views_update(view_id=view.id, hash=view.view["hash"], view=renewed)
    await stage.slack.submit_view(ADA, view, {"d": {"a": "x"}})
    told = {block_id: entry["a"]["value"] for block_id, entry in stage.values().items()}
    assert told == {"b": "mine", "c": "old", "d": "x"}


async def test_an_update_to_an_older_view_is_refused(stage: Stage) -> None:
    view = await stage.open(asks())
    old = view.view["hash"]
    await stage.client.views_update(view_id=view.id, hash=old, view=modal(asks()))
    late = stage.client.views_update(view_id=view.id, hash=old, view=modal(asks()))
    assert await error_of(late) == "hash_conflict"


async def test_typing_is_told_at_once_only_where_the_app_asked_for_it(stage: Stage) -> None:
    view = await stage.open(asks() | {"dispatch_action": True}, asks(block_id="c"))
    await stage.slack.click_view(ADA, view, "a", value="half")
    assert (stage.heard[0]["actions"][0]["value"], stage.values()["b"]["a"]["value"]) == ("half", "half")
    quiet = await stage.open(asks())
    with pytest.raises(AssertionError, match="before the view is submitted"):
        await stage.slack.click_view(ADA, quiet, "a", value="half")


async def test_a_forged_submission_may_hold_anything(stage: Stage) -> None:
    view = await stage.open(asks())
    payload = stage.slack.submission_payload(GRACE, view, {"b": {"a": "x" * 5000}, "z": {"y": "1"}})
    assert (await stage.slack.deliver("view_submission", payload)).ok
    assert (stage.heard[0]["user"]["id"], len(stage.values()["b"]["a"]["value"])) == (GRACE, 5000)
    assert stage.values()["z"] == {"y": {"type": "plain_text_input", "value": "1"}}


@pytest.mark.parametrize("kind", ["overflow", "static_select", "radio_buttons"])
async def test_a_choice_in_a_message_is_told_by_its_option(stage: Stage, kind: str) -> None:
    blocks = [actions(kind, **AB)]
    ts = str((await stage.client.chat_postMessage(channel=OPS, text="card", blocks=blocks))["ts"])
    await stage.slack.click(ADA, OPS, ts, "act", value="b")
    [action] = stage.heard[0]["actions"]
    assert (action["type"], action["selected_option"], "value" in action) == (kind, option("b"), False)
    assert bool(stage.heard[0]["state"]["values"]) is (kind != "overflow")


async def test_a_menu_that_an_update_took_away_may_still_be_clicked(stage: Stage) -> None:
    blocks = [actions("overflow", **AB)]
    ts = str((await stage.client.chat_postMessage(channel=OPS, text="card", blocks=blocks))["ts"])
    await stage.client.chat_update(channel=OPS, ts=ts, text="decided")
    await stage.slack.click(ADA, OPS, ts, "act", value="a")
    assert stage.heard[0]["actions"][0]["selected_option"] == option("a")
    with pytest.raises(AssertionError, match="Nothing to click"):
        await stage.slack.click(ADA, OPS, ts, "act")


async def test_the_home_tab_is_told_of_when_it_is_opened(stage: Stage) -> None:
    assert (await stage.slack.home_opened(ADA)).ok
    await stage.client.views_publish(user_id=ADA, view={"type": "home", "blocks": [section("Inbox")]})
    await stage.slack.home_opened(ADA)
    first, second = (body["event"] for body in stage.heard)
    assert (first["type"], first["tab"], first["user"], first["channel"]) == (
        "app_home_opened",
        "home",
        ADA,
        f"D{ADA}",
    )
    assert "view" not in first
    assert second["view"]["blocks"][0]["text"]["text"] == "Inbox"


async def test_a_click_on_the_home_tab_opens_a_modal(stage: Stage) -> None:
    home = {"type": "home", "blocks": [actions("button", text=words("Approve"), value="apr_1")]}
    await stage.client.views_publish(user_id=ADA, view=home)
    shown = stage.slack.home_of(ADA)
    assert shown is not None
    await stage.slack.click_view(ADA, shown, "act")
    assert (stage.heard[0]["actions"][0]["value"], stage.heard[0]["view"]["type"]) == ("apr_1", "home")
    await stage.client.views_open(trigger_id=stage.heard[0]["trigger_id"], view=modal())
    assert stage.slack.modal_of(ADA) is stage.slack.views[-1]


async def test_a_home_tab_is_published_anew_unless_it_changed_meanwhile(stage: Stage) -> None:
    home = {"type": "home", "blocks": [section("1")]}
    old = (await stage.client.views_publish(user_id=ADA, view=home))["view"]["hash"]
    await stage.client.views_publish(user_id=ADA, view=home, hash=old)
    assert await error_of(stage.client.views_publish(user_id=ADA, view=home, hash=old)) == "hash_conflict"
    assert len(stage.slack.views) == 1


async def test_a_home_tab_that_cannot_be_is_refused(stage: Stage) -> None:
    home: Json = {"type": "home", "blocks": [section("1")]}
    publish = stage.client.views_publish
    assert await error_of(publish(user_id="U0NOBODY", view=home)) == "user_not_found"
    many = {"type": "home", "blocks": [{"type": "divider"}] * 101}
    assert await error_of(publish(user_id=ADA, view=many)) == "invalid_arguments"
    stage.slack.workspace.home_enabled = False
    assert await error_of(publish(user_id=ADA, view=home)) == "not_enabled"


async def test_a_view_may_be_too_large_and_its_external_id_taken(stage: Stage) -> None:
    await stage.open(asks(), external_id="one")
    trigger = stage.slack.workspace.new_trigger(GRACE)
    again = stage.client.views_open(trigger_id=trigger, view=modal(external_id="one"))
    assert await error_of(again) == "duplicate_external_id"
    large = modal(*[section("x" * 3000)] * 90)
    assert await error_of(stage.client.views_open(trigger_id=trigger, view=large)) == "view_too_large"
    assert (await stage.client.views_open(trigger_id=trigger, view=modal()))["ok"]
