"""The operator's door: a Unix socket beside the store, for the command line beside a running relay.

With the relay stopped the same questions are put to the store directly, by the same functions.
"""

import contextlib
import json
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import aiohttp
from aiohttp import web

from relay.domain.audit import derived_key
from relay.domain.deliveries import Delivery
from relay.domain.grants import LIKE, Grant
from relay.domain.secrets import mask
from relay.domain.store_urls import is_database
from relay.store import Store, StoreError, Transaction
from relay.store.delivery_pages import Chosen, Page
from relay.store.engine import store_path
from relay.store.opening import place_at
from relay.use_cases.drop_delivery import Dropped, drop_delivery
from relay.use_cases.grants import OPERATOR, revoke_by_operator
from relay.use_cases.keep_audit import NotAcceptedError, Wanted, accept_chain, audit_page, end_chain
from relay.use_cases.mend_deliveries import Mended, drop_some, retry_some, written
from relay.use_cases.past_approvals import past_approvals
from relay.use_cases.retry_delivery import retry_delivery

_PAGE = 200
_LIMIT = 50
_NUMBER, _COUNT = re.compile("-?[0-9]{1,18}"), re.compile("[0-9]{1,9}")  # as far as the store counts
_HALVES = re.compile("[\ud800-\udfff]")
_BEFORE_ALL = -(2**63)  # what is added to the record by hand may stand below zero
_COUNTED = 1_000  # what is not listed is counted no further: it is read for that alone
RETRY, DROP, COUNT = "deliveries.retry", "deliveries.drop", "deliveries.count"
ENVIRONMENTS = "environments.list"
PAST = "approvals.past"
GRANTS, REVOKE = "grants.list", "grants.revoke"
AUDIT_PAGE, AUDIT_KEY, ACCEPT = "audit.page", "audit.key", "audit.accept"
Answer = dict[str, Any]
Ask = Callable[[str, dict[str, str]], Awaitable[Answer]]


class ControlError(Exception):
    """The question cannot be answered; the message says what to do."""


def socket_path(store_url: str) -> Path | None:
    """Return where the socket of the relay that works on `store_url` is; None: a database has none.

    Whoever asks opens it beside its relays: they may be on other machines, and there may be several.
    """
    if is_database(store_url):
        return None
    path = store_path(store_url)
    return path.with_name(path.name + ".sock").absolute()


async def answer(store: Store, question: str, facts: dict[str, str]) -> Answer:
    """Answer one question of the command line. Raises ControlError."""
    if any(_HALVES.search(one) for one in facts.values()):  # of an argument that is no UTF-8
        raise ControlError("what is asked for is no text: it has half a character in it")
    now = store.now()
    works: dict[str, Callable[[], Awaitable[Answer]]] = {
        "deliveries.list": lambda: _list(store, facts),
        COUNT: lambda: _count(store, facts),
        "deliveries.show": lambda: store.transact(lambda tx: written(_found(tx, facts), whole=True)),
        PAST: lambda: store.transact(
            partial(past_approvals, since=_moment(facts), after_id=facts.get("after", ""))
        ),
        AUDIT_PAGE: lambda: _audit_page(store, facts),
        AUDIT_KEY: lambda: _audit_key(store),
        ACCEPT: lambda: _accept(store, facts, now),
        RETRY: lambda: store.transact(lambda tx: _retry(tx, facts, now)),
        DROP: lambda: store.transact(lambda tx: _drop(tx, facts, now)),
        GRANTS: lambda: store.transact(lambda tx: _grants(tx, now)),
        REVOKE: lambda: store.transact(lambda tx: _revoke(tx, facts, now)),
    }
    if question not in works:
        raise ControlError(
            f"unknown question {question!r}: the command line is of another version than the relay"
        )
    return await works[question]()


