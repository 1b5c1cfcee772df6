"""The picture of the README, as the page shows it: python -m tests.page.pictures FOLDER"""

import asyncio
import sys
import tempfile
from pathlib import Path

from playwright.async_api import expect

from relay.demo.places import APPROVALS, GRACE
from tests.page.browsing import Here, browser, demo


async def page(here: Here, to: Path) -> None:
    """Keep what Grace sees when a card with a diff has come."""
    card = await here.card("edit the config")
    tab = await here.tab(GRACE, APPROVALS)
    await tab.window.emulate_media(color_scheme="light", reduced_motion="reduce")
    await expect(tab.button(card.ts, "approve")).to_be_visible()
    await tab.window.screenshot(path=to, animations="disabled")


async def main(folder: Path) -> None:
    """Take every picture."""
    with tempfile.TemporaryDirectory() as scratch:
        async with browser() as profile, demo(profile, Path(scratch)) as here:
            await page(here, folder / "page.png")


if __name__ == "__main__":
    wanted = Path(sys.argv[1] if len(sys.argv) > 1 else "docs")
    wanted.mkdir(parents=True, exist_ok=True)
    asyncio.run(main(wanted))
