"""Which office serves which workspace: one for all where one is served, else one for each that installed."""

import asyncio
import contextlib
from collections.abc import Awaitable, Collection, Mapping
from typing import Protocol

from slack_bolt import BoltResponse
from slack_bolt.async_app import AsyncBoltRequest
from slack_sdk.web.async_client import AsyncWebClient

from relay.app.office import Office, Shared
from relay.config import Config
from relay.domain.deliveries import Delivery, Outcome, Refused, Retry
from relay.slack.door import Workspace
from relay.slack.installing.departures import depart, is_departure
from relay.slack.installing.roll import Held, Roll
from relay.slack.live_calls import LiveCalls
from relay.slack.sentences import NOT_INSTALLED
from relay.store import StoreError

_NOT_YET = 60.0  # seconds, until a workspace that is not installed yet is looked for again
_LAST_ANSWERS = 10.0
_UNSURE = "the store does not say whether the app is installed"


class SlackOf(Protocol):
    """The ways to Slack of each installation."""

    def client(self, held: Held, team_id: str, /) -> AsyncWebClient:
        """Return a client of one of its workspaces."""
        ...

    async def token(self, held: Held, /) -> str:
        """Return its present bot token."""
        ...


class Offices(Protocol):
    """Everything of Slack, by workspace."""

    async def async_dispatch(self, request: AsyncBoltRequest, /) -> BoltResponse:
        """Have an arrival taken by the office of its workspace."""
        ...

    def send(self, delivery: Delivery, /) -> Awaitable[Outcome]:
        """Take a delivery out to its workspace."""
        ...

    def stop(self, delivery: Delivery, /) -> Awaitable[Outcome]:
        """Stop the turn that a denial of its workspace is about."""
        ...

    def live_calls(self, team_id: str, /) -> LiveCalls | None:
        """Return what shows running turns in a workspace; None where nothing may be posted."""
        ...

    async def token(self, team_id: str, /) -> str:
        """Return a workspace's present bot token; empty where there is none."""
        ...

    def places(self) -> Mapping[str, str]:
        """Return how each place for cards fares, in words."""
        ...

    async def take_places(self, config: Config, /) -> list[str]:
        """Let the places of another configuration be those for cards, or return which keep it from that."""
        ...

    def installs(self) -> Mapping[str, str]:
        """Return how the installations fare, in words, by what they are called."""
        ...

    async def run(self) -> None:
        """Do what is done beside the arrivals, until cancelled."""
        ...

    async def finish(self, seconds: float, /) -> None:
        """Wait up to `seconds` for the answers under way."""
        ...


class OneOffice:
    """The office of the one workspace whose bot token is configured; whoever asks, it answers."""

    def __init__(self, office: Office, token: str) -> None:
        # The office's own, so that nothing stands between it and who calls it.
        self.async_dispatch = office.bolt.async_dispatch
        self.send, self.stop = office.send, office.stop
        self.run, self.finish = office.run, office.finish
        self._office = office
        self._token = token

    def live_calls(self, _: str) -> LiveCalls:
        return self._office.live_calls

    async def token(self, _: str) -> str:
        return self._token

    def places(self) -> Mapping[str, str]:
        return self._office.places.words()

    async def take_places(self, config: Config) -> list[str]:
        return await self._office.places.take(config.card_places)

    def installs(self) -> Mapping[str, str]:
        return {}


