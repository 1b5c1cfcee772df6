"""Which workspaces have installed the app, with their tokens sealed; and the states that installs used up.

Nothing here can open a seal: the keys are no part of the store. Each change leaves a mark, by which other
relays on the same store see that there was one.
"""

import secrets
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update

from relay.store.dialects import upsert
from relay.store.tables import install_states as s
from relay.store.tables import installations as t
from relay.store.tables import settings

_ALL = select(t).order_by(t.c.team_id)
_GET = select(t).where(t.c.team_id == bindparam("team"))
_PUT = upsert(t)
_KEEP = _PUT.on_conflict_do_update(
    index_elements=["team_id"],
    set_={column.name: _PUT.excluded[column.name] for column in t.c if not column.primary_key},
)

_SET = upsert(settings)
_WRITE = _SET.on_conflict_do_update(index_elements=["name"], set_={"value": _SET.excluded.value})
_READ = select(settings.c.value).where(settings.c.name == bindparam("which"))
_CHANGED = "installations_changed"
_BY = "refresh_begun_by/"


@dataclass(frozen=True)
class Installed:
    """An installation as it is kept: `sealed_bot` and `sealed_refresh` are no tokens.

    One that is `covered_by` an organisation has none of its own. `refresh_begun_at` is set while Slack is
    asked for the next tokens, and stays set when nobody recorded how that ended.
    """

    team_id: str
    enterprise_id: str | None
    is_org: bool
    covered_by: str | None
    name: str
    bot_user_id: str
    bot_id: str
    scopes: str
    installed_by: str
    installed_at: datetime
    sealed_bot: str = field(repr=False)
    sealed_refresh: str = field(repr=False)
    expires_at: datetime | None = None
    refresh_begun_at: datetime | None = None
    revoked_at: datetime | None = None
    revoked_why: str = ""


@dataclass(frozen=True)
class Claim:
    """The refresh of a refresh token, as the store knows that, and since when it is under way."""

    sealed_refresh: str = field(repr=False)
    begun_at: datetime


