"""The server of the workspace's page, spoken to as a tab does: who sees what, may do what, is kept out."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from relay.sandbox.slack import FakeSlack, View
from relay.sandbox.slack.page import Command, Page, Scenario, Spot, Step
from tests.sandbox.test_fake_slack import ADA, GRACE, OPS, client_of, section
from tests.sandbox.test_fake_slack_views import ANY, modal, words

Json = dict[str, Any]
APPROVALS, SHARED = "C0APPROVALS", "C0SHARED"
GUEST, STRANGER = "U0GUEST", "U0STRANGER"


@dataclass
class Tab:
    """A tab as the page's own program keeps it: the pieces it was told, and the answers to its acts."""

    socket: aiohttp.ClientWebSocketResponse
    pieces: Json = field(default_factory=dict)
    answers: Json = field(default_factory=dict)
    messages: list[Json] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def read(self) -> None:
        """Take what the server sends until it ends."""
        async for frame in self.socket:
            told = json.loads(frame.data)
            self.messages.append(told)
            if "ok" in told:
                self.answers[str(told["id"])] = told
            else:
                for name in [*self.pieces] if told["whole"] else told["gone"]:
                    self.pieces.pop(name, None)
                self.pieces |= told["set"]
            self.changed.set()

    async def until(self, found: Callable[["Tab"], Any]) -> Any:
        """Return the first truthy answer, asked again after each message of the server."""
        async with asyncio.timeout(30):
            while True:
                self.changed.clear()
                if answer := found(self):
                    return answer
                await self.changed.wait()

    async def act(self, act: str, **fields: Any) -> Json:
        """Do something and return the answer."""
        number = str(len(self.answers) + len(self.messages) + 1000)
        await self.socket.send_json({"id": number, "act": act, **fields})
        answer: Json = await self.until(lambda tab: tab.answers.get(number))
        return answer

    def said(self, channel: str) -> list[str]:
        """Return the texts of a channel as this person sees them, whispers in brackets."""
        stems = (f"message/{channel}/", f"whisper/{channel}/")
        there = sorted((p["ts"], n, p["text"]) for n, p in self.pieces.items() if n.startswith(stems))
        return [f"({text})" if name.startswith("whisper") else text for _, name, text in there]


@dataclass
class Stage:
    """The page of a stand-in Slack, and an app behind it that does what `answers` says."""

    slack: FakeSlack
    page: Page
    client: AsyncWebClient
    http: aiohttp.ClientSession
    heard: list[Json] = field(default_factory=list)
    answers: dict[str, Callable[..., Awaitable[None]]] = field(default_factory=dict)
    staged: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def tab(self, user: str = ADA, **headers: str) -> AsyncIterator[Tab]:
        """Open a tab as somebody."""
        async with self.http.ws_connect(f"{self.page.url}socket?user={user}", headers=headers) as socket:
            made = Tab(socket)
            reading = asyncio.create_task(made.read())
            await made.until(lambda tab: tab.pieces)
            try:
                yield made
            finally:
                await socket.close()
                await reading

    async def hear(self, kind: str, ack: Any, body: Json, **more: Any) -> None:
        """Remember what came and answer it."""
        self.heard.append(body)
        answer = self.answers.get(kind)
        await (answer(ack, body) if answer else ack())


