"""The roll of the workspaces that are served: in memory, so that no arrival waits for the store to be read.

Nominal flow:   read from the store at start, and changed with it
Others change:  their commit tells so ─▶ what changed is read ─▶ served, or served no longer, here as well
Not heard yet:  who is not known is looked for in the store before anybody is refused
Commit in doubt: the store is read as after a change of others'; what it has counts
"""

import asyncio
import math
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from relay.domain.installations import Installation
from relay.slack.installing.seal import SealError, TokenSeal
from relay.store import DoubtError, Store, StoreError
from relay.store.installations import Installed
from relay.use_cases import installing

ACCESS_REVOKED = "team_access_revoked"
_PAUSE = 1.0  # seconds, where the store does not answer
_UNOPENED = "no key of RELAY_TOKEN_KEYS opens what another relay stored: give this one the same keys"


@dataclass
class Held:
    """An installation that is served, with its present tokens, until it is `gone`: then that says why.

    `sealed_refresh` is what the store knows its refresh token by, `came_for` the one that its tokens came
    for; `trouble` is why there are no next ones.
    """

    installation: Installation
    sealed_refresh: str
    came_for: str = field(default="", repr=False)
    gone: str = ""
    trouble: str = ""
    begun_at: datetime | None = None  # a refresh that nobody recorded the end of

    @property
    def expires_at(self) -> datetime | None:
        return self.installation.expires_at


