"""What an answer of the environment means, by HTTP or by socket: the one place that says retry or final."""

import json
import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

from relay.domain.deliveries import Delivered, Outcome, Refused, Retry
from relay.environment.frames import InputAccepted, answer, is_not_pending, whole

_GONE = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.GONE})
_LATER = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})
_HINTS: dict[int, str] = {
    HTTPStatus.UNAUTHORIZED: "the environment refused the key: check LETTA_API_KEY",
    HTTPStatus.FORBIDDEN: "the key may not use this environment: check LETTA_API_KEY and the device's owner",
}
_LONGEST_QUOTE = 200
# As the device words what passes: it starts or stops, moves to another computer, or has too much to do.
_PASSING = ("no longer active", "switching computers", "at capacity", "rejected by the queue")


def meaning(status: int, body: bytes, retry_after: str | None, now: datetime) -> Outcome:
    """Return what an answer to a POST of messages means.

    404, 409 and 410: that connection is gone, so look the device up again. 408, 425, 429, 5xx and
    whatever is not known: not now. Every other 4xx: never, or it would keep all behind it waiting.
    200 counts only with `success: true`.
    """
    after = _seconds(retry_after, now)
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        said = answer(body)
        if said is None:
            return Retry(
                "the environment answered with something that is no JSON answer", after, uncertain=True
            )
        if said.success:
            return Delivered({"message": said.message, "status": status})
        why = whole(said.message or "no reason given")[:_LONGEST_QUOTE]
        return Retry("the environment did not take it", after, said=why)
    if status in _GONE:
        return Retry(f"the environment's connection is gone ({status})", after, away=True)
    if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in _LATER:
        hint = _HINTS.get(status)
        return Refused(hint) if hint else Refused(f"the environment refused it ({status})", said=_quote(body))
    # A server that failed, or gave up waiting, may have handed it on before.
    uncertain = status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.REQUEST_TIMEOUT
    return Retry(
        f"the environment answered {status}", after, uncertain=uncertain, said=_quote(body), down=uncertain
    )


def meaning_of_input(said: InputAccepted) -> Outcome:
    """Return what a device's answer to an input over its socket means.

    Taken is taken, whether it starts now, is queued behind a turn, or had been taken before.
    """
    if said.accepted:
        return Delivered({"via": "socket", "disposition": said.disposition})
    why = whole(said.error or "")[:_LONGEST_QUOTE]
    if is_not_pending(said):
        return Refused("the device did not take the answer", said=why, over=True)
    if not why or any(words in why.lower() for words in _PASSING):
        return Retry("the device did not take it", said=why)
    return Refused("the device refused it", said=why)


def _seconds(retry_after: str | None, now: datetime) -> float | None:
    if not retry_after:
        return None
    try:
        seconds = float(retry_after)
        return max(0.0, seconds) if math.isfinite(seconds) else None
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(retry_after)
    except (ValueError, OverflowError):
        return None
    return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds())


def _quote(body: bytes) -> str:
    """Return the reason in an error body: the API names it in any of four fields."""
    try:
        raw: Any = json.loads(body)
    except (ValueError, RecursionError):
        return "no reason given"
    if isinstance(raw, dict):
        for name in ("message", "error", "errorCode", "detail"):
            if raw.get(name):
                return whole(str(raw[name]))[:_LONGEST_QUOTE]
    return "no reason given"