class Installations:
    """Reads and writes installations within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.changed = False

    def _mark(self) -> None:
        if not self.changed:
            self.changed = True
            self._connection.execute(_WRITE, {"name": _CHANGED, "value": secrets.token_hex(8)})

    def _setting(self, name: str) -> str:
        return str(self._connection.execute(_READ, {"which": name}).scalar() or "")

    def keep(self, installed: Installed) -> None:
        """Keep an installation in the place of the workspace's former one, revoked or not."""
        self._connection.execute(_KEEP, vars(installed))
        self._mark()

    def all(self) -> list[Installed]:
        """Return every installation there is or was, the revoked ones without tokens."""
        return [_read(row) for row in self._connection.execute(_ALL)]

    def since(self, mark: str | None) -> tuple[str, list[Installed]]:
        """Return the mark of the last change, and `all`; nothing of it where that is the mark given."""
        last = self._setting(_CHANGED)
        return last, [] if last == mark else self.all()

    def get(self, team_id: str) -> Installed | None:
        """Return the installation of a workspace or organisation, revoked or not."""
        row = self._connection.execute(_GET, {"team": team_id}).first()
        return None if row is None else _read(row)

    def revoke(self, team_ids: Collection[str], now: datetime, why: str) -> list[str]:
        """Revoke the installations that are not, forget their tokens, and return whose they were."""
        live = (t.c.team_id.in_(team_ids), t.c.revoked_at.is_(None))
        found = list(self._connection.execute(select(t.c.team_id).where(*live)).scalars())
        gone = {"revoked_at": now, "revoked_why": why, "sealed_bot": "", "sealed_refresh": ""}
        self._connection.execute(update(t).where(*live).values(refresh_begun_at=None, **gone))
        if found:
            self._mark()
        return found

    def covered_by(self, enterprise_id: str) -> list[str]:
        """Return the workspaces that an org-wide installation serves, as far as they were seen."""
        query = select(t.c.team_id).where(t.c.covered_by == enterprise_id)
        return list(self._connection.execute(query).scalars())

    def cover_again(self, enterprise_id: str, taken: str) -> list[str]:
        """Let an org-wide installation serve again what it served before; return those workspaces.

        Those that were `taken` from it for that reason stay so.
        """
        theirs = (t.c.covered_by == enterprise_id, t.c.revoked_why != taken)
        again = update(t).where(*theirs).values(revoked_at=None, revoked_why="").returning(t.c.team_id)
        self._mark()
        return list(self._connection.execute(again).scalars())

    def restore(self, team_id: str, why: str) -> None:
        """Let an org-wide installation serve a workspace again that was taken from it for that reason."""
        lost = (t.c.team_id == team_id, t.c.covered_by.is_not(None), t.c.revoked_why == why)
        self._connection.execute(update(t).where(*lost).values(revoked_at=None, revoked_why=""))
        self._mark()

    def begin_refresh(
        self, team_id: str, sealed_refresh: str, now: datetime, stale: datetime, who: str = ""
    ) -> bool:
        """Claim the one refresh of a refresh token; return whether nobody else has, at `stale` or later."""
        free = t.c.refresh_begun_at.is_(None) | (t.c.refresh_begun_at < stale)
        live = (t.c.team_id == team_id, t.c.sealed_refresh == sealed_refresh, t.c.revoked_at.is_(None))
        claimed = update(t).where(*live, free).values(refresh_begun_at=now)
        if self._connection.execute(claimed).rowcount != 1:
            return False
        if who:
            self._connection.execute(_WRITE, {"name": _BY + team_id, "value": who})
        return True

    def refresh_begun_by(self, team_id: str) -> str:
        """Return which relay claimed a refresh last; empty: none that has others beside it."""
        return self._setting(_BY + team_id)

    def give_up_refresh(self, team_id: str, begun_at: datetime) -> None:
        """Give the claim of that moment back: the refresh token was surely not used."""
        ours = (t.c.team_id == team_id, t.c.refresh_begun_at == begun_at)
        self._connection.execute(update(t).where(*ours).values(refresh_begun_at=None))

    def refreshed(
        self,
        team_id: str,
        claim: Claim,
        bot: str,
        refresh: str,
        expires_at: datetime | None,
    ) -> bool:
        """Keep the next tokens in the place of those that were claimed; False: these are not there."""
        # Sealed anew meanwhile they are the same; claimed anew, by who took the first for dead, as well.
        same = (t.c.sealed_refresh == claim.sealed_refresh) | (t.c.refresh_begun_at == claim.begun_at)
        kept = {"sealed_bot": bot, "sealed_refresh": refresh, "expires_at": expires_at}
        changed = update(t).where(t.c.team_id == team_id, t.c.revoked_at.is_(None), same)
        if self._connection.execute(changed.values(refresh_begun_at=None, **kept)).rowcount != 1:
            return False
        self._mark()
        return True

    def reseal(self, team_id: str, sealed_bot: str, bot: str, refresh: str) -> bool:
        """Keep the same tokens, sealed with another key; return whether they were still those."""
        same = (t.c.team_id == team_id, t.c.sealed_bot == sealed_bot, t.c.revoked_at.is_(None))
        changed = update(t).where(*same).values(sealed_bot=bot, sealed_refresh=refresh)
        if self._connection.execute(changed).rowcount != 1:
            return False
        self._mark()
        return True

    def is_state_used(self, state: str) -> bool:
        """Return whether an install has used up the state of that digest."""
        return self._connection.execute(select(s.c.state).where(s.c.state == state)).first() is not None

    def use_state(self, state: str, made_at: datetime, since: datetime) -> bool:
        """Use up a state; return whether none had. Those made by `since`, good no more, are forgotten."""
        self._connection.execute(delete(s).where(s.c.created_at <= since))
        if self.is_state_used(state):
            return False
        self._connection.execute(insert(s).values(state=state, created_at=made_at))
        return True


def _read(row: Row[Any]) -> Installed:
    return Installed(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for a row as a mapping
