"""Builds every object, and knows how they hang together."""

import asyncio
import contextlib
import random
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any

from aiohttp import web
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from relay.app.audiences import Audiences
from relay.app.beginning import rule_anew
from relay.app.clock import utc_now
from relay.app.errors import PartEndedError, StartError
from relay.app.http_clients import HttpClients
from relay.app.preparing import Preparing
from relay.app.readiness import Readiness
from relay.app.stopping import Stopping, cancel, within
from relay.app.ticking import Ticking
from relay.config import Config
from relay.control import ControlSocket, socket_path
from relay.dispatcher import Dispatcher, Doors
from relay.domain.deliveries import Delivery
from relay.domain.environments import Report
from relay.domain.ids import new_id
from relay.domain.runtime import Runtime
from relay.domain.seen import Seen, unseen
from relay.environment.app_server import AppServerListener, warn_of
from relay.environment.arrivals import Desk
from relay.environment.decisions import Decisions
from relay.environment.directory import Directory
from relay.environment.listener import Listener
from relay.environment.listeners import Listeners
from relay.environment.live import Views
from relay.environment.overview import Overview, written
from relay.environment.sender import EnvironmentSender
from relay.slack.arrivals import Arrivals
from relay.slack.bolt import bolt_app
from relay.slack.circles import Circles
from relay.slack.deciding import Deciding
from relay.slack.deny_stop import DenyStop
from relay.slack.door import SlackDoor, Workspace
from relay.slack.home import Home
from relay.slack.inbox import Inbox
from relay.slack.live import Live
from relay.slack.live_calls import LiveCalls
from relay.slack.people import People
from relay.slack.places import Places
from relay.slack.posts import REPLY_LIMIT
from relay.slack.reach import Reach
from relay.slack.sender import SlackSender
from relay.slack.sentences import Away
from relay.slack.socket_mode import SocketMode
from relay.slack.stops import Stops
from relay.slack.tell import Tell
from relay.store import Store
from relay.use_cases.follow_environment import still_to_send
from relay.use_cases.post_reply import ANSWERED_WITHIN
from relay.web import SlackRoute, web_app

if TYPE_CHECKING:
    from relay.app.metrics import Figures


