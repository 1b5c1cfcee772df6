"""What Slack sends an app when a person does something, in Slack's own shapes."""

import copy
import secrets
import time
from enum import Enum
from typing import Any

from relay.sandbox.slack import inputs
from relay.sandbox.slack.chat import shown
from relay.sandbox.slack.workspace import Blocks, Json, Person, View, Workspace, elements_of

VERIFICATION_TOKEN = "zFakeVerificationToken"  # noqa: S105 - Slack still sends one; nobody checks it


class FromButton(Enum):
    """Says that a click carries the value of the button itself, whatever that is."""

    VALUE = "value"


Value = str | None | FromButton


def escape(text: str) -> str:
    """Return typed text as Slack passes it on."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def overridden(payload: Json, overrides: Json) -> Json:
    """Return the payload with fields replaced, or left out where the override is None."""
    merged = payload | overrides
    return {name: value for name, value in merged.items() if not (name in overrides and value is None)}


def slash(workspace: Workspace, user: str, channel: str, text: str, command: str) -> Json:
    """Return what a slash command sends: every field a string, and never a thread."""
    person = _person(workspace, user)
    return {
        "token": VERIFICATION_TOKEN,
        "team_id": person.team_id,
        "team_domain": workspace.domain if person.team_id == workspace.team_id else "other",
        "channel_id": channel,
        "channel_name": _channel_name(workspace, channel),
        "user_id": user,
        "user_name": person.name,
        "command": command,
        "text": escape(text),
        "api_app_id": workspace.app_id,
        **({"enterprise_id": workspace.enterprise_id} if workspace.enterprise_id else {}),
        "is_enterprise_install": "true" if workspace.org_wide else "false",
        "response_url": workspace.new_response_url(channel, user, None),
        "trigger_id": workspace.new_trigger(user),
    }


def click(workspace: Workspace, user: str, channel: str, ts: str, action_id: str, value: Value) -> Json:
    """Return the `block_actions` of a click in a message, seen by all or by one."""
    message, blocks, before = _clicked(workspace, channel, ts)
    container = {"type": "message", "message_ts": ts, "channel_id": channel, "is_ephemeral": message is None}
    if message and "thread_ts" in message:
        container["thread_ts"] = message["thread_ts"]
    payload = _interaction(workspace, "block_actions", user)
    payload |= {"container": container, "channel": {"id": channel, "name": _channel_name(workspace, channel)}}
    if message:
        payload["message"] = message
    block, element = _acted_on(blocks, before, action_id, value)
    filled = _filled(block, element, value)
    return payload | {
        "state": {"values": inputs.state(blocks, filled)},
        "response_url": workspace.new_response_url(channel, user, ts),
        "actions": [_action(block, element, value)],
    }


def click_in_view(workspace: Workspace, user: str, view: View, action_id: str, value: Value) -> Json:
    """Return the `block_actions` of a click in a modal or Home tab; what is chosen stays in the view."""
    before = [old["blocks"] for old in view.history]
    block, element = _acted_on(view.view["blocks"], before, action_id, value)
    if block.get("type") == "input" and not block.get("dispatch_action"):
        raise AssertionError(f"Slack tells nobody of {action_id} before the view is submitted: use fill.")
    view.filled |= _filled(block, element, value)
    return _interaction(workspace, "block_actions", user, view.id) | {
        "container": {"type": "view", "view_id": view.id},
        "view": with_state(view),
        "actions": [_action(block, element, value)],
    }


def with_state(view: View) -> Json:
    """Return a view as payloads show it: with what stands in its inputs."""
    told = copy.deepcopy(view.view)
    told["state"] = {"values": inputs.state(told["blocks"], view.filled)}
    return told


def submission(workspace: Workspace, user: str, view: View, values: dict[str, dict[str, Any]]) -> Json:
    """Return the `view_submission` of a modal as it is filled, and with `values[block_id][action_id]`."""
    told = with_state(view)
    _overlay(told, values)
    payload = _interaction(workspace, "view_submission", user, view.id)
    return payload | {"view": told, "response_urls": []}


def closing(workspace: Workspace, user: str, view: View, *, cleared: bool = False) -> Json:
    """Return the `view_closed` of a modal that somebody dismissed; `cleared`: with all of its stack."""
    payload = _interaction(workspace, "view_closed", user)
    del payload["trigger_id"]
    return payload | {"view": with_state(view), "is_cleared": cleared}


def event(workspace: Workspace, happened: Json) -> Json:
    """Return an `event_callback` round one event."""
    channel = workspace.channels.get(str(happened.get("channel")))
    return {
        "token": VERIFICATION_TOKEN,
        "team_id": workspace.team_id,
        "context_team_id": workspace.team_id,
        "context_enterprise_id": workspace.enterprise_id,
        "api_app_id": workspace.app_id,
        "event": happened,
        "type": "event_callback",
        "event_id": "Ev" + secrets.token_hex(5).upper(),
        "event_time": int(time.time()),
        "authorizations": [
            {
                "enterprise_id": workspace.enterprise_id,
                "team_id": workspace.team_id,
                "user_id": workspace.bot_user,
                "is_bot": True,
                "is_enterprise_install": workspace.org_wide,
            }
        ],
        "is_ext_shared_channel": bool(channel and channel.is_ext_shared),
        "event_context": "4-" + secrets.token_hex(8),
    }


def _interaction(workspace: Workspace, kind: str, user: str, view_id: str = "") -> Json:
    person = _person(workspace, user)
    return {
        "type": kind,
        "user": {"id": user, "username": person.name, "name": person.name, "team_id": person.team_id},
        "api_app_id": workspace.app_id,
        "token": VERIFICATION_TOKEN,
        "trigger_id": workspace.new_trigger(user, view_id),
        # Of an org-wide installation Slack does not say here which workspace it was in.
        "team": None if workspace.org_wide else {"id": workspace.team_id, "domain": workspace.domain},
        "enterprise": {"id": workspace.enterprise_id, "name": "Org"} if workspace.enterprise_id else None,
        "is_enterprise_install": workspace.org_wide,
    }


def _person(workspace: Workspace, user: str) -> Person:
    return workspace.people.get(user) or Person(user, user.lower(), user, workspace.team_id)


def _channel_name(workspace: Workspace, channel: str) -> str:
    found = workspace.channels.get(channel)
    if channel.startswith("D"):
        return "directmessage"
    return found.name if found and not found.is_private else "privategroup"


def _clicked(workspace: Workspace, channel: str, ts: str) -> tuple[Json | None, Blocks, list[Blocks]]:
    """Return a message where all see it, the blocks it has, and those it had before."""
    whisper = workspace.ephemeral(ts)
    if whisper is not None:
        return None, whisper.blocks, []
    found = workspace.channels[channel].message(ts) if channel in workspace.channels else None
    if found is None:
        raise AssertionError(f"There is no message {ts} in {channel} to click on.")
    return shown(workspace, found), copy.deepcopy(found.blocks), [blocks for _, blocks in found.history]


def _acted_on(blocks: Blocks, before: list[Blocks], action_id: str, value: Value) -> tuple[Json, Json]:
    """Return the element that somebody acts on, and its block."""
    # With a value given, a person may still click what was on the screen before an update reached it.
    stale = [] if isinstance(value, FromButton) else before
    for there in (blocks, *reversed(stale)):
        for block in there:
            for element in elements_of(block):
                if element.get("action_id") == action_id:
                    return block, element
    if value is FromButton.VALUE:
        known = [e.get("action_id") for block in blocks for e in elements_of(block)]
        raise AssertionError(f"Nothing to click called {action_id}; there are {known}.")
    words = {"type": "plain_text", "text": action_id, "emoji": True}
    return {}, {"type": "button", "action_id": action_id, "text": words}


def _action(block: Json, element: Json, value: Value) -> Json:
    action = {
        "action_id": element["action_id"],
        "block_id": block.get("block_id", "gone"),
        "type": element["type"],
    }
    shared = {key: element[key] for key in ("text", "style", "placeholder", "confirm") if key in element}
    told = inputs.chosen(element, _given(element, value))
    return action | shared | told | {"action_ts": f"{time.time():.6f}"}


def _filled(block: Json, element: Json, value: Value) -> inputs.Filled:
    if not block or not inputs.holds_state(element):
        return {}
    return {(block["block_id"], element["action_id"]): inputs.entry(element, _given(element, value))}


def _given(element: Json, value: Value) -> Any:
    if not isinstance(value, FromButton):
        return value
    if inputs.holds_state(element) or element["type"] == "overflow":
        raise AssertionError(f"Say with `value` what is chosen in {element['action_id']}.")
    return element.get("value")


def _overlay(told: Json, values: dict[str, dict[str, Any]]) -> None:
    """Write values into a view's state, also such as no input of the view could have."""
    known = {
        (block["block_id"], element.get("action_id")): element
        for block in told["blocks"]
        for element in elements_of(block)
    }
    for block_id, by_action in values.items():
        for action_id, given in by_action.items():
            element = known.get((block_id, action_id), {"type": "plain_text_input"})
            told["state"]["values"].setdefault(block_id, {})[action_id] = inputs.entry(element, given)
