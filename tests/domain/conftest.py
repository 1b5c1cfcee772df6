"""What tests of the rules share."""

import pytest

from relay.domain import patterns, secret_kinds


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    """Nothing that an earlier test had computed stands in for what this one asks: mutants hide behind it."""
    patterns.glob.cache_clear()
    secret_kinds.spans.cache_clear()