def app(stage: Stage) -> AsyncApp:
    made = AsyncApp(
        client=stage.client, signing_secret=stage.slack.signing_secret, process_before_response=True
    )

    def hears(kind: str) -> Any:
        async def hear(ack: Any, body: Any) -> None:
            await stage.hear(kind, ack, body)

        return hear

    made.command("/letta")(hears("command"))
    made.action(ANY)(hears("action"))
    made.view_submission(ANY)(hears("submission"))
    made.view_closed(ANY)(hears("closed"))
    made.event(ANY)(hears("event"))
    return made


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with FakeSlack() as slack, aiohttp.ClientSession() as http:
        staged: list[str] = []

        async def begin() -> None:
            staged.append("begun")

        async def play() -> None:
            await slack.say(ADA, OPS, "played")

        async def fail() -> None:
            raise AssertionError("The agent is away.\nA long report")

        def newest(seen: FakeSlack) -> Spot:
            return Spot(seen.channels[OPS].messages[-1].ts, "thread")

        async def begin_typed() -> None:
            staged.append(f"typed {len(made.heard)}")

        said = Step("Say something.", lambda seen: bool(seen.channels[OPS].messages), ADA, OPS, newest)
        far = Step("Say a third thing.", lambda seen: bool(seen.channels[OPS].messages[2]), place=OPS)
        scenarios = [
            Scenario("walk", "A walk", "What it shows.", [said, far], begin, play),
            Scenario("broken", "A broken one", "Fails.", [said], fail),
            Scenario("typed", "A typed one", "Begins itself.", [far, said], begin_typed, begun_by="do this"),
        ]
        commands = [Command("/letta", "Ask the agent", "[message]", ["status", "approve CODE"])]
        async with Page(slack, commands=commands, scenarios=scenarios, title="A test") as page:
            made = Stage(slack, page, client_of(slack), http, staged=staged)
            runner = web.AppRunner(app(made).web_app("/slack/events"))
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            slack.request_url = f"http://127.0.0.1:{runner.addresses[0][1]}/slack/events"
            yield made
            await runner.cleanup()


async def opened(stage: Stage, *blocks: Json, user: str = ADA, **more: Any) -> View:
    trigger = stage.slack.workspace.new_trigger(user)
    await stage.client.views_open(trigger_id=trigger, view=modal(*blocks, **more))
    return stage.slack.views[-1]


def button(action_id: str, **more: Any) -> Json:
    return {"type": "button", "action_id": action_id, "text": words(action_id), **more}


def field_of(block_id: str = "why") -> Json:
    element = {"type": "plain_text_input", "action_id": "words"}
    return {"type": "input", "block_id": block_id, "label": words("Why?"), "element": element}


class TestWhoSeesWhat:
    async def test_only_the_channels_one_is_in(self, stage: Stage) -> None:
        async with stage.tab(ADA) as ada, stage.tab(GUEST) as guest, stage.tab(STRANGER) as stranger:
            seen = [[one["id"] for one in tab.pieces["channels"]] for tab in (ada, guest, stranger)]
        assert seen == [
            [OPS, APPROVALS, "C0OUTSIDE", SHARED, f"D{ADA}"],
            [OPS, SHARED, f"D{GUEST}"],
            [SHARED],
        ]

    async def test_a_message_comes_to_those_in_the_channel(self, stage: Stage) -> None:
        async with stage.tab(GRACE) as grace, stage.tab(GUEST) as guest:
            await stage.client.chat_postMessage(channel=APPROVALS, text="a card")
            await stage.client.chat_postMessage(channel=OPS, text="for all")
            await grace.until(lambda tab: tab.said(OPS) == ["for all"] and tab.said(APPROVALS) == ["a card"])
            await guest.until(lambda tab: tab.said(OPS) == ["for all"])
            assert "a card" not in json.dumps(guest.messages)

    async def test_a_whisper_comes_to_one_alone(self, stage: Stage) -> None:
        async with stage.tab(ADA) as ada, stage.tab(GRACE) as grace:
            await stage.client.chat_postEphemeral(channel=OPS, user=ADA, text="for Ada")
            await stage.client.chat_postMessage(channel=OPS, text="for all")
            await ada.until(lambda tab: tab.said(OPS) == ["(for Ada)", "for all"])
            await grace.until(lambda tab: tab.said(OPS) == ["for all"])
            assert "for Ada" not in json.dumps(grace.messages)

    async def test_modals_and_the_home_tab_are_ones_own(self, stage: Stage) -> None:
        async with stage.tab(ADA) as ada, stage.tab(GRACE) as grace:
            await opened(stage, field_of())
            await stage.client.views_publish(
                user_id=ADA, view={"type": "home", "blocks": [section("Ada's inbox")]}
            )
            await ada.until(lambda tab: tab.pieces["modals"] and tab.pieces["home"])
            assert (grace.pieces["modals"], grace.pieces["home"]) == ([], None)

    async def test_the_switch_is_to_people_who_can_be_been(self, stage: Stage) -> None:
        async with stage.tab() as tab:
            kinds = {one["id"]: one["kind"] for one in tab.pieces["people"]}
            assert [kinds[user] for user in tab.pieces["page"]["switch"]] == [
                "requester",
                "approver",
                "member",
                "guest",
                "from another workspace",
            ]
            assert (await tab.act("be", user="U0GONE"))["ok"] is False

    async def test_being_somebody_else_changes_all_that_is_seen(self, stage: Stage) -> None:
        await stage.client.chat_postMessage(channel=APPROVALS, text="a card")
        async with stage.tab(ADA) as tab:
            assert tab.said(APPROVALS) == ["a card"]
            assert (await tab.act("be", user=GUEST))["ok"]
            await tab.until(lambda one: one.pieces["me"] == GUEST)
            assert tab.said(APPROVALS) == []

    async def test_only_what_changed_is_sent(self, stage: Stage) -> None:
        await stage.client.chat_postMessage(channel=OPS, text="old")
        async with stage.tab() as tab:
            before = len(tab.messages)
            posted = await stage.client.chat_postMessage(channel=OPS, text="new")
            await tab.until(lambda one: "new" in one.said(OPS))
            assert {name for one in tab.messages[before:] for name in one["set"]} == {
                f"message/{OPS}/{posted['ts']}"
            }
            await stage.client.chat_delete(channel=OPS, ts=str(posted["ts"]))
            await tab.until(lambda one: one.said(OPS) == ["old"])

    async def test_what_the_app_is_at_is_seen_until_it_speaks(self, stage: Stage) -> None:
        async with stage.tab() as tab:
            root = str((await stage.client.chat_postMessage(channel=OPS, text="root"))["ts"])
            arguments = {"channel_id": OPS, "thread_ts": root, "status": "is working…"}
            await stage.client.api_call("assistant.threads.setStatus", json=arguments)
            name = f"status/{OPS}/{root}"
            await tab.until(lambda one: one.pieces.get(name, {}).get("text") == "is working…")
            await stage.client.chat_postMessage(channel=OPS, text="done", thread_ts=root)
            await tab.until(lambda one: name not in one.pieces)


