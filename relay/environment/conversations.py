"""Makes the conversation of a thread or a channel, when the first message of it is delivered."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from http import HTTPStatus
from typing import Any

import aiohttp

from relay.config import Environment
from relay.domain.deliveries import Delivered, Delivery, Refused, Retry
from relay.domain.ids import new_id
from relay.environment.app_server_socket import make_conversation
from relay.environment.verdicts import meaning
from relay.store import Store
from relay.use_cases.conversations import bind, bound

_LIMITS = aiohttp.ClientTimeout(total=30.0, sock_connect=5.0)


class Conversations:
    """Finds the conversation of a delivery, and makes it once where there is none yet."""

    def __init__(self, session: aiohttp.ClientSession, store: Store, clock: Callable[[], datetime]) -> None:
        self._session = session
        self._store = store
        self._clock = clock

    async def prepared(self, environment: Environment, delivery: Delivery) -> Delivery | Retry | Refused:
        """Return the delivery with its conversation, or why there is none.

        Stored before anything is posted to it. A crash in between leaves a conversation that nobody
        uses; deliveries to one conversation go one after the other, so no two make one.
        """
        body = delivery.body
        if not body.get("conversation_key") or body["conversation_id"]:
            return delivery
        binding = await self._store.transact(lambda tx: bound(tx, delivery))
        if binding is None:
            return Refused("the store does not know the conversation it is for")
        conversation_id = binding.conversation_id
        if conversation_id is None:
            made = await self._make(environment)
            if not isinstance(made, str):
                return made
            now = self._clock()
            conversation_id = await self._store.transact(lambda tx: bind(tx, delivery, made, now))
        return replace(delivery, body={**body, "conversation_id": conversation_id})

    async def _make(self, environment: Environment) -> str | Retry | Refused:
        if environment.is_app_server:
            return await make_conversation(self._session, environment, lambda: new_id("req", self._clock()))
        headers = {"Authorization": f"Bearer {environment.api_key.get_secret_value()}"}
        try:
            async with self._session.post(
                f"{environment.base_url}/v1/conversations/",
                params={"agent_id": environment.agent_id},
                json={},
                headers=headers,
                timeout=_LIMITS,
                allow_redirects=False,
            ) as answer:
                said, status = await answer.read(), answer.status
        except (aiohttp.ClientError, TimeoutError, OSError) as problem:
            return Retry(f"no conversation could be made ({type(problem).__name__})", down=True)
        return self._read(status, said, answer.headers.get("Retry-After"))

    def _read(self, status: int, said: bytes, retry_after: str | None) -> str | Retry | Refused:
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            return _id_in(said) or Retry("the environments API made a conversation and did not say which")
        if status == HTTPStatus.NOT_FOUND:
            return Refused("the environments API knows no such agent to make a conversation with")
        outcome = meaning(status, said, retry_after, self._clock())
        if isinstance(outcome, Refused):
            return Refused(f"no conversation could be made: {outcome.reason}", said=outcome.said)
        # Whether it was made or not, nothing was said in it yet: it may be asked for again.
        said_of_it = Retry("") if isinstance(outcome, Delivered) else outcome
        reason = f"no conversation could be made: the environments API answered {status}"
        return replace(said_of_it, reason=reason, uncertain=False, away=False)


def _id_in(said: bytes) -> str | None:
    try:
        answer: Any = json.loads(said)
    except (ValueError, RecursionError):
        return None
    found = answer.get("id") if isinstance(answer, dict) else None
    return found if isinstance(found, str) and found else None
