"""`relay store backup`: one moment of a store that is being written, whole, or no file at all."""

import asyncio
import json
import signal
import sqlite3
import stat
import sys
from pathlib import Path

import pytest

from relay.store import StoreError
from relay.store.backup import back_up
from tests.crash.relay_process import KILLED, relay, relay_in_thread, running
from tests.scenarios.acts import rows
from tests.store.records import by_hand, run, verified
from tests.world import ADA, OPS, World

ENTRIES = 30
# Backs the store up, and meanwhile does what the last argument says.
CUT_SHORT = """
import os, signal, sys
from pathlib import Path
from relay.store.backup import back_up

url, file, point, number = sys.argv[1:]
def at(reached):
    if reached == point:
        os.kill(os.getpid(), int(number))
try:
    back_up(url, Path(file), force=True, at=at)
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.fixture
async def url(tmp_path: Path) -> str:
    """A store at rest, with a record in it, too large to be copied in one part."""
    found = f"sqlite:///{tmp_path}/relay.db"
    await run(found, ENTRIES, keys=())
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)"
    by_hand(found, f"CREATE TABLE bulk AS {numbers} SELECT randomblob(1000) AS it FROM n")  # noqa: S608
    return found


def left(folder: Path) -> set[str]:
    """Return what is in a folder, but for what SQLite keeps beside the store."""
    return {one.name for one in folder.iterdir() if not one.name.startswith("relay.db")}


async def test_under_load_from_a_running_relay_the_copy_is_whole_and_verifies(idle: World) -> None:
    async with running(idle):
        enough = asyncio.Event()

        async def people(number: int) -> None:
            sent = 0
            while not enough.is_set():
                ack = await idle.slack.slash(ADA, OPS, f"message {number}.{sent}")
                assert ack.ok
                sent += 1

        crowd = [asyncio.create_task(people(number)) for number in range(4)]
        copies = [idle.folder / f"copy-{number}.db" for number in range(3)]
        try:
            for copy in copies:
                said = await relay(idle, "store", "backup", str(copy), "--json")
                assert (said.status, said.err) == (0, "")
                await _is_whole(idle, copy, json.loads(said.out))
        finally:
            enough.set()
            await asyncio.gather(*crowd)
        assert rows(idle, "messages") > 12
    assert left(idle.folder) == {copy.name for copy in copies} | {f"{copy.name}.lock" for copy in copies}


async def _is_whole(world: World, copy: Path, said: dict[str, object]) -> None:
    """Assert that nothing in a copy is torn, in SQLite's eyes and in the record's."""
    with sqlite3.connect(copy) as opened:
        assert opened.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert opened.execute("PRAGMA foreign_key_check").fetchall() == []
        counted = {
            "deliveries": opened.execute("SELECT count(*) FROM deliveries").fetchone()[0],
            "entries": opened.execute("SELECT count(*) FROM audit").fetchone()[0],
            # A message and what it sets off are one transaction.
            "unsent": opened.execute(
                "SELECT count(*) FROM messages WHERE id NOT IN (SELECT subject_id FROM deliveries)"
            ).fetchone()[0],
        }
    opened.close()
    assert counted == {"deliveries": said["deliveries"], "entries": said["entries"], "unsent": 0}
    checked = await relay(world, "audit", "verify", changed={"RELAY_STORE_URL": f"sqlite:///{copy}"})
    assert checked.status == 0, checked.out + checked.err


async def test_it_says_what_the_copy_holds_and_how_to_check_it(here: World) -> None:
    await here.slack.slash(ADA, OPS, "hello")
    await here.thread_says("echo: hello")
    copy = here.folder / "copy.db"
    said = await relay_in_thread(here, "store", "backup", str(copy))
    first, second = said.out.splitlines()
    assert first.startswith(f"{copy}: {copy.stat().st_size:,} bytes, with 3 deliveries and ")
    assert second.endswith(f"RELAY_STORE_URL=sqlite:///{copy} relay audit verify")


async def test_the_copy_of_a_store_at_rest_is_for_its_owner_alone_and_verifies(
    tmp_path: Path, url: str
) -> None:
    copy = tmp_path / "kept" / "copy.db"
    copy.parent.mkdir()
    made = back_up(url, copy)
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert made.size == copy.stat().st_size
    assert [one.name for one in copy.parent.iterdir()] == ["copy.db"]
    assert (await verified(f"sqlite:///{copy}", keys=())).problems == []


async def test_after_a_relay_was_killed_what_it_had_committed_is_in_the_copy(idle: World) -> None:
    async with running(idle) as process:
        await idle.slack.slash(ADA, OPS, "hello")
        await idle.thread_says("echo: hello")
        await process.kill()
    assert (idle.folder / "relay.db-wal").stat().st_size > 0
    made = back_up(idle.variables["RELAY_STORE_URL"], idle.folder / "copy.db")
    assert made.deliveries == rows(idle, "deliveries") == 3


@pytest.mark.parametrize("point", ["backup.copying", "backup.copied"])
async def test_killed_in_the_middle_it_leaves_no_file(tmp_path: Path, url: str, point: str) -> None:
    copy = tmp_path / "copy.db"
    assert await _cut_short(url, copy, point, signal.SIGKILL) == KILLED
    assert not copy.exists()
    assert all(name.endswith(".partial") for name in left(tmp_path))
    back_up(url, copy)


async def test_killed_in_the_middle_it_leaves_the_copy_that_was_there(tmp_path: Path, url: str) -> None:
    copy = tmp_path / "copy.db"
    back_up(url, copy)
    before = copy.read_bytes()
    assert await _cut_short(url, copy, "backup.copied", signal.SIGKILL) == KILLED
    assert copy.read_bytes() == before


@pytest.mark.parametrize("point", ["backup.copying", "backup.copied"])
async def test_ctrl_c_leaves_nothing(tmp_path: Path, url: str, point: str) -> None:
    assert await _cut_short(url, tmp_path / "copy.db", point, signal.SIGINT) == 130
    assert left(tmp_path) == set()


async def _cut_short(url: str, copy: Path, point: str, number: signal.Signals) -> int | None:
    """Back up in a process that gets a signal at a point; return its exit status."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CUT_SHORT, url, str(copy), point, str(int(number))
    )
    async with asyncio.timeout(30):
        return await process.wait()


