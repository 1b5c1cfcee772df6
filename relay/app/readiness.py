"""Whether each part can do its work, in words: what /readyz answers."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from relay.app.offices import Offices
from relay.config.tables import DEFAULT_CONVERSATION
from relay.domain.circuits import Held
from relay.domain.runtime import Runtime
from relay.environment.listener import Presence
from relay.environment.listeners import Listeners
from relay.slack.socket_mode import SocketMode
from relay.store import Store, StoreError
from relay.web import Health


@dataclass(frozen=True)
class Readiness:
    """The parts that are asked; without a `socket_mode` Slack calls over HTTP."""

    store: Store
    socket_mode: SocketMode | None
    listeners: Listeners
    offices: Offices
    environments: tuple[str, ...] = ()
    held: Callable[[str], Held | None] = lambda _: None
    elsewhere: Callable[[], Mapping[str, Health]] = dict

    async def parts(self) -> dict[str, Health]:
        """Return how each part is, by its name."""
        parts = {"store": await self._store_health()}
        if self.socket_mode is not None:
            parts["slack"] = _socket_health(self.socket_mode)
        else:
            parts["slack"] = Health(ready=True, words="called over HTTP")
        parts |= conversations(self.listeners.presences)
        parts |= self.elsewhere()
        for environment in self.environments:
            if held := self.held(environment):
                parts[f"deliveries to {environment}"] = _held_health(held)
        # A place that takes no cards keeps nobody from being ready: the route has others.
        parts |= {f"place {channel}": Health(True, words) for channel, words in self.offices.places().items()}
        # Nor does a workspace that has to install the app again: the others are served.
        parts |= {name: Health(True, words) for name, words in self.offices.installs().items()}
        return parts

    async def _store_health(self) -> Health:
        now = self.store.now()
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


def _held_health(held: Held) -> Health:
    # What waits is kept, and goes once the environment takes it: nothing here is to be mended.
    since = f"{held.since:%Y-%m-%d %H:%M:%SZ}"
    return Health(ready=True, words=f"held back since {since}, one at a time is tried: {held.reason}")


def conversations(presences: Mapping[Runtime, Presence]) -> dict[str, Health]:
    """Return how the sockets of each conversation are, by its name."""
    several = Counter(runtime.environment for runtime in presences)
    reached = {runtime.environment for runtime, presence in presences.items() if presence.since is not None}
    parts = {}
    for runtime, presence in presences.items():
        name = f"environment {runtime.environment}"
        if several[runtime.environment] > 1 or runtime.conversation_id != DEFAULT_CONVERSATION:
            name += f" / {runtime.conversation_id}"
        parts[name] = _presence_health(presence, reached=runtime.environment in reached)
    return parts


def _presence_health(presence: Presence, *, reached: bool) -> Health:
    if presence.since is None:
        # What is said there is stored already: where conversations are many, nobody waits for the last one.
        return Health(ready=reached, words="its sockets are being opened")
    # Known to be offline is ready: what is sent there waits. What is refused waits for somebody to mend it.
    why = f"{'refused' if presence.refused else 'offline'}: {presence.reason}"
    return Health(not presence.refused, "listening" if presence.up else why)
