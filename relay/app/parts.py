"""Builds every object, and knows how they hang together."""

import asyncio
import contextlib
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from aiohttp import web
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from relay.app.audiences import Audiences
from relay.app.beginning import rule_anew
from relay.app.errors import PartEndedError, StartError
from relay.app.holding import Holding
from relay.app.http_clients import HttpClients
from relay.app.office import Shared
from relay.app.offices import Offices
from relay.app.preparing import Preparing
from relay.app.readiness import Readiness
from relay.app.reloading import Reloading
from relay.app.retaining import Retaining
from relay.app.stopping import Stopping, cancel, within
from relay.app.ticking import Ticking
from relay.config import Config, Present
from relay.control import ControlSocket, socket_path
from relay.dispatcher import Dispatcher, Doors
from relay.domain.circuits import Held
from relay.domain.deliveries import Delivery
from relay.domain.environments import Report
from relay.domain.ids import new_id
from relay.domain.presence import Glimpse
from relay.domain.runtime import Runtime
from relay.domain.seen import Seen, unseen
from relay.domain.traced import Traced, untraced
from relay.environment.app_server import AppServerListener, warn_of
from relay.environment.arrivals import Desk
from relay.environment.decisions import Decisions
from relay.environment.directory import Directory
from relay.environment.following import Following
from relay.environment.listener import Listener, Presence
from relay.environment.listeners import Listeners
from relay.environment.live import Views
from relay.environment.overview import Overview, written
from relay.environment.sender import EnvironmentSender
from relay.slack.arrivals import Arrivals
from relay.slack.installing.pages import InstallPages
from relay.slack.live import Live
from relay.slack.posts import REPLY_LIMIT
from relay.slack.sentences import Away
from relay.slack.socket_mode import SocketMode
from relay.store import Store, StoreError
from relay.use_cases.follow_environment import still_to_send
from relay.use_cases.post_reply import ANSWERED_WITHIN
from relay.web import SlackRoute, web_app

if TYPE_CHECKING:
    from relay.app.metrics import Figures


@dataclass(frozen=True)
class Opening:
    """How workspaces come to be served: who makes their offices, and the pages by which they install the app.

    `team_id` is the one that is served, None where there are many; `client` has no part in serving them.
    """

    offices: Callable[[Shared], Offices]
    client: AsyncWebClient
    team_id: str | None = None
    pages: InstallPages | None = None


