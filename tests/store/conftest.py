"""A store for each engine there is."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection

from relay.store import Store
from relay.store.schema import upgrade
from tests import postgres
from tests.store.lossy import Lossy, lossy
from tests.store.stores import begun_at, store_at


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    """An open store."""
    async with store_at(store_url) as made:
        yield made


@pytest.fixture
async def file_store(file_url: str) -> AsyncIterator[Store]:
    """An open store in a file."""
    async with store_at(file_url) as made:
        yield made


@pytest.fixture
def connection(store_url: str) -> Iterator[Connection]:
    """One open transaction on a fresh store."""
    with begun_at(store_url) as begun:
        upgrade(begun)
        yield begun


@pytest.fixture
def bare_url(store_url: str, tmp_path: Path, postgresql: postgres.Server) -> str:
    """Where a database of the same engine is, with nothing in it."""
    is_file = store_url.startswith("sqlite")
    return f"sqlite:///{tmp_path}/bare.db" if is_file else postgresql.new_database()


@pytest.fixture
def bare(bare_url: str) -> Iterator[Connection]:
    """One open transaction there."""
    with begun_at(bare_url) as begun:
        yield begun


@pytest.fixture
def cutter(postgresql: postgres.Server) -> Iterator[Lossy]:
    """What stands between the store and its server."""
    with lossy(postgresql) as made:
        yield made
