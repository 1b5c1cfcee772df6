"""A relay that keeps texts for thirty days: what is older and settled is gone, and whoever asks is told."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import timedelta
from typing import Any

from tests.crash.relay_process import relay_in_thread
from tests.scenarios.acts import ask_tool, value
from tests.scrapes import logged
from tests.world import ADA, APPROVALS, GRACE, World

INPUT = {"command": "make the zanzibar release"}
MOMENTS = {
    "messages": ("created_at", "settled_at"),
    "approvals": ("created_at", "decided_at", "gone_at"),
    "deliveries": ("created_at", "settled_at"),
}


def age(world: World, days: int) -> None:
    """Let everything in the store have been so many days ago."""
    by = timedelta(days=days) // timedelta(microseconds=1)
    with closing(sqlite3.connect(world.folder / "relay.db")) as store, store:
        for table, columns in MOMENTS.items():
            changes = ", ".join(f"{column} = {column} - {by}" for column in columns)
            store.execute(f"UPDATE {table} SET {changes}")  # noqa: S608


def holds(world: World, words: str) -> bool:
    """Return whether any row of the store has these words."""
    with closing(sqlite3.connect(world.folder / "relay.db")) as store:
        return any(words in line for line in store.iterdump())


async def removed(world: World) -> dict[str, Any]:
    """Wait until the log says that texts were removed."""
    async with asyncio.timeout(20):
        while not (said := logged(world, "texts.removed")):
            await world.slack.slash(ADA, APPROVALS, "help")
    found: dict[str, Any] = dict(said[0])
    return found


async def test_what_was_decided_long_ago_is_kept_without_its_words(idle: World) -> None:
    await idle.start_relay()
    card = await ask_tool(idle, INPUT)
    pressed = value(card)
    await idle.slack.click(GRACE, APPROVALS, card.ts, "approve")
    await idle.card_says("Delivered.")
    await idle.stop_relay()
    assert holds(idle, "zanzibar")
    age(idle, 40)
    (idle.folder / "relay.toml").write_text('[retention]\ntexts = "30d"\n', encoding="utf-8")
    await idle.start_relay()
    assert (await removed(idle))["requests"] == 1
    assert not holds(idle, "zanzibar")
    # The card of before still has its button, in somebody's old window.
    await idle.slack.click(GRACE, APPROVALS, card.ts, "details", value=pressed)
    await idle.slack.wait_for(lambda slack: slack.views)
    assert "What the tool was called with is no longer kept" in str(idle.slack.views[0].view)
    replayed = await relay_in_thread(idle, "policy", "replay", "--since", "90d")
    assert "left out: 1, whose inputs were removed" in replayed.out


async def test_what_still_waits_for_people_keeps_its_words_however_old(idle: World) -> None:
    await idle.start_relay()
    await ask_tool(idle, INPUT)
    await idle.stop_relay()
    age(idle, 40)
    (idle.folder / "relay.toml").write_text('[retention]\ntexts = "30d"\n', encoding="utf-8")
    await idle.start_relay()
    said = await removed(idle)
    assert (said["requests"], holds(idle, "zanzibar")) == (0, True)