class Parts:
    """The parts of a running relay and how they hang together."""

    def __init__(
        self,
        config: Config,
        store: Store,
        http: HttpClients,
        client: AsyncWebClient,
        workspace: Workspace,
        log: Any,
        at: Callable[[str], None],
        seen: Seen = unseen,
    ) -> None:
        self._config = config
        self._store = store
        self._log = log
        self._seen = seen
        self._arrivals = Arrivals(seen) if seen is not unseen else None
        self.port = 0
        self._rest_only = frozenset(
            name for name, one in config.environments.items() if one.approvals_via == "rest"
        )
        directory = Directory(http.lookups, log.warning)
        tell = self._tell = Tell(client, http.lookups, log)
        self._live = Live(LiveCalls(client, log), store, utc_now, log)
        self._listeners = self._make_listeners(directory, http, workspace)
        self._overview = Overview(config.environments, directory, self._listeners, store)
        environment_sender = self._make_environment_sender(directory, http)
        self.places = Places(client, config.card_places, tell.soon, log)
        door = self._make_door(client, workspace)
        self._circles = Circles(client, log)
        reach = Reach(door.people, self._circles, door.rights)
        slack_sender = SlackSender(client, store, tell, self.places, self._live, reach, config.slack.command)
        ways = {name: one.approvals_via for name, one in config.environments.items()}
        answer = partial(self._listeners.answer, still=self._still_waiting)
        self._decisions = Decisions(environment_sender.send, answer, ways, self._remember)
        self._home = Home(door, Inbox(door, self._circles), tell)
        to_slack = self._home.watching(slack_sender.send)
        deciding = Deciding(door, self._circles, self._listeners.asked_by)
        stops = Stops(door, tell, self._listeners.stop_turn, self._live.message_ids)
        to_stop = DenyStop(door, tell, deciding, stops, self._listeners.under_way).send
        decisions = self._decisions
        doors = Doors(environment_sender.send, decisions.send, decisions.answer, to_stop, to_slack)
        self._dispatcher = Dispatcher(
            store, doors, clock=utc_now, chance=random.random, log=log, at=at, seen=seen
        )
        self._bolt = bolt_app(door, tell, stops, deciding, self._home, self._arrivals)
        self.socket_mode = self._make_socket_mode(client, http)
        self._running: list[asyncio.Task[None]] = []
        self._stopping = Stopping()
        self._control = ControlSocket(store, self._reports, socket_path(config.store_url), log)

    def _make_environment_sender(self, directory: Directory, http: HttpClients) -> EnvironmentSender:
        return EnvironmentSender(
            http.environments,
            directory,
            self._config.environments,
            utc_now,
            self._still_to_send,
            self._listeners.submit,
            Preparing(self._config, self._store, http).prepared,
        )

    def _make_socket_mode(self, client: AsyncWebClient, http: HttpClients) -> SocketMode | None:
        token = self._config.slack.app_token
        if token is None:
            return None
        return SocketMode(self._bolt, token.get_secret_value(), client, http.slack, self._log)

    def _make_door(self, client: AsyncWebClient, workspace: Workspace) -> SlackDoor:
        return SlackDoor(
            config=self._config,
            workspace=workspace,
            rights=self._config.rights(workspace.team_id),
            store=self._store,
            people=People(client, workspace.team_id),
            client=client,
            clock=utc_now,
            away_since=self._away,
            report=self._report,
            log=self._log,
            became=self._arrivals.became if self._arrivals is not None else lambda _: None,
        )

    def _make_listeners(self, directory: Directory, http: HttpClients, workspace: Workspace) -> Listeners:
        audiences = self._audiences = Audiences(self._config, workspace.team_id, self._store.key)
        views = Views(self._live.show)
        desk = Desk(self._store, audiences.of, REPLY_LIMIT, utc_now, self._rest_only)

        def made(runtime: Runtime) -> Listener:
            environment = self._config.environments[runtime.environment]
            kind = AppServerListener if environment.is_app_server else Listener
            return kind(
                environment,
                runtime,
                directory,
                http.environments,
                on_arrivals=desk.take,
                on_presence=desk.take_presence,
                on_behind=desk.awaited,
                on_frame=views.take,
                clock=utc_now,
                chance=random.random,
                new_id=lambda: new_id("req", utc_now()),
                log=self._log,
                seen=self._seen,
            )

        most, rest_after = self._config.listening.most, self._config.listening.rest_after * 60.0
        return Listeners(
            audiences.fixed, made, self._log, alive=self._alive, most=most, rest_after=rest_after
        )

    async def _remember(self, environment: str) -> None:
        self._log.info("approvals.via_socket", environment=environment)
        await self._store.transact(lambda tx: tx.remember_socket_way(environment))

    async def _take_up(self) -> None:
        """Go on with what the last run learned."""
        self._decisions.learn(await self._store.transact(lambda tx: tx.socket_ways()))

    async def _alive(self) -> list[Runtime]:
        """Return the conversations in which something goes on."""
        await rule_anew(self._store, self._audiences.of, utc_now())
        since = utc_now() - ANSWERED_WITHIN
        alive = await self._store.transact(lambda tx: tx.runtimes_alive(since))
        return [runtime for runtime in alive if runtime.environment in self._config.environments]

    async def _still_to_send(self, delivery: Delivery, connection_id: str) -> bool:
        """Wait until answers can be heard; return whether the delivery is still to be sent then."""
        if not await self._listeners.ready(delivery, connection_id):
            return True
        return await self._still_waiting(delivery)

    async def _still_waiting(self, delivery: Delivery) -> bool:
        return await self._store.transact(lambda tx: still_to_send(tx, delivery, utc_now()))

    async def _reports(self) -> dict[str, Any]:
        return {"environments": [written(one) for one in await self._overview.all(within=10.0)]}

    async def _report(self, environment: str) -> Report:
        # Slack waits three seconds for the answer to a command.
        return await self._overview.of(environment, within=1.5)

    def _away(self, environment: str) -> Away | None:
        presence = self._listeners.away(environment)
        if presence is None or presence.since is None:
            return None
        return Away(presence.since, presence.reason, presence.refused)

    async def start(
        self, stack: contextlib.AsyncExitStack, *besides: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        """Start what takes out before what takes in; the stack stops them the other way round.

        `besides` is what runs all the while, as the parts do.
        """
        self._store.on_due = self._dispatcher.wake
        warn_of(self._config.environments.values(), self._log)
        stack.push_async_callback(lambda: self._tell.finish(self._stopping.left(1.0)))
        stack.push_async_callback(lambda: within(self._live.finish, self._stopping.left(1.0)))
        stack.push_async_callback(lambda: self._dispatcher.finish(self._stopping.left(5.0)))
        stack.push_async_callback(lambda: cancel(self._running, self._stopping.left(2.0)))
        await self._take_up()
        ticking = Ticking(self._store, self._rest_only, utc_now)
        own = (self._dispatcher.run, ticking.run, self._listeners.run, self._live.run, self._home.run)
        for run in (*own, *besides):
            self._running.append(asyncio.create_task(run()))
        await self._control.open()
        stack.push_async_callback(self._control.close)
        self.port = await self._listen(stack)
        if self.socket_mode is not None:
            await self._open_socket(self.socket_mode, stack)

    async def tell_figures(self, stack: contextlib.AsyncExitStack, figures: "Figures") -> None:
        """Answer whoever asks how relay does, until the stack ends. Raises StartError."""
        from relay.app.metrics import Looked, serve_metrics

        looked = Looked(self._store, self._listeners, self.socket_mode)
        await serve_metrics(stack, self._config.metrics, figures, looked, self._log)

    async def until(self, stop: asyncio.Event) -> None:
        """Wait for `stop`. Raises PartEndedError when a part ends by itself, StartError when it says why."""
        stopping = asyncio.create_task(stop.wait())
        done, _ = await asyncio.wait({stopping, *self._running}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        for ended in done - {stopping}:
            if isinstance(problem := ended.exception(), StartError):
                raise problem
            self._log.critical("part.ended", exc_info=problem)
            raise PartEndedError("a part of relay ended by a defect; the log says which")

    async def _open_socket(self, socket_mode: SocketMode, stack: contextlib.AsyncExitStack) -> None:
        stack.push_async_callback(lambda: within(socket_mode.close, self._stopping.left(2.0)))
        try:
            await socket_mode.open()
        except SlackApiError as problem:
            raise StartError(
                f"Slack refuses SLACK_APP_TOKEN: {problem.response.get('error')}; it needs connections:write"
            ) from problem

    async def _listen(self, stack: contextlib.AsyncExitStack) -> int:
        secret = self._config.slack.signing_secret if self.socket_mode is None else None
        slack = SlackRoute(self._bolt, secret.get_secret_value()) if secret else None
        readiness = Readiness(self._store, self.socket_mode, self._listeners, self.places)
        app = web_app(readiness.parts, slack, self._log.warning)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, self._config.host, self._config.port)
        try:
            await site.start()
        except OSError as problem:
            raise StartError(
                f"cannot listen on {self._config.host} port {self._config.port}: {problem.strerror}; "
                "set RELAY_PORT"
            ) from problem
        port: int = runner.addresses[0][1]
        return port
