"""Slack's markup: what must be escaped, what is escaped when it comes in, and what must be made seen.

https://docs.slack.dev/messaging/formatting-message-text/#escaping
"""

import re
from datetime import datetime, timedelta

# Characters that are not seen but change what is: controls, fillers, tags, and the marks that turn
# text around. A line break and a tab are seen.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\ud800-\udfff"
    "\U00013430-\U0001345f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)


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


def day_and_time(when: datetime) -> str:
    """Return a moment of any day as Slack shows it to each reader: "today at 17:00", with no "at" before."""
    shown = f"{when:%Y-%m-%d} at {when:%H:%M} UTC"
    return f"<!date^{int(when.timestamp())}^{{date_short_pretty}} at {{time}}|{shown}>"


def counted(number: int, thing: str) -> str:
    """Return how many there are of something: "1 line", "2 lines"."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def length(lasted: timedelta) -> str:
    """Return how long something took, in a word or two."""
    seconds = max(1, int(lasted.total_seconds()))
    hours, minutes = divmod(seconds // 60, 60)
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{minutes} min" if minutes else f"{seconds} s"


def code(text: str, limit: int) -> str:
    """Return `text` as code within a line: nothing in it can leave its box."""
    line = " ".join(visible(text).split()).replace("`", "'")
    return f"`{escaped(line or '?', limit)}`"


def visible(text: str) -> str:
    """Return `text` with every character that hides or reorders others written out."""
    return _UNSEEN.sub(lambda found: _written_out(ord(found.group())), text)


def _written_out(code: int) -> str:
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
