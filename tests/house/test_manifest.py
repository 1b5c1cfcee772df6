"""The Slack app manifest is one Slack takes, and asks for no right that is not used."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from relay.slack.scopes import BOT_SCOPES

ROOT = Path(__file__).parents[2]
MANIFEST: dict[str, Any] = yaml.safe_load((ROOT / "manifest.yml").read_text(encoding="utf-8"))
SCHEMA = json.loads((ROOT / "tests/witnesses/manifest.schema.json").read_text(encoding="utf-8"))
SCOPES: list[str] = MANIFEST["oauth_config"]["scopes"]["bot"]

# https://docs.slack.dev/reference/scopes: which scopes let the app call a method; any one of them will do.
CONVERSATION = ("channels", "groups", "im", "mpim")
SCOPES_OF_METHOD = {
    "chat.postMessage": {"chat:write"},
    "chat.postEphemeral": {"chat:write"},
    "chat.update": {"chat:write"},
    "chat.delete": {"chat:write"},
    "chat.startStream": {"chat:write"},
    "chat.appendStream": {"chat:write"},
    "chat.stopStream": {"chat:write"},
    "assistant.threads.setStatus": {"chat:write"},
    "users.info": {"users:read"},
    "users.lookupByEmail": {"users:read.email"},
    "conversations.info": {f"{kind}:read" for kind in CONVERSATION},
    "conversations.members": {f"{kind}:read" for kind in CONVERSATION},
    "conversations.list": {f"{kind}:read" for kind in CONVERSATION},
    "conversations.history": {f"{kind}:history" for kind in CONVERSATION},
    "conversations.replies": {f"{kind}:history" for kind in CONVERSATION},
    "conversations.open": {"im:write", "mpim:write"},
    "conversations.join": {"channels:join"},
    "files.upload_v2": {"files:write"},
    "url_private": {"files:read"},  # no method: the address of a file, fetched with the app's token
    "reactions.add": {"reactions:write"},
    "usergroups.list": {"usergroups:read"},
    "usergroups.users.list": {"usergroups:read"},
}
# https://docs.slack.dev/reference/events: which scope lets an event come; empty: none is needed.
SCOPE_OF_EVENT = {
    "app_mention": "app_mentions:read",
    "message.channels": "channels:history",
    "message.groups": "groups:history",
    "message.im": "im:history",
    "message.mpim": "mpim:history",
    "agent_session_stopped": "chat:write",
    "app_home_opened": "",
    "app_uninstalled": "",
    "tokens_revoked": "",
    "team_access_revoked": "",
    "team_access_granted": "",
}
EVENTS: list[str] = MANIFEST["settings"]["event_subscriptions"]["bot_events"]


def calling_code() -> str:
    """Return the source of what calls Slack: the door, and the check of places at start.

    A stand-in for Slack names every method and calls none, so it is left out.
    """
    paths = sorted(path for room in ("app", "slack") for path in (ROOT / "relay" / room).rglob("*.py"))
    return "\n".join(path.read_text(encoding="utf-8") for path in paths)


def calls(method: str, source: str) -> bool:
    """Tell whether the source names a Web API method, as Slack writes it or as the SDK does."""
    spellings = {re.escape(method), re.escape(method.replace(".", "_"))}
    return re.search(rf"\b(?:{'|'.join(spellings)})\b", source) is not None


def test_slack_takes_the_manifest() -> None:
    jsonschema.Draft7Validator(SCHEMA).validate(MANIFEST)


def test_the_schema_notices_a_misspelled_setting() -> None:
    wrong = {**MANIFEST, "settings": {**MANIFEST["settings"], "socket_mode": True}}
    assert not jsonschema.Draft7Validator(SCHEMA).is_valid(wrong)


def test_the_doctor_asks_for_the_scopes_of_the_manifest() -> None:
    assert list(BOT_SCOPES) == SCOPES


def test_no_scope_is_asked_for_twice() -> None:
    assert len(SCOPES) == len(set(SCOPES))


@pytest.mark.parametrize("scope", SCOPES)
def test_every_scope_is_used(scope: str) -> None:
    source = calling_code()
    if scope == "commands":
        assert re.search(r"\.command\(", source), "no slash command is registered"
        return
    if scope in {SCOPE_OF_EVENT[event] for event in EVENTS}:
        return
    methods = [method for method, scopes in SCOPES_OF_METHOD.items() if scope in scopes]
    assert methods, f"no method is known to need {scope}"
    assert any(calls(method, source) for method in methods), f"the relay calls none of {methods}"


@pytest.mark.parametrize("method", SCOPES_OF_METHOD)
def test_every_method_called_has_its_scope(method: str) -> None:
    if calls(method, calling_code()):
        assert SCOPES_OF_METHOD[method] & set(SCOPES)


@pytest.mark.parametrize("event", EVENTS)
def test_every_event_asked_for_is_taken_and_has_its_scope(event: str) -> None:
    assert SCOPE_OF_EVENT[event] in {"", *SCOPES}
    assert f'"{event.partition(".")[0]}"' in calling_code()


def test_nothing_is_turned_on_that_does_not_exist() -> None:
    assert [command["command"] for command in MANIFEST["features"]["slash_commands"]] == ["/letta"]
    assert calls("views.publish", calling_code()) or not MANIFEST["features"]["app_home"]["home_tab_enabled"]


def test_an_open_home_tab_is_told_of() -> None:
    assert MANIFEST["features"]["app_home"]["home_tab_enabled"] == ("app_home_opened" in EVENTS)


def test_people_can_write_to_the_app() -> None:
    assert MANIFEST["features"]["app_home"]["messages_tab_enabled"]
    assert not MANIFEST["features"]["app_home"]["messages_tab_read_only_enabled"]


def test_all_that_slack_sends_goes_to_one_address() -> None:
    settings = MANIFEST["settings"]
    addresses = {settings[name]["request_url"] for name in ("interactivity", "event_subscriptions")}
    assert addresses == {command["url"] for command in MANIFEST["features"]["slash_commands"]}
