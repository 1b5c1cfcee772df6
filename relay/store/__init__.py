"""What must not be forgotten: one durable transaction an arrival, committed in groups."""

from relay.store.errors import StoreError, StoreLockedError
from relay.store.store import Store
from relay.store.transaction import Transaction

__all__ = ["Store", "StoreError", "StoreLockedError", "Transaction"]
