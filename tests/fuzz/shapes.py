"""What comes in at a door, changed by chance: a value for another, a field too few, bytes cut or swapped."""

import copy
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

Json = dict[str, Any]
Path = tuple[str | int, ...]
NIGHTLY = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"
_NASTY = [
    "", " ", "\x00", "\ud800", "\udfff x", "\u2028", "\u202e", "e\u0301" * 50, "🧨" * 40,
    "a" * 70_000, "0", "-1", "1e999", "9" * 400, "null", "<!channel>", "<@U0REQUESTER>", "```",
    "&amp;lt;", "../../etc/passwd", "%00", "{", "[]", "https://[", "http://169.254.169.254/",
    "javascript:1", "' OR 1=1 --", "status", "stop", "approve", "deny x", "approvals", "grants",
    "help", "T0OTHER", "U0GUEST", "C0SHARED", "C0NOWHERE", "D0", "apr_0", "dlv_0", "msg_0",
]  # fmt: skip
_DEEP: Any = []
for _ in range(60):
    _DEEP = [_DEEP]
nasty_texts = st.sampled_from(_NASTY) | st.text(max_size=30)
odd_values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([0, -1, 2**31, 2**63, -(2**63) - 1, 10**400, 1e308, float("nan"), float("inf")]),
    nasty_texts,
    st.lists(nasty_texts, max_size=3),
    st.dictionaries(st.text(max_size=8), nasty_texts, max_size=3),
    st.just(_DEEP),
)


def cases(factor: float) -> settings:
    """Return how many cases a door is given: `factor` times what the profile has; at night twice that."""
    return settings(
        max_examples=int(factor * settings().max_examples * (2 if NIGHTLY else 1)),
        # A case is small as it is, and to make it smaller takes a minute of requests.
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


def _paths(value: Any, path: Path = ()) -> Iterator[Path]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield (*path, key)
        yield from _paths(one, (*path, key))


def _put(value: Any, path: Path, new: Any) -> None:
    for step in path[:-1]:
        value = value[step]
    if new is _GONE and isinstance(value, dict):
        del value[path[-1]]
    else:
        value[path[-1]] = None if new is _GONE else copy.deepcopy(new)  # it may be changed in turn


_GONE = object()


@st.composite
def changed(draw: st.DrawFn, base: Json, most: int = 3) -> tuple[Json, int]:
    """Draw a shape with up to `most` values changed or gone, and how many they are."""
    found: Json = copy.deepcopy(base)
    times = draw(st.integers(0, most))
    for _ in range(times):
        paths = list(_paths(found))
        if not paths:
            break
        path = draw(st.sampled_from(paths))
        _put(found, path, draw(st.just(_GONE) | odd_values))
    return found, times


@dataclass(frozen=True)
class Damage:
    """A piece that goes, and what comes in its place; `at` in thousandths of what it is done to."""

    at: int
    gone: int
    new: bytes

    def done(self, body: bytes) -> bytes:
        """Return the bytes as they are after it."""
        start = len(body) * self.at // 1000
        return body[:start] + self.new + body[start + self.gone :]


damages = st.builds(Damage, st.integers(0, 1000), st.integers(0, 200), st.binary(max_size=20))


def as_form(payload: Json) -> bytes:
    """Return a payload as a form, in whichever characters: a command's fields, or an interaction's one."""
    fields = payload if "command" in payload else {"payload": as_json(payload).decode()}
    return urlencode(fields, errors="surrogatepass").encode()


def as_json(payload: Json) -> bytes:
    """Return a payload as JSON."""
    return json.dumps(payload).encode()
