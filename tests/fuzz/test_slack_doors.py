"""Whatever comes in at Slack's two doors is answered in time, and what is said to be queued is stored."""

import asyncio
import json
import time
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from relay.sandbox.environment import UseTool
from relay.sandbox.slack import gestures
from relay.sandbox.slack.workspace import Message, Workspace
from tests.fuzz.running import PATIENCE, Running, relay_running
from tests.fuzz.shapes import Json, as_form, as_json, cases, changed, damages, nasty_texts
from tests.world import ADA, APPROVALS, GRACE, GUEST, OPS

FORM, JSON = "application/x-www-form-urlencoded", "application/json"
TYPES = [FORM, JSON, "", "text/plain", "multipart/form-data", "application/json; charset=utf-16", "é"]
HEADERS = [
    "X-Slack-Retry-Num",
    "X-Slack-Retry-Reason",
    "Content-Encoding",
    "Accept",
    "X-Forwarded-For",
    "Cookie",
]
header_texts = st.sampled_from(["", "0", "-1", "9" * 400, "identity", "http_timeout", "é", "a=b; c"])
header_names = nasty_texts.filter(lambda text: text.isascii() and text.isalnum())
_NUMBERS = count(1)


@dataclass
class Shapes:
    """What Slack sends, a good one of each kind, from a workspace where a card stands."""

    running: Running
    made: list[tuple[str, Json]] = field(default_factory=list)

    async def make(self) -> None:
        world = self.running.made
        world.environment.script = lambda turn: [UseTool("Bash", {"command": "true"})]
        await world.slack.slash(ADA, OPS, "begin")
        card = await world.card()
        await world.slack.click(GRACE, APPROVALS, card.ts, "deny_reason")
        view = await world.slack.wait_for(lambda slack: slack.modal_of(GRACE))
        world.environment.script = lambda turn: []
        space, user = world.slack.workspace, {"id": GUEST, "team_id": "T0HOME"}
        words = {"words": {"entered": "No."}}
        for_all = {"user": user, "team": {"id": "T0HOME"}, "trigger_id": "1.2.3", "api_app_id": space.app_id}
        self.made += [("command", gestures.slash(space, one, OPS, "hello", "/letta")) for one in (ADA, GUEST)]
        self.made += [
            ("click", _click(space, one, card)) for one in ("approve", "deny", "details", "edit", "more")
        ]
        self.made += [
            ("view", gestures.submission(space, GRACE, view, words)),
            ("view", gestures.closing(space, GRACE, view)),
            (
                "shortcut",
                {**for_all, "type": "message_action", "callback_id": "x", "message": {"ts": card.ts}},
            ),
            ("options", {**for_all, "type": "block_suggestion", "action_id": "x", "value": "y"}),
            ("event", {"type": "url_verification", "token": "t", "challenge": "c"}),
        ]
        self.made += [("event", gestures.event(space, one)) for one in _events(space, card.ts)]


def _click(space: Workspace, action_id: str, card: Message) -> Json:
    value: gestures.Value = gestures.FromButton.VALUE
    if action_id == "more":  # of a menu, an option is chosen
        elements = [one for block in card.blocks or [] for one in block.get("elements", ())]
        [menu] = [one for one in elements if one.get("action_id") == "more"]
        value = menu["options"][0]["value"]
    return gestures.click(space, GRACE, APPROVALS, card.ts, action_id, value)


def _events(space: Workspace, ts: str) -> list[Json]:
    said = {
        "type": "message",
        "channel": OPS,
        "user": ADA,
        "team": "T0HOME",
        "text": f"<@{space.bot_user}> hello",
    }
    file = {
        "id": "F1",
        "name": "a.txt",
        "mimetype": "text/plain",
        "size": 3,
        "url_private": f"{space.url}/files-pri/F1/a.txt",
    }
    return [
        said,
        {**said, "type": "app_mention", "user": GUEST},
        {**said, "thread_ts": ts, "text": "!approve ABCDE", "channel": APPROVALS},
        {**said, "channel": "D0REQUESTER", "channel_type": "im", "text": "in private"},
        {**said, "subtype": "file_share", "files": [file]},
        {**said, "subtype": "message_changed", "message": {"text": "x"}, "previous_message": {}},
        {"type": "app_home_opened", "user": ADA, "channel": "D0REQUESTER", "tab": "home"},
        {"type": "agent_session_stopped", "user": ADA, "channel": OPS, "thread_ts": ts, "event_ts": ts},
        {"type": "dream_shared", "of": "sheep"},
    ]


def _fresh(payload: Json) -> str:
    """Make a payload one that never came before; return what it says, if it can be known again by it."""
    number = next(_NUMBERS)
    if "trigger_id" in payload:
        payload["trigger_id"] = f"{number}.1.1"
    event = payload.get("event")
    if isinstance(event, dict):
        payload["event_id"] = f"Ev{number}"
        if isinstance(event.get("text"), str) and event.get("type") in ("message", "app_mention"):
            event["ts"] = f"{1_700_000_000 + number}.000100"
    if payload.get("command") == "/letta" and payload.get("text") == "hello":
        payload["text"] = f"hello {number}"
        return str(payload["text"])
    return ""


