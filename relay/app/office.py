"""What serves one workspace: its own client, people, places, Home, and handlers; built once.

No part of it can reach another workspace: each knows one team alone, and calls Slack with one token.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from slack_bolt import BoltResponse
from slack_bolt.async_app import AsyncBoltRequest
from slack_sdk.web.async_client import AsyncWebClient

from relay.app.http_clients import HttpClients
from relay.app.stops_elsewhere import StopsElsewhere
from relay.config import Present, PresentOfTeam
from relay.domain.deliveries import Delivery, Outcome
from relay.domain.environments import Report
from relay.environment.listeners import Listeners
from relay.slack.arrivals import Arrivals
from relay.slack.bolt import bolt_app
from relay.slack.circles import Circles
from relay.slack.deciding import Deciding
from relay.slack.deny_stop import DenyStop
from relay.slack.door import SlackDoor, Workspace
from relay.slack.home import Home
from relay.slack.hosts import SlackHosts
from relay.slack.inbox import Inbox
from relay.slack.live import Live
from relay.slack.live_calls import LiveCalls
from relay.slack.people import People
from relay.slack.places import Places
from relay.slack.reach import Reach
from relay.slack.sender import SlackSender
from relay.slack.sentences import Away
from relay.slack.stops import Stops
from relay.slack.tell import Tell
from relay.store import Store


@dataclass(frozen=True)
class Shared:
    """What the offices of all workspaces have in common."""

    present: Present
    store: Store
    http: HttpClients
    listeners: Listeners
    live: Live
    away: Callable[[str], Away | None]
    report: Callable[[str], Awaitable[Report]]
    holds: Callable[[str], bool]  # whether the sockets of an environment are this relay's
    has: Callable[[Delivery], bool]  # whether a delivery is claimed by this relay still
    arrivals: Arrivals | None
    log: Any


class Office:
    """Takes a workspace's arrivals, and what leaves for it. `present` tells what counts for this workspace.

    `fatal`: relay ends where a place that the configuration names is shared with another workspace.
    """

    def __init__(
        self,
        present: Present | PresentOfTeam,
        client: AsyncWebClient,
        workspace: Workspace,
        shared: Shared,
        *,
        fatal: bool = True,
        log: Any = None,
    ) -> None:
        self.workspace = workspace
        log = shared.log if log is None else log
        slack = present.config.slack
        tell = self._tell = Tell(client, shared.http.lookups, SlackHosts(slack.api_url), log)
        self.live_calls = LiveCalls(client, log)
        self.places = Places(client, present.config.card_places, tell.soon, log, fatal=fatal)
        door = _door(present, client, workspace, shared, log)
        self._people, self._circles = door.people, Circles(client, log)
        reach = Reach(door.people, self._circles, lambda: door.rights)
        sender = SlackSender(
            client, shared.store, tell, self.places, shared.live, reach, slack.command, shared.has
        )
        self._home = Home(door, Inbox(door, self._circles), tell)
        deciding = Deciding(door, self._circles, shared.listeners.asked_by)
        elsewhere = StopsElsewhere(shared.store, workspace.team_id, shared.holds, shared.listeners.stop_turn)
        stops = Stops(door, tell, elsewhere.stop_turn, shared.live.message_ids)
        self.send: Callable[[Delivery], Awaitable[Outcome]] = self._home.watching(sender.send)
        self.stop = elsewhere.taking(DenyStop(door, tell, deciding, stops, shared.listeners.under_way).send)
        self.bolt = bolt_app(door, tell, stops, deciding, self._home, shared.arrivals)

    async def async_dispatch(self, request: AsyncBoltRequest) -> BoltResponse:
        """Have an arrival from the workspace taken."""
        return await self.bolt.async_dispatch(request)

    async def run(self) -> None:
        """Do what is done beside the arrivals, until cancelled."""
        await self._home.run()

    async def close(self, seconds: float) -> None:
        """Wait up to `seconds` for the answers under way: the workspace is gone.

        What is asked of Slack goes on: by its answer it may be that this was learned.
        """
        await self._tell.finish(seconds)

    async def finish(self, seconds: float) -> None:
        """Wait up to `seconds` for the answers under way, and give up what is asked: relay ends."""
        try:
            await self._tell.finish(seconds)
        finally:
            self._circles.stop()
            self._people.stop()


def _door(
    present: Present | PresentOfTeam,
    client: AsyncWebClient,
    workspace: Workspace,
    shared: Shared,
    log: Any,
) -> SlackDoor:
    return SlackDoor(
        present=present,
        workspace=workspace,
        store=shared.store,
        people=People(client, workspace.team_id),
        client=client,
        clock=shared.store.now,
        away_since=shared.away,
        report=shared.report,
        log=log,
        became=shared.arrivals.became if shared.arrivals is not None else lambda _: None,
    )
