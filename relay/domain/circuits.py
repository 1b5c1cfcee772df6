"""Environments that take nothing: one attempt at a time finds out when they do again, and the others wait.

   ┌── a few failed in a row ──▶ held ──┐
open                                    │ one is tried, by its schedule
   ◀── it got through, or sockets open ─┘
"""

from collections import Counter
from collections.abc import Container
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from relay.domain.deliveries import Delivery, Kind, Outcome, Retry

# What goes to an environment, in the order in which it goes once that is back. Each has a way of its own,
# which may be open while another is not: a decision never waits because messages do not get through.
KINDS = (Kind.DECISION, Kind.ANSWER, Kind.MESSAGE)
HELD_AFTER = 5  # failed attempts in a row
# Should nothing say that it is back: no longer than this is anything held without being looked at.
HELD_FOR = timedelta(minutes=15)
_LOST = timedelta(seconds=30)  # behind its time: the one that was to be tried is gone


@dataclass(frozen=True)
class Held:
    """What is held back, since when and why; `tried` is the delivery that is meanwhile, "" the first one.

    `said` is what the environment said of it, for people and not for a log.
    """

    kind: Kind
    environment: str
    since: datetime
    reason: str
    said: str
    away: bool
    tried: str
    due: datetime


class Turn(StrEnum):
    """What an attempt's end changes for those that wait."""

    HELD = "held"
    RESUMED = "resumed"


@dataclass(frozen=True)
class Hold:
    """What a claim has to hold back, and the environments whose deliveries it may let go.

    `asked` says how often anything was to be let go up to then.
    """

    held: tuple[Held, ...] = ()
    back: tuple[str, ...] = ()
    asked: int = field(default=0, compare=False)


class Circuits:
    """Knows what is held back from which environments; it forgets at a stop, and learns anew."""

    def __init__(self) -> None:
        self._failed: Counter[tuple[Kind, str]] = Counter()
        self._held: dict[tuple[Kind, str], Held] = {}
        self._back: dict[str, int] = {}  # and when that was asked for, counted
        self._asked = 0

    def note(self, delivery: Delivery, outcome: Outcome, due: datetime, now: datetime) -> Turn | None:
        """Take the end of an attempt that is made again when `due`; return what that changes, if anything."""
        key = delivery.kind, delivery.environment
        if delivery.kind not in KINDS or not delivery.environment:
            return None
        if isinstance(outcome, Retry) and outcome.unasked:
            self._put_off(key, delivery, due)
            return None
        if not isinstance(outcome, Retry) or not (outcome.away or outcome.down):
            # It takes something, whatever it made of this.
            return self._note_through(key)
        self._failed[key] += 1
        held = self._held.get(key)
        if held is not None and held.tried not in ("", delivery.id):
            return None  # begun before it was held
        if held is None and self._failed[key] < HELD_AFTER:
            return None
        since = held.since if held is not None else now
        kind, name = key
        self._held[key] = Held(
            kind, name, since, outcome.reason, outcome.said, outcome.away, tried=delivery.id, due=due
        )
        return Turn.HELD if held is None else None

    def _put_off(self, key: tuple[Kind, str], delivery: Delivery, due: datetime) -> None:
        held = self._held.get(key)
        if held is not None and held.tried == delivery.id:
            self._held[key] = replace(held, due=due)

    def _note_through(self, key: tuple[Kind, str]) -> Turn | None:
        del self._failed[key]
        if self._held.pop(key, None) is None:
            return None
        for other, held in self._held.items():
            if held.environment == key[1]:
                self._held[other] = replace(held, tried="")  # it may be open as well: tried at once
        self.look_again(key[1])
        return Turn.RESUMED

    def begun(self, delivery: Delivery, now: datetime) -> None:
        """Take the beginning of an attempt."""
        held = self._held.get((delivery.kind, delivery.environment))
        if held is not None and not held.tried:
            self._held[delivery.kind, delivery.environment] = replace(held, tried=delivery.id, due=now)

    def look_again(self, environment: str) -> None:
        """Let go whatever waits for an environment, but for what is held back."""
        self._asked += 1
        self._back[environment] = self._asked

    def back(self, environment: str) -> bool:
        """Let everything go to an environment that is back; return whether anything was held."""
        self.look_again(environment)
        held = [key for key in self._held if key[1] == environment]
        for key in held:
            del self._held[key]
        for kind in KINDS:
            del self._failed[kind, environment]
        return bool(held)

    def forget(self, environment: str) -> None:
        """Know nothing more of an environment: others send to it from now on."""
        self.back(environment)
        del self._back[environment]

    def hold(self, now: datetime, under_way: Container[str]) -> Hold:
        """Return what the next claim has to know; `under_way` are the deliveries that are being tried."""
        for key, held in self._held.items():
            if held.tried not in under_way and now > held.due + _LOST:
                self._held[key] = replace(held, tried="")
        return Hold(tuple(self._held.values()), tuple(self._back), self._asked)

    def emptied(self, environments: tuple[str, ...], hold: Hold) -> None:
        """Remember that nothing waits any more for environments that are back, as far as `hold` knew of it.

        What was asked for while the claim went on is looked at by the next one: this one may have held it.
        """
        for environment in environments:
            if self._back.get(environment, 0) <= hold.asked:
                self._back.pop(environment, None)

    def of(self, environment: str) -> Held | None:
        """Return what is held back from an environment for longest, if anything is."""
        held = [one for one in self._held.values() if one.environment == environment]
        return min(held, key=lambda one: one.since, default=None)
