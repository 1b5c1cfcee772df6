"""What Slack sends an app when a person does something, in Slack's own shapes."""

import copy
import secrets
import time
from enum import Enum
from typing import Any

from relay.sandbox.slack.chat import shown
from relay.sandbox.slack.workspace import Json, Person, View, Workspace, elements_of

VERIFICATION_TOKEN = "zFakeVerificationToken"  # noqa: S105 - Slack still sends one; nobody checks it


class FromButton(Enum):
    """Says that a click carries the value of the button itself, whatever that is."""

    VALUE = "value"


Value = str | None | FromButton
_SELECTED = {"static_select", "radio_buttons", "overflow"}
_CHOSEN = {
    "users_select": "selected_user",
    "channels_select": "selected_channel",
    "conversations_select": "selected_conversation",
    "datepicker": "selected_date",
    "timepicker": "selected_time",
}


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
        "is_enterprise_install": "false",
        "response_url": workspace.new_response_url(channel, user, None),
        "trigger_id": workspace.new_trigger(user),
    }


def click(workspace: Workspace, user: str, channel: str, ts: str, action_id: str, value: Value) -> Json:
    """Return the `block_actions` of a click in a message, seen by all or by one."""
    message, whisper = _clicked(workspace, channel, ts)
    container = {"type": "message", "message_ts": ts, "channel_id": channel, "is_ephemeral": bool(whisper)}
    if message and "thread_ts" in message:
        container["thread_ts"] = message["thread_ts"]
    blocks = message.get("blocks", []) if message else whisper
    payload = _interaction(workspace, "block_actions", user)
    payload |= {"container": container, "channel": {"id": channel, "name": _channel_name(workspace, channel)}}
    if message:
        payload["message"] = message
    payload |= {
        "state": {"values": {}},
        "response_url": workspace.new_response_url(channel, user, ts),
        "actions": [_action(blocks, action_id, value)],
    }
    return payload


def click_in_view(workspace: Workspace, user: str, view: View, action_id: str, value: Value) -> Json:
    """Return the `block_actions` of a click in a modal or Home tab."""
    payload = _interaction(workspace, "block_actions", user)
    return payload | {
        "container": {"type": "view", "view_id": view.id},
        "view": copy.deepcopy(view.view),
        "actions": [_action(view.view["blocks"], action_id, value)],
    }


def submission(workspace: Workspace, user: str, view: View, values: dict[str, dict[str, Any]]) -> Json:
    """Return the `view_submission` of a modal filled with `values[block_id][action_id]`."""
    filled = copy.deepcopy(view.view)
    filled["state"] = {"values": _state(filled["blocks"], values)}
    payload = _interaction(workspace, "view_submission", user)
    return payload | {"view": filled, "response_urls": []}


def event(workspace: Workspace, happened: Json) -> Json:
    """Return an `event_callback` round one event."""
    channel = workspace.channels.get(str(happened.get("channel")))
    return {
        "token": VERIFICATION_TOKEN,
        "team_id": workspace.team_id,
        "context_team_id": workspace.team_id,
        "context_enterprise_id": None,
        "api_app_id": workspace.app_id,
        "event": happened,
        "type": "event_callback",
        "event_id": "Ev" + secrets.token_hex(5).upper(),
        "event_time": int(time.time()),
        "authorizations": [
            {
                "enterprise_id": None,
                "team_id": workspace.team_id,
                "user_id": workspace.bot_user,
                "is_bot": True,
                "is_enterprise_install": False,
            }
        ],
        "is_ext_shared_channel": bool(channel and channel.is_ext_shared),
        "event_context": "4-" + secrets.token_hex(8),
    }


def _interaction(workspace: Workspace, kind: str, user: str) -> Json:
    person = _person(workspace, user)
    return {
        "type": kind,
        "user": {"id": user, "username": person.name, "name": person.name, "team_id": person.team_id},
        "api_app_id": workspace.app_id,
        "token": VERIFICATION_TOKEN,
        "trigger_id": workspace.new_trigger(user),
        "team": {"id": workspace.team_id, "domain": workspace.domain},
        "enterprise": None,
        "is_enterprise_install": False,
    }


def _person(workspace: Workspace, user: str) -> Person:
    return workspace.people.get(user) or Person(user, user.lower(), user, workspace.team_id)


def _channel_name(workspace: Workspace, channel: str) -> str:
    found = workspace.channels.get(channel)
    if channel.startswith("D"):
        return "directmessage"
    return found.name if found and not found.is_private else "privategroup"


def _clicked(workspace: Workspace, channel: str, ts: str) -> tuple[Json | None, list[Json]]:
    whisper = workspace.ephemeral(ts)
    if whisper is not None:
        return None, whisper.blocks
    found = workspace.channels[channel].message(ts) if channel in workspace.channels else None
    if found is None:
        raise AssertionError(f"There is no message {ts} in {channel} to click on.")
    return shown(workspace, found), []


def _action(blocks: list[Json], action_id: str, value: Value) -> Json:
    there = ((block, e) for block in blocks for e in elements_of(block) if e.get("action_id") == action_id)
    block, element = next(there, ({}, {}))
    if not element:
        if isinstance(value, FromButton):
            known = [e.get("action_id") for block in blocks for e in elements_of(block)]
            raise AssertionError(f"Nothing to click called {action_id}; there are {known}.")
        # A person can still click what was on the screen before an update reached it.
        element = {"type": "button", "text": {"type": "plain_text", "text": action_id, "emoji": True}}
    action = {"action_id": action_id, "block_id": block.get("block_id", "gone"), "type": element["type"]}
    shared = {key: element[key] for key in ("text", "style", "placeholder", "confirm") if key in element}
    return action | shared | _chosen(element, value) | {"action_ts": f"{time.time():.6f}"}


def _chosen(element: Json, value: Value) -> Json:
    """Return the fields of an action or of a state that tell what was chosen."""
    kind = element["type"]
    if isinstance(value, FromButton):
        value = element.get("value")
    if kind in _SELECTED:
        return {"selected_option": next((o for o in _options(element) if o["value"] == value), None)}
    if value is None and kind in ("button", "feedback_buttons"):
        return {}
    return {_CHOSEN.get(kind, "value"): value}


def _options(element: Json) -> list[Json]:
    grouped = [option for group in element.get("option_groups", []) for option in group["options"]]
    return [*element.get("options", []), *grouped]


def _state(blocks: list[Json], values: dict[str, dict[str, Any]]) -> Json:
    state: Json = {}
    for block in blocks:
        for element in elements_of(block) if block["type"] == "input" else []:
            given = values.get(block["block_id"], {}).get(element["action_id"], element.get("initial_value"))
            state.setdefault(block["block_id"], {})[element["action_id"]] = _entry(element, given)
    for block_id, filled in values.items():
        for action_id, given in filled.items():
            if action_id not in state.get(block_id, {}):
                entry = given if isinstance(given, dict) else {"type": "plain_text_input", "value": given}
                state.setdefault(block_id, {})[action_id] = entry
    return state


def _entry(element: Json, given: Any) -> Json:
    if isinstance(given, dict):
        return given
    if element["type"] in ("checkboxes", "multi_static_select"):
        chosen = [option for option in _options(element) if option["value"] in (given or [])]
        return {"type": element["type"], "selected_options": chosen}
    return {"type": element["type"], **_chosen(element, given)}
