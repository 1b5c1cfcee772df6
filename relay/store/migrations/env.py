"""Alembic's entry: runs on the connection that `relay.store.schema` hands in."""

from alembic import context

from relay.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
