"""A goal's line, as scripts read it."""

from math import nan


def goal_line(name: str, measured: float, sign: str, limit: float) -> str:
    """Return `goal NAME measured VALUE to-reach LIMIT ok|short`; what was not measured is short."""
    shown = round(measured, 2)  # judged as it is shown
    reached = shown >= limit if sign == ">=" else shown <= limit
    return f"goal {name} measured {shown:.2f} to-reach {sign}{limit:.2f} {'ok' if reached else 'short'}"


def ratio(one: float, other: float) -> float:
    """Return how many times `other` goes into `one`."""
    return one / other if other else nan
