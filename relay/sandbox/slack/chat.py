"""The Web API's `chat.*` methods: https://docs.slack.dev/reference/methods"""

import copy
import json
import time

from relay.sandbox.slack import limits
from relay.sandbox.slack.refusals import (
    LARGEST_METADATA,
    RefusedError,
    blocks_given,
    entered_channel,
    needed,
    seen_channel,
)
from relay.sandbox.slack.workspace import Blocks, Channel, Json, Message, Workspace, with_ids


def shown(workspace: Workspace, message: Message, *, metadata: bool = True) -> Json:
    """Return a message as the Web API and the payloads show it."""
    as_json: Json = {"user": message.user, "type": "message", "ts": message.ts}
    if message.user == workspace.bot_user:
        as_json |= {"bot_id": workspace.bot_id, "app_id": workspace.app_id}
    as_json |= {"text": message.text, "team": workspace.team_id}
    if message.edited:
        as_json["edited"] = {"user": workspace.bot_id, "ts": message.ts}
    as_json |= _place_in_thread(workspace, message)
    if message.blocks:
        as_json["blocks"] = copy.deepcopy(message.blocks)
    if message.metadata and metadata:
        as_json["metadata"] = message.metadata
    return as_json


def _place_in_thread(workspace: Workspace, message: Message) -> Json:
    channel = workspace.channels[message.channel]
    if message.thread_ts:
        first = channel.message(message.thread_ts)
        return {"thread_ts": message.thread_ts, "parent_user_id": first.user if first else ""}
    replies = channel.thread(message.ts)[1:]
    if not replies:
        return {}
    return {"thread_ts": message.ts, "reply_count": len(replies), "latest_reply": replies[-1].ts}


def check_body(text: str, blocks: Blocks | None) -> None:
    """Refuse a message body that Slack would refuse."""
    if not text and not blocks:
        raise RefusedError("no_text")
    if len(text) > limits.LONGEST_TEXT:
        raise RefusedError("msg_too_long")
    if found := limits.problems("message", blocks or []):
        raise RefusedError("invalid_blocks", found)
    if limits.characters(blocks or []) > limits.LONGEST_BLOCKS:
        raise RefusedError("msg_blocks_too_long")


def _destination(workspace: Workspace, arguments: Json) -> Channel:
    needed(arguments, "channel")
    place = str(arguments["channel"]).removeprefix("#")
    person = workspace.people.get(place)
    if person is not None and not person.deleted:
        return workspace.direct(place)
    named = next((c.id for c in workspace.channels.values() if c.name == place and not c.is_im), place)
    channel = entered_channel(workspace, {"channel": named})
    if channel.is_archived:
        raise RefusedError("is_archived")
    return channel


def _metadata(arguments: Json) -> Json | None:
    metadata = arguments.get("metadata")
    if not metadata:
        return None
    if not isinstance(metadata, dict) or not {"event_type", "event_payload"} <= metadata.keys():
        raise RefusedError("invalid_metadata_format")
    if len(json.dumps(metadata)) > LARGEST_METADATA:
        raise RefusedError("metadata_too_large")
    return metadata


def root(channel: Channel, arguments: Json) -> str | None:
    """Return the root of the thread a call names, None where it names none."""
    thread_ts = arguments.get("thread_ts")
    if not thread_ts:
        return None
    message = channel.message(thread_ts)
    if message is None:
        raise RefusedError("thread_not_found")
    return message.thread_ts or message.ts


def post_message(workspace: Workspace, arguments: Json) -> Json:
    """chat.postMessage"""
    channel = _destination(workspace, arguments)
    text, blocks = str(arguments.get("text") or ""), blocks_given(arguments)
    check_body(text, blocks)
    message = workspace.post(
        channel,
        workspace.bot_user,
        text,
        blocks or [],
        thread_ts=root(channel, arguments),
        metadata=_metadata(arguments),
    )
    return {"channel": channel.id, "ts": message.ts, "message": shown(workspace, message)}


def post_ephemeral(workspace: Workspace, arguments: Json) -> Json:
    """chat.postEphemeral"""
    needed(arguments, "channel", "user")
    channel = _destination(workspace, arguments)
    if arguments["user"] not in channel.members:
        raise RefusedError("user_not_in_channel")
    text, blocks = str(arguments.get("text") or ""), blocks_given(arguments)
    check_body(text, blocks)
    seen = workspace.whisper(
        channel.id, arguments["user"], text, blocks or [], "chat.postEphemeral", root(channel, arguments)
    )
    return {"message_ts": seen.ts}


def own(workspace: Workspace, arguments: Json, otherwise: str) -> tuple[Channel, Message]:
    """Return the app's own message that a call names, or refuse."""
    needed(arguments, "channel", "ts")
    channel = seen_channel(workspace, arguments)
    message = channel.message(arguments["ts"])
    if message is None:
        raise RefusedError("message_not_found")
    if message.user != workspace.bot_user:
        raise RefusedError(otherwise)
    return channel, message


def streams(workspace: Workspace, message: Message) -> bool:
    """Whether a message is a stream that lives: some minutes after its beginning Slack lets it die."""
    if time.time() - float(message.ts) > workspace.stream_lifetime:
        message.streaming = False
    return message.streaming


def update(workspace: Workspace, arguments: Json) -> Json:
    """chat.update: without `blocks` the old ones stay only if there is no `text` either."""
    channel, message = own(workspace, arguments, "cant_update_message")
    text, blocks = arguments.get("text"), blocks_given(arguments)
    metadata = _metadata(arguments)
    if text is None and blocks is None and metadata is None:
        raise RefusedError("no_text")
    if channel.is_archived:
        raise RefusedError("is_archived")
    if streams(workspace, message):
        raise RefusedError("streaming_state_conflict")
    new_text = message.text if text is None else str(text)
    new_blocks = message.blocks if blocks is None and text is None else with_ids(blocks or [])
    check_body(new_text, new_blocks)
    message.rewrite(new_text, new_blocks)
    message.metadata = metadata or message.metadata
    return {
        "channel": message.channel,
        "ts": message.ts,
        "text": message.text,
        "message": shown(workspace, message),
    }


def delete(workspace: Workspace, arguments: Json) -> Json:
    """chat.delete"""
    channel, message = own(workspace, arguments, "cant_delete_message")
    channel.messages.remove(message)
    return {"channel": message.channel, "ts": message.ts}


def permalink(workspace: Workspace, arguments: Json) -> Json:
    """chat.getPermalink"""
    needed(arguments, "channel", "message_ts")
    channel = seen_channel(workspace, arguments)
    message = channel.message(arguments["message_ts"])
    if message is None:
        raise RefusedError("message_not_found")
    link = f"{workspace.url}/archives/{channel.id}/p{message.ts.replace('.', '')}"
    if message.thread_ts:
        link += f"?thread_ts={message.thread_ts}&cid={channel.id}"
    return {"channel": channel.id, "permalink": link}


METHODS = {
    "chat.postMessage": post_message,
    "chat.postEphemeral": post_ephemeral,
    "chat.update": update,
    "chat.delete": delete,
    "chat.getPermalink": permalink,
}
