"""Counts how often Slack says that it is asked too much, and how long it wants to be left alone."""

from http import HTTPStatus

from slack_sdk.http_retry.async_handler import AsyncRetryHandler
from slack_sdk.http_retry.request import HttpRequest
from slack_sdk.http_retry.response import HttpResponse
from slack_sdk.http_retry.state import RetryState

from relay.domain.seen import Seen

LIMITED = frozenset({"ratelimited", "rate_limited"})


class CountsLimits(AsyncRetryHandler):
    """Sees every answer of the Web API, whoever asked, and has none asked again: that is the dispatcher's."""

    def __init__(self, seen: Seen) -> None:
        super().__init__()
        self._seen = seen

    async def _can_retry_async(
        self,
        *,
        state: RetryState,  # noqa: ARG002 - the SDK's signature
        request: HttpRequest,  # noqa: ARG002
        response: HttpResponse | None = None,
        error: Exception | None = None,  # noqa: ARG002
    ) -> bool:
        if response is not None and _is_limit(response):
            self._seen("slack_rate_limit_wait_seconds", _seconds(response))
        return False


def _is_limit(response: HttpResponse) -> bool:
    error = response.body.get("error") if isinstance(response.body, dict) else None
    return response.status_code == HTTPStatus.TOO_MANY_REQUESTS or error in LIMITED


def _seconds(response: HttpResponse) -> float:
    said = next((value for name, value in response.headers.items() if name.lower() == "retry-after"), "")
    try:
        return max(0.0, float(said if isinstance(said, str) else said[0]))
    except (ValueError, IndexError):
        return 0.0
