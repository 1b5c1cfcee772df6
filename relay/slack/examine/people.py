"""The people and user groups that a configuration names: whether they are there, and may act."""

from collections.abc import Iterator
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from relay.domain.findings import Finding, good, warning, wrong
from relay.domain.policy import Reason, Rights, may_send
from relay.slack.examine.app import unasked
from relay.slack.people import described
from relay.slack.verdicts import CARRIERS, code

_CORRECT = "Correct it in RELAY_APPROVERS or relay.toml."
_TAKE_OUT = "Take them out of RELAY_APPROVERS or relay.toml, or name somebody else."
_UNABLE = {
    Reason.GUEST: "is a guest",
    Reason.DEACTIVATED: "is deactivated",
    Reason.FOREIGN: "is of another workspace",
    Reason.BOT: "is a bot",
}
_GROUPS = "user groups"


async def user(client: AsyncWebClient, user_id: str, rights: Rights) -> list[Finding]:
    """Return whether a person is there, and may act."""
    about = f"person {user_id}"
    try:
        answer = await client.users_info(user=user_id)
    except CARRIERS as problem:
        if code(problem) in ("user_not_found", "user_not_visible"):
            return [wrong(about, "Slack knows nobody of that id", _CORRECT)]
        return [unasked(about, problem)]
    person = described(user_id, answer.get("user") or {}, rights.home_team)
    verdict = may_send(rights, person)
    if not verdict.allowed:
        said = _UNABLE.get(verdict.reason, verdict.reason.value)
        return [warning(about, f"{person.name} {said}, and may neither ask nor decide", _TAKE_OUT)]
    return [good(about, person.name)]


async def groups(client: AsyncWebClient, wanted: set[str]) -> list[Finding]:
    """Return whether each user group is there, and somebody in it; nobody is asked where none is named."""
    if not wanted:
        return []
    try:
        answer = await client.usergroups_list(include_disabled=True, include_count=True)
    except CARRIERS as problem:
        if code(problem) == "plan_upgrade_required":
            fix = "Name people or a channel instead."
            return [wrong(_GROUPS, "this workspace's plan has none", fix)]
        return [unasked(_GROUPS, problem)]
    listed = answer.get("usergroups")
    found = {one.get("id"): one for one in (listed if isinstance(listed, list) else [])}
    return [finding for group in sorted(wanted) for finding in _group(group, found.get(group))]


def _group(group: str, found: dict[str, Any] | None) -> Iterator[Finding]:
    about = f"user group {group}"
    if found is None:
        yield wrong(about, "Slack knows none of that id", "Correct it in relay.toml.")
    elif found.get("date_delete"):
        yield warning(about, f"@{found.get('handle')} is disabled", "Enable it in Slack, or name another.")
    elif str(found.get("user_count")) == "0":
        yield warning(about, f"nobody is in @{found.get('handle')}", "Put the people who decide into it.")
    else:
        yield good(about, f"@{found.get('handle')}")
