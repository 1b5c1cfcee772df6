"""What a workspace gave the app when it was installed there."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class Installation:
    """One installation of the app: in a workspace, or in a whole organisation (`is_org`).

    `team_id` is the workspace's, or of an org-wide one the organisation's (`E…`). Without `expires_at` the
    bot token lasts for ever, and there is no refresh token. `installed_at` goes by Slack's clock. No token is
    in its `repr`.
    """

    team_id: str
    enterprise_id: str | None
    is_org: bool
    name: str
    bot_user_id: str
    bot_id: str
    scopes: str
    installed_by: str
    installed_at: datetime
    bot_token: str = field(repr=False)
    refresh_token: str = field(default="", repr=False)
    expires_at: datetime | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be told."""
        return tuple(one for one in (self.bot_token, self.refresh_token) if one)
