"""Takes up a configuration that is loaded anew while relay runs, or says in one line why not."""

import asyncio
from collections.abc import Callable
from typing import Any

from relay.app.audiences import Audiences
from relay.app.beginning import rule_anew
from relay.app.offices import Offices
from relay.config import Config, ConfigError, Present, reloaded
from relay.environment.listeners import Listeners
from relay.store import Store, StoreError


class Reloading:
    """Has what comes from then on go by the new configuration, and what waits asked by it, as at a start."""

    def __init__(
        self,
        present: Present,
        store: Store,
        offices: Offices,
        listeners: Listeners,
        audiences: Audiences,
        log: Any,
    ) -> None:
        self._present = present
        self._store = store
        self._offices = offices
        self._listeners = listeners
        self._audiences = audiences
        self._log = log

    async def reload(self, load: Callable[[], Config]) -> None:
        """Take up what `load` returns. Raises nothing: a bad one changes nothing."""
        try:
            await self._reload(await asyncio.to_thread(load))
        except ConfigError as problem:
            self._log.error("config.not_reloaded", reasons=problem.problems)
        except Exception as problem:  # noqa: BLE001 - the boundary of a signal: relay goes on as it is
            reasons = [f"an error inside relay: {type(problem).__name__}"]
            self._log.error("config.not_reloaded", reasons=reasons, exc_info=problem)

    async def _reload(self, wanted: Config) -> None:
        reload = reloaded(self._present.config, wanted)
        if shared := await self._offices.take_places(reload.config):
            raise ConfigError(
                [f"{', '.join(shared)} is shared with another workspace, which would read the cards"]
            )
        self._present.take(reload.config)
        listening = reload.config.listening
        self._listeners.keep(
            self._audiences.fixed, most=listening.most, rest_after=listening.rest_after * 60.0
        )
        told = {"changed": list(reload.changed), "needs_restart": list(reload.needs_restart)}
        try:
            await rule_anew(self._store, self._audiences.of, self._store.now())
        except StoreError as problem:  # what waits is asked by it at the next look
            told["not_ruled_anew"] = [str(problem)]
        (self._log.warning if reload.needs_restart else self._log.info)("config.reloaded", **told)
