"""What can go wrong with the store.

StoreError             a transaction was not made durable; nothing of it was kept
└── StoreLockedError   another process holds the store
"""


class StoreError(Exception):
    """The store did not keep what it was given; the message says why."""


class StoreLockedError(StoreError):
    """Another process works on the same store file."""
