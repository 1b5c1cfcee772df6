"""What the app may call and how often: scopes and rate limit tiers, as each method's page tells them.

https://docs.slack.dev/reference/methods, https://docs.slack.dev/apis/web-api/rate-limits
"""

import math
import time

from relay.sandbox.slack.refusals import RefusedError
from relay.sandbox.slack.workspace import Json, Workspace

_SCOPES = {
    "users.info": "users:read",
    "bots.info": "users:read",
    "team.info": "team:read",
    "usergroups.list": "usergroups:read",
    "usergroups.users.list": "usergroups:read",
    "conversations.info": "{kind}:read",
    "conversations.members": "{kind}:read",
    "conversations.history": "{kind}:history",
    "conversations.replies": "{kind}:history",
    "conversations.open": "im:write",
    "chat.postMessage": "chat:write",
    "chat.postEphemeral": "chat:write",
    "chat.update": "chat:write",
    "chat.delete": "chat:write",
    "chat.startStream": "chat:write",
    "chat.appendStream": "chat:write",
    "chat.stopStream": "chat:write",
    "assistant.threads.setStatus": "chat:write",
}
_TIER_2, _TIER_3, _TIER_4 = 20, 50, 100  # calls a minute
_TIERS = {
    "users.info": _TIER_4,
    "bots.info": _TIER_3,
    "team.info": _TIER_3,
    "usergroups.list": _TIER_2,
    "usergroups.users.list": _TIER_2,
    "conversations.info": _TIER_3,
    "conversations.members": _TIER_4,
    "conversations.history": _TIER_3,
    "conversations.replies": _TIER_3,
    "conversations.open": _TIER_3,
    "chat.postEphemeral": _TIER_4,
    "chat.update": _TIER_3,
    "chat.delete": _TIER_3,
    "chat.startStream": _TIER_2,
    "chat.appendStream": _TIER_4,
    "chat.stopStream": _TIER_2,
    "views.open": _TIER_4,
    "views.push": _TIER_4,
    "views.update": _TIER_4,
    "views.publish": _TIER_4,
}
_BURST = 3


class Bucket:
    """How many calls are still taken now, of so many a second."""

    def __init__(self, a_second: float, burst: float = _BURST) -> None:
        self._a_second = a_second
        self._most = max(burst, a_second)
        self._left = float(self._most)
        self._at = time.monotonic()

    def take(self) -> int:
        """Take one call: return 0, or after how many seconds there is room for it."""
        now = time.monotonic()
        self._left = min(self._most, self._left + (now - self._at) * self._a_second)
        self._at = now
        if self._left < 1:
            return math.ceil((1 - self._left) / self._a_second)
        self._left -= 1
        return 0


class Rates:
    """Keeps `chat.postMessage` to its rate a channel and, where asked to, every method to its tier."""

    def __init__(self, messages_a_second: float | None, *, tiers: bool) -> None:
        self._messages_a_second = messages_a_second
        self._tiers = tiers
        self._channels: dict[str, Bucket] = {}
        self._methods: dict[str, Bucket] = {}

    def check(self, method: str, arguments: Json) -> None:
        """Refuse a call that comes too soon."""
        after = 0
        if method == "chat.postMessage" and self._messages_a_second is not None:
            channel = str(arguments.get("channel"))
            after = self._channels.setdefault(channel, Bucket(self._messages_a_second)).take()
        elif self._tiers and method in _TIERS:
            most = _TIERS[method]
            after = self._methods.setdefault(method, Bucket(most / 60, most)).take()
        if after:
            raise RefusedError("ratelimited", retry_after=after)


def check_scope(workspace: Workspace, method: str, arguments: Json) -> None:
    """Refuse a call for which the app was not given the scope."""
    scope = _SCOPES.get(method, "").format(kind=_kind(workspace, arguments))
    if scope and scope not in workspace.scopes:
        provided = ",".join(sorted(workspace.scopes))
        raise RefusedError("missing_scope", more={"needed": scope, "provided": provided})


def _kind(workspace: Workspace, arguments: Json) -> str:
    place = str(arguments.get("channel") or "")
    if place.startswith("D"):
        return "im"
    channel = workspace.channels.get(place)
    return "groups" if channel is not None and channel.is_private else "channels"
