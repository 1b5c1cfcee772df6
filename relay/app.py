"""Builds every object, starts them in order, and stops them in the reverse order within ten seconds."""

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

import aiohttp
import httpx
import structlog
from aiohttp import web
from httpx_aiohttp import AiohttpTransport
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from relay.config import Config
from relay.control import ControlSocket, socket_path
from relay.dispatcher import Dispatcher, Doors
from relay.domain.deliveries import Delivery, Outcome, Refused
from relay.domain.ids import new_id
from relay.domain.runtime import Runtime
from relay.environment.arrivals import Desk
from relay.environment.directory import Directory
from relay.environment.listener import Listener
from relay.environment.sender import EnvironmentSender
from relay.slack.bolt import bolt_app
from relay.slack.cards import REPLY_LIMIT
from relay.slack.door import SlackDoor, Workspace
from relay.slack.people import People
from relay.slack.sender import SlackSender
from relay.slack.socket_mode import SocketMode
from relay.slack.tell import Tell
from relay.store import Store, StoreError
from relay.use_cases.follow_environment import pass_time
from relay.use_cases.open_approval import Audience
from relay.web import Health, SlackRoute, web_app

_STOP_WITHIN = 10.0
_TICK = 1.0
_SLACK_TIMEOUT = 10


class StartError(Exception):
    """The relay cannot start; the message says what to do."""


class PartEndedError(Exception):
    """A part that must run for ever has ended by a defect: stop, and be started again."""


def utc_now() -> datetime:
    """The one clock."""
    return datetime.now(UTC)