def _moment(facts: dict[str, str], name: str = "since") -> datetime:
    try:
        return datetime.fromisoformat(facts.get(name, "")).astimezone(UTC)
    except (ValueError, OverflowError):  # of the year 1, in a zone that was behind it
        raise ControlError(f"`{name}` must be a moment, as in 2026-11-21T12:00:00+00:00") from None


async def _audit_page(store: Store, facts: dict[str, str]) -> Answer:
    """Return a page of the record, and where its chains are behind it."""
    since, until = (_moment(facts, name) if facts.get(name) else None for name in ("since", "until"))
    wanted = Wanted(facts.get("subject", ""), facts.get("action", ""), since, until)
    after = int(facts["after"]) if _NUMBER.fullmatch(facts.get("after", "")) else _BEFORE_ALL
    page = await store.transact(lambda tx: audit_page(tx, after, wanted))
    return {
        "entries": [entry.written() for entry in page.entries],
        "anchors": [anchor.written() for anchor in page.anchors],
        "after": "" if page.after is None else str(page.after),
    }


async def _audit_key(store: Store) -> Answer:
    """Return the store's own key of the record: whoever may ask may read it in the file."""
    return {"key": derived_key(store.key).hex()}


async def _accept(store: Store, facts: dict[str, str], now: datetime) -> Answer:
    try:
        end = await store.transact(lambda tx: accept_chain(tx, facts.get("chain", ""), now))
    except NotAcceptedError as problem:
        raise ControlError(str(problem)) from None
    return {"accepted": end.chain, "up_to": end.number}


async def _list(store: Store, facts: dict[str, str]) -> Answer:
    limit = int(facts["limit"]) if _COUNT.fullmatch(facts.get("limit", "")) else _LIMIT
    place = await store.transact(lambda tx: _place(tx, facts.get("after", "")))
    listed: list[Answer] = []
    more = 0
    async for delivery in _older(store, _chosen(facts), place, limit + _COUNTED + 1):
        if len(listed) < limit:
            listed.append(written(delivery))
        else:
            more += 1
    return {
        "deliveries": listed,
        "after": listed[-1]["id"] if listed and more else "",
        "more": min(more, _COUNTED),
        "more_is_exact": more <= _COUNTED,
    }


async def _older(store: Store, chosen: Chosen, place: int, most: int) -> AsyncIterator[Delivery]:
    """Yield up to `most` deliveries, newest first, page by page: what people send is stored in between."""
    before: int | None = place
    while most > 0 and before is not None:
        page = await store.transact(partial(_page, chosen=chosen, place=before, most=min(most, _PAGE)))
        for delivery in page.deliveries:
            yield delivery
        most, before = most - len(page.deliveries), page.next


def _page(tx: Transaction, *, chosen: Chosen, place: int, most: int) -> Page:
    return tx.delivery_pages.before(place, chosen, most)


def _place(tx: Transaction, after: str) -> int:
    """Return the place of a delivery, without one that behind all of them."""
    place = tx.delivery_pages.place(after) if after else tx.delivery_pages.end()
    return place if place is not None else _missing(after)


def _chosen(facts: dict[str, str]) -> Chosen:
    """Return which deliveries a question is about. Raises ControlError."""
    states = (facts["state"],) if facts.get("state") else ()
    named = {name: facts.get(name, "") for name in ("kind", "environment", "team", "subject", "channel")}
    since, until = (_moment(facts, name) if facts.get(name) else None for name in ("since", "until"))
    return Chosen(states, **named, since=since, until=until)


async def _count(store: Store, facts: dict[str, str]) -> Answer:
    """Return how many deliveries are meant of those that are there, and the place behind those."""
    chosen = _chosen(facts)
    place: int | None = await store.transact(lambda tx: tx.delivery_pages.end())
    count, end = 0, place
    while place is not None:
        found, place = await store.transact(partial(_counted, chosen=chosen, place=place))
        count += found
    return {"count": count, "end": str(end)}


