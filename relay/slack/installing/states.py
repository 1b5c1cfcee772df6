"""The state that goes to Slack with an install and comes back: signed, so that nobody has to remember it.

It says when it was made, and no two are the same. What is remembered is that one was used.
"""

import hashlib
import hmac
import secrets
from datetime import UTC, datetime

_PURPOSE = b"state of an install"


class States:
    """Makes states and knows its own again, also those of another relay with the same key."""

    def __init__(self, store_key: bytes) -> None:
        self._key = hmac.digest(store_key, _PURPOSE, "sha256")

    def make(self, now: datetime) -> str:
        """Return a state that nobody else can make, and nobody guess."""
        said = f"{int(now.timestamp())}.{secrets.token_urlsafe(32)}"
        return f"{said}.{self._mark(said)}"

    def made_at(self, state: str) -> datetime | None:
        """Return when a state was made, in whole seconds; None: it is none of ours."""
        said, _, mark = state.rpartition(".")
        if not hmac.compare_digest(mark.encode(), self._mark(said).encode()):
            return None
        return datetime.fromtimestamp(int(said.partition(".")[0]), UTC)

    def _mark(self, said: str) -> str:
        return hmac.new(self._key, said.encode(), hashlib.sha256).hexdigest()


def digest(state: str) -> str:
    """Return what a state is remembered by: whoever reads the store has no state by that."""
    return hashlib.sha256(state.encode()).hexdigest()
