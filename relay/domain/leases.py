"""Which relay holds which environment: a lease each, by the one clock of the store that they share.

free ──taken──▶ held ──renewed──▶ held
  ▲              └── released, or not renewed in time ──▶ free

At each change of holder the epoch grows: what a holder of an earlier one still has to write is refused.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta

LASTS = timedelta(seconds=10)
RENEWED_AFTER = LASTS / 3
# So long before it ends a holder uses it no more: whatever it is at by then takes a moment to stop.
MARGIN = timedelta(seconds=2)
# So long relays that do not know an environment leave what waits for it: one may be starting that does.
MISSED_AFTER = timedelta(minutes=15)


@dataclass(frozen=True)
class Standing:
    """Who serves what, and who holds it, at one moment: of relays and leases that are alive."""

    serving: Mapping[str, Collection[str]]  # the environments of each relay's configuration
    holder: Mapping[str, str]  # of each environment that is held

    @property
    def free(self) -> list[str]:
        """The environments that some relay serves and nobody holds."""
        served = {name for names in self.serving.values() for name in names}
        return sorted(served - self.holder.keys())

    def who_serve(self, environment: str) -> list[str]:
        """Return the relays that serve an environment."""
        return [relay for relay, names in self.serving.items() if environment in names]


def to_take(me: str, standing: Standing) -> list[str]:
    """Return the free environments that are mine: each goes to who holds fewest of those that serve it."""
    held, mine = Counter(standing.holder.values()), []
    for environment in standing.free:
        who = min(standing.who_serve(environment), key=lambda one: (held[one], one != me, one))
        held[who] += 1
        if who == me:
            mine.append(environment)
    return mine


def to_release(me: str, standing: Standing, busy: Collection[str]) -> str | None:
    """Return an environment of mine that another relay is to have, which holds two fewer or more.

    What is `busy` stays. One at a time, and none while others are free: it would wait with them.
    """
    if standing.free:
        return None
    held = Counter(standing.holder.values())
    mine = sorted(name for name, holder in standing.holder.items() if holder == me and name not in busy)
    return next((name for name in mine if _fewest(standing, name, held) + 1 < held[me]), None)


def _fewest(standing: Standing, environment: str, held: Mapping[str, int]) -> int:
    return min((held[one] for one in standing.who_serve(environment)), default=0)
