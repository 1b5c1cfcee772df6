"""How a Web API method says no, and how it reads what it was given."""

from typing import Any

from relay.sandbox.slack.workspace import Blocks, Channel, Json, Person, Workspace

LARGEST_METADATA = 8_000


class RefusedError(Exception):
    """Slack's answer `ok: false`, with the error's name and what else the answer tells."""

    def __init__(
        self,
        error: str,
        messages: list[str] | None = None,
        *,
        more: Json | None = None,
        retry_after: int = 1,
    ) -> None:
        super().__init__(error)
        self.error = error
        self.messages = messages or []
        self.more = more or {}
        self.retry_after = retry_after

    def body(self) -> Json:
        """Return the answer as Slack writes it."""
        body: Json = {"ok": False, "error": self.error, **self.more}
        if self.messages:
            body["errors"] = self.messages
            body["response_metadata"] = {"messages": [f"[ERROR] {words}" for words in self.messages]}
        return body


def needed(arguments: Json, *names: str) -> None:
    """Refuse a call in which one of these arguments is missing."""
    missing = [f"missing required field: {name}" for name in names if arguments.get(name) in (None, "")]
    if missing:
        raise RefusedError("invalid_arguments", missing)


def yes(value: Any) -> bool:
    """Return what an argument means that may come as JSON or from a form."""
    return value in (True, 1, "1", "true", "True")


def person(workspace: Workspace, user: Any) -> Person:
    """Return the person of that id or refuse."""
    found = workspace.people.get(str(user))
    if found is None:
        raise RefusedError("user_not_found")
    return found


def seen_channel(workspace: Workspace, arguments: Json) -> Channel:
    """Return a channel the app may know of or refuse: a private one without the app does not exist."""
    channel = workspace.channels.get(str(arguments.get("channel")))
    if channel is None or (channel.is_private and not channel.is_member):
        raise RefusedError("channel_not_found")
    return channel


def entered_channel(workspace: Workspace, arguments: Json) -> Channel:
    """Return a channel the app is in or refuse."""
    channel = seen_channel(workspace, arguments)
    if not channel.is_member:
        raise RefusedError("not_in_channel")
    return channel


def blocks_given(arguments: Json) -> Blocks | None:
    """Return the blocks of a call, None where it has none; refuse what is no list."""
    blocks = arguments.get("blocks")
    if blocks is None or blocks == "":
        return None
    if not isinstance(blocks, list):
        raise RefusedError("invalid_blocks_format")
    return blocks
