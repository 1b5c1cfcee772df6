"""Fixtures that more than one folder of tests needs."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.world import World, world


@pytest.fixture(params=["http", "socket_mode"])
async def both_ways(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """A running relay, once over signed HTTP and once in Socket Mode."""
    async with world(tmp_path, socket_mode=request.param == "socket_mode") as made:
        await made.start_relay()
        yield made


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[World]:
    """A running relay over signed HTTP."""
    async with world(tmp_path) as made:
        await made.start_relay()
        yield made


@pytest.fixture
async def idle(tmp_path: Path) -> AsyncIterator[World]:
    """Both stand-ins, and a relay that the test starts itself."""
    async with world(tmp_path) as made:
        yield made
