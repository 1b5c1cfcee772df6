"""Slack tells that a workspace took the app away: nothing is posted there any more.

https://docs.slack.dev/reference/events/app_uninstalled, …/tokens_revoked, …/team_access_revoked and
…/team_access_granted, which takes the third back
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from relay.slack.installing.roll import ACCESS_REVOKED, Roll


class _Sent(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Tokens(_Sent):
    bot: list[str] = []


class _Event(_Sent):
    type: str
    tokens: _Tokens = _Tokens()
    team_ids: list[str] = []


class _Told(_Sent):
    event: _Event
    event_time: float = 0.0


_GRANTED = "team_access_granted"
KINDS = frozenset({"app_uninstalled", "tokens_revoked", ACCESS_REVOKED, _GRANTED})


def is_departure(body: Mapping[str, Any]) -> bool:
    """Return whether an arrival tells of one, or takes one back."""
    event = body.get("event")
    return body.get("type") == "event_callback" and isinstance(event, dict) and event.get("type") in KINDS


async def depart(roll: Roll, whose: str, body: Mapping[str, Any]) -> None:
    """Do what Slack tells of an installation. Raises StoreError: then Slack brings it again."""
    await roll.hear()  # it may be of one that another relay has made
    try:
        told = _Told.model_validate(body)
    except ValidationError:
        return
    event = told.event
    if event.type == ACCESS_REVOKED:
        await roll.uncover(event.team_ids, event.type)
        return
    if event.type == _GRANTED:
        await roll.cover_again(event.team_ids)
        return
    held = roll.installed_by(whose)
    # Without a bot's token among them it is a person's, of which there is none.
    if held is not None and (event.type == "app_uninstalled" or event.tokens.bot):
        await roll.uninstall(held, event.type, told.event_time or float("inf"))
