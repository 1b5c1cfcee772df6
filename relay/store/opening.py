"""Which place a store's URL names."""

from relay.domain.store_urls import is_database, store_name
from relay.store.engine import File, store_path
from relay.store.errors import StoreError
from relay.store.place import Place

INSTALL = "in the checkout of relay: .venv/bin/pip install -e '.[postgresql]'"


def place_at(url: str) -> Place:
    """Return the place that a store's URL names, not open yet. Raises StoreError."""
    if not is_database(url):
        return File(store_path(url))
    try:
        from relay.store.postgresql import Database
    except ImportError as problem:
        raise StoreError(
            f"the store {store_name(url)} needs psycopg ({problem})", f"Run, {INSTALL}"
        ) from problem
    return Database(url)
