"""A real PostgreSQL server that may be killed, and a world whose relays keep their store in it."""

from collections.abc import Iterator

import pytest

# What fails there is told as in a test.
pytest.register_assert_rewrite("tests.crash.facts")

from tests import postgres  # noqa: E402
from tests.world import World  # noqa: E402


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Server]:
    """A server that waits for its disk, and may be stopped."""
    with postgres.server(fsync=True) as made:
        yield made


@pytest.fixture
async def shared(idle: World, server: postgres.Server) -> World:
    """A world whose relays keep their store in a database."""
    idle.variables["RELAY_STORE_URL"] = server.new_database()
    return idle
