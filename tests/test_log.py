"""What the log says of an error: its kind and where it happened, and nothing that it quotes."""

import asyncio
import contextlib
import io
import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from relay.app import json_log
from relay.app.log import watch_loop

SECRET = "xoxb-the-treasure-is-in-zanzibar"


class Log(io.StringIO):
    """What was said, and what says it."""

    def __init__(self) -> None:
        super().__init__()
        self.log = json_log(self)

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.getvalue().splitlines()]


def test_a_line_says_what_when_and_how_bad() -> None:
    log, before = Log(), datetime.now(UTC)
    log.log.warning("delivery.attempted", attempt=2, of=SECRET.__class__)
    [line] = log.lines
    at = line.pop("at")
    assert line == {"attempt": 2, "of": repr(str), "event": "delivery.attempted", "level": "warning"}
    assert at.endswith("Z") and before <= datetime.fromisoformat(at) <= datetime.now(UTC)
    assert log.getvalue().startswith('{"attempt": 2, ')  # spelt as it always was: people look for words in it


def _fail_behind_another() -> None:
    try:
        raise KeyError(SECRET)
    except KeyError as problem:
        raise ValueError(SECRET) from problem


def _fail_as_a_group() -> None:
    raise ExceptionGroup(SECRET, [ValueError(SECRET), ExceptionGroup(SECRET, [KeyError(SECRET)])])


def _fail_with_a_note() -> None:
    problem = TypeError("no number")
    problem.add_note(SECRET)
    raise problem


@pytest.mark.parametrize("fail", [_fail_behind_another, _fail_as_a_group, _fail_with_a_note])
def test_an_error_is_told_without_what_it_quotes(fail: Callable[[], None]) -> None:
    log = Log()
    try:
        fail()
    except (TypeError, ValueError, ExceptionGroup):
        log.log.exception("arrival.defect")
    [line] = log.lines
    assert fail.__name__ in json.dumps(line)
    assert SECRET not in log.getvalue()


def test_what_the_interpreter_says_is_told() -> None:
    log = Log()
    try:
        None.missing  # type: ignore[attr-defined]  # noqa: B018 - the error is the point
    except AttributeError:
        log.log.exception("arrival.defect")
    assert log.lines[0]["exception"][0]["exc_value"] == "'NoneType' object has no attribute 'missing'"


async def test_an_error_that_nobody_waits_for_is_told_to_the_log_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log, loop = Log(), asyncio.get_running_loop()
    with contextlib.ExitStack() as stack:
        stack.callback(watch_loop(loop, log.log))
        loop.call_soon(_fail_behind_another)
        loop.call_soon((told := asyncio.Event()).set)
        await told.wait()
    [line] = log.lines
    assert (line["event"], line["said"]) == ("loop.defect", "Exception in callback _fail_behind_another")
    assert [one["exc_type"] for one in line["exception"]] == ["ValueError", "KeyError"]
    assert SECRET not in log.getvalue() + capsys.readouterr().err
    assert loop.get_exception_handler() is None


@pytest.mark.parametrize("library", ["httpx", "httpcore.http11", "sqlalchemy.engine.Engine"])
def test_no_library_quotes_what_it_sends(library: str) -> None:
    Log()
    assert not logging.getLogger(library).isEnabledFor(logging.INFO)