@dataclass
class App:
    """A running relay. `port` is where it listens; `stop` ends it, keeping what is not done."""

    config: Config
    log: Any
    at: Callable[[str], None] = lambda _: None
    port: int = 0
    ready: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set. Raises StartError, StoreError, and PartEndedError after a defect."""
        async with contextlib.AsyncExitStack() as stack:
            parts = await _unless(stop, self._start(stack))
            if parts is None:
                return
            self.port = parts.port
            self.ready.set()
            self.log.info(
                "relay.serving",
                host=self.config.host,
                port=self.port,
                socket_mode=parts.socket_mode is not None,
            )
            await parts.until(stop)
            self.log.info("relay.stopping")

    async def _start(self, stack: contextlib.AsyncExitStack) -> "_Parts":
        store = Store.open(self.config.store_url, at=self.at)
        stack.push_async_callback(store.close)
        http = await stack.enter_async_context(_http_clients())
        client = AsyncWebClient(
            token=self.config.slack.bot_token.get_secret_value(),
            base_url=self.config.slack.api_url,
            session=http.slack,
            timeout=_SLACK_TIMEOUT,
            retry_handlers=[],  # the dispatcher retries: a retry in here could post a message twice
            logger=_silent_logger(),
        )
        workspace = await _workspace(client)
        await self._check_places(client)
        parts = _Parts(self.config, store, http, client, workspace, self.log, self.at)
        await parts.start(stack)
        return parts

    async def _check_places(self, client: AsyncWebClient) -> None:
        """Refuse a place for cards that another workspace reads too; warn of one that is closed to us."""
        channels = {
            place
            for route in self.config.routes
            for place in route.places
            if not place.startswith(("U", "W"))
        }
        for channel in sorted(channels):
            try:
                answer = await client.conversations_info(channel=channel)
            except SlackApiError as problem:
                self.log.warning("place.unknown", channel=channel, reason=problem.response.get("error"))
                continue
            except (aiohttp.ClientError, TimeoutError, OSError) as problem:
                self.log.warning("place.unknown", channel=channel, reason=type(problem).__name__)
                continue
            found = answer.get("channel") or {}
            if found.get("is_ext_shared"):
                raise StartError(
                    f"{channel} is shared with another workspace, which would read the cards: "
                    "choose another RELAY_APPROVALS_CHANNEL"
                )
            if not found.get("is_member", True):
                self.log.warning(
                    "place.closed", channel=channel, reason="not_in_channel", fix="invite the app there"
                )


async def _unless(stop: asyncio.Event, starting: "Coroutine[Any, Any, _Parts]") -> "_Parts | None":
    """Return what `starting` returns, or None when told to stop before: a slow start is cut short."""
    start, stopping = asyncio.create_task(starting), asyncio.create_task(stop.wait())
    await asyncio.wait({start, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if start.done():
        return await start
    start.cancel()
    await asyncio.gather(start, return_exceptions=True)
    return None


@dataclass(frozen=True)
class _HttpClients:
    session: aiohttp.ClientSession
    slack: aiohttp.ClientSession
    environments: httpx.AsyncClient


@contextlib.asynccontextmanager
async def _http_clients() -> AsyncIterator[_HttpClients]:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, trust_env=True) as session:
        transport = AiohttpTransport(client=session)
        limits = httpx.Timeout(30.0, connect=5.0)
        # Slack's client sets no limit on a session that it is given: the session has to bring one.
        slack = aiohttp.ClientSession(
            connector=connector,
            connector_owner=False,
            trust_env=True,
            timeout=aiohttp.ClientTimeout(total=_SLACK_TIMEOUT),
        )
        async with slack, httpx.AsyncClient(transport=transport, timeout=limits) as environments:
            yield _HttpClients(session, slack, environments)


async def _workspace(client: AsyncWebClient) -> Workspace:
    try:
        answer = await client.auth_test()
    except SlackApiError as problem:
        raise StartError(
            f"Slack refuses SLACK_BOT_TOKEN: {problem.response.get('error')}; copy it from the installed app"
        ) from problem
    except (aiohttp.ClientError, TimeoutError, OSError) as problem:
        raise StartError(
            f"Slack cannot be reached ({type(problem).__name__}); check the network and SLACK_API_URL"
        ) from problem
    return Workspace(
        team_id=str(answer["team_id"]),
        bot_user_id=str(answer.get("user_id") or ""),
        bot_id=str(answer.get("bot_id") or ""),
        enterprise_id=answer.get("enterprise_id"),
    )


class _Parts:
    """The parts of a running relay and how they hang together."""

    def __init__(
        self,
        config: Config,
        store: Store,
        http: _HttpClients,
        client: AsyncWebClient,
        workspace: Workspace,
        log: Any,
        at: Callable[[str], None],
    ) -> None:
        self._config = config
        self._store = store
        self._log = log
        self.port = 0
        directory = Directory(http.environments, log.warning)
        tell = self._tell = Tell(client, http.environments, log)
        environment_sender = EnvironmentSender(
            http.environments, directory, config.environments, utc_now, self._listening
        )
        doors = Doors(environment_sender.send, self._answer, SlackSender(client, store, tell).send)
        self._dispatcher = Dispatcher(store, doors, clock=utc_now, chance=random.random, log=log, at=at)
        self._listeners = self._make_listeners(directory, http.session, workspace)
        door = SlackDoor(
            config=config,
            workspace=workspace,
            rights=config.rights(workspace.team_id),
            store=store,
            people=People(client, workspace.team_id),
            client=client,
            clock=utc_now,
            away_since=self._away_since,
            log=log,
        )
        self._bolt = bolt_app(door, tell)
        token = config.slack.app_token
        self.socket_mode = (
            SocketMode(self._bolt, token.get_secret_value(), client, _silent_logger(), log) if token else None
        )
        self._running: list[asyncio.Task[None]] = []
        self._control = ControlSocket(store, socket_path(config.store_url), log)

    def _make_listeners(
        self, directory: Directory, session: aiohttp.ClientSession, workspace: Workspace
    ) -> dict[Runtime, Listener]:
        places = {route.runtime: route.places for route in reversed(self._config.routes)}
        audiences = {
            runtime: Audience(workspace.team_id, where, self._store.key) for runtime, where in places.items()
        }
        desk = Desk(self._store, audiences, REPLY_LIMIT, utc_now)
        return {
            runtime: Listener(
                self._config.environments[runtime.environment],
                runtime,
                directory,
                session,
                on_arrivals=desk.take,
                on_presence=desk.take_presence,
                clock=utc_now,
                chance=random.random,
                new_id=lambda: new_id("req", utc_now()),
                log=self._log,
            )
            for runtime in places
        }

    async def _listening(self, delivery: Delivery, connection_id: str) -> None:
        body = delivery.body
        runtime = Runtime(delivery.environment, body["agent_id"], body["conversation_id"])
        if listener := self._listeners.get(runtime):
            await listener.ready(connection_id)

    async def _answer(self, delivery: Delivery) -> Outcome:
        """Give a decision over the sockets of the runtime it is for."""
        body = delivery.body
        listener = self._listeners.get(
            Runtime(delivery.environment, body["agent_id"], body["conversation_id"])
        )
        if listener is None:
            return Refused("the configuration no longer listens to that conversation")
        return await listener.answer(delivery)

    def _away_since(self, environment: str) -> datetime | None:
        seen = [
            one.presence for runtime, one in self._listeners.items() if runtime.environment == environment
        ]
        if not seen or any(presence.up for presence in seen):
            return None
        return min((presence.since for presence in seen if presence.since), default=None)

    async def start(self, stack: contextlib.AsyncExitStack) -> None:
        """Start what takes out before what takes in; the stack stops them the other way round."""
        self._store.on_due = self._dispatcher.wake
        stack.push_async_callback(self._tell.finish, _STOP_WITHIN * 0.1)
        stack.push_async_callback(self._dispatcher.finish, _STOP_WITHIN * 0.5)
        for run in (self._dispatcher.run, self._tick, *(one.run for one in self._listeners.values())):
            running = asyncio.create_task(run())
            self._running.append(running)
            stack.push_async_callback(_cancel, running)
        await self._control.open()
        stack.push_async_callback(self._control.close)
        self.port = await self._listen(stack)
        if self.socket_mode is not None:
            await self._open_socket(self.socket_mode, stack)

    async def until(self, stop: asyncio.Event) -> None:
        """Wait for `stop`. Raises PartEndedError when a part ends by itself."""
        stopping = asyncio.create_task(stop.wait())
        done, _ = await asyncio.wait({stopping, *self._running}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        for ended in done - {stopping}:
            self._log.critical("part.ended", exc_info=ended.exception())
            raise PartEndedError("a part of relay ended by a defect; the log says which")

    async def _open_socket(self, socket_mode: SocketMode, stack: contextlib.AsyncExitStack) -> None:
        stack.push_async_callback(_within, socket_mode.close)
        try:
            await socket_mode.open()
        except SlackApiError as problem:
            raise StartError(
                f"Slack refuses SLACK_APP_TOKEN: {problem.response.get('error')}; it needs connections:write"
            ) from problem

    async def _listen(self, stack: contextlib.AsyncExitStack) -> int:
        secret = self._config.slack.signing_secret if self.socket_mode is None else None
        slack = SlackRoute(self._bolt, secret.get_secret_value()) if secret else None
        app = web_app(self._readiness, slack)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=_STOP_WITHIN * 0.2)
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

    async def _tick(self) -> None:
        """Time is an arrival too."""
        while True:
            await asyncio.sleep(_TICK)
            with contextlib.suppress(StoreError):
                await self._store.transact(partial(pass_time, now=utc_now()))

    async def _readiness(self) -> dict[str, Health]:
        parts = {"store": await self._store_health()}
        if self.socket_mode is not None:
            connected = self.socket_mode.connected
            parts["slack"] = Health(connected, "connected" if connected else "its socket is not open")
        else:
            parts["slack"] = Health(ready=True, words="called over HTTP")
        for runtime, listener in self._listeners.items():
            presence = listener.presence
            words = "listening" if presence.up else f"offline: {presence.reason}"
            # Known to be offline is ready: what is sent there waits, and people are told.
            parts[f"environment {runtime.environment}"] = Health(presence.since is not None, words)
        return parts

    async def _store_health(self) -> Health:
        now = utc_now()
        try:
            await self._store.transact(lambda tx: tx.touch(now))
        except StoreError as problem:
            return Health(ready=False, words=str(problem))
        return Health(ready=True, words="writable")


async def _cancel(running: "asyncio.Task[None]") -> None:
    running.cancel()
    await asyncio.wait([running], timeout=_STOP_WITHIN * 0.2)


async def _within(close: Callable[[], Any]) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_STOP_WITHIN * 0.2):
            await close()


def _silent_logger() -> logging.Logger:
    # The SDK's messages quote tokens' owners, tickets and whole bodies: they are not for a log.
    logger = logging.getLogger("relay.slack_sdk")
    logger.setLevel(logging.CRITICAL)
    return logger


def json_log(out: Any) -> Any:
    """Return the log: one JSON line an outcome, to `out`."""
    return structlog.wrap_logger(
        structlog.WriteLogger(out),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            structlog.processors.ExceptionRenderer(
                structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
            ),
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=True,
    )
