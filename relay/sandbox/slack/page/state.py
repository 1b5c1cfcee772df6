"""What one person sees of the workspace, in pieces with a name each, so that only new pieces need sending."""

from collections.abc import Iterator

from relay.sandbox.slack.fake import FakeSlack
from relay.sandbox.slack.workspace import Channel, Ephemeral, Json, Message, Person, View

# A tab shows this many messages of a channel, the newest.
MOST_MESSAGES = 400
MOST_WHISPERS = 200
# What Slack itself says for an app that gave no good answer to a command.
FAILURES = {"operation_timeout", "dispatch_failed", "invalid_command_response"}
_SEEN_OF_VIEW = (
    "type",
    "title",
    "submit",
    "close",
    "blocks",
    "callback_id",
    "previous_view_id",
    "hash",
    "clear_on_close",
)
_KINDS = {"U0REQUESTER": "requester", "U0APPROVER": "approver"}


def kind_of(person: Person, home_team: str) -> str:
    """Return in a word or two who somebody is to this workspace."""
    if person.is_bot:
        return "app"
    if person.is_stranger or person.team_id != home_team:
        return "from another workspace"
    if person.is_restricted or person.is_ultra_restricted:
        return "guest"
    return _KINDS.get(person.id, "member")


def people(slack: FakeSlack) -> list[Json]:
    """Return everyone there is to be named, mentioned or been."""
    return [
        {
            "id": person.id,
            "name": person.name,
            "real_name": person.real_name,
            "kind": kind_of(person, slack.team_id),
            "is_bot": person.is_bot,
            "deleted": person.deleted,
        }
        for person in slack.people.values()
    ]


def places(slack: FakeSlack, user: str) -> list[Channel]:
    """Return the channels and direct conversations a person is in, the latter even before the first word."""
    found = [one for one in slack.channels.values() if user in one.members and not one.is_im]
    direct = slack.channels.get(f"D{user}")
    if direct is None and slack.people[user].team_id == slack.team_id:
        direct = Channel(f"D{user}", slack.people[user].name, is_private=True)
    return found if direct is None else [*found, direct]


def seen_by(slack: FakeSlack, user: str) -> dict[str, object]:
    """Return all that one person sees, by the names of the pieces."""
    there = places(slack, user)
    seen: dict[str, object] = {"channels": [_channel(one) for one in there]}
    for channel in there:
        seen |= {f"message/{channel.id}/{m.ts}": _message(m) for m in channel.messages[-MOST_MESSAGES:]}
    known = {channel.id for channel in there}
    for whisper in slack.ephemerals[-MOST_WHISPERS:]:
        if whisper.user == user and whisper.channel in known and not _told_elsewhere(whisper):
            seen[f"whisper/{whisper.channel}/{whisper.ts}"] = _whisper(whisper)
    for (place, thread_ts), words in slack.statuses.items():
        if place in known:
            seen[f"status/{place}/{thread_ts}"] = {"channel": place, "thread_ts": thread_ts, "text": words}
    home = slack.home_of(user)
    return seen | {
        "home": None if home is None else _view(home),
        "modals": [_view(view) for view in modals(slack, user)],
    }


def modals(slack: FakeSlack, user: str) -> Iterator[View]:
    """Yield the modals on a person's screen, the uppermost last."""
    return (v for v in slack.views if v.user == user and v.is_open and v.view["type"] == "modal")


def _channel(channel: Channel) -> Json:
    return {
        "id": channel.id,
        "name": channel.name,
        "is_im": channel.is_im,
        "is_private": channel.is_private,
        "is_ext_shared": channel.is_ext_shared,
        "is_archived": channel.is_archived,
        "has_app": channel.is_member,
        "members": sorted(channel.members),
    }


def _message(message: Message) -> Json:
    files = [{"name": file["name"], "size": file["size"]} for file in message.files]
    return {
        "ts": message.ts,
        "channel": message.channel,
        "thread_ts": message.thread_ts,
        "user": message.user,
        "text": message.text,
        "blocks": message.blocks,
        # Slack marks what was rewritten as edited where it is words alone.
        "edited": message.edited > 0 and not message.blocks,
        "streaming": message.streaming,
        "files": files,
    }


def _whisper(whisper: Ephemeral) -> Json:
    told: Json = {"ts": whisper.ts, "channel": whisper.channel, "thread_ts": whisper.thread_ts}
    if whisper.failed:
        words = f"`{whisper.failed}` failed with the error “{whisper.text}”"
        return told | {"user": "USLACKBOT", "text": words, "blocks": []}
    return told | {"user": "", "text": whisper.text, "blocks": whisper.blocks}


def _told_elsewhere(whisper: Ephemeral) -> bool:
    """Whether Slack says this at the button that was pressed, and not in the channel."""
    return whisper.via == "ack" and not whisper.failed and not whisper.blocks and whisper.text in FAILURES


def _view(view: View) -> Json:
    filled: dict[str, Json] = {}
    for (block_id, action_id), entry in view.filled.items():
        filled.setdefault(block_id, {})[action_id] = entry
    shown = {name: view.view.get(name) for name in _SEEN_OF_VIEW}
    return {"id": view.id, "view": shown, "errors": view.errors, "filled": filled}
