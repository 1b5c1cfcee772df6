"""make check says which advisories concern relay, and says so where it could not ask."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from tools import audit_dependencies

ROOT = Path(__file__).parents[2]
HASH = "0" * 64
LOCK = f"good==1.0 --hash=sha256:{HASH}\nbad==2.0 --hash=sha256:{HASH}\n"
ADVISORY = {
    "id": "PYSEC-2026-1",
    "modified": "2026-01-01T00:00:00Z",
    "published": "2026-01-01T00:00:00Z",
    "details": "It is bad.",
    "affected": [
        {
            "package": {"ecosystem": "PyPI", "name": "bad"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.1"}]}],
            "versions": ["2.0"],
        }
    ],
}


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    """A lock of two packages."""
    path = tmp_path / "requirements.lock"
    path.write_text(LOCK)
    path.with_name("good.lock").write_text(LOCK.splitlines()[0])
    return path


@contextlib.asynccontextmanager
async def record(status: int = 200) -> AsyncIterator[str]:
    """Give the address of a record that knows an advisory about one of them."""

    async def answer(request: web.Request) -> web.Response:
        asked = await request.json()
        known = {"vulns": [ADVISORY]} if asked["package"]["name"] == "bad" else {}
        return web.json_response(known, status=status)

    application = web.Application()
    application.router.add_post("/v1/query", answer)
    async with TestServer(application, host="127.0.0.1") as server:
        yield str(server.make_url("/v1/query"))


async def looked(url: str, lock: Path) -> int:
    """Return how the tool ends that asks there."""
    return await asyncio.to_thread(audit_dependencies.main, ["--osv-url", url, str(lock)])


async def test_an_advisory_is_named_with_the_version_that_mends_it(
    lock: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with record() as url:
        assert await looked(url, lock) == 1
    assert capsys.readouterr().out.splitlines() == [
        "bad 2.0: PYSEC-2026-1, mended in 2.1",
        "advisories: 2 packages looked at, 1 concern them",
    ]


async def test_what_no_advisory_is_about_passes(lock: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with record() as url:
        assert await looked(url, lock.with_name("good.lock")) == 0
    assert capsys.readouterr().out == "advisories: 1 packages looked at, 0 concern them\n"


async def test_a_record_that_is_not_there_is_said_to_be_and_nothing_else_is(
    lock: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await looked(f"http://127.0.0.1:{unused_port()}/v1/query", lock) == 0
    assert "NOT looked at" in capsys.readouterr().out


async def test_a_record_that_only_fails_is_not_taken_for_one_without_advisories(
    lock: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with record(status=503) as url:
        assert await looked(url, lock) == 0
    assert "NOT looked at" in capsys.readouterr().out


async def test_a_lock_that_cannot_be_read_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with record() as url:
        assert await looked(url, tmp_path / "gone.lock") == 1
    assert "gone.lock" in capsys.readouterr().err


def test_an_index_that_knows_no_package_has_no_advisories_to_tell() -> None:
    known = {"name": "good", "version": "1.0", "vulns": []}
    strange = {"name": "bad", "skip_reason": "not found"}
    assert audit_dependencies.report([known, strange]) == (
        "advisories: 1 packages looked at, 0 concern them; unknown there: bad",
        [],
    )


def test_an_accepted_advisory_says_why() -> None:
    assert all(len(why) > 20 for why in audit_dependencies.ACCEPTED.values())


def test_make_check_asks() -> None:
    assert "tools/audit_dependencies.py" in (ROOT / "Makefile").read_text(encoding="utf-8")
