"""What the handlers of the Slack door share: where arrivals are stored, and who may act."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from relay.config import Config, Present, PresentOfTeam
from relay.domain.environments import Report
from relay.domain.policy import Rights
from relay.slack.people import People
from relay.slack.sentences import Away
from relay.store import Store, StoreError


@dataclass(frozen=True)
class Workspace:
    """The workspace that a door is of, as Slack told it when the app was installed or at start."""

    team_id: str
    bot_user_id: str
    bot_id: str
    enterprise_id: str | None = None


@dataclass(frozen=True)
class SlackDoor:
    """Everything a handler needs.

    `away_since` tells since when and why an environment is away, `report` how it is in full; `became` takes
    for whoever counts what becomes of an arrival.
    """

    present: Present | PresentOfTeam
    workspace: Workspace
    store: Store
    people: People
    client: AsyncWebClient
    clock: Callable[[], datetime]
    away_since: Callable[[str], Away | None]
    report: Callable[[str], Awaitable[Report]]
    log: Any
    became: Callable[[str], None] = lambda _: None

    @property
    def config(self) -> Config:
        """The configuration as it is now."""
        return self.present.config

    @property
    def rights(self) -> Rights:
        """Whose people may act now."""
        return self.config.rights(self.workspace.team_id)

    def not_stored(self, what: str, problem: StoreError, user_id: str | None) -> None:
        """Put on the log that the store did not take what somebody said or pressed."""
        self.became("not_stored")
        self.log.error(f"{what}.not_stored", reason=str(problem), user_id=user_id)
