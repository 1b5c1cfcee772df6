"""A building of two workspaces, and that no token is ever told."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.workspaces.building import ALPHA, BETA, Building, building


@pytest.fixture
async def empty(tmp_path: Path) -> AsyncIterator[Building]:
    """A running relay that nobody has installed yet."""
    async with building(tmp_path) as made:
        await made.start_relay()
        yield made
        _keeps_secrets(made)


@pytest.fixture(params=["http", "socket_mode"])
async def both(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Building]:
    """A running relay that both workspaces have installed, once over HTTP and once in Socket Mode."""
    async with building(tmp_path, socket_mode=request.param == "socket_mode") as made:
        await made.start_relay()
        for team_id in (ALPHA, BETA):
            assert (await made.install(team_id)).status == 200
        yield made
        _keeps_secrets(made)


def _keeps_secrets(made: Building) -> None:
    assert [secret for secret in made.secrets() if secret in made.log] == []
    stored = b"".join(
        path.read_bytes()
        for path in sorted(made.alpha.folder.iterdir())
        if path.is_file() and path.name.startswith("relay.db")
    )
    assert [secret for secret in made.secrets() if secret.encode() in stored] == []