class ManyOffices:
    """An office for each workspace that installed the app, opened when it is first needed."""

    def __init__(self, roll: Roll, slack: SlackOf, shared: Shared, install_url: str) -> None:
        self._roll = roll
        self._slack = slack
        self._shared = shared
        self._install_url = install_url
        self._open: dict[str, Office] = {}
        self._closing: set[asyncio.Task[None]] = set()  # whose last answers may be under way
        self._changed = asyncio.Event()
        roll.on_change = self._close

    def of(self, team_id: str) -> Office | None:
        """Return a workspace's office; None where the app is not installed."""
        found = self._open.get(team_id)
        if found is not None:
            return found
        held = self._roll.find(team_id) if team_id.startswith("T") else None  # an organisation has no office
        return None if held is None else self._made(team_id, held)

    async def _looked_for(self, team_id: str) -> Office | None:
        """Return the same, once the store was asked what others have installed. Raises StoreError."""
        if team_id and self.of(team_id) is None:
            await self._roll.hear()
        return self.of(team_id)

    def _made(self, team_id: str, held: Held) -> Office:
        one = held.installation
        workspace = Workspace(team_id, one.bot_user_id, one.bot_id, one.enterprise_id)
        office = Office(
            self._shared.present.of_team(team_id),
            self._slack.client(held, team_id),
            workspace,
            self._shared,
            fatal=False,  # what one workspace shares ends nothing for the others
            log=self._shared.log.bind(team_id=team_id),
        )
        self._open[team_id] = office
        self._changed.set()
        return office

    def _close(self, team_ids: Collection[str]) -> None:
        """Close the offices of workspaces: the app is gone there, or may be somebody else there now."""
        for team_id in self._open.keys() & set(team_ids):
            closing = asyncio.create_task(self._open.pop(team_id).close(_LAST_ANSWERS))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
            self._changed.set()

    async def async_dispatch(self, request: AsyncBoltRequest) -> BoltResponse:
        """Have an arrival taken by its workspace's office; nobody else's is asked."""
        context = request.context
        team_id, enterprise_id = context.team_id or "", context.enterprise_id
        if is_departure(request.body):
            return await self._depart(request)
        if request.body.get("type") == "url_verification":  # of the app itself, whoever installs it
            return BoltResponse(status=200, body={"challenge": str(request.body.get("challenge", ""))})
        found = self._open.get(team_id)
        if found is not None:
            return await found.async_dispatch(request)
        try:
            await self._roll.served(team_id, enterprise_id)
        except StoreError as problem:
            self._shared.log.error("arrival.not_stored", team_id=team_id, reason=str(problem))
            return BoltResponse(status=503)
        office = self.of(team_id)
        if office is None:
            return self._unknown(request, team_id)
        return await office.async_dispatch(request)

    async def _depart(self, request: AsyncBoltRequest) -> BoltResponse:
        context = request.context
        whose = context.team_id or ""
        # Of an organisation's installation Slack names a workspace as well, or the organisation in its place.
        if context.is_enterprise_install or not whose:
            whose = context.enterprise_id or whose
        try:
            await depart(self._roll, whose, request.body)
        except StoreError as problem:
            self._shared.log.error("departure.not_stored", team_id=whose, reason=str(problem))
            return BoltResponse(status=503)  # Slack brings it again
        return BoltResponse(status=200)

    def _unknown(self, request: AsyncBoltRequest, team_id: str) -> BoltResponse:
        self._shared.log.warning("arrival.not_installed", team_id=team_id)
        if "command" not in request.body:
            return BoltResponse(status=200)
        told = {"text": NOT_INSTALLED.format(self._install_url), "response_type": "ephemeral"}
        return BoltResponse(status=200, body=told)

    async def send(self, delivery: Delivery) -> Outcome:
        """Take a delivery out; it fails where the app is gone, and waits where it is not installed yet."""
        try:
            office = await self._looked_for(delivery.team_id)
        except StoreError:
            return Retry(_UNSURE)
        return self._nobody(delivery) if office is None else await office.send(delivery)

    async def stop(self, delivery: Delivery) -> Outcome:
        """Stop a turn for whoever denied; without the app there is nobody who could be told."""
        try:
            office = await self._looked_for(delivery.team_id)
        except StoreError:
            return Retry(_UNSURE)
        return self._nobody(delivery) if office is None else await office.stop(delivery)

    def _nobody(self, delivery: Delivery) -> Outcome:
        if not delivery.team_id:
            return Refused("no workspace is known to ask")
        why = self._roll.gone(delivery.team_id)
        if why is not None:
            return Refused(f"the app was taken away from the workspace ({why})")
        return Retry("the app is not installed in the workspace", after=_NOT_YET)

    def live_calls(self, team_id: str) -> LiveCalls | None:
        """Return what shows running turns in a workspace."""
        office = self.of(team_id)
        return None if office is None else office.live_calls

    async def token(self, team_id: str) -> str:
        """Return a workspace's present bot token, the next one where it has expired."""
        with contextlib.suppress(StoreError):
            if self._roll.find(team_id) is None:
                await self._roll.hear()
        held = self._roll.find(team_id)
        return "" if held is None else await self._slack.token(held)

    def places(self) -> Mapping[str, str]:
        """Return how each place for cards fares, of the workspaces that were heard of since the start."""
        return {
            f"{team_id} {channel}": words
            for team_id, office in self._open.items()
            for channel, words in office.places.words().items()
        }

    async def take_places(self, config: Config) -> list[str]:
        """Let the places of another configuration be those of the open offices; the others read it later.

        One that is shared with another workspace keeps nobody from anything: it takes no cards.
        """
        # Nothing is waited for: no office is opened by the old configuration between this and the new one.
        for team_id, office in self._open.items():
            office.places.replace(config.of_team(team_id).card_places)
        return []

    def installs(self) -> Mapping[str, str]:
        """Return how many workspaces and organisations are served, and whose tokens are in trouble."""
        troubled = {f"workspace {team_id}": words for team_id, words in self._roll.troubles.items()}
        return {"workspaces": f"{len(self._roll.held)} installed", **troubled}

    async def run(self) -> None:
        """Run each office as long as it is open, until cancelled. Raises what one of them ends by."""
        running: dict[Office, asyncio.Task[None]] = {}
        try:
            while True:
                self._changed.clear()
                self._follow(running)
                await self._until_changed(running.values())
        finally:
            for one in running.values():
                one.cancel()
            await asyncio.gather(*running.values(), return_exceptions=True)

    async def _until_changed(self, running: Collection[asyncio.Task[None]]) -> None:
        changed = asyncio.create_task(self._changed.wait())
        try:
            done, _ = await asyncio.wait({changed, *running}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            changed.cancel()
        for ended in done - {changed}:
            ended.result()

    def _follow(self, running: dict[Office, asyncio.Task[None]]) -> None:
        """Begin with the offices that were opened, and end with those that were closed."""
        present = set(self._open.values())
        for office in running.keys() - present:
            running.pop(office).cancel()
        for office in present - running.keys():
            running[office] = asyncio.create_task(office.run())

    async def finish(self, seconds: float) -> None:
        """Wait up to `seconds` for the answers under way, in all offices at once."""
        finishing = [asyncio.create_task(office.finish(seconds)) for office in self._open.values()]
        if under_way := {*finishing, *self._closing}:
            _, late = await asyncio.wait(under_way, timeout=seconds)
            for one in late:
                one.cancel()
