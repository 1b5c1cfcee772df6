"""What must not be forgotten: one durable transaction an arrival, committed in groups."""

from relay.store.errors import DoubtError, FencedError, StoreError, StoreLockedError
from relay.store.store import Store
from relay.store.transaction import Transaction

__all__ = ["DoubtError", "FencedError", "Store", "StoreError", "StoreLockedError", "Transaction"]