class TestActs:
    async def test_a_command_goes_to_the_app(self, stage: Stage) -> None:
        async with stage.tab() as tab:
            assert await tab.act("slash", channel=OPS, text="/letta deploy  <it>") == {
                "id": "1001",
                "ok": True,
            }
        heard = stage.heard[-1]
        assert (heard["command"], heard["text"], heard["user_id"]) == ("/letta", "deploy  &lt;it&gt;", ADA)

    async def test_what_slack_says_of_commands(self, stage: Stage) -> None:
        async with stage.tab() as tab:
            root = str((await stage.client.chat_postMessage(channel=OPS, text="root"))["ts"])
            in_thread = await tab.act("slash", channel=OPS, text="/letta status", thread_ts=root)
            unknown = await tab.act("slash", channel=OPS, text="/nothing here")
        assert in_thread["error"] == "/letta is not supported in threads. Sorry!"
        assert unknown["error"].startswith("/nothing is not a valid command.")
        assert stage.heard == []

    async def test_an_app_that_does_not_answer(self, stage: Stage) -> None:
        asked = asyncio.Event()

        async def never(ack: Any, body: Json) -> None:
            await asked.wait()

        stage.answers |= {"command": never, "action": never}
        stage.slack.ack_limit = 0.05
        blocks = [{"type": "actions", "elements": [button("go")]}]
        async with stage.tab() as tab:
            await tab.act("slash", channel=OPS, text="/letta status")
            assert tab.said(OPS) == ["(`/letta` failed with the error “operation_timeout”)"]
            ts = str((await stage.client.chat_postMessage(channel=OPS, text="card", blocks=blocks))["ts"])
            answer = await tab.act("click", channel=OPS, ts=ts, action_id="go")
            assert "operation_timeout" in answer["error"]
            assert len(tab.said(OPS)) == 2  # of a click, it is said at the button
        asked.set()

    async def test_a_message_with_a_mention(self, stage: Stage) -> None:
        async with stage.tab() as tab:
            await tab.act("say", channel=OPS, text="@relay hello")
            await tab.act("say", channel=f"D{ADA}", text="just us")
            await tab.until(lambda one: one.said(f"D{ADA}") == ["just us"])
        assert {one["event"]["type"] for one in stage.heard} == {"message", "app_mention"}

    async def test_a_click_in_a_message_and_one_that_comes_late(self, stage: Stage) -> None:
        blocks = [{"type": "actions", "block_id": "b", "elements": [button("approve", value="card-1")]}]
        async with stage.tab(GRACE) as tab:
            ts = str(
                (await stage.client.chat_postMessage(channel=APPROVALS, text="card", blocks=blocks))["ts"]
            )
            assert (await tab.act("click", channel=APPROVALS, ts=ts, action_id="approve"))["ok"]
            await stage.client.chat_update(
                channel=APPROVALS, ts=ts, text="decided", blocks=[section("decided")]
            )
            assert (await tab.act("click", channel=APPROVALS, ts=ts, action_id="approve"))["ok"]
        assert [one["actions"][0]["value"] for one in stage.heard] == ["card-1", "card-1"]
        assert [one["user"]["id"] for one in stage.heard] == [GRACE, GRACE]

    async def test_a_modal_is_filled_refused_and_submitted(self, stage: Stage) -> None:
        async def complain(ack: Any, body: Json) -> None:
            await ack(response_action="errors", errors={"why": "Say more."})

        stage.answers["submission"] = complain
        async with stage.tab() as tab:
            view = await opened(stage, field_of())
            empty = await tab.act("submit", view=view.id, values={"why": {"words": None}})
            assert empty["errors"] == {"why": "Please complete this required field."}
            assert stage.heard == []
            assert (await tab.act("submit", view=view.id, values={"why": {"words": "so"}}))["ok"]
            await tab.until(lambda one: one.pieces["modals"][0]["errors"] == {"why": "Say more."})
            del stage.answers["submission"]
            assert (await tab.act("submit", view=view.id, values={"why": {"words": "because"}}))["ok"]
            await tab.until(lambda one: one.pieces["modals"] == [])
        state = stage.heard[-1]["view"]["state"]["values"]
        assert state["why"]["words"]["value"] == "because"

    async def test_a_click_in_a_modal_tells_what_is_typed(self, stage: Stage) -> None:
        async with stage.tab() as tab:
            view = await opened(stage, field_of(), {"type": "actions", "elements": [button("more")]})
            await tab.act("click", view=view.id, action_id="more", values={"why": {"words": "half a wo"}})
            assert stage.heard[-1]["view"]["state"]["values"]["why"]["words"]["value"] == "half a wo"
            assert (await tab.act("close", view=view.id))["ok"]
            await tab.until(lambda one: one.pieces["modals"] == [])

    async def test_one_modal_is_closed_or_all_of_a_stack(self, stage: Stage) -> None:
        async with stage.tab() as tab:
            titles = [words(title) for title in ("1", "2", "3")]
            [*_, top] = [await opened(stage, field_of(), title=one, notify_on_close=True) for one in titles]
            assert (await tab.act("close", view=top.id))["ok"]
            [_, below] = await tab.until(lambda one: len(one.pieces["modals"]) == 2 and one.pieces["modals"])
            assert (await tab.act("close", view=below["id"], all=True))["ok"]
            await tab.until(lambda one: one.pieces["modals"] == [])
        closed = [(one["view"]["title"]["text"], one["is_cleared"]) for one in stage.heard]
        assert closed == [("3", False), ("2", True), ("1", True)]

    async def test_the_home_tab_is_opened_and_a_turn_stopped(self, stage: Stage) -> None:
        async with stage.tab() as tab:
            await tab.act("open_home", tab="home")
            root = str((await stage.client.chat_postMessage(channel=OPS, text="root"))["ts"])
            await tab.act("press_stop", channel=OPS, thread_ts=root)
        assert [one["event"]["type"] for one in stage.heard] == ["app_home_opened", "agent_session_stopped"]


