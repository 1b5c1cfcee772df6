"""The environments as they are while no relay runs: the API itself is asked."""

import httpx

from relay.config import Config
from relay.domain.environments import Report
from relay.environment.directory import Directory
from relay.environment.overview import Overview
from relay.store import Store
from relay.store.engine import store_path

_WITHIN = 10.0


async def reports(config: Config) -> list[Report]:
    """Return how all environments of a configuration are. Raises StoreError."""
    store = Store.open(config.store_url) if store_path(config.store_url).exists() else None
    try:
        async with httpx.AsyncClient(timeout=_WITHIN) as client:
            directory = Directory(client, lambda *_, **__: None)
            return await Overview(config.environments, directory, None, store).all(_WITHIN)
    finally:
        if store is not None:
            await store.close()