class Roll:
    """Knows by which installation a workspace is served, and whose are no longer."""

    def __init__(self, store: Store, seal: TokenSeal, clock: Callable[[], datetime], log: Any) -> None:
        # Told of the workspaces that are served no longer, or from now on by another installation.
        self.on_change: Callable[[Collection[str]], None] = lambda _: None
        self._store = store
        self._seal = seal
        self._clock = clock
        self._log = log
        self._held: dict[str, Held] = {}
        self._covered: dict[str, str] = {}
        self._gone: dict[str, str] = {}
        self._unopened: set[str] = set()
        self._mark = ""  # of the last change that was read, and what was read with it
        self._rows: dict[str, Installed] = {}  # of those that nothing was done about here since
        self._changing = asyncio.Lock()
        self._told = asyncio.Event()

    @property
    def held(self) -> list[Held]:
        """Everything that is served."""
        return list(self._held.values())

    @property
    def troubles(self) -> dict[str, str]:
        """What is wrong with an installation, by whose it is."""
        troubled = {one.installation.team_id: one.trouble for one in self.held if one.trouble}
        return troubled | dict.fromkeys(self._unopened, _UNOPENED)

    async def load(self) -> None:
        """Read the store, and seal with the first key what another sealed. Raises SealError, StoreError."""
        self._store.on_served = self._told.set
        self._mark, rows = await self._store.transact(lambda tx: tx.installations.since(None))
        self._rows = {row.team_id: row for row in rows}
        unopened = [row.team_id for row in rows if not self._take(row)]
        if unopened:
            raise SealError(", ".join(unopened))
        for row in rows:
            if row.sealed_bot and not self._seal.is_by_first_key(row.sealed_bot):
                await self._reseal(row)

    def _take(self, row: Installed) -> bool:
        """Take what the store holds of a workspace; return whether its tokens can be opened."""
        if row.revoked_at is not None:
            self._gone[row.team_id] = row.revoked_why
        elif row.covered_by is not None:
            self._covered[row.team_id] = row.covered_by
        else:
            try:
                installation = self._opened(row)
            except SealError:
                return False
            self._held[row.team_id] = Held(installation, row.sealed_refresh, begun_at=row.refresh_begun_at)
        return True

    def _opened(self, row: Installed) -> Installation:
        return Installation(
            team_id=row.team_id,
            enterprise_id=row.enterprise_id,
            is_org=row.is_org,
            name=row.name,
            bot_user_id=row.bot_user_id,
            bot_id=row.bot_id,
            scopes=row.scopes,
            installed_by=row.installed_by,
            installed_at=row.installed_at,
            bot_token=self._seal.open(row.team_id, row.sealed_bot),
            refresh_token=self._seal.open(row.team_id, row.sealed_refresh),
            expires_at=row.expires_at,
        )

    async def _reseal(self, row: Installed) -> None:
        held = self._held[row.team_id]
        bot, refresh = self.sealed(held.installation)
        resealed = await self._store.transact(
            lambda tx: tx.installations.reseal(row.team_id, row.sealed_bot, bot, refresh)
        )
        if not resealed:  # another relay has
            return
        held.sealed_refresh = refresh
        self._log.info("workspace.resealed", team_id=row.team_id)

    def sealed(self, installation: Installation) -> tuple[str, str]:
        """Return the tokens of an installation as the store keeps them."""
        team_id = installation.team_id
        return (
            self._seal.seal(team_id, installation.bot_token),
            self._seal.seal(team_id, installation.refresh_token),
        )

    def installed_by(self, team_id: str) -> Held | None:
        """Return the installation that a workspace or organisation itself made."""
        return self._held.get(team_id)

    def find(self, team_id: str) -> Held | None:
        """Return what serves a workspace that was heard of before."""
        found = self._held.get(team_id) or self._held.get(self._covered.get(team_id, ""))
        return None if found is None or found.gone else found

    def gone(self, team_id: str) -> str | None:
        """Return why a workspace is served no longer; None: it never was, as far as is known."""
        held = self._held.get(team_id) or self._held.get(self._covered.get(team_id, ""))
        return held.gone if held is not None else self._gone.get(team_id)

    async def follow(self) -> None:
        """Take up what other relays change as soon as they tell of it, until cancelled."""
        while True:
            await self._told.wait()
            self._told.clear()
            try:
                await self.hear()
            except StoreError:  # /readyz says so
                self._told.set()
                await asyncio.sleep(_PAUSE)

    async def hear(self) -> None:
        """Take up what other relays changed since it was read. Raises StoreError.

        A store in a file has no others.
        """
        if self._store.is_shared:
            async with self._changing:
                await self._hear()

    async def _hear(self) -> None:
        mark = self._mark
        last, rows = await self._store.transact(lambda tx: tx.installations.since(mark))
        new = [row for row in rows if row != self._rows.get(row.team_id)]
        changed = [one for row in new for one in self._heard(row)]
        self._mark = last
        self._rows |= {row.team_id: row for row in new}
        if changed:
            self.on_change(changed)

    def _heard(self, row: Installed) -> Collection[str]:
        """Take up a row as it is now; return the workspaces that are served otherwise by that."""
        if row.revoked_at is not None:
            return self._heard_gone(row.team_id, row.revoked_why)
        if row.covered_by is not None:
            return self._heard_covered(row.team_id, row.covered_by)
        try:
            installation = self._opened(row)
        except SealError:
            self._unopened.add(row.team_id)
            self._log.error("workspace.not_opened", team_id=row.team_id, problem=_UNOPENED)
            return ()
        self._unopened.discard(row.team_id)
        held = self._held.get(row.team_id)
        if held is not None and held.installation.installed_at == installation.installed_at:
            self._take_tokens(held, installation, row)
            return ()
        self._log.info("workspace.installed", team_id=row.team_id, is_org=row.is_org, elsewhere=True)
        self._put(installation, row.sealed_refresh).begun_at = row.refresh_begun_at
        return (row.team_id, *self._covered_by(row.team_id))

    def _heard_gone(self, team_id: str, why: str) -> Collection[str]:
        held, covered = self._held.pop(team_id, None), self._covered.pop(team_id, None)
        self._gone[team_id] = why
        self._unopened.discard(team_id)
        if held is None and covered is None:
            return ()
        if held is not None:
            held.gone = why
        self._log.warning("workspace.uninstalled", team_id=team_id, why=why, elsewhere=True)
        return (team_id, *self._covered_by(team_id))

    def _heard_covered(self, team_id: str, by: str) -> Collection[str]:
        held = self._held.pop(team_id, None)  # it had one of its own
        if held is not None:
            held.gone = held.gone or "covered"
        if held is None and self._covered.get(team_id) == by:
            return ()
        self._cover(team_id, by)
        return (team_id,)

    @staticmethod
    def _take_tokens(held: Held, installation: Installation, row: Installed) -> None:
        """Take the tokens that another relay stored; not those that the ones held here came for."""
        if held.came_for and installation.refresh_token == held.came_for:
            return
        if installation != held.installation:
            held.came_for = held.installation.refresh_token
            held.installation, held.trouble = installation, ""
        held.sealed_refresh, held.begun_at = row.sealed_refresh, row.refresh_begun_at

    def _covered_by(self, org: str) -> list[str]:
        return [team_id for team_id, by in self._covered.items() if by == org]

    async def served(self, team_id: str, enterprise_id: str | None) -> Held | None:
        """Return what serves a workspace that Slack says belongs to an organisation. Raises StoreError."""
        if self.find(team_id) is None:
            await self.hear()
        async with self._changing:
            found, org = self.find(team_id), self._held.get(enterprise_id or "")
            if found is not None or org is None or org.gone or not org.installation.is_org:
                return found
            if not team_id.startswith("T") or self._gone.get(team_id) == ACCESS_REVOKED:
                return None
            now = self._clock()
            row = self._row(org.installation, *self.sealed(org.installation))
            if await self._store.transact(lambda tx: installing.cover(tx, row, team_id, now)):
                self._cover(team_id, org.installation.team_id)
            else:  # another relay was faster
                await self._hear()
            return self.find(team_id)

    def _cover(self, team_id: str, by: str) -> None:
        self._rows.pop(team_id, None)
        self._covered[team_id] = by
        self._gone.pop(team_id, None)
        self._log.info("workspace.covered", team_id=team_id, by=by)

    async def install(self, installation: Installation) -> None:
        """Keep an installation and serve it from now on. Raises StoreError.

        DoubtError says that it may be kept: then it is served as soon as the store can be asked.
        """
        async with self._changing:
            bot, refresh = self.sealed(installation)
            row, now = self._row(installation, bot, refresh), self._clock()
            try:
                work = partial(installing.install, installed=row, now=now, taken=ACCESS_REVOKED)
                covers = await self._store.transact(work)
            except DoubtError as doubt:
                await self._find_out(installation, doubt)
            else:
                self._serve(installation, refresh, covers)
        self._log.info("workspace.installed", team_id=installation.team_id, is_org=installation.is_org)

    async def _find_out(self, installation: Installation, doubt: DoubtError) -> None:
        try:
            await self._hear()
        except StoreError:
            raise doubt from None
        held = self._held.get(installation.team_id)
        if held is None or held.installation != installation:
            raise StoreError("the database was lost before it had kept this") from doubt

    def _serve(self, installation: Installation, refresh: str, covers: Collection[str]) -> None:
        team_id = installation.team_id
        self._put(installation, refresh)
        self._covered |= dict.fromkeys(covers, team_id)
        for one in covers:
            self._rows.pop(one, None)
            self._gone.pop(one, None)
        self.on_change((team_id, *covers))

    def _put(self, installation: Installation, refresh: str) -> Held:
        team_id = installation.team_id
        self._rows.pop(team_id, None)
        # In the place of the former one, so that what is under way there goes on with the new token.
        held = self._held.setdefault(team_id, Held(installation, refresh))
        held.installation, held.sealed_refresh, held.came_for = installation, refresh, ""
        held.gone, held.trouble, held.begun_at = "", "", None
        self._covered.pop(team_id, None)
        self._gone.pop(team_id, None)
        self._unopened.discard(team_id)
        return held

    def _row(self, one: Installation, bot: str, refresh: str) -> Installed:
        return Installed(
            team_id=one.team_id,
            enterprise_id=one.enterprise_id,
            is_org=one.is_org,
            covered_by=None,
            name=one.name,
            bot_user_id=one.bot_user_id,
            bot_id=one.bot_id,
            scopes=one.scopes,
            installed_by=one.installed_by,
            installed_at=one.installed_at,
            sealed_bot=bot,
            sealed_refresh=refresh,
            expires_at=one.expires_at,
        )

    async def uninstall(self, held: Held, why: str, told_at: float = math.inf) -> None:
        """Serve an installation no longer: at once, and for ever when it is stored. Raises StoreError.

        One that another relay has made in its place meanwhile is served, from now on here as well. What
        Slack tells of a time before it was made (`told_at`, seconds since 1970) was of a former one.
        """
        team_id = held.installation.team_id
        async with self._changing:
            if self._held.get(team_id) is not held or told_at < _began(held):
                return
            held.gone = why  # from here on nothing is called with its token, whatever the store says
            self.on_change([team_id, *self._covered_by(team_id)])
            work = partial(installing.uninstall, team_id=team_id, now=self._clock(), why=why)
            made_at = held.installation.installed_at
            gone = await self._store.transact(partial(work, installed_at=made_at))
            if gone is None:
                held.gone = ""
                await self._hear()
                return
            del self._held[team_id]
            for one in (team_id, *gone):
                self._rows.pop(one, None)
                self._covered.pop(one, None)
                self._gone[one] = why
        self._log.warning("workspace.uninstalled", team_id=team_id, why=why)

    async def uncover(self, team_ids: Iterable[str], why: str) -> None:
        """Serve workspaces no longer that an organisation took the app from. Raises StoreError."""
        async with self._changing:
            for team_id in team_ids:
                if team_id not in self._covered:
                    continue
                work = partial(installing.uninstall, team_id=team_id, now=self._clock(), why=why)
                await self._store.transact(work)
                self._rows.pop(team_id, None)
                del self._covered[team_id]
                self._gone[team_id] = why
                self.on_change([team_id])
                self._log.warning("workspace.uninstalled", team_id=team_id, why=why)

    async def cover_again(self, team_ids: Collection[str]) -> None:
        """Serve workspaces again that an organisation gives the app back to. Raises StoreError."""
        async with self._changing:
            now = self._clock()
            again = await self._store.transact(
                lambda tx: installing.cover_again(tx, team_ids, now, ACCESS_REVOKED)
            )
            for team_id, by in again.items():
                if self._covered.get(team_id) != by:
                    self._cover(team_id, by)


def _began(held: Held) -> float:
    """Return when an installation began, in Slack's whole seconds."""
    return held.installation.installed_at.timestamp() // 1 - 1
