"""The command line by itself: its help, what it prints of a list, and Ctrl-C before anything runs."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from relay.cli import main
from relay.cli.arguments import KINDS, STATES
from relay.domain.deliveries import Kind, State

LIBRARIES = {"aiohttp", "alembic", "asyncio", "httpx", "pydantic", "slack_bolt", "sqlalchemy", "structlog"}
SLOW = "import signal\nsignal.raise_signal(signal.SIGINT)\n"


async def _python(folder: Path, *arguments: str) -> tuple[int | None, str, str]:
    """Run Python in `folder`, whose modules come before all others; return status, output and errors."""
    running = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, env={"PATH": os.environ.get("PATH", ""), "PYTHONPATH": str(folder)},
        cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(60):
        out, err = await running.communicate()
    return running.returncode, out.decode(), err.decode()


def _help(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--help"])
    assert ended.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("arguments", [("deliveries",), ("deliveries", "list")])
def test_the_help_of_deliveries_explains_every_state_and_kind(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    said = _help(capsys, *arguments)
    assert set(STATES) == {state.value for state in State}
    assert set(KINDS) == {kind.value for kind in Kind}
    for word, meaning in {**STATES, **KINDS}.items():
        assert f"  {word.ljust(9)}  {meaning}\n" in said


@pytest.mark.parametrize("limit", ["0", "-1", "many", "٣"])
def test_a_limit_that_is_no_number_from_1_upwards_is_misuse(
    capsys: pytest.CaptureFixture[str], limit: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["deliveries", "list", "--limit", limit])
    assert ended.value.code == 2
    assert "--limit" in capsys.readouterr().err


async def test_help_waits_for_no_library(tmp_path: Path) -> None:
    status, out, err = await _python(tmp_path, "-X", "importtime", "-m", "relay", "--help")
    imported = {line.rsplit("|")[-1].strip() for line in err.splitlines()}
    assert (status, out.partition(" [")[0]) == (0, "usage: relay")
    assert "argparse" in imported
    assert imported & LIBRARIES == set()


@pytest.mark.parametrize("module", ["argparse", "pydantic", "aiohttp", "slack_bolt", "structlog"])
async def test_ctrl_c_while_a_library_is_imported_ends_quietly_with_130(tmp_path: Path, module: str) -> None:
    (tmp_path / f"{module}.py").write_text(SLOW, encoding="utf-8")
    status, out, err = await _python(tmp_path, "-m", "relay", "serve")
    assert (status, out, err) == (128 + signal.SIGINT, "", "")
