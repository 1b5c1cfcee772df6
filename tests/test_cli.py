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
# Where nobody is at a keyboard Ctrl-C is ignored, and a child inherits that: as a shell's background job.
SLOW = """import signal
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
signal.raise_signal(signal.SIGINT)
"""


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


@pytest.mark.parametrize(
    ("typed", "usage"),
    [
        (("deliveries", "retry", "--limit", "1"), "usage: relay deliveries retry"),
        (("check", "--json"), "usage: relay check"),
        (("grants", "list", "more"), "usage: relay grants list"),
    ],
)
def test_what_a_command_does_not_know_it_says_with_its_own_usage(
    capsys: pytest.CaptureFixture[str], typed: tuple[str, ...], usage: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(typed)
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert said.startswith(usage)
    assert "unrecognized arguments" in said


@pytest.mark.parametrize("typed", [(), ("postgresql://db/relay", "--url-file", "url")])
def test_a_store_is_copied_to_one_url(capsys: pytest.CaptureFixture[str], typed: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["store", "copy", *typed])
    assert ended.value.code == 2
    assert "--url-file" in capsys.readouterr().err


def test_the_help_says_whom_a_relay_serves_and_whose_stops_are_delivered(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert "serve the workspace, or all that install the app" in _help(capsys)
    assert "another relay was asked for it" in _help(capsys, "deliveries")
