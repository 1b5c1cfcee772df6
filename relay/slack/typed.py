"""What a person typed, out of the text that Slack makes of it.

https://docs.slack.dev/messaging/formatting-message-text/#retrieving-messages
"""

import re

from relay.slack.mrkdwn import unescape

_MARKED = re.compile(r"<([^<>|]+)(?:\|([^<>]*))?>")


def without_mention(text: str, user_id: str) -> str:
    """Return `text` without the mentions of one user."""
    return re.sub(rf"<@{re.escape(user_id)}(?:\|[^<>]*)?>[:,]?[ \t]*", "", text).strip()


def mentions(text: str, user_id: str) -> bool:
    """Whether a text mentions a user."""
    return re.search(rf"<@{re.escape(user_id)}[|>]", text) is not None


def typed(text: str) -> str:
    """Return the words of an event's text as they were typed: links bare, channels by name."""
    return unescape(_MARKED.sub(_bare, text))


def _bare(found: re.Match[str]) -> str:
    target, label = found[1], found[2]
    if target.startswith("#"):
        return f"#{label}" if label else found[0]
    if target.startswith("!"):
        return label or f"@{target[1:]}"
    if target.startswith("@"):
        return found[0]  # the id is what tells people apart
    address = target.removeprefix("mailto:")
    if not label or label in (target, address):
        return address
    if f"//{label}" in target:
        return label  # Slack adds the https:// that nobody typed
    return f"{label} ({address})"
