"""Whom to ask in which conversation: its route says, or that of the channel it was made for."""

from functools import partial

from relay.config import Config
from relay.domain.matching import evaluate
from relay.domain.runtime import Runtime
from relay.store import Transaction
from relay.use_cases.open_approval import Audience


class Audiences:
    """Finds the audience of a conversation."""

    def __init__(self, config: Config, team_id: str, key: bytes) -> None:
        self._config = config
        self._team_id = team_id
        self._key = key
        # The first route of a conversation counts; all of one conversation ask in the same places.
        self._fixed = {route.runtime: route.places for route in reversed(config.routes) if not route.per}

    @property
    def fixed(self) -> frozenset[Runtime]:
        """The conversations that the configuration names."""
        return frozenset(self._fixed)

    def of(self, tx: Transaction, runtime: Runtime) -> Audience:
        """Return whom to ask about what a conversation wants."""
        places = self._fixed.get(runtime)
        found = self._found(tx, runtime) if places is None else places
        return Audience(self._team_id, found, self._key, partial(evaluate, self._config.policy))

    def _found(self, tx: Transaction, runtime: Runtime) -> tuple[str, ...]:
        binding = tx.conversations.of_conversation(
            runtime.environment, runtime.agent_id, runtime.conversation_id
        )
        route = self._config.route(binding.channel_id) if binding is not None else None
        if route is None or route.runtime.environment != runtime.environment:
            # The routes have changed since it was made: those that lead to its environment still say where.
            led = [one for one in self._config.routes if one.runtime.environment == runtime.environment]
            route = led[0] if led else route
        return route.places if route is not None else tuple(sorted(self._config.approvers))