async def _refused(world: World, file: Path, *more: str) -> str:
    said = await relay_in_thread(world, "store", "backup", str(file), *more)
    assert (said.status, said.out) == (2, "")
    return said.problem


async def test_a_file_that_is_there_is_only_replaced_when_told_to(here: World) -> None:
    copy = here.folder / "copy.db"
    copy.write_text("something to keep")
    assert "--force" in await _refused(here, copy)
    assert copy.read_text() == "something to keep"
    said = await relay_in_thread(here, "store", "backup", str(copy), "--force")
    assert said.status == 0
    assert copy.read_bytes().startswith(b"SQLite format 3\0")


@pytest.mark.parametrize("name", ["relay.db", "relay.db-wal", "relay.db.lock", "link.db", "hard.db"])
async def test_the_store_itself_is_never_replaced(here: World, name: str) -> None:
    (here.folder / "link.db").symlink_to(here.folder / "relay.db")
    (here.folder / "hard.db").hardlink_to(here.folder / "relay.db")
    assert "is the store itself" in await _refused(here, here.folder / name, "--force")


async def test_a_store_that_somebody_has_open_is_not_replaced(here: World) -> None:
    other = here.folder / "other.db"
    opened = sqlite3.connect(other)
    opened.execute("PRAGMA journal_mode=WAL")
    opened.execute("CREATE TABLE kept (it)")
    try:
        assert "other.db-wal is there" in await _refused(here, other, "--force")
    finally:
        opened.close()


async def test_where_it_cannot_go_is_said_at_once(here: World) -> None:
    assert "is a folder" in await _refused(here, here.folder)
    assert "there is no folder" in await _refused(here, here.folder / "nowhere" / "copy.db")


async def test_without_a_store_it_says_where_it_looked(idle: World) -> None:
    said = await relay_in_thread(idle, "store", "backup", str(idle.folder / "copy.db"))
    assert said.status == 1
    assert f"{idle.folder}/relay.db" in said.problem
    assert left(idle.folder) == set()


def test_a_damaged_store_is_not_passed_off_as_a_backup(tmp_path: Path, url: str) -> None:
    path = tmp_path / "relay.db"
    held = bytearray(path.read_bytes())
    held[len(held) // 2 : len(held) // 2 + 4096 * 8] = b"\xff" * 4096 * 8
    path.write_bytes(held)
    with pytest.raises(StoreError, match="damaged"):
        back_up(url, tmp_path / "copy.db")
    assert left(tmp_path) == set()


async def test_a_file_that_is_no_store_is_said_to_be_none(idle: World) -> None:
    (idle.folder / "relay.db").write_bytes(b"no database at all" * 100)
    said = await relay_in_thread(idle, "store", "backup", str(idle.folder / "copy.db"))
    assert said.status == 1
    assert "not a database" in said.problem
    assert left(idle.folder) == set()
