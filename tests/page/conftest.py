"""One browser for a worker; a world, its page and a context of the browser for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from playwright.async_api import BrowserContext, expect

from tests.page.browsing import PATIENCE, Here, browser, demo

expect.set_options(timeout=PATIENCE)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chrome() -> AsyncIterator[BrowserContext]:
    """A browser, for all tests of this process."""
    async with browser() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def here(chrome: BrowserContext, tmp_path: Path) -> AsyncIterator[Here]:
    """The demo's world and its page, on a port of their own."""
    async with demo(chrome, tmp_path) as made:
        yield made
