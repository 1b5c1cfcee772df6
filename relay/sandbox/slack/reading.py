"""The Web API's methods that tell of channels, people and the app itself."""

from collections.abc import Callable
from typing import TypeVar

from relay.sandbox.slack.chat import shown
from relay.sandbox.slack.refusals import RefusedError, entered_channel, needed, person, seen_channel, yes
from relay.sandbox.slack.workspace import Channel, Json, Message, Workspace

T = TypeVar("T")


def _channel_json(workspace: Workspace, channel: Channel) -> Json:
    if channel.is_im:
        return {"id": channel.id, "is_im": True, "is_archived": False, "user": channel.id[1:]}
    return {
        "id": channel.id,
        "name": channel.name,
        "name_normalized": channel.name,
        "is_channel": not channel.is_private,
        "is_group": channel.is_private,
        "is_im": False,
        "is_mpim": False,
        "is_private": channel.is_private,
        "is_archived": channel.is_archived,
        "is_general": False,
        "is_member": channel.is_member,
        "is_shared": channel.is_ext_shared,
        "is_ext_shared": channel.is_ext_shared,
        "is_org_shared": False,
        "is_pending_ext_shared": False,
        "context_team_id": workspace.team_id,
        "creator": "U0MEMBER",
    }


def describe(workspace: Workspace, arguments: Json) -> Json:
    """conversations.info"""
    needed(arguments, "channel")
    return {"channel": _channel_json(workspace, seen_channel(workspace, arguments))}


def members(workspace: Workspace, arguments: Json) -> Json:
    """conversations.members"""
    needed(arguments, "channel")
    found = sorted(seen_channel(workspace, arguments).members)
    return _page(found, arguments, "members", lambda user: user, 100, most=999)


def open_direct(workspace: Workspace, arguments: Json) -> Json:
    """conversations.open, for one person."""
    users = str(arguments.get("users") or "").split(",")
    if users == [""]:
        raise RefusedError("users_list_not_supplied")
    if len(users) > 1:
        raise RefusedError("too_many_users")
    if person(workspace, users[0]).deleted:
        raise RefusedError("user_disabled")
    if workspace.people[users[0]].is_bot:
        raise RefusedError("cannot_dm_bot")
    channel = workspace.direct(users[0])
    whole = yes(arguments.get("return_im"))
    return {"channel": _channel_json(workspace, channel) if whole else {"id": channel.id}}


def history(workspace: Workspace, arguments: Json) -> Json:
    """conversations.history: root messages, newest first."""
    needed(arguments, "channel")
    channel = entered_channel(workspace, arguments)
    roots = [message for message in reversed(channel.messages) if not message.thread_ts]
    return _messages(workspace, roots, arguments, 100)


def replies(workspace: Workspace, arguments: Json) -> Json:
    """conversations.replies: the root message and its replies, oldest first."""
    needed(arguments, "channel", "ts")
    channel = entered_channel(workspace, arguments)
    if channel.message(arguments["ts"]) is None:
        raise RefusedError("thread_not_found")
    return _messages(workspace, channel.thread(arguments["ts"]), arguments, 1000)


def _messages(workspace: Workspace, messages: list[Message], arguments: Json, usual: int) -> Json:
    metadata = yes(arguments.get("include_all_metadata"))
    within = [message for message in messages if _within(message, arguments)]

    def show(message: Message) -> Json:
        return shown(workspace, message, metadata=metadata)

    return _page(within, arguments, "messages", show, usual)


def _within(message: Message, arguments: Json) -> bool:
    ts = _moment(message.ts)
    oldest, latest = arguments.get("oldest"), arguments.get("latest")
    after = not oldest or ts > _moment(oldest)
    before = not latest or ts < _moment(latest)
    edge = yes(arguments.get("inclusive")) and ts in [_moment(end) for end in (oldest, latest) if end]
    return (after and before) or edge


def _moment(ts: object) -> int:
    seconds, _, fraction = str(ts).partition(".")
    try:
        return int(seconds) * 1_000_000 + int((fraction + "000000")[:6])
    except ValueError:
        raise RefusedError("invalid_arguments", [f"not a timestamp: {ts}"]) from None


