"""What an operator may give by mistake, or a script by a defect: each is answered with what is wrong."""

import asyncio
import contextlib
import io
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from relay.cli import main
from relay.config import Config, ConfigError, load
from relay.control import ControlError, answer, socket_path
from relay.store import Store
from tests.fuzz.running import PATIENCE, Running, relay_running
from tests.fuzz.shapes import cases, changed, damages, nasty_texts, odd_values
from tests.settings import HTTP, ROUTE, WORKSHOP

QUESTIONS = [
    "deliveries.list", "deliveries.show", "deliveries.retry", "approvals.past", "audit.page", "audit.key",
    "audit.accept", "grants.list", "grants.revoke", "environments.list", "nonsense", "..", "%00", "é",
]  # fmt: skip
FACTS = {
    "id": "dlv_1", "after": "", "limit": "3", "state": "failed", "since": "2026-01-01T00:00:00+00:00",
    "until": "2027-01-01T00:00:00+00:00", "subject": "msg_1", "action": "message.queued", "chain": "chn_1",
}  # fmt: skip
POLICY = """
[slack]
command = "/letta"
[listening]
most = 20
[metrics]
port = 0
[audit]
retention = "365d"
[[policies]]
name = "production"
tools = ["Bash", "deploy_*"]
when = { channel = "C0123", input = { command = "*prod*" } }
approvers = { users = ["U0APPROVER"], groups = ["S0LEADS"] }
quorum = 2
expires_after = "30m"
on_silence = "deny"
remind_after = ["5m", "15m"]
"""
TOML = (POLICY + WORKSHOP + ROUTE).encode()
STRANGE_TOML = [b"\xff", b"\x00", b"[", b"a = 1e999", b"a.b = 1\na = 2", b"[[slack]]", b"a = [" * 3_000]


def test_questions_at_the_control_socket(tmp_path: Path) -> None:
    with relay_running(tmp_path) as running:
        path = socket_path(running.made.variables["RELAY_STORE_URL"])
        assert path is not None

        @cases(1)
        @given(st.data())
        def answered(data: st.DataObject) -> None:
            facts = data.draw(changed(FACTS).map(lambda found: found[0]) | odd_values)
            body = json.dumps(facts).encode()
            body = body if data.draw(st.integers(0, 3)) else data.draw(damages).done(body)
            status, said = running.run(_ask(path, data.draw(st.sampled_from(QUESTIONS)), body))
            assert status in (200, 400, 404), said
            assert status == 404 or isinstance(json.loads(said), dict)

        answered()
        _is_private(running, path)


def _is_private(running: Running, path: Path) -> None:
    assert path.stat().st_mode & 0o077 == 0
    assert running.made.app is not None


async def _ask(path: Path, question: str, body: bytes) -> tuple[int, str]:
    connector = aiohttp.UnixConnector(str(path))
    async with asyncio.timeout(PATIENCE):
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.post(f"http://relay/{question}", data=body) as found,
        ):
            return found.status, await found.text(errors="replace")


def test_ids_of_the_command_line(tmp_path: Path) -> None:
    with asyncio.Runner() as runner:
        store = runner.run(_opened(tmp_path))

        @cases(1)
        @given(st.sampled_from(QUESTIONS[:8]), nasty_texts, st.sampled_from(sorted(FACTS)))
        def answered(question: str, text: str, name: str) -> None:
            with contextlib.suppress(ControlError):
                found: Any = runner.run(answer(store, question, {**FACTS, name: text}))
                assert isinstance(found, dict)

        answered()
        runner.run(store.close())


def test_ids_that_people_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELAY_STORE_URL", f"sqlite:///{tmp_path}/relay.db")
    with asyncio.Runner() as runner:
        runner.run(runner.run(_opened(tmp_path)).close())

    @cases(0.3)
    @given(st.sampled_from(["show", "retry"]), nasty_texts)
    def refused(word: str, text: str) -> None:
        status, said = _typed("deliveries", word, text)
        assert status in (1, 2)
        assert len(said.strip().splitlines()) == 1 or said.startswith("usage: ")

    refused()


def _typed(*arguments: str) -> tuple[int, str]:
    """Return how a command ends, and what it says is wrong."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            status = main(arguments)
        except SystemExit as ended:  # of who is no friend of the parser
            status = int(str(ended.code))
    return status, said.getvalue()


async def _opened(folder: Path) -> Store:
    return Store.open(f"sqlite:///{folder}/relay.db")


@cases(2)
@given(damages, damages)
@example(*[None] * 2)
def test_bytes_of_relay_toml(tmp_path_factory: Any, one: Any, other: Any) -> None:
    folder: Path = tmp_path_factory.getbasetemp()
    texts = STRANGE_TOML if one is None else [other.done(one.done(TOML))]
    for text in texts:
        (folder / "relay.toml").write_bytes(text)
        found = _loaded(folder)
        assert isinstance(found, Config) or (found and all(len(line) < 5_000 for line in found))


def _loaded(folder: Path) -> Config | list[str]:
    """Return the configuration, or all that is wrong with it."""
    try:
        return load({**HTTP, "WORKSHOP_KEY": "k"}, folder)
    except ConfigError as problem:
        return problem.problems
