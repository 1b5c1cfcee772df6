"""What is begun in a thread is remembered once, until it is finished."""

from datetime import UTC, datetime

import pytest

from relay.store import Store
from relay.store.live_posts import WORKING, LivePost

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
BEGUN = LivePost("msg_1", "reply", "T0", "C0", "1.0", None, NOW)


async def test_what_is_begun_is_begun_once_and_found_where_it_stands(store: Store) -> None:
    assert await store.transact(lambda tx: tx.live_posts.begin(BEGUN))
    assert not await store.transact(lambda tx: tx.live_posts.begin(BEGUN))
    await store.transact(lambda tx: tx.live_posts.posted("msg_1", "reply", "2.0"))
    found = await store.transact(lambda tx: tx.live_posts.get("msg_1", "reply"))
    assert found is not None
    assert found.ts == "2.0"


@pytest.mark.parametrize("key", ["reply", WORKING])
async def test_what_is_on_its_way_already_is_not_begun(store: Store, key: str) -> None:
    post = LivePost("msg_1", key, "T0", "C0", "1.0", None, NOW)
    await store.transact(lambda tx: tx.first_time("T0", f"{key}/msg_1", NOW))
    assert not await store.transact(lambda tx: tx.live_posts.begin(post))
