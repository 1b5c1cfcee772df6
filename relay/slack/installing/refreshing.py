"""Gets the next tokens before the present ones expire: a refresh token is good once, so one asks at a time.

Nominal flow:   claim in the store ─▶ ask Slack ─▶ store the next tokens ─▶ use them
Store refuses:  the next tokens are used, and stored when the store takes writes again
Others ask:     of several relays on one store the claim is one's; the others wait for what it stores, and
                take it over only when that relay is gone
Crash between:  the refresh token is used up and what came for it is lost. The claim is still there, and says
                so at the next start; the bot token goes on to work until it expires, which is told, with
                what to do: install again. Nothing else is lost by that.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from slack_sdk.errors import SlackApiError

from relay.slack.installing.oauth import NextTokens, NoInstallationError, OAuth
from relay.slack.installing.roll import Held, Roll
from relay.slack.verdicts import CARRIERS, code, passing
from relay.store import Store, StoreError, Transaction
from relay.store.installations import Claim
from relay.use_cases import installing

_AHEAD = timedelta(hours=2)  # of the twelve that a bot token lasts
_PAUSE = timedelta(minutes=5)  # after an attempt that brought nothing
_LONG_PAUSE = timedelta(hours=1)  # after a refusal, which nobody but a person mends
_STALE = timedelta(minutes=1)  # a claim that is older than any answer takes; of a former run, each is
_EVERY = 30.0
_SAVE_EVERY = 1.0  # where there is something that the store did not take yet
_ASKED_WITHIN = timedelta(seconds=20)  # of a claim: later another relay may have taken it over
_AWAITED = 8.0  # seconds, of what another relay asks for
_LOOK_EVERY = 0.2
_NOT_GIVEN = "the store lets nobody here ask for the next tokens: if no other relay does, start relay anew"


@dataclass(frozen=True)
class _Unsaved:
    """Next tokens that are used and not stored yet, by their refresh token."""

    held: Held
    claim: Claim
    token: str = field(repr=False)


class Refreshing:
    """Refreshes the tokens of every installation that has expiring ones."""

    def __init__(
        self,
        store: Store,
        roll: Roll,
        oauth: OAuth,
        clock: Callable[[], datetime],
        log: Any,
        every: float = _EVERY,
    ) -> None:
        self._store = store
        self._roll = roll
        self._oauth = oauth
        self._clock = clock
        self._log = log
        self._every = every
        self._began = clock()
        self._locks: dict[str, asyncio.Lock] = {}
        self._not_before: dict[str, datetime] = {}
        self._not_claimed: dict[str, datetime] = {}  # since when nobody was given the claim here
        self._unsaved: dict[str, _Unsaved] = {}
        self._under_way: set[asyncio.Task[bool]] = set()

    async def run(self) -> None:
        """Refresh until cancelled."""
        while True:
            await self.look()
            await self._rest()

    async def _rest(self) -> None:
        ends = asyncio.get_running_loop().time() + self._every
        while (left := ends - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(min(left, _SAVE_EVERY))
            await self._save_all()

    async def look(self) -> None:
        """Store what was not stored yet, and refresh what expires soon. Raises nothing."""
        await self._save_all()
        await self._hear()
        soon = self._clock() + _AHEAD
        for held in self._roll.held:
            if held.expires_at is not None and held.expires_at <= soon:
                await self.renew(held, held.installation.bot_token, waits=False)

    async def _save_all(self) -> None:
        for unsaved in list(self._unsaved.values()):
            await self._save(unsaved)

    async def _hear(self) -> None:
        with contextlib.suppress(StoreError):  # then it goes by what it knows; the claim tells
            await self._roll.hear()

    async def renew(self, held: Held, used: str, *, waits: bool = True) -> bool:
        """Get the next tokens in the place of `used`, once, whoever asks; return whether there are such.

        Without `waits` nobody waits for those that another relay asks for.
        """
        team_id = held.installation.team_id
        async with self._locks.setdefault(team_id, asyncio.Lock()):
            if held.gone:
                return False
            if held.installation.bot_token != used:
                return True
            rests = self._not_before.get(team_id)
            if not held.installation.refresh_token or (rests is not None and self._clock() < rests):
                return False
            # An exchange that has begun is ended and stored, whoever stops waiting for it.
            refreshing = asyncio.create_task(self._refreshed(held, waits=waits))
            self._under_way.add(refreshing)
            refreshing.add_done_callback(self._under_way.discard)
            return await asyncio.shield(refreshing)

    async def finish(self, seconds: float) -> None:
        """Wait up to `seconds` for what was asked of Slack to be stored."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=seconds)

    async def _refreshed(self, held: Held, *, waits: bool) -> bool:
        team_id, used = held.installation.team_id, held.installation.refresh_token
        await self._save_all()
        if held.gone or held.installation.refresh_token != used:  # others came meanwhile, and are as good
            return not held.gone
        if team_id in self._unsaved:  # those that others hear of come first
            return False
        now = self._clock()
        claim = Claim(held.sealed_refresh, now)
        self._not_before[team_id] = now + _PAUSE
        try:
            claimed = await self._store.transact(partial(self._claimed, team_id=team_id, claim=claim))
        except StoreError as problem:
            self._log.error("workspace.refresh_not_begun", team_id=team_id, reason=str(problem))
            return False
        if not claimed:
            return await self._others(held, used, waits=waits)
        self._not_claimed.pop(team_id, None)
        if self._clock() - now > _ASKED_WITHIN:  # stopped in its tracks, or the store was
            await self._give_back(team_id, claim)
            self._not_before.pop(team_id, None)
            return False
        following = await self._following(held, used, claim)
        if following is not None and held.installation.refresh_token == used:
            await self._take(held, following, claim)
        return held.installation.refresh_token != used  # perhaps since it was installed again meanwhile

    def _claimed(self, tx: Transaction, team_id: str, claim: Claim) -> bool:
        now = claim.begun_at
        # A store that others share may have been claimed by one that began before this one, and lives.
        stale = now - _STALE if self._store.is_shared else max(now - _STALE, self._began)
        return installing.begin_refresh(tx, team_id, claim.sealed_refresh, self._store.writer, now, stale)

    async def _others(self, held: Held, used: str, *, waits: bool) -> bool:
        """Take the tokens that another relay asks for, or has stored; return whether there are such."""
        ends = asyncio.get_running_loop().time() + (_AWAITED if waits and self._store.is_shared else 0.0)
        while True:
            await self._hear()
            if held.gone or held.installation.refresh_token != used:
                self._not_before.pop(held.installation.team_id, None)
                self._not_claimed.pop(held.installation.team_id, None)
                return not held.gone
            if asyncio.get_running_loop().time() >= ends:
                break
            await asyncio.sleep(_LOOK_EVERY)
        if not waits:  # whoever needs them sooner waits
            self._not_before.pop(held.installation.team_id, None)
        self._note_not_claimed(held.installation.team_id)
        return False

    def _note_not_claimed(self, team_id: str) -> None:
        """Say in the log, once in a while, that a claim is not given for longer than an answer takes."""
        now = self._clock()
        if now - self._not_claimed.setdefault(team_id, now) >= _STALE:
            self._not_claimed[team_id] = now
            self._log.error("workspace.refresh_not_claimed", team_id=team_id, problem=_NOT_GIVEN)

    async def _following(self, held: Held, used: str, claim: Claim) -> NextTokens | None:
        """Return what Slack gives for the refresh token, or None and what is to be said of that."""
        team_id = held.installation.team_id
        try:
            return await self._oauth.refresh(used)
        except SlackApiError as problem:
            if not passing(problem):
                await self._refused(held, used, code(problem))
                return None
            self._log.warning("workspace.not_refreshed", team_id=team_id, reason=code(problem))
            if code(problem) in ("ratelimited", "rate_limited"):
                await self._give_back(team_id, claim)
        except NoInstallationError as problem:
            await self._refused(held, used, str(problem))
        except CARRIERS as problem:
            # It may be used up: the next attempt tells.
            self._log.warning("workspace.not_refreshed", team_id=team_id, reason=type(problem).__name__)
        return None

    async def _refused(self, held: Held, used: str, error: str) -> None:
        """Say, in the log and on the record, that somebody has to install the app again, and until when."""
        team_id, now = held.installation.team_id, self._clock()
        await self._hear()
        if held.gone or held.installation.refresh_token != used:  # another relay has the next ones
            return
        until = f"{held.expires_at:%Y-%m-%d %H:%M} UTC" if held.expires_at else ""
        begun = f"; a refresh begun at {held.begun_at:%H:%M:%S} UTC was never stored" if held.begun_at else ""
        self._not_before[team_id] = now + _LONG_PAUSE
        trouble = f"Slack gives no next token ({error}){begun}: install the app again before {until}"
        if held.trouble:
            return
        held.trouble = trouble
        self._log.error("workspace.refresh_refused", team_id=team_id, error=error, problem=trouble)
        try:
            await self._store.transact(lambda tx: installing.record_refused_refresh(tx, team_id, error, now))
        except StoreError as problem:
            self._log.error("workspace.refusal_not_recorded", team_id=team_id, reason=str(problem))

    async def _take(self, held: Held, following: NextTokens, claim: Claim) -> None:
        held.came_for = held.installation.refresh_token
        held.installation = replace(
            held.installation,
            bot_token=following.bot_token,
            refresh_token=following.refresh_token,
            expires_at=following.expires_at,
        )
        held.trouble, held.begun_at = "", None
        self._not_before.pop(held.installation.team_id, None)
        await self._save(_Unsaved(held, claim, following.refresh_token))

    async def _save(self, unsaved: _Unsaved) -> None:
        """Store the present tokens in the place of those that the store has; later, if it takes nothing."""
        held, installation, now = unsaved.held, unsaved.held.installation, self._clock()
        team_id = installation.team_id
        if installation.refresh_token != unsaved.token:  # installed again meanwhile
            self._unsaved.pop(team_id, None)
            return
        sealed, is_new = self._roll.sealed(installation), team_id not in self._unsaved
        self._unsaved[team_id] = unsaved
        try:
            kept = await self._store.transact(
                lambda tx: installing.keep_refreshed(
                    tx, team_id, unsaved.claim, sealed, installation.expires_at, now
                )
            )
        except StoreError as problem:
            if is_new:
                self._log.error("workspace.tokens_not_stored", team_id=team_id, reason=str(problem))
            return
        self._unsaved.pop(team_id, None)
        if not kept:  # what the store has in their place counts
            await self._hear()
            return
        if held.installation.refresh_token == unsaved.token:
            held.sealed_refresh = sealed[1]
        self._log.info("workspace.tokens_rotated", team_id=team_id)

    async def _give_back(self, team_id: str, claim: Claim) -> None:
        try:
            await self._store.transact(lambda tx: tx.installations.give_up_refresh(team_id, claim.begun_at))
        except StoreError as problem:
            self._log.error("workspace.claim_not_given_back", team_id=team_id, reason=str(problem))