class Parts:
    """The parts of a running relay and how they hang together."""

    def __init__(
        self,
        config: Config,
        store: Store,
        http: HttpClients,
        opening: Opening,
        log: Any,
        at: Callable[[str], None],
        seen: Seen = unseen,
        traced: Traced = untraced,
    ) -> None:
        self._config = config  # as it was at the start: what the connections are built on
        self.present = Present(config)
        self._store = store
        self._log = log
        self._seen, self._traced = seen, traced
        self._opening = opening
        told = (seen, traced) != (unseen, untraced)
        arrivals = Arrivals(seen, traced) if told else None
        self.port = 0
        self._rest_only = frozenset(
            name for name, one in config.environments.items() if one.approvals_via == "rest"
        )
        directory = Directory(http.lookups, log.warning)
        self._holding = self._make_holding()
        self._live = Live(
            lambda team_id: self._offices.live_calls(team_id),
            store,
            store.now,
            log,
            elsewhere=self._holding.elsewhere,
        )
        self._listeners = self._make_listeners(directory, http, opening.team_id)
        where = self._holding.where
        self._overview = Overview(config.environments, directory, self._listeners, store, self._held, where)
        self._offices = opening.offices(self._shared(http, arrivals))
        environment_sender = self._make_environment_sender(directory, http)
        decisions = self._decisions = self._make_decisions(environment_sender)
        doors = Doors(
            environment_sender.send, decisions.send, decisions.answer, self._offices.stop, self._offices.send
        )
        self._dispatcher = self._make_dispatcher(doors, at)
        self.socket_mode = self._make_socket_mode(opening.client, http)
        self._running: list[asyncio.Task[None]] = []
        self._stopping = Stopping()
        self._control = ControlSocket(store, self._reports, socket_path(config.store_url), log)

    def _make_holding(self) -> Holding:
        return Holding(
            self._store,
            self._config.environments,
            self._log,
            busy=self._busy_environments,
            # A turn there ends with its last socket, and what it asks with it.
            bound=[one.name for one in self._config.environments.values() if one.is_app_server],
            changed=self._take_up_held,
        )

    def _make_dispatcher(self, doors: Doors, at: Callable[[str], None]) -> Dispatcher:
        here = self._holding.only_here
        return Dispatcher(
            self._store,
            Doors(
                here(doors.to_environment), here(doors.to_decide), here(doors.to_sockets),
                here(doors.to_stop), doors.to_slack,
            ),
            clock=self._store.now,
            chance=random.random,
            log=self._log,
            at=at,
            seen=self._seen,
            traced=self._traced,
            elsewhere=self._holding.elsewhere,
        )  # fmt: skip

    def _make_environment_sender(self, directory: Directory, http: HttpClients) -> EnvironmentSender:
        return EnvironmentSender(
            http.environments,
            directory,
            self._config.environments,
            self._store.now,
            self._still_to_send,
            self._listeners.submit,
            Preparing(self._config, self._store, http, self._offices.token).prepared,
        )

    def _make_decisions(self, environment_sender: EnvironmentSender) -> Decisions:
        ways = {name: one.approvals_via for name, one in self._config.environments.items()}
        answer = partial(self._listeners.answer, still=self._still_waiting)
        return Decisions(environment_sender.send, answer, ways, self._remember)

    def _make_socket_mode(self, client: AsyncWebClient, http: HttpClients) -> SocketMode | None:
        token = self._config.slack.app_token
        if token is None:
            return None
        return SocketMode(self._offices, token.get_secret_value(), client, http.slack, self._log)

    def _shared(self, http: HttpClients, arrivals: Arrivals | None) -> Shared:
        return Shared(
            self.present,
            self._store,
            http,
            self._listeners,
            self._live,
            self._away,
            self._report,
            self._holding.holds,
            lambda delivery: self._dispatcher.has(delivery),
            arrivals,
            self._log,
        )

    def _make_listeners(self, directory: Directory, http: HttpClients, team_id: str | None) -> Listeners:
        audiences = self._audiences = Audiences(self.present, team_id, self._store.key)
        views = Views(self._show)
        following = Following(self._store, self._traced)
        desk = Desk(
            self._store,
            audiences.of,
            REPLY_LIMIT,
            self._store.now,
            following,
            self._log,
            self._rest_only,
            apart=team_id is None,
        )

        def made(runtime: Runtime) -> Listener:
            environment = self._config.environments[runtime.environment]
            kind = AppServerListener if environment.is_app_server else Listener
            return kind(
                environment,
                runtime,
                directory,
                http.sockets,
                on_arrivals=partial(desk.take, fence=self._holding.fence(runtime.environment)),
                on_presence=self._take_presence,
                on_behind=desk.awaited,
                on_frame=views.take,
                clock=self._store.now,
                chance=random.random,
                new_id=lambda: new_id("req", self._store.now()),
                log=self._log,
                seen=self._seen,
            )

        most, rest_after = self._config.listening.most, self._config.listening.rest_after * 60.0
        return Listeners(
            audiences.fixed, made, self._log, alive=self._alive, most=most, rest_after=rest_after,
            holds=self._holding.holds,
        )  # fmt: skip

    def _show(self, runtime: Runtime, glimpse: Glimpse) -> None:
        if self._holding.holds(runtime.environment):  # what came late is another relay's to show
            self._live.show(runtime, glimpse)

    def _busy_environments(self) -> frozenset[str]:
        return self._listeners.busy() | self._dispatcher.sending()

    def _take_up_held(self, held: frozenset[str], taken: frozenset[str]) -> None:
        """Listen where this relay is to now, and send what waits there."""
        self._listeners.hold(held)
        self._live.leave(self._config.environments.keys() - held)
        for environment in self._holding.elsewhere():
            self._dispatcher.forget(environment)
        for environment in taken:
            self._dispatcher.back(environment)

    async def _take_presence(self, runtime: Runtime, presence: Presence) -> None:
        """Have whatever waits for an environment tried again as soon as it is back.

        Where others of its conversations are heard it was not away: no sign that it takes more than before.
        """
        if not presence.up:
            return
        if self._listeners.up(runtime.environment) == 1:
            self._dispatcher.back(runtime.environment)
        else:
            self._dispatcher.look_again(runtime.environment)

    def _held(self, environment: str) -> Held | None:
        return self._dispatcher.held(environment)

    async def _remember(self, environment: str) -> None:
        self._log.info("approvals.via_socket", environment=environment)
        try:
            await self._store.transact(lambda tx: tx.remember_socket_way(environment))
        except StoreError as problem:  # the answer was taken all the same; the next run learns it anew
            self._log.warning("approvals.way_not_kept", environment=environment, reason=str(problem))

    async def _take_up(self) -> None:
        """Go on with what the last run learned."""
        self._decisions.learn(await self._store.transact(lambda tx: tx.socket_ways()))
        for environment in self._holding.held:
            self._dispatcher.back(environment)  # perhaps: the first attempts tell
        # Before anybody can press: cards of before go by the rules of now.
        await rule_anew(self._store, self._audiences.of, self._store.now())

    async def _alive(self) -> list[Runtime]:
        """Return the conversations in which something goes on."""
        since = self._store.now() - ANSWERED_WITHIN
        alive = await self._store.transact(lambda tx: tx.runtimes_alive(since))
        return [runtime for runtime in alive if runtime.environment in self._config.environments]

    async def _still_to_send(self, delivery: Delivery, connection_id: str) -> bool:
        """Wait until answers can be heard; return whether the delivery is still to be sent then."""
        if not await self._listeners.ready(delivery, connection_id):
            return True
        still = await self._still_waiting(delivery)
        self._listeners.check(delivery.environment)
        return still

    async def _still_waiting(self, delivery: Delivery) -> bool:
        return await self._store.transact(lambda tx: still_to_send(tx, delivery, self._store.now()))

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
        self._store.listen(self._log.warning)
        warn_of(self._config.environments.values(), self._log)
        stack.push_async_callback(self._holding.leave)
        stack.push_async_callback(lambda: self._offices.finish(self._stopping.left(1.0)))
        stack.push_async_callback(lambda: within(self._live.finish, self._stopping.left(1.0)))
        stack.push_async_callback(lambda: self._dispatcher.finish(self._stopping.left(5.0)))
        stack.push_async_callback(lambda: cancel(self._running, self._stopping.left(2.0)))
        await self._holding.begin()
        await self._take_up()
        retaining = Retaining(self._store, lambda: self.present.config.retention.texts, self._log)
        ticking = Ticking(self._store, self._rest_only, self._store.now, retaining.step)
        own = (self._dispatcher.run, ticking.run, self._listeners.run, self._live.run, self._offices.run)
        for run in (*own, self._holding.run, *besides):
            self._running.append(asyncio.create_task(run()))
        await self._control.open()
        stack.push_async_callback(self._control.close)
        self.port = await self._listen(stack)
        if self.socket_mode is not None:
            await self._open_socket(self.socket_mode, stack)

    async def tell_figures(self, stack: contextlib.AsyncExitStack, figures: "Figures") -> None:
        """Answer whoever asks how relay does, until the stack ends. Raises StartError."""
        from relay.app.metrics import Looked, serve_metrics

        looked = Looked(
            self._store, self._listeners, self.socket_mode, tuple(self._config.environments), self._held,
            lambda: self._holding.held,
        )  # fmt: skip
        await serve_metrics(stack, self._config.metrics, figures, looked, self._log)

    async def reload(self, load: Callable[[], Config]) -> None:
        """Take up the configuration that `load` returns, or put on the log why not."""
        parts = (self.present, self._store, self._offices, self._listeners, self._audiences, self._log)
        await Reloading(*parts).reload(load)

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
        slack = SlackRoute(self._offices, secret.get_secret_value()) if secret else None
        readiness = Readiness(
            self._store,
            self.socket_mode,
            self._listeners,
            self._offices,
            tuple(self._config.environments),
            self._held,
            self._holding.health,
        )
        app = web_app(readiness.parts, slack, self._log.warning, self._opening.pages)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, self._config.host, self._config.port)
        try:
            await site.start()
        except OSError as problem:
            raise StartError(
                f"cannot listen on {self._config.host} port {self._config.port}: {problem.strerror}; "
                "set RELAY_HOST and RELAY_PORT"
            ) from problem
        port: int = runner.addresses[0][1]
        return port
