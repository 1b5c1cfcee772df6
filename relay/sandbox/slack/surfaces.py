"""The Web API's `views.*`, `assistant.*` and `blocks.*` methods: what is neither message nor reading."""

import copy
import json
import secrets
import time
from typing import Any, Literal

from relay.sandbox.slack import inputs, limits
from relay.sandbox.slack.refusals import RefusedError, entered_channel, needed, person
from relay.sandbox.slack.workspace import Json, Trigger, View, Workspace, with_ids

LARGEST_VIEW = 250_000
MOST_STACKED = 3


def checked(surface: Literal["modal", "home"], view: Any) -> Json:
    """Return the view or refuse it as Slack would."""
    if found := limits.problems(surface, view):
        raise RefusedError("invalid_arguments", found)
    if not isinstance(view, dict):
        raise RefusedError("invalid_arguments")
    if len(json.dumps(view).encode()) > LARGEST_VIEW:
        raise RefusedError("view_too_large")
    return view


def dressed(workspace: Workspace, view_id: str, view: Json) -> Json:
    """Return a view as Slack keeps it: with ids, a hash and no state yet."""
    kept = copy.deepcopy(view)
    kept["blocks"] = with_ids(view["blocks"])
    usual = {"private_metadata": "", "callback_id": "", "external_id": "", "submit": None, "close": None}
    return {
        "id": view_id,
        "team_id": workspace.team_id,
        **usual,
        "clear_on_close": False,
        "notify_on_close": False,
        **kept,
        "state": {"values": {}},
        "hash": f"{int(time.time())}.{secrets.token_urlsafe(6)}",
        "previous_view_id": None,
        "root_view_id": view_id,
        "app_id": workspace.app_id,
        "app_installed_team_id": workspace.team_id,
        "bot_id": workspace.bot_id,
    }


def show(
    workspace: Workspace, user: str, view: Json, trigger_id: str | None = None, under: View | None = None
) -> View:
    """Put a new view on a person's screen, maybe over another one, and return it."""
    _check_external_id(workspace, view, None)
    view_id = f"V0{secrets.token_hex(5).upper()}"
    shown = View(view_id, user, dressed(workspace, view_id, view), trigger_id)
    if under is not None:
        root = under.view["root_view_id"]
        if sum(one.is_open and one.view["root_view_id"] == root for one in workspace.views) >= MOST_STACKED:
            raise RefusedError("push_limit_reached")
        shown.view |= {"previous_view_id": under.id, "root_view_id": root}
    workspace.views.append(shown)
    return shown


def replace(workspace: Workspace, shown: View, view: Json) -> None:
    """Show another content in a view that is there, and keep the old one in its history.

    What somebody entered stays where block and action ids are the same.
    """
    _check_external_id(workspace, view, shown)
    renewed = dressed(workspace, shown.id, view)
    renewed |= {name: shown.view[name] for name in ("previous_view_id", "root_view_id")}
    shown.filled = inputs.kept(shown.view["blocks"], shown.filled, renewed["blocks"])
    shown.history.append(shown.view)
    shown.view = renewed
    shown.errors = {}


def _check_external_id(workspace: Workspace, view: Json, own: View | None) -> None:
    external = view.get("external_id")
    others = (one for one in workspace.views if one.is_open and one is not own)
    if external and any(one.view["external_id"] == external for one in others):
        raise RefusedError("duplicate_external_id")


def _trigger(workspace: Workspace, arguments: Json) -> Trigger:
    needed(arguments, "trigger_id", "view")
    trigger = workspace.triggers.get(str(arguments["trigger_id"]))
    if trigger is None:
        raise RefusedError("invalid_trigger_id")
    if trigger.used:
        raise RefusedError("exchanged_trigger_id")
    if time.monotonic() - trigger.issued > workspace.trigger_lifetime:
        raise RefusedError("expired_trigger_id")
    return trigger


def open_view(workspace: Workspace, arguments: Json) -> Json:
    """views.open"""
    trigger = _trigger(workspace, arguments)
    view = checked("modal", arguments["view"])
    shown = show(workspace, trigger.user, view, arguments["trigger_id"])
    trigger.used = True
    return {"view": shown.view}


def push_view(workspace: Workspace, arguments: Json) -> Json:
    """views.push: over the modal in which somebody acted."""
    trigger = _trigger(workspace, arguments)
    under = workspace.view(trigger.view_id)
    if under is None or not under.is_open or under.view["type"] != "modal":
        raise RefusedError("not_found")
    view = checked("modal", arguments["view"])
    shown = show(workspace, trigger.user, view, arguments["trigger_id"], under)
    trigger.used = True
    return {"view": shown.view}


def update_view(workspace: Workspace, arguments: Json) -> Json:
    """views.update"""
    needed(arguments, "view")
    external = arguments.get("external_id")
    shown = workspace.view(arguments.get("view_id"))
    if shown is None and external:
        shown = next((v for v in workspace.views if v.view["external_id"] == external), None)
    if shown is None or not shown.is_open:
        raise RefusedError("not_found")
    if arguments.get("hash") and arguments["hash"] != shown.view["hash"]:
        raise RefusedError("hash_conflict")
    replace(workspace, shown, checked("modal", arguments["view"]))
    return {"view": shown.view}


def publish_view(workspace: Workspace, arguments: Json) -> Json:
    """views.publish"""
    needed(arguments, "user_id", "view")
    if not workspace.home_enabled:
        raise RefusedError("not_enabled")
    user = person(workspace, arguments["user_id"]).id
    view = checked("home", arguments["view"])
    shown = next((v for v in workspace.views if v.user == user and v.view["type"] == "home"), None)
    if shown is None:
        shown = show(workspace, user, view)
    elif arguments.get("hash") and arguments["hash"] != shown.view["hash"]:
        raise RefusedError("hash_conflict")
    else:
        replace(workspace, shown, view)
    return {"view": shown.view}


def set_status(workspace: Workspace, arguments: Json) -> Json:
    """assistant.threads.setStatus"""
    needed(arguments, "channel_id", "thread_ts")
    if "status" not in arguments:
        raise RefusedError("invalid_arguments", ["missing required field: status"])
    channel = entered_channel(workspace, {"channel": arguments["channel_id"]})
    if channel.message(arguments["thread_ts"]) is None:
        raise RefusedError("invalid_thread_ts")
    if len(arguments.get("loading_messages") or []) > 10:
        words = "no more than 10 items allowed [json-pointer:/loading_messages]"
        raise RefusedError("invalid_arguments", [words])
    place = (channel.id, str(arguments["thread_ts"]))
    workspace.show_status(place, str(arguments["status"]))
    return {}


def validate(_workspace: Workspace, arguments: Json) -> Json:
    """blocks.validate"""
    given = [kind for kind in ("blocks", "message", "view") if arguments.get(kind) is not None]
    if len(given) != 1:
        raise RefusedError("invalid_arguments", ["provide exactly one of blocks, view, or message"])
    kind, content = given[0], arguments[given[0]]
    asked = content if isinstance(content, dict) else {}
    if kind == "view":
        found = limits.problems("home" if asked.get("type") == "home" else "modal", content)
    else:
        found = limits.problems("message", asked.get("blocks", []) if kind == "message" else content)
    if found:
        raise RefusedError(f"invalid_{kind}", found)
    return {}


METHODS = {
    "views.open": open_view,
    "views.push": push_view,
    "views.update": update_view,
    "views.publish": publish_view,
    "assistant.threads.setStatus": set_status,
    "blocks.validate": validate,
}
