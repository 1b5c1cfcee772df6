"""A database that cannot be opened: what is said of it, with what to do, and with nothing of its password."""

import json
from collections.abc import Callable

import psycopg
import pytest

from relay.domain.findings import Level
from relay.store import Store, StoreError
from relay.store.examine import examined
from tests import postgres
from tests.crash.relay_process import relay_in_thread
from tests.store.records import run
from tests.world import World

# Of a password: nothing else has these in it.
HALVES = ("zanzi", "bar7")
COMMANDS = (
    ("check",),
    ("doctor",),
    ("doctor", "--json"),
    ("deliveries", "list"),
    ("environments",),
    ("audit", "verify"),
)

Made = Callable[[postgres.Server], str]


@pytest.mark.parametrize("scheme", ["postgresql", "PostgreSQL", "postgres"])
@pytest.mark.parametrize(
    "password", ["zanzibar7", "zanzi#bar7%2Fx", "zanzi?bar7", "zanzi:bar7", "zanzi[bar7"]
)
async def test_a_password_that_works_is_on_no_log_and_never_shown(
    idle: World, database_url: str, password: str, scheme: str
) -> None:
    url = database_url.replace("relay@", f"relay:{password}@").replace("postgresql", scheme, 1)
    idle.variables["RELAY_STORE_URL"] = url
    await idle.start_relay()
    said = repr(idle.app and idle.app.config)
    for command in COMMANDS:
        found = await relay_in_thread(idle, *command)
        assert found.err == "", command
        said += found.out
    await idle.stop_relay()
    written = said + idle.log.getvalue()
    assert written.count("postgresql://relay@/") >= 3  # the log, check and doctor
    assert [half for half in HALVES if half in written] == []


@pytest.mark.parametrize(
    "password",
    [
        "zanzi/bar7",
        "zanzi@bar7",
        "zanzi@x/bar7",
        "100%zanzibar7",
        "[zanzi@[bar7",
        "zanzi@?bar7",
        "zanzi?x@bar7",
    ],
)
async def test_of_a_url_that_postgresql_does_not_take_no_part_of_the_password_is_said(
    idle: World, database_url: str, password: str
) -> None:
    file, url = (
        idle.variables["RELAY_STORE_URL"],
        database_url.replace("relay@", f"relay:{password}@db.example"),
    )
    await run(file, 1, keys=())
    said = (await relay_in_thread(idle, "store", "copy", url)).err
    idle.variables["RELAY_STORE_URL"] = url
    for command in COMMANDS:
        found = await relay_in_thread(idle, *command)
        assert found.status == (0 if command == ("check",) else 1), command
        said += found.out + found.err
    with pytest.raises(StoreError) as refused:
        await idle.start_relay()
    said += str(refused.value) + idle.log.getvalue()
    assert (
        said.count("is none of PostgreSQL's: use postgresql://user@host/database. In a password write %40")
        == 6
    )
    assert [half for half in HALVES if half in said] == []


@pytest.mark.parametrize("url", ["postgress://relay:zanzibar7@db/relay", "mysql://relay:zanzibar7@db/relay"])
async def test_a_misspelt_url_is_not_quoted_either(idle: World, url: str) -> None:
    idle.variables["RELAY_STORE_URL"] = url
    said = await relay_in_thread(idle, "deliveries", "list")
    assert said.status == 1
    assert "use sqlite:///relay.db" in said.problem
    assert "zanzibar7" not in said.problem


def wrong_password(server: postgres.Server) -> str:
    server.add_user("ada", "right")
    return server.url("postgres").replace("relay@", "ada:wrong@")


def no_password(server: postgres.Server) -> str:
    server.add_user("bea", "right")
    return server.url("postgres").replace("relay@", "bea@")


def nobody(server: postgres.Server) -> str:
    return server.url("postgres").replace("relay@", "nobody_of_that_name@")


def nowhere(server: postgres.Server) -> str:
    return server.url("nowhere")


def not_running(server: postgres.Server) -> str:
    return server.url("postgres", host="/nowhere")


def narrow(server: postgres.Server) -> str:
    server.run("CREATE DATABASE ascii TEMPLATE template0 ENCODING 'SQL_ASCII'")
    server.run("CREATE TABLE alembic_version (version_num text)", database="ascii")
    return server.url("ascii")