def _page(
    items: list[T], arguments: Json, name: str, show: Callable[[T], object], usual: int, most: int = 1000
) -> Json:
    try:
        limit = int(arguments.get("limit") or usual)
        start = int(str(arguments.get("cursor") or "next:0").removeprefix("next:"))
    except ValueError:
        raise RefusedError("invalid_cursor") from None
    if not 0 < limit <= most:
        raise RefusedError("invalid_limit")
    end = start + limit
    more = end < len(items)
    page: Json = {name: [show(item) for item in items[start:end]]}
    if name == "messages":
        page["has_more"] = more
    return {**page, "response_metadata": {"next_cursor": f"next:{end}" if more else ""}}


def user(workspace: Workspace, arguments: Json) -> Json:
    """users.info"""
    needed(arguments, "user")
    found = person(workspace, arguments["user"])
    profile = {"real_name": found.real_name, "display_name": found.name, "team": found.team_id}
    as_json: Json = {
        "id": found.id,
        "team_id": found.team_id,
        "name": found.name,
        "real_name": found.real_name,
        "deleted": found.deleted,
        "tz": "Europe/London",
        "profile": profile,
        "is_bot": found.is_bot,
        "is_app_user": False,
        "updated": 1,
    }
    if not found.deleted:
        as_json |= {"is_admin": False, "is_owner": False, "is_restricted": found.is_restricted}
        as_json["is_ultra_restricted"] = found.is_ultra_restricted
    if workspace.enterprise_id and not found.is_stranger:
        of_org = {"id": found.id, "enterprise_id": workspace.enterprise_id, "teams": [workspace.team_id]}
        as_json["enterprise_user"] = of_org
    if found.is_stranger:
        as_json["is_stranger"] = True
    return {"user": as_json}


def group_members(workspace: Workspace, arguments: Json) -> Json:
    """usergroups.users.list"""
    needed(arguments, "usergroup")
    if arguments["usergroup"] not in workspace.groups:
        raise RefusedError("no_such_subteam")
    return {"users": sorted(workspace.groups[arguments["usergroup"]])}


def groups(workspace: Workspace, arguments: Json) -> Json:
    """usergroups.list"""
    return {"usergroups": [_group_json(workspace, one, arguments) for one in workspace.groups]}


def _group_json(workspace: Workspace, group_id: str, arguments: Json) -> Json:
    members = sorted(workspace.groups[group_id])
    handle = group_id.removeprefix("S0").lower()
    return {
        "id": group_id,
        "team_id": workspace.team_id,
        "is_usergroup": True,
        "is_subteam": True,
        "name": handle.capitalize(),
        "description": "",
        "handle": handle,
        "is_external": False,
        "date_create": 1,
        "date_update": 1,
        "date_delete": 0,
        "auto_type": None,
        "created_by": "U0MEMBER",
        "updated_by": "U0MEMBER",
        "deleted_by": None,
        "prefs": {"channels": [], "groups": []},
        **({"users": members} if yes(arguments.get("include_users")) else {}),
        **({"user_count": len(members)} if yes(arguments.get("include_count")) else {}),
    }


def auth(workspace: Workspace, _arguments: Json) -> Json:
    """auth.test"""
    return {
        "url": f"https://{workspace.domain}.slack.com/",
        "team": workspace.domain,
        "user": workspace.people[workspace.bot_user].name,
        "team_id": workspace.team_id,
        "user_id": workspace.bot_user,
        "bot_id": workspace.bot_id,
        **({"enterprise_id": workspace.enterprise_id} if workspace.enterprise_id else {}),
        "is_enterprise_install": workspace.org_wide,
    }


def team(workspace: Workspace, _arguments: Json) -> Json:
    """team.info"""
    return {"team": {"id": workspace.team_id, "name": workspace.domain, "domain": workspace.domain}}


def app_as_bot(workspace: Workspace, arguments: Json) -> Json:
    """bots.info"""
    if arguments.get("bot", workspace.bot_id) != workspace.bot_id:
        raise RefusedError("bot_not_found")
    name = workspace.people[workspace.bot_user].name
    bot = {"id": workspace.bot_id, "deleted": False, "name": name, "updated": 1, "icons": {}}
    return {"bot": {**bot, "app_id": workspace.app_id, "user_id": workspace.bot_user}}


METHODS = {
    "auth.test": auth,
    "team.info": team,
    "bots.info": app_as_bot,
    "users.info": user,
    "usergroups.list": groups,
    "usergroups.users.list": group_members,
    "conversations.info": describe,
    "conversations.members": members,
    "conversations.open": open_direct,
    "conversations.history": history,
    "conversations.replies": replies,
}
