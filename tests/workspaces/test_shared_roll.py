"""Who is served, as two relays on one store know it before either has told the other anything."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import structlog
from cryptography.fernet import Fernet

from relay.domain.installations import Installation
from relay.slack.installing.roll import ACCESS_REVOKED, Roll
from relay.slack.installing.seal import TokenSeal
from relay.store import Store, Transaction
from relay.use_cases import installing
from tests.store.stores import store_at
from tests.workspaces.building import ALPHA, BETA, ORG
from tests.world import ADA

NOW = datetime.now(UTC)
KEY = Fernet.generate_key().decode()


async def started(store: Store) -> Roll:
    """Return a roll as a relay's start makes it."""
    made = Roll(store, TokenSeal([KEY]), lambda: NOW, structlog.wrap_logger(structlog.ReturnLogger()))
    await made.load()
    return made


def installation(whose: str, token: str = "xoxb-1", at: datetime = NOW) -> Installation:
    """Return what an install gives."""
    return Installation(
        team_id=whose,
        enterprise_id=ORG,
        is_org=whose == ORG,
        name=whose,
        bot_user_id="U0RELAY",
        bot_id="B0RELAY",
        scopes="",
        installed_by=ADA,
        installed_at=at,
        bot_token=f"{token}-{whose}",
    )


Two = tuple[Roll, Roll]


@pytest.fixture
async def two(database_url: str) -> AsyncIterator[Two]:
    """The rolls of two relays; neither hears of the other but when it asks."""
    async with store_at(database_url) as one, store_at(database_url) as other:
        yield await started(one), await started(other)


async def test_who_is_not_known_is_looked_for_before_anybody_is_refused(two: Two) -> None:
    first, second = two
    await first.install(installation(ALPHA))
    assert second.find(ALPHA) is None
    found = await second.served(ALPHA, None)
    assert found is not None
    assert found.installation == installation(ALPHA)
    assert await second.served(BETA, None) is None


async def test_what_nobody_changed_is_not_read_again(two: Two) -> None:
    first, second = two
    await first.install(installation(ALPHA))
    await second.hear()
    mark, rows = await second._store.transact(lambda tx: tx.installations.since(second._mark))
    assert (mark, rows) == (second._mark, [])


async def test_only_who_is_served_otherwise_than_before_has_their_office_closed(two: Two) -> None:
    first, second = two
    for whose in (ALPHA, BETA):
        await first.install(installation(whose))
    await second.hear()
    closed: list[str] = []
    second.on_change = closed.extend
    held = first.find(ALPHA)
    assert held is not None
    await first.uninstall(held, "app_uninstalled")
    await second.hear()
    assert (closed, second.gone(ALPHA)) == ([ALPHA], "app_uninstalled")
    await first.install(installation(ALPHA, "xoxb-2", NOW + timedelta(seconds=1)))
    await second.hear()
    assert (closed, second.gone(ALPHA)) == ([ALPHA, ALPHA], "")
    await first.hear()
    await second.hear()
    assert closed == [ALPHA, ALPHA]


async def test_a_workspace_that_has_its_own_is_not_covered_by_who_has_not_heard_of_that(two: Two) -> None:
    first, second = two
    await first.install(installation(ORG))
    await first.install(installation(ALPHA))

    def cover(tx: Transaction) -> bool:
        org = tx.installations.get(ORG)
        return org is not None and installing.cover(tx, org, ALPHA, NOW)

    assert not await second._store.transact(cover)
    found = await second.served(ALPHA, ORG)
    assert found is not None
    assert found.installation == installation(ALPHA)


async def test_what_an_organisation_gives_back_is_served_at_both_and_after_a_restart(two: Two) -> None:
    first, second = two
    await first.install(installation(ORG))
    for roll in two:
        assert await roll.served(ALPHA, ORG) is not None
    await second.uncover([ALPHA], ACCESS_REVOKED)
    await first.hear()
    assert [roll.gone(ALPHA) for roll in two] == [ACCESS_REVOKED] * 2
    await first.cover_again([ALPHA, BETA])
    assert await second.served(ALPHA, ORG) is second.find(ORG)
    assert first.find(ALPHA) is first.find(ORG)
    again = await started(second._store)
    assert again.find(ALPHA) is again.find(ORG)
    assert again.find(BETA) is None  # of which nobody has heard yet


async def test_what_an_organisation_gives_back_waits_where_it_has_the_app_no_longer_itself(two: Two) -> None:
    first, second = two
    await first.install(installation(ORG))
    assert await second.served(ALPHA, ORG) is not None
    await second.uncover([ALPHA], ACCESS_REVOKED)
    await first.hear()
    held = first.find(ORG)
    assert held is not None
    await first.uninstall(held, "app_uninstalled")
    await second.cover_again([ALPHA])
    await second.hear()
    assert [roll.find(ALPHA) for roll in two] == [None, None]
    assert second.gone(ALPHA) == ACCESS_REVOKED
