"""How much may be shown live: what matters less than a durable delivery never takes its place."""

import time
from collections.abc import Callable


class Budget:
    """So many calls a minute, some of them at once; none at all while Slack wants a rest."""

    def __init__(self, a_minute: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._a_second = a_minute / 60
        self._burst = float(burst)
        self._left = float(burst)
        self._clock = clock
        self._at = clock()
        self._rests_until = 0.0

    def take(self) -> bool:
        """Return whether one more call may be made now, and count it."""
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._at) * self._a_second)
        self._at = now
        if now < self._rests_until or self._left < 1:
            return False
        self._left -= 1
        return True

    def rest(self, seconds: float) -> None:
        """Make no call for a while: Slack said so."""
        self._rests_until = max(self._rests_until, self._clock() + seconds)


class Closed:
    """Remembers for a while which channels take something not."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._until: dict[str, float] = {}

    def __contains__(self, channel_id: str) -> bool:
        return self._until.get(channel_id, 0.0) > self._clock()

    def add(self, channel_id: str) -> None:
        """Ask no more in this channel for a while."""
        self._until[channel_id] = self._clock() + self._seconds
