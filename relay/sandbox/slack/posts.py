"""What an app hears of when people post, rewrite and delete messages, and the files they attach."""

import copy
import secrets
from dataclasses import dataclass

from aiohttp import web

from relay.sandbox.slack.chat import shown
from relay.sandbox.slack.workspace import Channel, Json, Message, Workspace


@dataclass(frozen=True)
class Upload:
    """A file to attach; an external one is a link, of which Slack holds nothing."""

    name: str
    content: bytes = b""
    mimetype: str = "text/plain"
    external_url: str = ""


def happened(workspace: Workspace, place: Channel, message: Message) -> list[Json]:
    """Return the events of a new message: of one with a mention there are two."""
    person = workspace.people[message.user]
    event = _post(place, message) | {"team": person.team_id, "user_team": person.team_id}
    if person.is_bot:
        event |= {"bot_id": workspace.bot_id if person.id == workspace.bot_user else f"B{person.id[1:]}"}
    if message.files:
        event |= {"files": copy.deepcopy(message.files), "subtype": "file_share", "upload": False}
    events = [event | {"channel_type": _kind(place)}]
    if f"<@{workspace.bot_user}>" in message.text and not place.is_im:
        mention = {key: value for key, value in event.items() if key not in ("subtype", "upload")}
        events.append(mention | {"type": "app_mention"})
    return events


def rewritten(workspace: Workspace, place: Channel, message: Message, before: Json) -> Json:
    """Return the event of a message that its author rewrote."""
    now = shown(workspace, message) | {"edited": {"user": message.user, "ts": workspace.new_ts()}}
    return _told(workspace, place, "message_changed", message=now, previous_message=before)


def deleted(workspace: Workspace, place: Channel, before: Json) -> Json:
    """Return the event of a message that is gone."""
    return _told(workspace, place, "message_deleted", deleted_ts=before["ts"], previous_message=before)


def stored(workspace: Workspace, user: str, upload: Upload) -> Json:
    """Keep a file and return it as messages and events show it."""
    file_id = "F" + secrets.token_hex(5).upper()
    link = f"{workspace.url}/files/{user}/{file_id}/{upload.name}"
    file: Json = {
        "id": file_id,
        "created": 1,
        "name": upload.name,
        "title": upload.name,
        "mimetype": upload.mimetype,
        "user": user,
        "mode": "external" if upload.external_url else "hosted",
        "is_external": bool(upload.external_url),
        "size": len(upload.content),
        "url_private": upload.external_url or f"{workspace.url}/files-pri/{file_id}/{upload.name}",
        "permalink": link,
        "has_rich_preview": False,
        "file_access": "visible",
    }
    if upload.external_url:
        file["external_url"] = upload.external_url
    workspace.files[file_id] = upload.content
    return file


class FileStore:
    """Hands out the files, to the app's token alone; `refusals` are the statuses of the next answers."""

    def __init__(self, workspace: Workspace) -> None:
        self.refusals: list[int] = []
        self.asked: list[str] = []
        self._workspace = workspace

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one request for a file."""
        file_id = request.match_info["file"]
        self.asked.append(file_id)
        if self.refusals:
            return web.Response(status=self.refusals.pop(0))
        if not self._workspace.takes(request.headers.get("Authorization", "").removeprefix("Bearer ")):
            # As Slack does: to whoever shows no right it shows a page to sign in.
            return web.Response(text="<html>Sign in</html>", content_type="text/html")
        content = self._workspace.files.get(file_id)
        if content is None:
            return web.Response(status=404)
        return web.Response(body=content, content_type="application/octet-stream")


def _post(place: Channel, message: Message) -> Json:
    post: Json = {
        "type": "message",
        "user": message.user,
        "ts": message.ts,
        "text": message.text,
        "channel": place.id,
        "event_ts": message.ts,
    }
    return post | ({"thread_ts": message.thread_ts} if message.thread_ts else {})


def _told(workspace: Workspace, place: Channel, subtype: str, **more: object) -> Json:
    ts = workspace.new_ts()
    event = {"type": "message", "subtype": subtype, "hidden": True, "channel": place.id, "ts": ts}
    return event | {"event_ts": ts, "channel_type": _kind(place)} | more


def _kind(place: Channel) -> str:
    return "im" if place.is_im else "group" if place.is_private else "channel"