class TestActsThatAreRefused:
    @pytest.mark.parametrize(
        ("act", "fields", "why"),
        [
            ("dance", {}, "There is no act called 'dance'"),
            ("say", {"channel": APPROVALS, "text": "let me in"}, "You are in no channel"),
            ("say", {"channel": OPS, "text": "  "}, "There is nothing to send"),
            ("say", {"channel": OPS}, "`text` must be text"),
            ("say", {"channel": OPS, "text": "x" * 40_001}, "too long"),
            ("say", {"channel": OPS, "text": "hello", "thread_ts": "1.0"}, "That thread is gone"),
            ("say", {"channel": ["C0OPS"], "text": "hello"}, "`channel` must be text"),
            ("slash", {"channel": OPS, "text": ""}, "is not a valid command"),
            ("click", {"channel": OPS, "ts": "1.0", "action_id": "go"}, "That message is gone"),
            ("click", {"view": "V0NONE", "action_id": "go"}, "That dialog is closed"),
            ("submit", {"view": 3}, "`view` must be text"),
            ("press_stop", {"channel": OPS, "thread_ts": "1.0"}, "That thread is gone"),
            ("start", {"scenario": "no such"}, "There is no scenario"),
        ],
    )
    async def test_with_words(self, stage: Stage, act: str, fields: Json, why: str) -> None:
        async with stage.tab(GUEST) as tab:
            answer = await tab.act(act, **fields)
        assert (answer["ok"], why in answer["error"]) == (False, True), answer
        assert stage.heard == []

    @pytest.mark.parametrize("text", ["no json", "[]", '"act"', "null"])
    async def test_what_is_no_act_at_all(self, stage: Stage, text: str) -> None:
        async with stage.tab() as tab:
            await tab.socket.send_str(text)
            answer = await tab.until(lambda one: one.answers.get("None"))
            assert answer["error"] == "An act must be a JSON object."
            assert (await tab.act("say", channel=OPS, text="still here"))["ok"]

    async def test_what_is_somebody_elses(self, stage: Stage) -> None:
        blocks = [{"type": "actions", "elements": [button("go")]}]
        whispered = await stage.client.chat_postEphemeral(channel=OPS, user=ADA, text="x", blocks=blocks)
        view = await opened(stage, field_of())
        async with stage.tab(GRACE) as tab:
            click = await tab.act("click", channel=OPS, ts=whispered["message_ts"], action_id="go")
            submit = await tab.act("submit", view=view.id, values={})
        assert (click["error"], submit["error"]) == (
            "That message is for somebody else.",
            "That dialog is closed.",
        )

    async def test_a_button_that_was_never_there(self, stage: Stage) -> None:
        ts = str((await stage.client.chat_postMessage(channel=OPS, text="card"))["ts"])
        async with stage.tab() as tab:
            answer = await tab.act("click", channel=OPS, ts=ts, action_id="approve")
        assert answer["error"] == "There is no such button in that message."


