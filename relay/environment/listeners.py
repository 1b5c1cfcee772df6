"""All the listeners: one for each conversation that is listened to."""

from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any

from relay.domain.deliveries import Delivery, Outcome, Refused
from relay.domain.runtime import Runtime
from relay.environment.listener import Listener, Presence


class Listeners:
    """Finds the listener of a conversation, and knows which environments can be reached."""

    def __init__(self, runtimes: Iterable[Runtime], make: Callable[[Runtime], Listener]) -> None:
        self._all = {runtime: make(runtime) for runtime in runtimes}
        self._by_environment: dict[str, list[Listener]] = {}
        for runtime, listener in self._all.items():
            self._by_environment.setdefault(runtime.environment, []).append(listener)

    @property
    def runs(self) -> list[Callable[[], Coroutine[Any, Any, None]]]:
        """What has to run for ever."""
        return [listener.run for listener in self._all.values()]

    @property
    def presences(self) -> Mapping[Runtime, Presence]:
        """How each conversation's sockets are."""
        return {runtime: listener.presence for runtime, listener in self._all.items()}

    async def ready(self, delivery: Delivery, connection_id: str) -> bool:
        """Return when what comes of `delivery` can be heard; whether that had to be waited for."""
        listener = self._all.get(_runtime(delivery))
        return listener is not None and await listener.ready(connection_id)

    async def answer(self, delivery: Delivery) -> Outcome:
        """Give a decision over the sockets of the conversation it is for."""
        listener = self._all.get(_runtime(delivery))
        if listener is None:
            return Refused("the configuration no longer listens to that conversation")
        return await listener.answer(delivery)

    async def stop_turn(self, runtime: Runtime) -> bool | None:
        """Stop the turn of a conversation; return whether there was one, None: it cannot be reached."""
        listener = self._all.get(runtime)
        return await listener.stop_turn() if listener is not None else None

    def away(self, environment: str) -> Presence | None:
        """Return how an environment is when it is known to be away: the longest of its conversations."""
        seen = [one.presence for one in self._by_environment.get(environment, ())]
        if any(presence.up for presence in seen):
            return None
        away = [(presence.since, presence) for presence in seen if presence.since is not None]
        return min(away, key=lambda one: one[0])[1] if away else None


def _runtime(delivery: Delivery) -> Runtime:
    body = delivery.body
    return Runtime(delivery.environment, body["agent_id"], body["conversation_id"])
