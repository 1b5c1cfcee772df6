"""What a store's URL names, and what it is called where no secret may stand."""

import pytest

from relay.domain.store_urls import is_ambiguous, is_database, store_name


@pytest.mark.parametrize(
    ("url", "database"),
    [
        ("postgresql://db/relay", True),
        ("postgres://db/relay", True),
        ("PostgreSQL+psycopg://db/relay", True),
        ("sqlite:///relay.db", False),
        ("mysql://db/postgresql", False),
        ("", False),
    ],
)
def test_a_url_names_a_database_by_its_scheme(url: str, database: bool) -> None:
    assert is_database(url) is database


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("sqlite:///relay.db", "sqlite:///relay.db"),
        ("postgresql://relay:hunter22@db:5432/relay?password=hunter22", "postgresql://relay@db:5432/relay"),
        ("postgres://relay:a@b@one,two/relay", "postgresql://relay@one,two/relay"),
        ("postgresql://db/relay", "postgresql://db/relay"),
        ("postgresql:///relay", "postgresql:///relay"),
        ("POSTGRESQL://relay:hunter22@db/relay", "postgresql://relay@db/relay"),
        ("postgresql://relay:hunter22@[::1/relay", "postgresql://relay@[::1/relay"),
        ("postgresql://relay:hun#ter%2F22@db/relay", "postgresql://relay@db/relay"),
        ("postgresql://relay:hun?ter22@db/relay", "postgresql://relay@db/relay"),
        ("postgresql://relay:hun/ter22@db/relay", "postgresql://relay@db/relay"),
        ("postgresql://relay:hun@ter:22@db/relay", "postgresql://relay@db/relay"),
        ("postgresql://relay:100%hunter22@db/relay", "postgresql://relay@db/relay"),
        ("postgresql://relay:hunter22@db/relay#hunter22", "postgresql://relay@db/relay"),
        ("postgresql://:hunter22@db/relay", "postgresql://db/relay"),
        ("postgresql:relay:hunter22@db/relay", "postgresql://relay@db/relay"),
        # Where an option may have an "@" in its value, nobody can say where a password ends.
        ("postgresql://relay@db/relay?password=hunter@22", "postgresql://relay@…"),
        ("postgresql://db/relay?password=hunter@22", "postgresql://db@…"),
        ("postgresql://relay:hun?password=ter?x@22", "postgresql://relay@…"),
        ("postgresql://relay:hun=ter?22@db/relay", "postgresql://relay@db/relay"),
        ("postgresql://relay@x@db/relay", "postgresql://relay@db/relay"),
        ("postgresql://relay/x@db/relay", "postgresql://relay@db/relay"),
        ("postgresql://relay#x@db/relay", "postgresql://relay@db/relay"),
        ("postgresql://relay?x@db/relay", "postgresql://relay@db/relay"),
        ("postgresql://db=one/relay?sslmode=require", "postgresql://db=one/relay"),
    ],
)
def test_no_password_is_in_the_name_of_a_store(url: str, name: str) -> None:
    assert store_name(url) == name


@pytest.mark.parametrize(
    ("url", "ambiguous"),
    [
        ("postgresql://relay:hun@ter22@db/relay", True),
        ("postgresql://relay:hun/ter22@db/relay", True),
        ("postgresql://relay:hun@ter/22@db/relay", True),
        ("postgresql://relay:hun?ter@22@db/relay", True),
        ("postgresql://relay:hun?ter22@db/relay", False),
        ("postgresql://relay:hun@x://ter22@db/relay", True),
        ("postgresql://db:5432/relay", False),
        ("postgresql://relay:hun#ter%2F22%40@db/relay?application_name=a@b", False),
        ("postgresql://db/relay?options=a/b@c", False),
        ("postgresql:///relay", False),
    ],
)
def test_a_password_that_would_be_taken_for_a_host_is_known(url: str, ambiguous: bool) -> None:
    assert is_ambiguous(url) is ambiguous
