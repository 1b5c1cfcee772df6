"""What a store's URL says of it: whether it is a file or a database, and what to call it."""

import re

_DATABASE = ("postgresql", "postgres")
_USER_ENDS = re.compile("[:@/?#]")
_OPTIONS_BEGIN = re.compile("[?#]")
_UNSURE = "…"


def is_database(url: str) -> bool:
    """Return whether a store's URL names a PostgreSQL database."""
    return url.partition(":")[0].partition("+")[0].lower() in _DATABASE


def store_name(url: str) -> str:
    """Return what to call a store, without a secret: a database's password and options are left out.

    It goes by a rule that needs no well-formed URL: a password may have every character in it.
    """
    if not is_database(url):
        return url
    before, at, behind = url.partition(":")[2].removeprefix("//").rpartition("@")
    # The last "@" may be one in an option's value then, and what is behind it, too.
    where = _UNSURE if "=" in before.partition("?")[2] else _OPTIONS_BEGIN.split(behind)[0]
    user = _USER_ENDS.split(before)[0]
    return f"postgresql://{user}{at if user else ''}{where}"


def is_ambiguous(url: str) -> bool:
    """Return whether a database's URL has a password in it that is taken for a host or a database."""
    before, at, behind = url.partition("://")[2].partition("@")
    if "/" in before:  # a path begins there: the "@" is one in an option's value, or nobody meant that
        return bool(at) and "?" not in before
    return "@" in behind.partition("?")[0]