def _counted(tx: Transaction, *, chosen: Chosen, place: int) -> tuple[int, int | None]:
    return tx.delivery_pages.count(place, chosen)


def _found(tx: Transaction, facts: dict[str, str]) -> Delivery:
    delivery = tx.deliveries.get(facts.get("id", ""))
    return delivery if delivery is not None else _missing(facts.get("id", ""))


def _missing(delivery_id: str) -> NoReturn:
    raise ControlError(f"there is no delivery {delivery_id!r}: `relay deliveries list` names them")


def _number(facts: dict[str, str], name: str) -> int:
    if not facts.get(name, "").isdecimal():
        raise ControlError(f"`{name}` must be a place that `{COUNT}` or a page gave")
    return int(facts[name])


def _drop(tx: Transaction, facts: dict[str, str], now: datetime) -> Answer:
    """Drop one delivery, or a page of those that are meant."""
    if "id" not in facts:
        return _mended(drop_some(tx, _chosen(facts), _number(facts, "place"), OPERATOR, now))
    delivery = _found(tx, facts)
    dropped = drop_delivery(tx, delivery, OPERATOR, now)
    if dropped is Dropped.UNDER_WAY:
        raise ControlError(f"{delivery.id} is being sent right now: look again in a moment")
    if dropped is Dropped.SETTLED:
        raise ControlError(f"{delivery.id} is {delivery.state}: only what waits or failed is dropped")
    return {"dropped": delivery.id}


def _mended(mended: Mended) -> Answer:
    return {"done": mended.done, "left": mended.left, "next": "" if mended.next is None else str(mended.next)}


def _retry(tx: Transaction, facts: dict[str, str], now: datetime) -> Answer:
    """Retry one delivery, or a page of those that are meant."""
    if "id" not in facts:
        place, end = _number(facts, "place"), _number(facts, "end")
        return _mended(retry_some(tx, _chosen(facts), place, end, OPERATOR, now))
    delivery = _found(tx, facts)
    if not retry_delivery(tx, delivery, OPERATOR, now):
        raise ControlError(
            f"{delivery.id} is {delivery.state}: only a failed delivery that is still wanted is retried"
        )
    return {"retried": delivery.id}


def _grants(tx: Transaction, now: datetime) -> Answer:
    """Return the grants that may be used, those that end first first, at most a page of them."""
    found = tx.grants.all_live(_PAGE + 1, now)
    return {"grants": [_described_grant(grant) for grant in found[:_PAGE]], "more": len(found) > _PAGE}


def _revoke(tx: Transaction, facts: dict[str, str], now: datetime) -> Answer:
    grant = tx.grants.get(facts.get("id", ""))
    if grant is None:
        raise ControlError(f"there is no grant {facts.get('id')!r}: `relay grants list` names them")
    if not revoke_by_operator(tx, grant, now):
        raise ControlError(f"{grant.id} allows nothing any more: it was revoked, used up, or is past its end")
    return {"revoked": grant.id}


def _described_grant(grant: Grant) -> Answer:
    return {
        "id": grant.id,
        "tool": grant.tool_name,
        "environment": grant.environment,
        "conversation": grant.conversation_id,
        "rule": grant.rule,
        "exactly": not grant.patterns,
        # What differs alone: what has to be the same is an input, and inputs are for those who decide.
        "like": mask({key: one[LIKE] for key, one in grant.patterns.items() if LIKE in one}).value,
        "granted_by": grant.granted_by,
        "approval_id": grant.approval_id,
        "created_at": _written(grant.created_at),
        "expires_at": _written(grant.expires_at),
        "uses": grant.uses,
        "most_uses": grant.most_uses,
    }


def _written(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="milliseconds") if moment else None


