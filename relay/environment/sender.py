"""Takes messages and decisions to the environment, over the endpoint the relay exists for."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

import aiohttp

from relay.config import Environment
from relay.domain.deliveries import Delivery, Kind, Outcome, Refused, Retry
from relay.environment.directory import Directory
from relay.environment.errors import EnvironmentAwayError, LookupRefusedError
from relay.environment.frames import ApprovalDecision, ApprovalMessage, MessagesBody, ToolReturn, UserMessage
from relay.environment.listeners import NoRoomError
from relay.environment.pair import RuntimeRefusedError
from relay.environment.verdicts import meaning
from relay.store import StoreError

_LIMITS = aiohttp.ClientTimeout(total=30.0, sock_connect=5.0)


def body_of(delivery: Delivery) -> MessagesBody:
    """Return the request body of a delivery: the same bytes at every attempt."""
    content: UserMessage | ApprovalMessage
    if delivery.kind is Kind.MESSAGE:
        content = UserMessage(
            client_message_id=delivery.id, otid=delivery.id, content=delivery.body["content"]
        )
    else:
        content = ApprovalMessage(approvals=[_answer(delivery.body)])
    return MessagesBody(
        messages=[content],
        agentId=delivery.body["agent_id"],
        conversationId=delivery.body["conversation_id"],
    )


def _answer(body: Mapping[str, Any]) -> ApprovalDecision | ToolReturn:
    returned = body.get("returned")
    if returned is None:
        return ApprovalDecision(
            approve=body["approve"],
            tool_call_id=body["tool_call_id"],
            reason=body["reason"] or None,
            updated_input=body.get("updated_input"),
        )
    return ToolReturn(
        status="success" if returned["success"] else "error",
        tool_call_id=body["tool_call_id"],
        tool_return=returned["output"],
        stdout=returned["stdout"].splitlines() or None,
        stderr=returned["stderr"].splitlines() or None,
    )


Prepare = Callable[[Environment, Delivery], Awaitable[Delivery | Retry | Refused]]


async def _as_it_is(_: Environment, delivery: Delivery) -> Delivery:
    return delivery


def _not_begun(problem: StoreError) -> Retry:
    """Return what becomes of an attempt that the store kept from its beginning: nothing has arrived."""
    return Retry(f"the store is away: {problem}", unasked=True)


class EnvironmentSender:
    """Sends one delivery at a time to the present connection of its environment.

    `listening` returns once its answers can be heard: whether it is still to be sent then. What has no
    endpoint, an App Server, is given the message `by_socket`. `prepare` adds what an attempt needs and
    was not known when the delivery was stored.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        directory: Directory,
        environments: Mapping[str, Environment],
        clock: Callable[[], datetime],
        listening: Callable[[Delivery, str], Awaitable[bool]],
        by_socket: Callable[[Delivery, dict[str, Any]], Awaitable[Outcome]],
        prepare: Prepare = _as_it_is,
    ) -> None:
        self._session = session
        self._directory = directory
        self._environments = environments
        self._clock = clock
        self._listening = listening
        self._by_socket = by_socket
        self._prepare = prepare
        self._headers: dict[str, dict[str, str]] = {
            name: {
                "Authorization": f"Bearer {one.api_key.get_secret_value()}",
                "Content-Type": "application/json",
            }
            for name, one in environments.items()
        }

    async def send(self, delivery: Delivery) -> Outcome:
        """Attempt a delivery once, and once more when its connection turns out to be an old one."""
        environment = self._environments.get(delivery.environment)
        if environment is None:
            return Refused(f"the configuration no longer has an environment named {delivery.environment!r}")
        outcome, connection_id = await self._attempt(environment, delivery)
        if not (isinstance(outcome, Retry) and outcome.away and connection_id is not None):
            return outcome
        self._directory.gone(environment, connection_id)
        again, now_id = await self._attempt(environment, delivery, unless=connection_id)
        return again if now_id != connection_id else outcome

    async def _attempt(
        self, environment: Environment, delivery: Delivery, unless: str | None = None
    ) -> tuple[Outcome, str | None]:
        try:
            connection_id = await self._directory.connection_id(environment)
        except EnvironmentAwayError as problem:
            return Retry(str(problem), away=True), None
        except LookupRefusedError as problem:
            return Refused(str(problem)), None
        if connection_id == unless:
            self._directory.gone(environment, connection_id)
            return Retry("the environment's connection is gone", away=True), connection_id
        try:
            prepared = await self._prepare(environment, delivery)
        except StoreError as problem:
            return _not_begun(problem), None
        if not isinstance(prepared, Delivery):
            return prepared, None
        return await self._hand_over(environment, connection_id, prepared), connection_id

    async def _hand_over(self, environment: Environment, connection_id: str, delivery: Delivery) -> Outcome:
        try:
            if not await self._listening(delivery, connection_id):
                return Refused("it is over: the environment no longer asks")
        except NoRoomError as problem:
            return Retry(str(problem), unasked=True)
        except StoreError as problem:
            return _not_begun(problem)
        except RuntimeRefusedError as problem:
            # Called delivered, it would be answered by nobody; a decision may find it mended.
            return Refused(str(problem), over=delivery.kind is Kind.MESSAGE)
        if environment.is_app_server:
            message = body_of(delivery).messages[0].model_dump(exclude_none=True)
            return await self._by_socket(delivery, message)
        return await self._post(environment, connection_id, body_of(delivery).wire())

    async def _post(self, environment: Environment, connection_id: str, body: bytes) -> Outcome:
        url = f"{environment.base_url}/v1/environments/{quote(connection_id, safe='')}/messages"
        try:
            async with self._session.post(
                url,
                data=body,
                headers=self._headers[environment.name],
                timeout=_LIMITS,
                allow_redirects=False,  # another host would be shown people's words
            ) as answer:
                said = await answer.read()
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as problem:
            # There was no connection to send it on: nothing can have arrived.
            return Retry(f"the environments API cannot be reached ({type(problem).__name__})", down=True)
        except (aiohttp.ClientError, TimeoutError, OSError) as problem:
            reason = f"the environment's answer never came ({type(problem).__name__})"
            return Retry(reason, uncertain=True, down=True)
        return meaning(answer.status, said, answer.headers.get("Retry-After"), self._clock())
