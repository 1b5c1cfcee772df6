"""A Web API client of one workspace: always with the present token, and with none once it is gone."""

from collections.abc import Awaitable, Callable
from typing import Any

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from relay.slack.installing.roll import Held
from relay.slack.verdicts import code

_EXPIRED = "token_expired"
# What Slack says of a token whose app was taken away, where the event that tells so never came.
_GONE = frozenset({"account_inactive", "token_revoked"})
UNINSTALLED = "app_uninstalled"

Renew = Callable[[Held, str], Awaitable[bool]]
Lost = Callable[[Held, str], Awaitable[None]]


class WorkspaceClient(AsyncWebClient):
    """Calls Slack for one workspace.

    `renew` gets the next token in the place of one that has expired, and says whether there is one; `lost` is
    told that Slack knows the app there no longer.
    """

    def __init__(self, held: Held, renew: Renew, lost: Lost, **options: Any) -> None:
        super().__init__(**options)
        self._held = held
        self._renew = renew
        self._lost = lost

    async def api_call(self, api_method: str, **call: Any) -> AsyncSlackResponse:
        """Call a method of Slack's. Raises SlackApiError and what the session raises."""
        used = self._use()
        try:
            return await super().api_call(api_method, **call)
        except SlackApiError as problem:
            error = code(problem)
            if error == _EXPIRED and await self._renew(self._held, used):
                self._use()
                return await super().api_call(api_method, **call)  # what was refused had no effect
            if error in _GONE:
                if used == self._held.installation.bot_token:
                    await self._lost(self._held, error)
                if not self._held.gone and self._use() != used:  # installed again meanwhile, or refreshed
                    return await super().api_call(api_method, **call)
            raise

    def _use(self) -> str:
        """Take the present token, and return it. Raises SlackApiError when there is none any more."""
        if self._held.gone:
            raise SlackApiError(  # type: ignore[no-untyped-call]
                f"not asked: {self._held.gone}", {"ok": False, "error": UNINSTALLED}
            )
        # Bolt writes a token here for each arrival: what is read is never what stood here before.
        self.token = self._held.installation.bot_token
        return self.token
