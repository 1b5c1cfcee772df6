"""The log: one JSON line an outcome, a fixed action word and ids; never anybody's words or secrets."""

import asyncio
import logging
import re
import time
from collections.abc import Callable, MutableMapping
from typing import Any

import structlog

from relay.domain.canonical import json_writer
from relay.domain.moments import iso
from relay.domain.traced import TRACE, trace_id

# They quote what they send and read, a response_url or a row, to whoever turns their log on.
_QUOTE = ("httpx", "httpcore", "sqlalchemy")
# Errors whose message the interpreter or the system wrote. What others say quotes what they could not take,
# which may be anybody's words: of those the log has the kind, and where it happened.
_SAYS_NOTHING_PRIVATE = frozenset(
    {"AttributeError", "ImportError", "NameError", "OSError", "RecursionError", "StoreError", "TypeError"}
)
_WRITE = json_writer(blanks=True, default=repr)
_BRACKET = re.compile(r"[(<{]")
_TRACEBACKS = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)


def silent_logger() -> logging.Logger:
    """Return the logger of Slack's SDK, which quotes tokens' owners, tickets and whole bodies: no word."""
    logger = logging.getLogger("relay.slack_sdk")
    logger.setLevel(logging.CRITICAL)
    return logger


def json_log(out: Any) -> Any:
    """Return the log: one JSON line an outcome, to `out`."""
    for library in _QUOTE:
        logging.getLogger(library).setLevel(logging.WARNING)
    return structlog.wrap_logger(
        structlog.WriteLogger(out),
        processors=[
            structlog.processors.add_log_level,
            _placed,
            structlog.processors.ExceptionRenderer(_told),
            _rendered,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    ).bind()  # once: what is not bound yet is made anew for every line


def watch_loop(loop: asyncio.AbstractEventLoop, log: Any) -> Callable[[], None]:
    """Have errors that nobody waits for told to the log; return what ends that.

    asyncio would write them to standard error, with all that they quote.
    """
    before = loop.get_exception_handler()

    def tell(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        # Behind a bracket stands what was called, and with what.
        said = _BRACKET.split(str(context.get("message", "")), maxsplit=1)[0].strip()
        log.error("loop.defect", said=said, exc_info=context.get("exception"))

    loop.set_exception_handler(tell)
    return lambda: loop.set_exception_handler(before)


def _placed(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Add when it is, and the trace of what is done here where somebody follows it."""
    if trace := TRACE.get():
        line.setdefault("trace_id", trace_id(trace))
    line["at"] = f"{iso(time.time_ns() // 1000)}Z"
    return line


def _rendered(_: Any, __: str, line: MutableMapping[str, Any]) -> str:
    return _WRITE(line)


def _told(exc_info: Any) -> list[dict[str, Any]]:
    """Return an error and those behind it, without what their messages may quote."""
    return [_without_quotes(one) for one in _TRACEBACKS(exc_info)]


def _without_quotes(stack: dict[str, Any]) -> dict[str, Any]:
    kept = dict(stack, exc_notes=[], syntax_error=None)
    if kept["exc_type"] not in _SAYS_NOTHING_PRIVATE:
        kept["exc_value"] = ""
    kept["exceptions"] = [[_without_quotes(one) for one in inner] for inner in kept.get("exceptions", ())]
    return kept
