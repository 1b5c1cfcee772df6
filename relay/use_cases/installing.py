"""The app is installed in a workspace, gets its next tokens there, or is taken away."""

from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from relay.store.installations import Claim, Installed
from relay.store.transaction import Transaction

STATE_LASTS = timedelta(minutes=10)
_NEVER = datetime.fromtimestamp(0, UTC)


def use_state(tx: Transaction, state: str, made_at: datetime, now: datetime) -> bool:
    """Use up the state of that digest, which was made at `made_at`; return whether it was not used before."""
    return tx.installations.use_state(state, made_at, now - STATE_LASTS)


def install(tx: Transaction, installed: Installed, now: datetime, taken: str) -> list[str]:
    """Keep an installation, and say who made it; what waited for it is due.

    Return the workspaces that an org-wide one serves, as far as they were seen before; not those that were
    `taken` from it for that reason, which are given back one by one.
    """
    tx.installations.keep(installed)
    covers = tx.installations.cover_again(installed.team_id, taken) if installed.is_org else []
    facts = {"enterprise_id": installed.enterprise_id, "is_org": installed.is_org, "scopes": installed.scopes}
    actor = installed.installed_by
    tx.record(installed.team_id, now, "workspace.installed", actor=actor, facts=facts)
    tx.deliveries.hurry_slack([installed.team_id, *covers], now)
    return covers


def cover(tx: Transaction, org: Installed, team_id: str, now: datetime) -> bool:
    """Remember that an org-wide installation serves a workspace; return False where another one does."""
    found = tx.installations.get(team_id)
    if found is not None and found.revoked_at is None:
        return False
    nothing: dict[str, Any] = {"sealed_bot": "", "sealed_refresh": "", "expires_at": None}
    nothing |= {"refresh_begun_at": None, "is_org": False, "name": "", "installed_at": now}
    covered = replace(org, team_id=team_id, covered_by=org.team_id, **nothing)
    tx.installations.keep(covered)
    _note_covered(tx, team_id, org.team_id, now)
    return True


def cover_again(tx: Transaction, team_ids: Collection[str], now: datetime, why: str) -> dict[str, str]:
    """Serve workspaces again that were taken from their organisation's installation for that reason.

    Return who of them is served by now, and by which organisation. Where that has no installation itself
    any more, they wait for one.
    """
    served = {}
    for one in filter(None, map(tx.installations.get, team_ids)):
        org = tx.installations.get(one.covered_by) if one.covered_by else None
        if org is None or org.revoked_at is not None:
            continue
        if one.revoked_why == why:
            tx.installations.restore(one.team_id, why)
            _note_covered(tx, one.team_id, org.team_id, now)
        if one.revoked_why in ("", why):
            served[one.team_id] = org.team_id
    return served


def _note_covered(tx: Transaction, team_id: str, by: str, now: datetime) -> None:
    tx.record(team_id, now, "workspace.covered", facts={"by": by})
    tx.deliveries.hurry_slack([team_id], now)


def uninstall(
    tx: Transaction, team_id: str, now: datetime, why: str, installed_at: datetime | None = None
) -> list[str] | None:
    """Revoke an installation and those it covers; return the workspaces that were served by it.

    None: it is another one by now than the one made at `installed_at`. What waits for their Slack is due
    at once, and fails with that reason where it is taken out.
    """
    found = tx.installations.get(team_id)
    if found is not None and installed_at not in (None, found.installed_at):
        return None
    teams = [team_id, *tx.installations.covered_by(team_id)]
    gone = tx.installations.revoke(teams, now, why)
    for one in gone:
        tx.record(one, now, "workspace.uninstalled", facts={"why": why})
    if gone:
        tx.deliveries.hurry_slack(gone, now)
    return gone


def begin_refresh(
    tx: Transaction, team_id: str, sealed_refresh: str, who: str, now: datetime, stale: datetime
) -> bool:
    """Claim the one refresh of a refresh token for a relay; return whether it is this one's to ask.

    A claim of before `stale` is taken over, where who made it is gone: one that lives may have the next
    tokens already, and be about to store them.
    """
    before = tx.installations.refresh_begun_by(team_id)
    if before not in ("", who) and tx.leases.is_alive(before, now):
        stale = _NEVER
    return tx.installations.begin_refresh(team_id, sealed_refresh, now, stale, who)


def keep_refreshed(
    tx: Transaction,
    team_id: str,
    claim: Claim,
    sealed: Collection[str],
    expires_at: datetime | None,
    now: datetime,
) -> bool:
    """Keep the next tokens in the place of those that were claimed; return whether these were there."""
    bot, refresh = sealed
    kept = tx.installations.refreshed(team_id, claim, bot, refresh, expires_at)
    if kept:
        expires = expires_at.isoformat() if expires_at else ""
        tx.record(team_id, now, "workspace.tokens_rotated", facts={"expires_at": expires})
    return kept


def record_refused_refresh(tx: Transaction, team_id: str, error: str, now: datetime) -> None:
    """Put on the record that Slack gave no next tokens for the ones there are."""
    tx.record(team_id, now, "workspace.refresh_refused", facts={"error": error})
