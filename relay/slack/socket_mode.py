"""Socket Mode: Slack's arrivals over two sockets that we open, so that one can end without a gap.

Two places, each with a socket in it; Slack gives each envelope to one of them:
    hello ─▶ takes and acknowledges ─▶ to be replaced ─▶ another one opened ─▶ retired, until Slack ends it
One socket is opened at a time, each with a ticket of its own: a ticket is good once.
"""

import asyncio
import json
import random
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import aiohttp
from slack_bolt.async_app import AsyncBoltRequest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from relay.domain.deliveries import Retry, delay
from relay.slack.arrivals import Takes
from relay.slack.hosts import SlackHosts
from relay.slack.link import Envelope, Link, LinkLostError
from relay.slack.verdicts import CARRIERS, code, meaning, passing

_WANTED = 2
_OPEN_WITHIN = 10.0
_SILENCE = 30.0  # seconds; three of Slack's pings
_LINGER = 15.0  # seconds; Slack warns ten before it ends a socket
_SHORT = 10.0  # seconds; one that lived shorter is not replaced at once for ever
_UNHURRIED = 30.0
_SWITCHED_OFF, _TOO_MANY = "link_disabled", "too_many_websockets"
_REFRESHED = ("warning", "refresh_requested")
_SWITCH_ON = (
    "Socket Mode is switched off in the Slack app: switch it on at Settings, Socket Mode; "
    "or, for HTTP, unset SLACK_APP_TOKEN and set SLACK_SIGNING_SECRET"
)


