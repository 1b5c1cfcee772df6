"""Words on their way between a person and an agent."""

import re

# Tags an agent's harness writes into a user message and the model obeys as the harness's own
# word (<system-reminder>, <task-notification>, <thread-history>, <user-prompt-submit-hook>,
# <memory_files>, …). Typed by a person they must stay a person's words.
_HARNESS_TAG = re.compile(
    r"<(?=\s*/?\s*(?:system(?:[-_][\w-]+)?|toolset-change|(?:memory|skill)_\w+"
    r"|[a-z-]+[-_](?:reminder|notification|history|context|hook|alert|response|memory|skills?))(?![\w-]))",
    re.IGNORECASE,
)
_LONGEST_NAME = 80


def neutralise(text: str) -> str:
    """Return `text` with the opening bracket of every harness tag turned into `&lt;`."""
    return _HARNESS_TAG.sub("&lt;", text)


def plain_name(name: str) -> str:
    """Return a name that is only a name: one line, no harness tag, no mark that could fake another's id."""
    kept = (one for one in neutralise(name) if one.isspace() or (one.isprintable() and one not in "()#:"))
    return " ".join("".join(kept).split())[:_LONGEST_NAME]


def author_line(name: str, user_id: str, channel_name: str) -> str:
    """Return the one line that tells the agent who speaks and where; a name can add no line."""
    plain = plain_name(name) or user_id
    place = f" in #{channel_name}" if channel_name else ""
    return f"From {plain} (Slack user {user_id}){place}:"


def split(text: str, limit: int) -> list[str]:
    """Return `text` in pieces of at most `limit` characters, cut at a paragraph, line or blank.

    A fenced code block cut in two is closed in one piece and opened again in the next. Text of
    blanks alone gives no piece.
    """
    pieces: list[str] = []
    rest = text.strip("\n")
    while len(rest) > limit:
        cut = _best_cut(rest, limit - 8)
        head, rest = rest[:cut].rstrip(), rest[cut:].lstrip("\n")
        if head.count("```") % 2:
            head, rest = head + "\n```", "```\n" + rest
        pieces.append(head)
    if rest.strip():
        pieces.append(rest)
    return [piece for piece in pieces if piece.strip()]


def _best_cut(text: str, limit: int) -> int:
    for mark in ("\n\n", "\n", " "):
        cut = text.rfind(mark, limit // 2, limit)
        if cut > 0:
            return cut + len(mark)
    return limit


def clamp(text: str, limit: int) -> tuple[str, int]:
    """Return `text` cut to at most `limit` characters by leaving out its middle, and how many went.

    Both ends stay because a dangerous argument hides at the end as easily as at the start.
    """
    if len(text) <= limit:
        return text, 0
    tail = limit // 4
    head = limit - tail - 40
    left_out = len(text) - head - tail
    return f"{text[:head]}\n… {left_out:,} characters left out …\n{text[-tail:]}", left_out
