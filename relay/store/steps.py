"""What to do about a database that refuses: by its SQLSTATE; a connection gets none, and goes by words."""

import re

from relay.store.errors import StoreError, cause

_IDENTIFY = (
    "Put the password into the file that PGPASSFILE names (~/.pgpass), or give the URL with it in a file, "
    "by RELAY_STORE_URL_FILE."
)
_CREATE = "Create it: createdb --encoding=UTF8 --template=template0 NAME; or correct the URL."
_GRANT = (
    "As its owner, GRANT CONNECT on the database and CREATE, USAGE ON SCHEMA public to the user that relay "
    "connects as; relay's tables must be that user's own."
)
_WAIT = "Another relay has the database to itself, perhaps to bring it up to date: try again in a moment."
_BY_STATE = (("28", _IDENTIFY), ("3D000", _CREATE), ("42501", _GRANT), ("55P03", _WAIT))
# As the server says it, in English; of one that speaks another language the words have to do.
_BY_WORDS = (
    ("no pg_hba.conf entry|pg_hba.conf rejects", "Let the server's pg_hba.conf take this user from here."),
    ('role ".*" does not exist', "Create the user: createuser --pwprompt NAME; or correct the URL."),
    ('database ".*" does not exist', _CREATE),
    ("permission denied for database", _GRANT),
    ("authentication failed|no password supplied", _IDENTIFY),
    ("session is read-only", "Name the host that takes writes, too."),
)
_ANSWERED = "FATAL:"
_START = "Start the database, or correct the URL."


def step(problem: BaseException) -> str:
    """Return a sentence that says what to do about a problem of a database; empty where nobody knows."""
    if isinstance(problem, StoreError):
        return problem.step
    found = getattr(problem, "orig", None) or problem
    if not hasattr(found, "sqlstate"):  # no database said this
        return ""
    if found.sqlstate:
        return next((words for state, words in _BY_STATE if found.sqlstate.startswith(state)), "")
    said = cause(found)
    known = next((words for pattern, words in _BY_WORDS if re.search(pattern, said)), "")
    return known or ("" if _ANSWERED in said else _START)


def unopened(name: str, problem: BaseException) -> StoreError:
    """Return the error of a store that cannot be opened, with what to do about it."""
    words = problem.words if isinstance(problem, StoreError) else cause(problem)
    return StoreError(f"cannot open the store at {name}: {words}", step(problem))
