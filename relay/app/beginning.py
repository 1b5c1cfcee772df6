"""What a start makes of the requests that waited while no relay ran."""

from collections.abc import Callable
from datetime import datetime
from functools import partial

from relay.domain.runtime import Runtime
from relay.store import Store, Transaction
from relay.use_cases.apply_policy import apply_policy
from relay.use_cases.open_approval import Audience
from relay.use_cases.pass_silence import after_start


async def rule_anew(
    store: Store, audience_of: Callable[[Transaction, Runtime], Audience], now: datetime
) -> None:
    """Have every request asked by the present policy, and none denied before people could answer.

    Page by page, before anything else is done with them. Raises StoreError.
    """

    await hear_people_first(store, now)
    await _every(store, partial(apply_policy, audience_of=audience_of, now=now))


async def hear_people_first(store: Store, now: datetime) -> None:
    """Have no request denied by silence in the next moments: nobody could answer before.

    Raises StoreError.
    """
    await _every(store, partial(after_start, now=now))


async def _every(store: Store, work: Callable[..., str]) -> None:
    after = await store.transact(partial(work, after=""))
    while after:
        after = await store.transact(partial(work, after=after))
