"""How a command ends that cannot do what it was asked: one line on stderr, and its exit status."""

import sys

_FAILED, _MISUSED = 1, 2


def failed(problem: Exception) -> int:
    """Say what went wrong outside and return the exit status for it."""
    print(f"relay: {problem}", file=sys.stderr)
    return _FAILED


def misused(problem: Exception) -> int:
    """Say what is wrong with what was asked or configured and return the exit status for it."""
    print(f"relay: {problem}", file=sys.stderr)
    return _MISUSED
