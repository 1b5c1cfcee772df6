"""Slack's markup: what must be escaped, and what is escaped when it comes in.

https://docs.slack.dev/messaging/formatting-message-text/#escaping
"""

from datetime import datetime


def escape(text: str) -> str:
    """Return `text` so that Slack shows it as it stands: it can ping nobody and fake no link."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def unescape(text: str) -> str:
    """Return the text a person typed, of which Slack escapes exactly three characters."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def escaped(text: str, limit: int) -> str:
    """Return `text` escaped, and cut with an ellipsis to at most `limit` characters."""
    whole = escape(text)
    if len(whole) <= limit:
        return whole
    cut = whole[: limit - 1]
    opened = cut.rfind("&")
    whole_entities = opened < 0 or ";" in cut[opened:]
    return (cut if whole_entities else cut[:opened]) + "…"


def moment(when: datetime) -> str:
    """Return a moment as Slack shows it in each reader's own time zone."""
    return f"<!date^{int(when.timestamp())}^{{time}}|{when:%H:%M} UTC>"