def _sent(data: st.DataObject, shapes: Shapes) -> tuple[str, Json, str, int]:
    kind, base = data.draw(st.sampled_from(shapes.made))
    payload, times = data.draw(changed(base))
    return kind, payload, _fresh(payload), times


def _headers(data: st.DataObject, running: Running, body: bytes) -> tuple[dict[str, str], bool]:
    """Draw how it is signed, and whether that is right."""
    slack = running.made.slack
    right = slack.sign(body)
    how = data.draw(
        st.sampled_from(["right"] * 6 + ["old", "future", "absent", "wrong", "another", "strange"])
    )
    match how:
        case "old" | "future":
            right = slack.sign(body, int(time.time()) + (-301 if how == "old" else 400))
        case "absent":
            right = {}
        case "wrong":
            right["X-Slack-Signature"] = "v0=" + "0" * 64
        case "another":
            right = slack.sign(body + b"x")
        case "strange":
            right["X-Slack-Request-Timestamp"] = data.draw(header_texts.filter(str.isascii))
    return right, how == "right"


def test_slacks_requests_over_http(tmp_path: Path) -> None:
    queued: set[str] = set()
    with relay_running(tmp_path) as running:
        shapes = Shapes(running)
        running.run(shapes.make())

        @cases(3)
        @given(st.data())
        def answered(data: st.DataObject) -> None:
            kind, payload, text, times = _sent(data, shapes)
            body = as_json(payload) if kind == "event" else as_form(payload)
            usual = JSON if kind == "event" else FORM
            whole = data.draw(st.integers(0, 4)) > 0
            body = body if whole else data.draw(damages).done(body)
            content_type = usual if whole else data.draw(st.sampled_from(TYPES))
            signed, right = _headers(data, running, body)
            more = data.draw(st.dictionaries(st.sampled_from(HEADERS), header_texts, max_size=2))
            more.pop("Content-Encoding", None) if whole else None
            status, said = running.run(_post(running, body, {**more, "Content-Type": content_type, **signed}))
            assert status in ((200, 400, 413) if right else (200, 400, 401, 413)), said
            assert right or status != 200 or b"ssl_check=1" in body
            if right and whole and times == 0:
                assert status == 200
            if status == 200 and "Queued" in said and text and text in as_form(payload).decode():
                queued.add(text)

        answered()
        assert queued - running.stored() == set()


async def _post(running: Running, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
    async with asyncio.timeout(PATIENCE):
        async with running.session.post(
            f"{running.made.url}/slack/events", data=body, headers=headers, skip_auto_headers=["Content-Type"]
        ) as answer:
            return answer.status, await answer.text(errors="replace")


def test_slacks_envelopes_over_socket_mode(tmp_path: Path) -> None:
    queued: set[str] = set()
    with relay_running(tmp_path, socket_mode=True) as running:
        shapes = Shapes(running)
        running.run(shapes.make())

        @cases(2)
        @given(st.data())
        def acknowledged(data: st.DataObject) -> None:
            kind, payload, text, times = _sent(data, shapes)
            if data.draw(st.integers(0, 4)) == 0:
                envelope = _envelope(kind, payload)
                strange, _ = data.draw(changed(envelope))
                sent = (
                    as_json(strange)
                    if data.draw(st.booleans())
                    else data.draw(damages).done(as_json(envelope))
                )
                running.run(_throw_in(running, sent))
                return
            door = {"click": "action", "view": "view_submission", "options": "action"}.get(kind, kind)
            ack = running.run(running.made.slack.deliver(door, payload))
            assert ack.in_time
            if text and times == 0 and "Queued" in str(ack.body):
                queued.add(text)

        acknowledged()
        assert queued - running.stored() == set()


def _envelope(kind: str, payload: Json) -> Json:
    outer = {"command": "slash_commands", "event": "events_api"}.get(kind, "interactive")
    return {
        "envelope_id": f"env-{next(_NUMBERS)}", "type": outer, "payload": payload,
        "accepts_response_payload": True, "retry_attempt": 0, "retry_reason": "",
    }  # fmt: skip


async def _throw_in(running: Running, sent: bytes) -> None:
    """Send what may be no envelope at all, over a connection that is there."""
    text = sent.decode(errors="replace")
    if '"disconnect"' in text:
        return
    await running.made.slack.wait_for(lambda slack: slack.connected > 0)
    lines = running.made.slack.sockets._lines
    await lines[0].socket.send_str(text)


def test_what_nobody_signed_is_not_even_parsed(tmp_path: Path) -> None:
    with relay_running(tmp_path) as running:

        @cases(1)
        @given(st.binary(max_size=500), st.dictionaries(header_names, header_texts, max_size=3))
        def refused(body: bytes, headers: dict[str, str]) -> None:
            status, _ = running.run(_post(running, body, headers))
            assert status in (400, 401) or b"ssl_check=1" in body.split(b"&")

        refused()
        assert "arrival.defect" not in json.dumps(running.made.log.getvalue())
