"""What an error of Slack's Web API means: the one place that says retry or final.

https://docs.slack.dev/apis/web-api/ (errors), https://docs.slack.dev/apis/web-api/rate-limits
"""

from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError

from relay.domain.deliveries import Outcome, Refused, Retry

# What a Web API call raises when it has no good answer; all else is a defect.
CARRIERS = (SlackClientError, aiohttp.ClientError, TimeoutError, OSError)

_PASSING = frozenset(
    {
        "ratelimited",
        "rate_limited",
        "internal_error",
        "fatal_error",
        "service_unavailable",
        "request_timeout",
        "timeout",
    }
)
# The app itself is broken, not the message: whoever runs relay mends it, and nothing is lost meanwhile.
_APP_BROKEN = frozenset(
    {
        "invalid_auth",
        "not_authed",
        "account_inactive",
        "token_revoked",
        "token_expired",
        "missing_scope",
        "org_login_required",
    }
)
_APP_BROKEN_PAUSE = 30.0
_TOO_LARGE = frozenset({"msg_blocks_too_long", "msg_too_long", "invalid_blocks", "invalid_blocks_format"})
_SERVER_ERROR = 500


def code(problem: Exception) -> str:
    """Return Slack's name for an error, or an empty text for a failure of the carrier."""
    answer: Any = problem.response if isinstance(problem, SlackApiError) else None
    return str(answer.get("error") or "") if hasattr(answer, "get") else ""


def too_large(problem: Exception) -> bool:
    """Whether Slack refused the blocks rather than the message."""
    return code(problem) in _TOO_LARGE


def passing(problem: SlackApiError) -> bool:
    """Whether the trouble goes away by itself, without anybody mending the app."""
    return isinstance(_of_answer(problem), Retry) and code(problem) not in _APP_BROKEN


def meaning(problem: Exception) -> Outcome:
    """Return what an error of a Web API call means. Raises nothing."""
    if isinstance(problem, SlackApiError):
        return _of_answer(problem)
    if isinstance(problem, aiohttp.ClientConnectorError):
        return Retry("Slack cannot be reached")
    if isinstance(problem, CARRIERS):
        return Retry(f"Slack's answer never came ({type(problem).__name__})", uncertain=True)
    raise problem


def _of_answer(problem: SlackApiError) -> Outcome:
    error = code(problem)
    status = getattr(problem.response, "status_code", 200)
    headers = getattr(problem.response, "headers", None) or {}
    if error in _APP_BROKEN:
        return Retry(f"Slack refuses the app: {error}", after=_APP_BROKEN_PAUSE)
    if error in _PASSING or status >= _SERVER_ERROR or not error:
        # Only a refusal for its rate is surely a refusal: the rest may have taken effect.
        limited = error in ("ratelimited", "rate_limited")
        return Retry(f"Slack answered {error or status}", after=_seconds(headers), uncertain=not limited)
    return Refused(error)


def _seconds(headers: object) -> float | None:
    value = headers.get("Retry-After") if hasattr(headers, "get") else None
    try:
        return float(value) if value is not None else None
    except ValueError:
        return None
