"""The stand-ins that the tests of them look at."""

from collections.abc import AsyncIterator

import pytest

from relay.sandbox.environment import FakeEnvironment
from relay.sandbox.slack import FakeSlack


@pytest.fixture
async def environment() -> AsyncIterator[FakeEnvironment]:
    async with FakeEnvironment() as environment:
        yield environment


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlack]:
    async with FakeSlack() as workspace:
        yield workspace
