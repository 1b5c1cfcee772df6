"""The log: one JSON line an outcome, a fixed action word and ids; never anybody's words or secrets."""

import logging
from typing import Any

import structlog


def silent_logger() -> logging.Logger:
    """Return the logger of Slack's SDK, which quotes tokens' owners, tickets and whole bodies: no word."""
    logger = logging.getLogger("relay.slack_sdk")
    logger.setLevel(logging.CRITICAL)
    return logger


def json_log(out: Any) -> Any:
    """Return the log: one JSON line an outcome, to `out`."""
    return structlog.wrap_logger(
        structlog.WriteLogger(out),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            structlog.processors.ExceptionRenderer(
                structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
            ),
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    ).bind()  # once: what is not bound yet is made anew for every line
