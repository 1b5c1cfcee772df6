"""Reads and changes a store behind the relay's back, whichever engine it is on."""

import sqlite3
from typing import Any

import psycopg

from relay.domain.store_urls import is_database


def change(url: str, *statements: str) -> None:
    """Run statements, and keep what they did."""
    if is_database(url):
        with psycopg.connect(url) as other:
            for statement in statements:
                other.execute(statement)
        return
    with sqlite3.connect(url.removeprefix("sqlite:///")) as file:
        for statement in statements:
            file.execute(statement)
    file.close()


def rows(url: str, statement: str) -> list[tuple[Any, ...]]:
    """Return what a statement finds among what is committed."""
    if is_database(url):
        with psycopg.connect(url) as other:
            return other.execute(statement).fetchall()
    with sqlite3.connect(url.removeprefix("sqlite:///")) as file:
        found = file.execute(statement).fetchall()
    file.close()
    return found