class SocketMode:
    """Holds two sockets open, and says how many are.

    Each is replaced when Slack asks for it, when it ends, and after `silence` seconds without a sound; what
    was replaced is listened to for `linger` seconds more.
    """

    wanted = _WANTED

    def __init__(
        self,
        app: Takes,
        app_token: str,
        client: AsyncWebClient,
        session: aiohttp.ClientSession,
        log: Any,
        *,
        silence: float = _SILENCE,
        linger: float = _LINGER,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.trouble = ""
        self._app_token = app_token
        self._client = client
        self._log = log
        self._chance = chance
        self._linger = linger
        take = partial(_answer, app, log)
        self._link = partial(Link.open, session=session, take=take, silence=silence, log=log)
        self._places: list[Link | None] = [None] * _WANTED
        self._links: set[Link] = set()  # those in the places, and those that were
        self._turn = asyncio.Lock()
        self._failures = 0
        self._pause = 0.0
        self._said_off = False
        self._running: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Open a socket, and keep two open. Raises SlackApiError when the app-level token is refused.

        What does not open for another reason is tried again until it does.
        """
        try:
            self._places[0] = await self._opened()
        except SlackApiError as problem:
            if not passing(problem):
                raise
            self._failed(problem)
        except (*CARRIERS, LinkLostError) as problem:
            self._failed(problem)
        for place in range(_WANTED):
            self._run(self._keep(place))

    @property
    def connected(self) -> int:
        """How many of the wanted sockets are open; Slack can reach us by one alone."""
        return sum(link is not None and link.is_open for link in self._places)

    async def close(self) -> None:
        """Acknowledge what was taken and end: Slack gives what comes next to another, or tells the person."""
        running = list(self._running)
        for one in running:
            one.cancel()
        await asyncio.gather(*(link.close() for link in self._links), *running, return_exceptions=True)

    def _run(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _keep(self, place: int) -> None:
        """Have a socket in a place, always; the next is there before the last one goes."""
        short = 0
        while True:
            link, since = self._places[place], time.monotonic()
            if link is not None:
                await link.leaving.wait()
                self._ended(link.reason)
                short = short + 1 if time.monotonic() - since < _SHORT else 0
                if short > 1:  # it opens, and ends at once
                    await asyncio.sleep(self._delay(short - 1, Retry(link.reason)))
                if link.reason == _TOO_MANY:
                    await link.close()
            self._places[place] = await self._replacement()
            if link is not None:
                self._run(self._retire(link))

    async def _retire(self, link: Link) -> None:
        await link.retire(self._linger)
        self._links.discard(link)

    async def _replacement(self) -> Link:
        """Return an open socket, however often it takes. While one is opened the others stay as they are."""
        async with self._turn:
            while True:
                if self._failures:
                    await asyncio.sleep(self._pause)
                try:
                    return await self._opened()
                except (*CARRIERS, LinkLostError) as problem:
                    self._failed(problem)
                except Exception as problem:  # noqa: BLE001 - a boundary: no defect leaves a place empty
                    self._log.error("slack.socket_defect", exc_info=problem)
                    self._failed(LinkLostError("a defect; the log says which"))

    async def _opened(self) -> Link:
        async with asyncio.timeout(_OPEN_WITHIN):
            ticket = await self._client.apps_connections_open(app_token=self._app_token)
            url = str(ticket.get("url") or "")
            if not SlackHosts(self._client.base_url).opens_sockets(url):
                raise LinkLostError("Slack named no address of a safe socket")
            link = await self._link(url)
        self._links.add(link)
        self._failures, self._said_off, self.trouble = 0, False, ""
        self._log.info("slack.socket_opened")
        return link

    def _ended(self, reason: str) -> None:
        self._note(reason)
        if reason in _REFRESHED:
            self._log.info("slack.socket_refreshed", reason=reason)
        else:
            self._log.warning("slack.socket_lost", reason=reason)

    def _failed(self, problem: Exception) -> None:
        self._failures += 1
        outcome = _meaning(problem)
        self._pause = self._delay(self._failures, outcome)
        self._note(outcome.reason)
        self._log.warning("slack.socket_not_opened", reason=outcome.reason, again_in=round(self._pause, 1))

    def _delay(self, attempts: int, outcome: Retry) -> float:
        return delay(attempts, outcome, self._chance()).total_seconds()

    def _note(self, reason: str) -> None:
        """Remember why there is none; what somebody has to mend is said with how, once."""
        if reason != _SWITCHED_OFF and not self._said_off:
            self.trouble = reason
        elif not self._said_off:  # both sockets are told, and maybe each attempt
            self.trouble, self._said_off = _SWITCH_ON, True
            self._log.error("slack.socket_mode_off", problem=_SWITCH_ON)


def _meaning(problem: Exception) -> Retry:
    """Return what it means that a socket was not to be had: it is tried again in any case."""
    if isinstance(problem, LinkLostError):
        reason = str(problem)
        return Retry(reason, after=_UNHURRIED if reason in (_SWITCHED_OFF, _TOO_MANY) else None)
    if isinstance(problem, aiohttp.WSServerHandshakeError):
        return Retry(f"Slack refused the ticket ({problem.status})")
    outcome = meaning(problem)
    if isinstance(outcome, Retry):
        return outcome
    return Retry(f"Slack refuses SLACK_APP_TOKEN: {code(problem)}", after=_UNHURRIED)


async def _answer(app: Takes, log: Any, envelope: Envelope) -> dict[str, Any] | None:
    """Have an envelope taken, and return what its acknowledgement holds; None when it shall come again."""
    told = {"x-slack-retry-num": "retry_attempt", "x-slack-retry-reason": "retry_reason"}
    headers: dict[str, str | Sequence[str]] = {
        name: str(envelope[key]) for name, key in told.items() if envelope.get(key)
    }
    try:
        arrival = AsyncBoltRequest(mode="socket_mode", body=envelope.get("payload") or {}, headers=headers)
    except Exception:  # noqa: BLE001 - Bolt's reading of what is none of Slack's: to have it again would not help
        return {}
    try:
        answer = await app.async_dispatch(arrival)
    except Exception as problem:  # a boundary: what nobody can take costs no socket
        log.error("arrival.defect", kind=envelope.get("type"), exc_info=problem)
        return {}  # whoever waits for an answer has one, and to have it again would not help
    if answer.status != 200:
        return None
    if not answer.body:
        return {}
    is_json = answer.headers.get("content-type", [""])[0].startswith("application/json")
    return {"payload": json.loads(answer.body) if is_json else {"text": answer.body}}