class TestScenarios:
    async def test_steps_tick_themselves_once_it_is_started(self, stage: Stage) -> None:
        def done(tab: Tab) -> list[bool]:
            return [step["done"] for step in tab.pieces["scenarios"][0]["steps"]]

        async with stage.tab() as tab:
            await tab.act("say", channel=OPS, text="one")
            assert (tab.pieces["scenarios"][0]["started"], done(tab)) == (False, [False, False])
            assert (await tab.act("start", scenario="walk"))["ok"]
            await tab.until(lambda one: done(one) == [True, False])
            assert (await tab.act("play", scenario="walk"))["ok"]
            await tab.act("say", channel=OPS, text="three")
            await tab.until(lambda one: done(one) == [True, True])
        assert stage.staged == ["begun"]

    async def test_one_that_is_watched_is_started_first(self, stage: Stage) -> None:
        async with stage.tab() as tab:
            assert (await tab.act("play", scenario="walk"))["ok"]
            await tab.until(lambda one: one.said(OPS) == ["played"])
        assert stage.staged == ["begun"]

    async def test_where_a_step_shows_is_told_once_it_is_there(self, stage: Stage) -> None:
        def spot(tab: Tab) -> Any:
            step = tab.pieces["scenarios"][0]["steps"][0]
            return step["ts"] and (step["ts"], step["thread_ts"])

        async with stage.tab() as tab:
            await tab.act("start", scenario="walk")
            assert spot(tab) == ""
            ts = str((await stage.client.chat_postMessage(channel=OPS, text="one"))["ts"])
            assert await tab.until(spot) == (ts, "thread")

    async def test_one_that_a_command_begins_is_begun_before_the_command_comes(self, stage: Stage) -> None:
        async with stage.tab() as tab:
            for channel, text in ((OPS, "/letta do that"), (SHARED, "/letta do this")):
                await tab.act("slash", channel=channel, text=text)
            assert stage.staged == []
            for _ in range(2):
                await tab.act("slash", channel=OPS, text="/letta please Do  this")
            await tab.until(lambda one: one.pieces["scenarios"][2]["started"])
        assert stage.staged == ["typed 2"]
        assert len(stage.heard) == 4

    async def test_one_that_fails_says_why(self, stage: Stage) -> None:
        async with stage.tab() as tab:
            assert (await tab.act("start", scenario="broken"))["error"] == "The agent is away."
            await tab.until(lambda one: one.pieces["scenarios"][1]["error"] == "The agent is away.")
            assert "nothing by itself" in (await tab.act("play", scenario="broken"))["error"]


