"""The facts that a rule wants named on the card."""

from typing import Any

import pytest

from relay.domain.rules import Fact
from relay.domain.secrets import mask
from relay.slack import facts


def told(fact: Fact, tool_input: dict[str, Any]) -> str:
    [block] = facts.blocks([fact], mask(tool_input).value)
    [text] = block["fields"]
    return str(text["text"])


@pytest.mark.parametrize(
    ("value", "unusual"),
    [
        (1000, False),
        (1000.01, True),
        ("1,200", True),
        ("$5000", True),
        (7, False),
        ("nan", True),
        (True, False),
    ],
)
def test_a_number_above_the_threshold_is_marked(value: Any, unusual: bool) -> None:
    assert (
        ":warning: above 1,000" in told(Fact("amount", "Amount", above=1000), {"amount": value})
    ) is unusual


def test_a_text_where_a_number_belongs_is_marked() -> None:
    assert ":warning: not a number" in told(Fact("amount", "Amount", above=1), {"amount": "lots"})


def test_a_fact_is_found_by_its_path_and_said_to_be_missing_otherwise() -> None:
    assert told(Fact("a.0.b", "B"), {"a": [{"b": "deep"}]}) == "*B*\n`deep`"
    assert told(Fact("a.1.b", "B"), {"a": [{"b": "deep"}]}) == "*B*\n_not given_"


def test_a_fact_cannot_leave_its_box_nor_tell_a_secret() -> None:
    assert told(Fact("x", "<X>"), {"x": "`<!channel>` *b*"}) == "*&lt;X&gt;*\n`'&lt;!channel&gt;' *b*`"
    assert "hunter22" not in told(Fact("c", "C"), {"c": "PASSWORD=hunter22"})


def test_many_facts_are_counted() -> None:
    made = facts.blocks([Fact(f"f{n}", f"F{n}") for n in range(25)], {})
    assert [len(block.get("fields", [])) for block in made] == [10, 10, 0]
    assert made[-1]["elements"][0]["text"] == "… and 5 more facts"
