"""The environments as they are where no relay is asked: the API itself tells, and the store."""

import httpx

from relay.config import Config
from relay.domain.environments import Report
from relay.environment.directory import Directory
from relay.environment.overview import Overview
from relay.store import Store
from relay.store.opening import place_at

_WITHIN = 10.0


async def reports(config: Config) -> list[Report]:
    """Return how all environments of a configuration are. Raises StoreError."""
    exists = place_at(config.store_url).exists()
    store = Store.open(config.store_url, beside=True) if exists else None
    try:
        holding = await _holding(store) if store is not None and store.is_shared else None

        def elsewhere(name: str) -> str:
            if holding is None:
                return ""
            return "a relay has its sockets" if name in holding else "no relay has its sockets at the moment"

        async with httpx.AsyncClient(timeout=_WITHIN) as client:
            directory = Directory(client, lambda *_, **__: None)
            overview = Overview(
                config.environments, directory, None, store, elsewhere=elsewhere, unasked=holding or ()
            )
            return await overview.all(_WITHIN)
    finally:
        if store is not None:
            await store.close()


async def _holding(store: Store) -> set[str]:
    """Return the environments that relays hold now, which share a store."""
    _, environments = await store.transact(lambda tx: tx.leases.all())
    now = store.now()
    return {name for name, row in environments.items() if row.holder and row.until > now}
