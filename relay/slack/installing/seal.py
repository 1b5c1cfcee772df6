"""Seals tokens for the store: with the first key, opened by every key, so that keys can be changed."""

import json
from collections.abc import Iterable


class SealError(Exception):
    """None of the keys opens a token, or it was sealed for another workspace."""


class TokenSeal:
    """Seals what is one workspace's; what another one's row holds does not open as its own."""

    def __init__(self, keys: Iterable[str]) -> None:
        from cryptography.fernet import Fernet, InvalidToken, MultiFernet

        fernets = [Fernet(key) for key in keys]
        self._first = fernets[0]
        self._any = MultiFernet(fernets)
        self._refusals = (InvalidToken, ValueError, TypeError)

    def seal(self, team_id: str, token: str) -> str:
        """Return a token sealed; nothing stays nothing."""
        if not token:
            return ""
        return self._first.encrypt(json.dumps([team_id, token]).encode()).decode()

    def open(self, team_id: str, sealed: str) -> str:
        """Return the token. Raises SealError."""
        if not sealed:
            return ""
        try:
            whose, token = json.loads(self._any.decrypt(sealed.encode()))
        except self._refusals as problem:
            raise SealError(team_id) from problem
        if whose != team_id:
            raise SealError(team_id)
        return str(token)

    def is_by_first_key(self, sealed: str) -> bool:
        """Return whether the present first key sealed it."""
        try:
            self._first.decrypt(sealed.encode())
        except self._refusals:
            return False
        return True
