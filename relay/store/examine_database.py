"""Looks at a database that is to hold a store, before anybody depends on it: nothing in it is changed."""

import time
from datetime import UTC, datetime
from typing import Any

import psycopg

from relay.domain.findings import Finding, good, warning, wrong
from relay.store.errors import StoreError
from relay.store.postgresql import Database
from relay.store.schema import READABLE, SCHEMA, SEALED, version_found

_STORE = "store"
_SYNC, _WAY, _CLOCK = "store durability", "store round trip", "store clock"
_FAR = 0.01  # seconds: what somebody types takes about ten round trips, with all who type at the same time
_APART = 30.0  # seconds: Slack's signatures are good for five minutes of this machine's clock
_TRIES = 5
_FACTS = (
    "SELECT current_setting('server_version'), to_regclass('alembic_version') IS NOT NULL,"
    " has_schema_privilege(current_schema(), 'CREATE'), current_setting('fsync'),"
    " (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND application_name = 'relay' AND pid <> pg_backend_pid())"
)


def examined(url: str) -> list[Finding]:
    """Return how the database is that `url` names."""
    try:
        place = Database(url)
        with place.looking() as connection:
            place.look_at(connection)
            return _looked_at(place.name, connection)
    except StoreError as problem:
        return [
            wrong(
                _STORE, problem.words, problem.step or "Mend what it says, or set RELAY_STORE_URL to another."
            )
        ]


def sealed_tokens(url: str) -> list[tuple[str, str]]:
    """Return the workspaces that are served, each with its sealed token: none where none can be read."""
    try:
        with Database(url).looking() as connection:
            return connection.execute(SEALED).fetchall()
    except StoreError:
        return []


def _looked_at(name: str, connection: "psycopg.Connection[Any]") -> list[Finding]:
    [(version, has_store, may_create, fsync, others)] = connection.execute(_FACTS).fetchall()
    found = f"{name}, PostgreSQL {version}, with {others} connection{'s' * (others != 1)} of other relays"
    findings = [good(_STORE, found)]
    if has_store:
        findings.append(_schema(connection))
    elif may_create:
        findings.append(good(SCHEMA, "none yet; relay makes it when it starts"))
    else:
        fix = "Run, as its owner: GRANT CREATE ON SCHEMA public TO the user that relay connects as."
        findings.append(wrong(SCHEMA, "there is none, and this user may make no tables", fix))
    return [*findings, _durable(fsync), _way(connection), _clock(connection)]


def _schema(connection: "psycopg.Connection[Any]") -> Finding:
    kept = connection.execute("SELECT version_num FROM alembic_version").fetchone() or (None,)
    if connection.execute("SELECT to_regclass('settings') IS NOT NULL").fetchone() != (True,):
        return version_found(kept[0], is_ours=False)
    readable = connection.execute(READABLE).fetchone() or ("",)
    return version_found(kept[0], readable[0])


def _durable(fsync: str) -> Finding:
    if fsync == "on":
        return good(_SYNC, "the server waits for its disk")
    found = "the server does not wait for its disk (fsync is off): a power cut loses what was acknowledged"
    return warning(_SYNC, found, "Set fsync = on in postgresql.conf.")


def _way(connection: "psycopg.Connection[Any]") -> Finding:
    took = []
    for _ in range(_TRIES):
        begun = time.perf_counter()
        connection.execute("SELECT 1")
        took.append(time.perf_counter() - begun)
    words = f"{min(took) * 1000:.1f} ms"
    if min(took) <= _FAR:
        return good(_WAY, words)
    found = f"{words}, and everybody who types or clicks waits for ten of them"
    return warning(_WAY, found, "Run relay nearer to it.")


def _clock(connection: "psycopg.Connection[Any]") -> Finding:
    [(moment,)] = connection.execute("SELECT clock_timestamp()").fetchall()
    apart = abs((moment - datetime.now(UTC)).total_seconds())
    if apart <= _APART:
        return good(_CLOCK, "as this machine's")
    found = (
        f"{apart:.0f} s from this machine's: relay goes by the database's, Slack's signatures by this one's"
    )
    return warning(_CLOCK, found, "Set the clocks of both by NTP.")
