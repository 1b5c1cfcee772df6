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


def quote(text: str, limit: int) -> str:
    """Return `text` as a quotation of at most `limit` characters, escaped, cut with an ellipsis."""
    lines: list[str] = []
    room = limit
    for line in text.strip().splitlines() or [""]:
        piece = escape(line)
        if len(piece) + 6 > room:
            cut = "".join(escape(character) for character in line[: max(room - 6, 0) // 5])
            lines.append(f"> {cut}…")
            break
        lines.append(f"> {piece}")
        room -= len(piece) + 3
    return "\n".join(lines)


def moment(when: datetime) -> str:
    """Return a moment as Slack shows it in each reader's own time zone."""
    return f"<!date^{int(when.timestamp())}^{{time}}|{when:%H:%M} UTC>"
