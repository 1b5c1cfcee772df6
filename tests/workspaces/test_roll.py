"""Who is served by an organisation's installation, while that one is taken away or given back."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from relay.domain.installations import Installation
from relay.slack.installing.departures import depart
from relay.store import DoubtError, StoreError
from tests.workspaces.building import ALPHA, BETA, ORG
from tests.workspaces.installs import Front, front


@pytest.fixture
async def org(tmp_path: Path) -> AsyncIterator[Front]:
    """A roll with one organisation on it, that serves one of its workspaces."""
    async with front(tmp_path) as made:
        await made.roll.install(
            Installation(
                ORG, ORG, True, "Org", "U0RELAY", "B0RELAY", "", "U0APPROVER", made.now(), "xoxb-org"
            )
        )
        assert await made.roll.served(ALPHA, ORG) is not None
        yield made


def told(kind: str, **event: Any) -> dict[str, Any]:
    """Return what Slack tells of it."""
    return {"type": "event_callback", "event": {"type": kind, **event}, "event_time": int(time.time())}


async def live(org: Front) -> set[str]:
    """Return whom the store holds as served."""
    rows = await org.store.transact(lambda tx: tx.installations.all())
    return {row.team_id for row in rows if row.revoked_at is None}


async def test_an_arrival_while_the_organisation_takes_the_app_away_covers_nobody(org: Front) -> None:
    held = org.roll.installed_by(ORG)
    assert held is not None
    gone = asyncio.create_task(org.roll.uninstall(held, "app_uninstalled"))
    await asyncio.sleep(0)  # which has begun by then, and waits for the store
    assert held.gone
    assert await org.roll.served(BETA, ORG) is None
    await gone
    assert await live(org) == set()
    assert org.logged[-1] == "workspace.uninstalled"


async def test_an_arrival_after_an_uninstall_that_the_store_did_not_take_covers_nobody(org: Front) -> None:
    held = org.roll.installed_by(ORG)
    assert held is not None
    org.store.is_away = True
    with pytest.raises(StoreError):
        await org.roll.uninstall(held, "app_uninstalled")
    org.store.is_away = False
    for team_id in (ALPHA, BETA):
        assert await org.roll.served(team_id, ORG) is None
    assert await live(org) == {ORG, ALPHA}
    await depart(org.roll, ORG, told("app_uninstalled"))  # Slack brings it again
    assert await live(org) == set()


async def test_an_arrival_while_a_workspace_installs_it_itself_leaves_it_the_tokens_of_its_own(
    org: Front,
) -> None:
    own = Installation(
        BETA, ORG, False, "Beta", "U0RELAY", "B0RELAY", "", "U0APPROVER", org.now(), "xoxb-own"
    )
    _, found = await asyncio.gather(org.roll.install(own), org.roll.served(BETA, ORG))
    assert found is not None
    assert found.installation == own
    row = await org.store.transact(lambda tx: tx.installations.get(BETA))
    assert row is not None
    assert row.covered_by is None


async def test_what_is_given_back_is_given_back_in_the_store(org: Front) -> None:
    await depart(org.roll, ORG, told("team_access_revoked", team_ids=[ALPHA]))
    assert await live(org) == {ORG}
    await depart(org.roll, ORG, told("team_access_granted", team_ids=[ALPHA, "T0NEVERHEARDOF"]))
    assert await live(org) == {ORG, ALPHA}
    assert org.roll.find(ALPHA) is org.roll.installed_by(ORG)
    actions = await org.store.transact(lambda tx: [one.action for _, one in tx.audit.page(0, 20)])
    assert actions[-2:] == ["workspace.uninstalled", "workspace.covered"]


async def test_what_was_taken_from_an_organisation_stays_so_when_it_installs_the_app_again(
    org: Front,
) -> None:
    await depart(org.roll, ORG, told("team_access_revoked", team_ids=[ALPHA]))
    held = org.roll.installed_by(ORG)
    assert held is not None
    await org.roll.install(held.installation)
    assert await live(org) == {ORG}
    assert org.roll.find(ALPHA) is None
    assert org.roll.gone(ALPHA) == "team_access_revoked"


async def test_what_is_given_back_twice_since_the_database_was_lost_is_given_back(org: Front) -> None:
    await depart(org.roll, ORG, told("team_access_revoked", team_ids=[ALPHA]))
    org.store.loses = "after"
    granted = told("team_access_granted", team_ids=[ALPHA])
    with pytest.raises(DoubtError):
        await depart(org.roll, ORG, granted)
    await depart(org.roll, ORG, granted)  # Slack brings it again
    assert org.roll.find(ALPHA) is org.roll.installed_by(ORG)
    assert org.logged.count("workspace.covered") == 2


async def test_what_is_given_back_after_the_organisation_took_all_of_it_away_waits_for_an_install(
    org: Front,
) -> None:
    await depart(org.roll, ORG, told("team_access_revoked", team_ids=[ALPHA]))
    await depart(org.roll, ORG, told("app_uninstalled"))
    await depart(org.roll, ORG, told("team_access_granted", team_ids=[ALPHA]))
    assert await live(org) == set()
    assert org.roll.find(ALPHA) is None