def shut(server: postgres.Server) -> str:
    server.run("CREATE ROLE cid LOGIN", "CREATE DATABASE shut", "REVOKE CONNECT ON DATABASE shut FROM public")
    return server.url("shut").replace("relay@", "cid@")


def not_its_own(server: postgres.Server) -> str:
    server.run("CREATE ROLE dan LOGIN", "CREATE DATABASE others")
    server.run("CREATE TABLE alembic_version (version_num text)", database="others")
    return server.url("others").replace("relay@", "dan@")


@pytest.mark.parametrize(
    ("made", "words", "fix"),
    [
        (wrong_password, "password authentication failed", "the file that PGPASSFILE names"),
        (no_password, "no password supplied", "the file that PGPASSFILE names"),
        (nobody, 'role "nobody_of_that_name" does not exist', "createuser --pwprompt"),
        (nowhere, 'database "nowhere" does not exist', "createdb --encoding=UTF8"),
        (not_running, "No such file or directory", "Start the database, or correct the URL."),
        (narrow, "its encoding is SQL_ASCII", "createdb --encoding=UTF8"),
        (shut, 'permission denied for database "shut"', "GRANT CONNECT"),
        (not_its_own, "permission denied for table alembic_version", "GRANT CONNECT"),
    ],
)
async def test_who_cannot_open_a_database_is_told_what_to_do(
    idle: World,
    postgresql: postgres.Server,
    monkeypatch: pytest.MonkeyPatch,
    made: Made,
    words: str,
    fix: str,
) -> None:
    monkeypatch.setenv("PGPASSFILE", "/nowhere")
    monkeypatch.delenv("PGPASSWORD", raising=False)
    url = made(postgresql)
    [finding] = examined(url, relay_answers=False)
    assert (finding.about, finding.level) == ("store", Level.WRONG)
    assert words in finding.found and fix not in finding.found
    assert fix in finding.fix
    with pytest.raises(StoreError) as refused:
        Store.open(url)
    assert words in str(refused.value) and str(refused.value).count(fix) == 1
    await run(idle.variables["RELAY_STORE_URL"], 1, keys=())
    said = [await relay_in_thread(idle, "store", "copy", url)]
    idle.variables["RELAY_STORE_URL"] = url
    said.append(await relay_in_thread(idle, "deliveries", "list"))
    for one in said:
        assert (one.status, words in one.problem, fix in one.problem) == (1, True, True)


def test_who_may_make_no_tables_is_told_what_to_grant(postgresql: postgres.Server) -> None:
    postgresql.run("CREATE ROLE eve LOGIN", "CREATE DATABASE bare")
    postgresql.run("REVOKE CREATE ON SCHEMA public FROM public", database="bare")
    with pytest.raises(StoreError, match=r"permission denied for schema public.* GRANT CONNECT"):
        Store.open(postgresql.url("bare").replace("relay@", "eve@"))


async def test_a_store_is_copied_to_a_url_that_stands_in_a_file(
    idle: World, postgresql: postgres.Server
) -> None:
    await run(idle.variables["RELAY_STORE_URL"], 1, keys=())
    url, file = postgresql.new_database(), idle.folder / "url"
    file.write_text(f"{url.replace('relay@', 'relay:zanzibar7@')}\n", encoding="utf-8")
    said = await relay_in_thread(idle, "store", "copy", "--url-file", str(file), "--json")
    assert (said.status, said.err) == (0, "")
    assert json.loads(said.out)["entries"] == 3
    assert "zanzibar7" not in said.out


async def test_a_file_for_the_url_that_is_not_there_is_named(idle: World) -> None:
    said = await relay_in_thread(idle, "store", "copy", "--url-file", "nowhere")
    assert (said.status, said.problem) == (
        2, "relay: --url-file: cannot read nowhere: No such file or directory",
    )  # fmt: skip


def test_who_comes_while_another_relay_has_a_database_to_itself_is_told_to_wait(
    postgresql: postgres.Server,
) -> None:
    url = postgresql.new_database()
    with psycopg.connect(url) as another:
        another.execute("SELECT pg_advisory_xact_lock(%s)", [0x72656C6179])
        with pytest.raises(StoreError, match="Another relay has the database to itself"):
            Store.open(url)
