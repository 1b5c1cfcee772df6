"""A store for each engine there is."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from relay.store import Store


@pytest.fixture(params=["sqlite"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a fresh store is, on each engine."""
    return f"{request.param}:///{tmp_path}/relay.db"


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    """An open store."""
    opened = Store.open(store_url)
    yield opened
    await opened.close()
