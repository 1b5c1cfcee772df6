"""The values of an input that a rule wants named on the card, the unusual ones marked."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from relay.domain.patterns import texts_at
from relay.domain.rules import Fact
from relay.slack.blocks import Blocks, context, fields
from relay.slack.mrkdwn import code, counted, escaped

_LABEL_LIMIT = 60
_VALUE_LIMIT = 80
_MOST_VALUES = 3
_A_BLOCK = 10  # of a section's fields
_MOST = 20


def blocks(facts: Sequence[Fact], shown_input: Mapping[str, Any]) -> Blocks:
    """Return the facts as a table; `shown_input` is the input with its secrets masked."""
    told = [_told(fact, texts_at(shown_input, fact.path)) for fact in facts[:_MOST]]
    made = [fields(told[start : start + _A_BLOCK]) for start in range(0, len(told), _A_BLOCK)]
    if len(facts) > _MOST:
        made.append(context(f"… and {counted(len(facts) - _MOST, 'more fact')}"))
    return made


def _told(fact: Fact, texts: Sequence[str | None]) -> str:
    values = [text for text in texts if text is not None]
    told = ", ".join(map(_shown, values[:_MOST_VALUES])) or "_not given_"
    more = f" and {len(values) - _MOST_VALUES} more" if len(values) > _MOST_VALUES else ""
    return f"*{escaped(fact.label, _LABEL_LIMIT)}*\n{told}{more}{_unusual(fact, values)}"


def _shown(text: str) -> str:
    return code(text, _VALUE_LIMIT) if text.strip() else "(empty)"


def _unusual(fact: Fact, texts: Sequence[str]) -> str:
    """Return a mark when a number is above what the rule calls usual, or is none where one belongs."""
    if fact.above is None or not texts:
        return ""
    numbers = [_number(text) for text in texts]
    if any(number is not None and not number <= fact.above for number in numbers):
        return f" :warning: above {fact.above:,g}"
    return " :warning: not a number" if None in numbers else ""


def _number(text: str) -> float | None:
    """Return the number a text is, as people write it too: `1,200` and `$1200`."""
    try:
        number = float(text.strip().lstrip("$€£").replace(",", "").replace("_", ""))
    except ValueError:
        return None
    return math.inf if math.isnan(number) else number
