"""Whom to ask in which conversation: its route says, or that of the channel it was made for."""

from collections.abc import Mapping
from functools import partial

from relay.config import Config, Present, Route
from relay.config.tables import ANY_TEAM
from relay.domain.matching import evaluate
from relay.domain.runtime import Runtime
from relay.store import Transaction
from relay.store.conversations import Binding
from relay.use_cases.open_approval import Audience

_NOBODY = ""  # no workspace has this id: a request nobody can be asked about is denied


class Audiences:
    """Finds the audience of a conversation: always people of one workspace.

    `team_id` is the one that is served; None where there are many, and each conversation is of one of them.
    """

    def __init__(self, present: Present, team_id: str | None, key: bytes) -> None:
        self._present = present
        self._team_id = team_id
        self._key = key
        # What was made of which routes: two threads look, and each takes both or neither.
        self._made: tuple[tuple[Route, ...], Mapping[Runtime, Route]] = ((), {})

    def _fixed(self) -> Mapping[Runtime, Route]:
        routes, fixed = self._made
        if routes is not self._present.config.routes:
            routes = self._present.config.routes
            # The first route of a conversation counts; all of one conversation ask in the same places.
            fixed = {route.runtime: route for route in reversed(routes) if not route.per}
            self._made = (routes, fixed)
        return fixed

    @property
    def fixed(self) -> frozenset[Runtime]:
        """The conversations that the configuration names."""
        return frozenset(self._fixed())

    def of(self, tx: Transaction, runtime: Runtime) -> Audience:
        """Return whom to ask about what a conversation wants."""
        route = self._fixed().get(runtime)
        if route is not None:
            return self._audience(self._team_id or route.team, route.places)
        binding = tx.conversations.of_conversation(
            runtime.environment, runtime.agent_id, runtime.conversation_id
        )
        team_id = self._team_id or (binding.team_id if binding is not None else self._only_one(runtime))
        return self._audience(team_id, self._places(binding, team_id, runtime))

    def _audience(self, team_id: str, places: tuple[str, ...]) -> Audience:
        return Audience(team_id, places, self._key, partial(evaluate, self._of(team_id).policy))

    def _places(self, binding: Binding | None, team_id: str, runtime: Runtime) -> tuple[str, ...]:
        config = self._of(team_id)
        route = config.route(binding.channel_id) if binding is not None else None
        if route is None or route.runtime.environment != runtime.environment:
            # The routes have changed since it was made: those that lead to its environment still say where.
            led = _leading(config, runtime)
            route = led[0] if led else route
        return route.places if route is not None else tuple(sorted(config.approvers))

    def _only_one(self, runtime: Runtime) -> str:
        """Return the one workspace that reaches the environment of an unknown conversation, if it is one."""
        teams = {route.team for route in _leading(self._present.config, runtime)}
        return teams.pop() if len(teams) == 1 and ANY_TEAM not in teams else _NOBODY

    def _of(self, team_id: str) -> Config:
        present = self._present if self._team_id is not None else self._present.of_team(team_id)
        return present.config


def _leading(config: Config, runtime: Runtime) -> list[Route]:
    return [one for one in config.routes if one.runtime.environment == runtime.environment]