class TestTheDoor:
    @pytest.mark.parametrize("path", ["", "static/app.js", "socket"])
    async def test_another_name_for_this_machine_is_refused(self, stage: Stage, path: str) -> None:
        async with stage.http.get(stage.page.url + path, headers={"Host": "evil.example"}) as response:
            assert response.status == 403

    @pytest.mark.parametrize("origin", ["https://evil.example", "http://127.0.0.1:1", "null"])
    async def test_another_sites_socket_is_refused(self, stage: Stage, origin: str) -> None:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with stage.tab(ADA, Origin=origin):
                pass
        assert refused.value.status == 403

    async def test_the_pages_own_socket_is_taken(self, stage: Stage) -> None:
        async with stage.tab(ADA, Origin=stage.page.url.rstrip("/")) as tab:
            assert tab.pieces["me"] == ADA

    async def test_the_page_loads_nothing_from_outside_and_runs_nothing_inline(self, stage: Stage) -> None:
        async with stage.http.get(stage.page.url) as response:
            policy, text = response.headers["Content-Security-Policy"], await response.text()
        assert policy.startswith("default-src 'self'; ")
        assert "unsafe" not in policy
        assert "http://" not in text and "https://" not in text and "<script>" not in text

    @pytest.mark.parametrize(
        "name", ["..%2Fserver.py", "server.py", "%2e%2e%2f__init__.py", "nothing.js", ""]
    )
    async def test_no_other_file_is_served(self, stage: Stage, name: str) -> None:
        async with stage.http.get(f"{stage.page.url}static/{name}") as response:
            assert response.status == 404

    async def test_every_file_that_another_names_is_there(self, stage: Stage) -> None:
        asked, known = ["/"], {"/"}
        while asked:
            async with stage.http.get(stage.page.url.rstrip("/") + asked.pop()) as response:
                assert response.status == 200, response.url
                named = re.findall(r'(?:from |href=|src=)"(?:\./|/static/)([\w.]+)"', await response.text())
            new = {f"/static/{name}" for name in named} - known
            known |= new
            asked += new
        assert {"/static/app.js", "/static/blocks.js", "/static/blocks.css"} < known

    async def test_a_tab_that_goes_leaves_nothing(self, stage: Stage) -> None:
        before = len(stage.slack.workspace._watchers)
        async with stage.tab() as tab:
            await tab.act("say", channel=OPS, text="hello")
            assert stage.page.tabs == 1
        await stage.slack.wait_for(lambda _: not stage.page.tabs and not stage.page._tabs._running)
        assert len(stage.slack.workspace._watchers) <= before

    async def test_a_taken_port_is_said(self, stage: Stage) -> None:
        port = int(stage.page.url.rstrip("/").rpartition(":")[2])
        with pytest.raises(OSError, match="address already in use"):
            await Page(stage.slack, port=port).start()

    async def test_the_end_sends_all_tabs_away(self, stage: Stage) -> None:
        async with stage.tab() as tab:
            await stage.page.stop()
            await tab.socket.close()
            assert stage.page.tabs == 0