class ControlSocket:
    """Answers the command line over a socket that only this user may open (mode 0600).

    `environments` answers what a running relay alone knows.
    """

    def __init__(
        self, store: Store, environments: Callable[[], Awaitable[Answer]], path: Path | None, log: Any
    ) -> None:
        self._store = store
        self._environments = environments
        self._path = path
        self._log = log
        self._runner: web.AppRunner | None = None

    async def open(self) -> None:
        """Open the socket; a path too long for the system leaves it shut and says so.

        Without a path there is none to open.
        """
        if self._path is None:
            return
        app = web.Application()
        app.router.add_post("/{question}", self._take)
        runner = web.AppRunner(app, shutdown_timeout=1.0)
        await runner.setup()
        self._path.unlink(missing_ok=True)  # of a run before: the store's lock is ours
        before = os.umask(0o177)
        try:
            await web.UnixSite(runner, str(self._path)).start()
        except OSError as problem:
            self._log.warning("control.not_open", path=str(self._path), reason=str(problem))
            await runner.cleanup()
            return
        finally:
            os.umask(before)
        self._runner = runner

    async def close(self) -> None:
        """Close the socket and take its file away."""
        if self._runner is not None and self._path is not None:
            await self._runner.cleanup()
            self._path.unlink(missing_ok=True)

    async def _take(self, request: web.Request) -> web.Response:
        try:
            found = await self._answer(request.match_info["question"], _facts(await request.read()))
        except (ControlError, StoreError) as problem:
            return web.json_response({"error": str(problem)}, status=400)
        return web.json_response(found)

    async def _answer(self, question: str, facts: dict[str, str]) -> Answer:
        if question == ENVIRONMENTS:
            return await self._environments()
        return await answer(self._store, question, facts)


def _facts(body: bytes) -> dict[str, str]:
    """Return what a question says: texts by their names. Raises ControlError."""
    try:
        facts = json.loads(body)
    except (ValueError, RecursionError):
        facts = None
    if not isinstance(facts, dict) or not all(isinstance(one, str) for one in facts.values()):
        raise ControlError("a question is asked with a JSON object of texts")
    return facts


async def ask_running(store_url: str, question: str, facts: dict[str, str]) -> Answer | None:
    """Ask the running relay; None when none runs. Raises ControlError."""
    path = socket_path(store_url)
    if path is not None and path.exists():
        try:
            return await _ask_running(path, question, facts)
        except aiohttp.ClientConnectorError:
            pass  # its socket outlived it: a relay that was killed
    return None


async def ask(
    store_url: str, question: str, facts: dict[str, str], audit_keys: Sequence[bytes] = ()
) -> Answer:
    """Ask the running relay, or the store itself when none runs. Raises ControlError, StoreError."""
    async with asking(store_url, audit_keys) as put:
        return await put(question, facts)


@contextlib.asynccontextmanager
async def asking(store_url: str, audit_keys: Sequence[bytes] = ()) -> AsyncIterator[Ask]:
    """Give what puts question after question: to the running relay, or to the store once none runs."""
    opened: list[Store] = []

    async def put(question: str, facts: dict[str, str]) -> Answer:
        found = None if opened else await ask_running(store_url, question, facts)
        if found is not None:
            return found
        if not opened:
            opened.append(_opened(store_url, audit_keys))
        return await answer(opened[0], question, facts)

    try:
        yield put
    finally:
        for store in opened:
            if store.anchor is not None:
                await store.transact(partial(end_chain, now=store.now()))
            await store.close()


def _opened(store_url: str, audit_keys: Sequence[bytes]) -> Store:
    place = place_at(store_url)
    if not place.exists():
        raise ControlError(f"there is no store at {place.name}: set RELAY_STORE_URL to the relay's")
    return Store.open(store_url, audit_keys=audit_keys, beside=True)


async def _ask_running(path: Path, question: str, facts: dict[str, str]) -> Answer:
    connector = aiohttp.UnixConnector(str(path))
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.post(f"http://relay/{question}", json=facts) as response,
    ):
        found: Answer = await response.json(content_type=None)
        if response.status != 200:
            raise ControlError(str(found.get("error", response.status)))
        return found
