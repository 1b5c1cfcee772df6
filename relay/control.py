"""The operator's door: a Unix socket beside the store, for the command line beside a running relay.

With the relay stopped the same questions are put to the store directly, by the same functions.
"""

import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from relay.domain.audit import derived_key
from relay.domain.deliveries import Delivery
from relay.domain.grants import LIKE, Grant
from relay.domain.secrets import mask
from relay.store import Store, StoreError, Transaction
from relay.store.engine import store_path
from relay.use_cases.grants import OPERATOR, revoke_by_operator
from relay.use_cases.keep_audit import NotAcceptedError, Wanted, accept_chain, audit_page, end_chain
from relay.use_cases.past_approvals import past_approvals
from relay.use_cases.retry_delivery import retry_delivery

_PAGE = 200
_LIMIT = 50
_BEFORE_ALL = -(2**63)  # what is added to the record by hand may stand below zero
_COUNTED = 1_000  # what is not listed is counted no further: it is read for that alone
ENVIRONMENTS = "environments.list"
PAST = "approvals.past"
GRANTS, REVOKE = "grants.list", "grants.revoke"
AUDIT_PAGE, AUDIT_KEY, ACCEPT = "audit.page", "audit.key", "audit.accept"
Answer = dict[str, Any]
Ask = Callable[[str, dict[str, str]], Awaitable[Answer]]


class ControlError(Exception):
    """The question cannot be answered; the message says what to do."""


def socket_path(store_url: str) -> Path:
    """Return where the socket of the relay that works on `store_url` is."""
    path = store_path(store_url)
    return path.with_name(path.name + ".sock").absolute()


async def answer(store: Store, question: str, facts: dict[str, str]) -> Answer:
    """Answer one question of the command line. Raises ControlError."""
    now = datetime.now(UTC)
    works: dict[str, Callable[[], Awaitable[Answer]]] = {
        "deliveries.list": lambda: _list(store, facts),
        "deliveries.show": lambda: store.transact(lambda tx: _described(_found(tx, facts), whole=True)),
        PAST: lambda: store.transact(
            partial(past_approvals, since=_moment(facts), after_id=facts.get("after", ""))
        ),
        AUDIT_PAGE: lambda: _audit_page(store, facts),
        AUDIT_KEY: lambda: _audit_key(store),
        ACCEPT: lambda: _accept(store, facts, now),
        "deliveries.retry": lambda: store.transact(lambda tx: _retry(tx, facts, now)),
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
    except ValueError:
        raise ControlError(f"`{name}` must be a moment, as in 2026-11-21T12:00:00+00:00") from None


async def _audit_page(store: Store, facts: dict[str, str]) -> Answer:
    """Return a page of the record, and where its chains are behind it."""
    since, until = (_moment(facts, name) if facts.get(name) else None for name in ("since", "until"))
    wanted = Wanted(facts.get("subject", ""), facts.get("action", ""), since, until)
    after = int(facts["after"]) if facts.get("after", "").removeprefix("-").isdecimal() else _BEFORE_ALL
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
    limit = int(facts["limit"]) if facts.get("limit", "").isdecimal() else _LIMIT
    if after := facts.get("after", ""):
        await store.transact(lambda tx: _found(tx, {"id": after}))
    listed: list[Answer] = []
    more = 0
    async for delivery in _older(store, facts.get("state") or None, after, limit + _COUNTED + 1):
        if len(listed) < limit:
            listed.append(_described(delivery))
        else:
            more += 1
    return {
        "deliveries": listed,
        "after": listed[-1]["id"] if listed and more else "",
        "more": min(more, _COUNTED),
        "more_is_exact": more <= _COUNTED,
    }


async def _older(store: Store, state: str | None, after: str, most: int) -> AsyncIterator[Delivery]:
    """Yield up to `most` deliveries, newest first, page by page: what people send is stored in between."""
    while most > 0:
        size = min(most, _PAGE)
        page = await store.transact(partial(_page, state=state, most=size, after=after))
        for delivery in page:
            yield delivery
        if len(page) < size:
            return
        most, after = most - size, page[-1].id


def _page(tx: Transaction, *, state: str | None, most: int, after: str) -> list[Delivery]:
    return tx.deliveries.page(state=state, most=most, after=after)


def _found(tx: Transaction, facts: dict[str, str]) -> Delivery:
    delivery = tx.deliveries.get(facts.get("id", ""))
    if delivery is None:
        raise ControlError(f"there is no delivery {facts.get('id')!r}: `relay deliveries list` names them")
    return delivery


def _retry(tx: Transaction, facts: dict[str, str], now: datetime) -> Answer:
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


def _described(delivery: Delivery, *, whole: bool = False) -> Answer:
    described: Answer = {
        "id": delivery.id,
        "kind": delivery.kind.value,
        "state": delivery.state.value,
        "environment": delivery.environment,
        "subject_id": delivery.subject_id,
        "attempts": delivery.attempts,
        "created_at": _written(delivery.created_at),
        "next_attempt_at": _written(delivery.next_attempt_at),
        "last_error": delivery.last_error,
    }
    if whole:
        body = {name: value for name, value in delivery.body.items() if name != "response_url"}
        described |= {
            "ordering_key": delivery.ordering_key,
            "deadline": _written(delivery.deadline),
            "receipt": dict(delivery.receipt),
            "body": body,
        }
    return described


def _written(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="milliseconds") if moment else None


class ControlSocket:
    """Answers the command line over a socket that only this user may open (mode 0600).

    `environments` answers what a running relay alone knows.
    """

    def __init__(
        self, store: Store, environments: Callable[[], Awaitable[Answer]], path: Path, log: Any
    ) -> None:
        self._store = store
        self._environments = environments
        self._path = path
        self._log = log
        self._runner: web.AppRunner | None = None

    async def open(self) -> None:
        """Open the socket; a path too long for the system leaves it shut and says so."""
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
        if self._runner is not None:
            await self._runner.cleanup()
            self._path.unlink(missing_ok=True)

    async def _take(self, request: web.Request) -> web.Response:
        try:
            found = await self._answer(request.match_info["question"], await request.json())
        except (ControlError, StoreError) as problem:
            return web.json_response({"error": str(problem)}, status=400)
        return web.json_response(found)

    async def _answer(self, question: str, facts: dict[str, str]) -> Answer:
        if question == ENVIRONMENTS:
            return await self._environments()
        return await answer(self._store, question, facts)


async def ask_running(store_url: str, question: str, facts: dict[str, str]) -> Answer | None:
    """Ask the running relay; None when none runs. Raises ControlError."""
    path = socket_path(store_url)
    if path.exists():
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
                await store.transact(partial(end_chain, now=datetime.now(UTC)))
            await store.close()


def _opened(store_url: str, audit_keys: Sequence[bytes]) -> Store:
    if not store_path(store_url).exists():
        raise ControlError(
            f"there is no store at {store_path(store_url)}: set RELAY_STORE_URL to the relay's"
        )
    return Store.open(store_url, audit_keys=audit_keys)


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
