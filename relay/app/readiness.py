"""Whether each part can do its work, in words: what /readyz answers."""

from collections import Counter
from dataclasses import dataclass

from relay.app.clock import utc_now
from relay.config.tables import DEFAULT_CONVERSATION
from relay.environment.listener import Presence
from relay.environment.listeners import Listeners
from relay.slack.places import Places
from relay.slack.socket_mode import SocketMode
from relay.store import Store, StoreError
from relay.web import Health


@dataclass(frozen=True)
class Readiness:
    """The parts that are asked; without a `socket_mode` Slack calls over HTTP."""

    store: Store
    socket_mode: SocketMode | None
    listeners: Listeners
    places: Places

    async def parts(self) -> dict[str, Health]:
        """Return how each part is, by its name."""
        parts = {"store": await self._store_health()}
        if self.socket_mode is not None:
            parts["slack"] = _socket_health(self.socket_mode)
        else:
            parts["slack"] = Health(ready=True, words="called over HTTP")
        presences = self.listeners.presences
        several = Counter(runtime.environment for runtime in presences)
        for runtime, presence in presences.items():
            name = f"environment {runtime.environment}"
            if several[runtime.environment] > 1 or runtime.conversation_id != DEFAULT_CONVERSATION:
                name += f" / {runtime.conversation_id}"
            parts[name] = _presence_health(presence)
        # A place that takes no cards keeps nobody from being ready: the route has others.
        parts |= {f"place {channel}": Health(True, words) for channel, words in self.places.words().items()}
        return parts

    async def _store_health(self) -> Health:
        now = utc_now()
        try:
            await self.store.transact(lambda tx: tx.touch(now))
        except StoreError as problem:
            return Health(ready=False, words=str(problem))
        return Health(ready=True, words="writable")


def _socket_health(socket_mode: SocketMode) -> Health:
    # By one alone Slack reaches us: the other is on its way.
    number = f"({socket_mode.connected} of {socket_mode.wanted})"
    if socket_mode.connected:
        return Health(ready=True, words=f"connected {number}")
    why = f": {socket_mode.trouble}" if socket_mode.trouble else ""
    return Health(ready=False, words=f"its sockets are not open {number}{why}")


def _presence_health(presence: Presence) -> Health:
    # Known to be offline is ready: what is sent there waits. What is refused waits for somebody to mend it.
    why = f"{'refused' if presence.refused else 'offline'}: {presence.reason}"
    ready = presence.since is not None and not presence.refused
    return Health(ready, "listening" if presence.up else why)
