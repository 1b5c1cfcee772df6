"""The Web API's streaming methods: https://docs.slack.dev/reference/methods/chat.startStream

A stream in a channel is for one person; it takes words until it is stopped, or Slack lets it die.
"""

from relay.sandbox.slack import limits
from relay.sandbox.slack.chat import own, root, shown, streams
from relay.sandbox.slack.refusals import RefusedError, entered_channel, needed, person
from relay.sandbox.slack.workspace import Json, Message, Workspace, with_ids


def start_stream(workspace: Workspace, arguments: Json) -> Json:
    """chat.startStream"""
    needed(arguments, "channel", "thread_ts")
    channel = entered_channel(workspace, arguments)
    if not channel.is_im:
        if not arguments.get("recipient_team_id"):
            raise RefusedError("missing_recipient_team_id")
        if not arguments.get("recipient_user_id"):
            raise RefusedError("missing_recipient_user_id")
        person(workspace, arguments["recipient_user_id"])
    words = _words(arguments)
    message = workspace.post(
        channel, workspace.bot_user, "", [], thread_ts=root(channel, arguments), streaming=True
    )
    _write(message, words)
    return {"channel": channel.id, "ts": message.ts}


def append_stream(workspace: Workspace, arguments: Json) -> Json:
    """chat.appendStream"""
    message = _streaming(workspace, arguments)
    words = _words(arguments)
    if not words:
        raise RefusedError("no_text")
    _write(message, message.text + words)
    return {"channel": message.channel, "ts": message.ts}


def stop_stream(workspace: Workspace, arguments: Json) -> Json:
    """chat.stopStream"""
    message = _streaming(workspace, arguments)
    _write(message, message.text + _words(arguments))
    message.streaming = False
    message.metadata = arguments.get("metadata") or message.metadata
    return {"channel": message.channel, "ts": message.ts, "message": shown(workspace, message)}


def _streaming(workspace: Workspace, arguments: Json) -> Message:
    message = own(workspace, arguments, "message_not_owned_by_app")[1]
    if not streams(workspace, message):
        raise RefusedError("message_not_in_streaming_state")
    return message


def _words(arguments: Json) -> str:
    words = str(arguments.get("markdown_text") or "")
    if len(words) > limits.LONGEST_MARKDOWN:
        raise RefusedError("msg_too_long")
    return words


def _write(message: Message, words: str) -> None:
    if len(words) > limits.LONGEST_MARKDOWN:
        raise RefusedError("msg_too_long")
    message.text = words
    message.blocks = with_ids([{"type": "markdown", "text": words}]) if words else []


METHODS = {
    "chat.startStream": start_stream,
    "chat.appendStream": append_stream,
    "chat.stopStream": stop_stream,
}
