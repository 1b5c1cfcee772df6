"""Fixtures that more than one folder of tests needs, and how hard Hypothesis looks."""

import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

from relay.store.opening import place_at
from relay.store.schema import upgrade
from tests import postgres
from tests.world import World, world

# Run in the background of a script, tests are started with Ctrl-C ignored, and so would all be that they
# start, some of it to be ended by just that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A shared machine is slow at times, and slowness is no finding: there is no deadline. `make test` takes
# the same examples every time, so that a change alone turns it red; `make nightly` looks for new ones.
settings.register_profile("ci", max_examples=40, stateful_step_count=30, deadline=None, derandomize=True)
settings.register_profile(
    "nightly",
    max_examples=5_000,
    stateful_step_count=100,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
# `make mutants` asks only whether a test fails, a thousand times over: few examples, and none made smaller.
settings.register_profile(
    "mutants", max_examples=20, phases=[Phase.explicit, Phase.generate], deadline=None, derandomize=True
)
PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "ci")
settings.load_profile(PROFILE)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave to the nightly run what is marked so."""
    left = [one for one in items if one.get_closest_marker("nightly") and PROFILE != "nightly"]
    config.hook.pytest_deselected(items=left)
    items[:] = [one for one in items if one not in left]


@pytest.fixture(scope="session")
def postgresql() -> Iterator[postgres.Server]:
    """A PostgreSQL server, for as many databases as there are tests that want one."""
    with postgres.server() as made:
        yield made


@pytest.fixture(scope="session")
def template(postgresql: postgres.Server) -> str:
    """A database with the tables in it, to copy."""
    url = postgresql.new_database()
    place = place_at(url)
    place.open()
    with place.engine.begin() as connection:
        upgrade(connection)
    place.close()
    return postgres.database_of(url)


@pytest.fixture
def database_url(postgresql: postgres.Server, template: str) -> Iterator[str]:
    """Where a fresh store in a database is."""
    url = postgresql.new_database(template)
    yield url
    postgresql.drop(url)


@pytest.fixture
def file_url(tmp_path: Path) -> str:
    """Where a fresh store in a file is."""
    return f"sqlite:///{tmp_path}/relay.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest) -> str:
    """Where a fresh store is, on each engine."""
    found: str = request.getfixturevalue("file_url" if request.param == "sqlite" else "database_url")
    return found


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
