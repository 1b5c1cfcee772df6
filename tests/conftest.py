"""Fixtures that more than one folder of tests needs, and how hard Hypothesis looks."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.world import World, world

# A shared machine is slow at times, and slowness is no finding: there is no deadline. `make test` takes
# the same examples every time, so that a change alone turns it red; `make nightly` looks for new ones.
settings.register_profile("ci", max_examples=100, stateful_step_count=40, deadline=None, derandomize=True)
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
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


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
