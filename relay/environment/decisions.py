"""The way of a decision: posted as the API documents it, or over the status sockets where that has no effect.

Some routers hand a posted approval to the device in a form that it drops, and call it passed on. What
worked is remembered for each environment, so that only the first decision finds out.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping

from relay.domain.deliveries import Delivered, Delivery, Outcome

# Should the way that worked have stopped working, the other one is tried now and then.
_OTHER_WAY_EVERY = 4

Send = Callable[[Delivery], Awaitable[Outcome]]


class Decisions:
    """Takes decisions out. `ways` says "auto", "rest" or "socket" for each environment.

    `remember(name)` keeps for the next start that decisions took effect over the sockets alone.
    """

    def __init__(
        self,
        post: Send,
        answer: Send,
        ways: Mapping[str, str],
        remember: Callable[[str], Awaitable[None]],
    ) -> None:
        self._post = post
        self._answer = answer
        self._ways = ways
        self._learned: set[str] = set()
        self._remember = remember

    def learn(self, environments: Iterable[str]) -> None:
        """Take up what was remembered."""
        self._learned.update(environments)

    async def send(self, delivery: Delivery) -> Outcome:
        """Attempt a decision by the way that is set for its environment, or that worked there.

        Which of the environment's own suggestions were taken up can only be said over the sockets.
        """
        return await (self._answer if self._by_socket(delivery) else self._post)(delivery)

    async def answer(self, delivery: Delivery) -> Outcome:
        """Give once more over the sockets what was posted without effect; what works is remembered."""
        outcome = await self._answer(delivery)
        if isinstance(outcome, Delivered) and delivery.environment not in self._learned:
            self._learned.add(delivery.environment)
            await self._remember(delivery.environment)
        return outcome

    def _by_socket(self, delivery: Delivery) -> bool:
        if delivery.body.get("suggestions"):
            return True
        way = self._ways.get(delivery.environment, "auto")
        if way != "auto":
            return way == "socket"
        return delivery.environment in self._learned and delivery.attempts % _OTHER_WAY_EVERY != 0
