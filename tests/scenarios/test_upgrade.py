"""A store of the version before, with requests that wait, under this one and the same configuration."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from relay.sandbox.environment import UseTool
from relay.sandbox.slack.workspace import Message
from relay.store import schema
from relay.store.engine import sqlite_engine
from tests.store.stores import migrate
from tests.world import ADA, APPROVALS, GRACE, LINUS, OPS, World, button, everything

BEFORE = "0007"
RULE = f"""
[[policies]]
name = "careful"
tools = ["*"]
approvers = {{ groups = ["S0LEADS"] }}
cards = ["{APPROVALS}", "thread", "dm"]
"""
PLACES = (APPROVALS, OPS, f"D{GRACE}", f"D{LINUS}")  # the thread stands in OPS, the others are a group's
HELD = ("approvals", "copies", "messages", "deliveries", "audit")


async def asked(made: World) -> None:
    """Have a tool asked for, with a card in a channel, in the thread and for each member of a group."""
    made.slack.groups["S0LEADS"] = {GRACE, LINUS}
    (made.folder / "relay.toml").write_text(RULE, encoding="utf-8")
    await made.start_relay()
    made.environment.script = lambda _: [UseTool("Bash", {"command": "make release"})]
    await made.slack.say(ADA, OPS, "@relay release it")
    for place in PLACES:
        await card_in(made, place, "approval needed")


async def card_in(made: World, place: str, words: str) -> Message:
    """Wait for the card in a place to say something, and return it."""

    def found() -> Message | None:
        there = made.slack.channels[place].messages if place in made.slack.channels else []
        return next((one for one in there if "Bash" in one.text and words in everything(one)), None)

    return await made.slack.wait_for(lambda _: found())


def of_before(store: Path) -> dict[str, int]:
    """Put a store of the revision before in the place of one, with all it holds; return its rows by table."""
    new = store.rename(store.with_name("newer.db"))
    with sqlite_engine(store).begin() as connection:
        migrate(connection, BEFORE)
    with closing(sqlite3.connect(store)) as old, old:
        old.execute("ATTACH ? AS newer", [str(new)])
        tables = [name for (name,) in old.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        for name in tables:
            copy_rows(old, name)
        counts = {name: old.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in HELD}  # noqa: S608
        assert old.execute("SELECT version_num FROM main.alembic_version").fetchall() == [(BEFORE,)]
    return counts


def copy_rows(old: sqlite3.Connection, table: str) -> None:
    """Copy the rows of a table, as far as the revision before has columns for them."""
    if table in ("alembic_version", "sqlite_sequence"):
        return
    names = ", ".join(f'"{row[1]}"' for row in old.execute(f"PRAGMA main.table_info({table})"))
    old.execute(f"INSERT INTO main.{table} ({names}) SELECT {names} FROM newer.{table}")  # noqa: S608


@pytest.mark.parametrize("place", PLACES)
async def test_every_card_that_stands_keeps_its_buttons_and_decides(idle: World, place: str) -> None:
    await asked(idle)
    await idle.stop_relay()
    counts = of_before(idle.folder / "relay.db")
    assert (counts["approvals"], counts["copies"], counts["messages"]) == (1, len(PLACES), 1)
    assert counts["deliveries"] > 0 < counts["audit"]
    await idle.start_relay()
    cards = [await card_in(idle, one, "approval needed") for one in PLACES]
    assert all(button(one, "approve") and button(one, "deny") for one in cards)
    await idle.slack.click(
        GRACE if place != PLACES[-1] else LINUS, place, cards[PLACES.index(place)].ts, "approve"
    )
    for one in PLACES:
        assert button(await card_in(idle, one, "Delivered."), "approve") is None
    [decision] = idle.environment.decisions
    assert decision.approve
    with closing(sqlite3.connect(idle.folder / "relay.db")) as store:
        assert store.execute("SELECT version_num FROM alembic_version").fetchall() == [(schema.HEAD,)]
        assert store.execute("SELECT count(*) FROM copies").fetchall() == [(len(PLACES),)]
