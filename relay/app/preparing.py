"""What an attempt to deliver a message needs that was not known when it was stored."""

from collections.abc import Awaitable, Callable

from relay.app.http_clients import HttpClients
from relay.config import Config, Environment
from relay.domain.deliveries import Delivery, Refused, Retry
from relay.environment.conversations import Conversations
from relay.slack.files import Files
from relay.store import Store


class Preparing:
    """Gives a delivery its conversation and the files it names."""

    def __init__(
        self, config: Config, store: Store, http: HttpClients, token_of: Callable[[str], Awaitable[str]]
    ) -> None:
        self._conversations = Conversations(http.sockets, store, store.now)
        self._files = Files(http.slack, config.slack, token_of, store, store.now)

    async def prepared(self, environment: Environment, delivery: Delivery) -> Delivery | Retry | Refused:
        """Return the delivery as it can be sent, or why it cannot."""
        prepared = await self._conversations.prepared(environment, delivery)
        return await self._files.prepared(prepared) if isinstance(prepared, Delivery) else prepared
