"""The two pages of an install: one leads to Slack, and Slack leads back to the other.

A state is good once, for ten minutes, and in the browser it was given to: a cookie says which. It is
signed, and stored when it is used, with a code that Slack took: whoever only comes here writes nothing.
Nothing that comes with a request is shown.
"""

import hmac
import html
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from slack_sdk.errors import SlackApiError

from relay.config import OAuthConfig
from relay.domain.installations import Installation
from relay.slack.installing.oauth import NoInstallationError, OAuth
from relay.slack.installing.roll import Roll
from relay.slack.installing.states import States, digest
from relay.slack.scopes import BOT_SCOPES
from relay.slack.verdicts import CARRIERS, code
from relay.store import DoubtError, Store, StoreError
from relay.use_cases.installing import STATE_LASTS, use_state

_COOKIE = "relay-install"
_FLAGS = "Path=/; HttpOnly; Secure; SameSite=Lax"
_LONGEST = 200  # of what comes with a request
_AGAIN = "Begin again."
_NOT_KEPT = ("relay could not keep the installation", "Nothing was kept.")
_IN_DOUBT = ("relay lost its database meanwhile", "Nobody can say yet whether the installation was kept.")
_LINK = '<p><a href="/slack/install">Install relay</a></p>'
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True)
class Page:
    """What a browser gets."""

    status: int
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


class InstallPages:
    """Answers the browser of whoever installs the app."""

    def __init__(
        self,
        config: OAuthConfig,
        oauth: OAuth,
        roll: Roll,
        store: Store,
        clock: Callable[[], datetime],
        log: Any,
    ) -> None:
        self._oauth = oauth
        self._roll = roll
        self._store = store
        self._states = States(store.key)
        self._clock = clock
        self._log = log
        secure = config.public_url.startswith("https://")
        # A browser takes a cookie of this name for this host alone, and over HTTPS alone.
        self._cookie = f"__Host-{_COOKIE}" if secure else _COOKIE

    def install(self) -> Page:
        """Lead somebody to the page where Slack asks them to consent."""
        state = self._states.make(self._clock())
        cookie = f"{self._cookie}={state}; Max-Age={int(STATE_LASTS.total_seconds())}; {_FLAGS}"
        headers = {**_HEADERS, "Location": self._oauth.address(state), "Set-Cookie": cookie}
        return Page(302, headers=headers)

    async def redirected(self, query: Mapping[str, str], cookies: Mapping[str, str]) -> Page:
        """Take whoever comes back from Slack: exchange the code, keep what it brings, and say so."""
        try:
            page = await self._taken(query, cookies.get(self._cookie, ""))
        except StoreError as problem:
            self._log.error("install.not_stored", reason=str(problem))
            title, kept = _IN_DOUBT if isinstance(problem, DoubtError) else _NOT_KEPT
            page = _page(503, title, f"{kept} {_AGAIN}")
        except Exception:  # noqa: BLE001 - the page's boundary: a defect is recorded, and nobody is shown it
            self._log.exception("arrival.defect", kind="install")
            page = _page(500, "relay failed", f"Whoever runs relay finds why in its log. {_AGAIN}")
        return Page(page.status, page.body, {**page.headers, "Set-Cookie": self._forgotten})

    @property
    def _forgotten(self) -> str:
        return f"{self._cookie}=; Max-Age=0; {_FLAGS}"

    async def _taken(self, query: Mapping[str, str], given: str) -> Page:
        state = query.get("state", "")[:_LONGEST]
        # In the browser that the state was given to; then never again.
        theirs = bool(state) and hmac.compare_digest(state.encode(), given[:_LONGEST].encode())
        made_at = self._states.made_at(state) if theirs else None
        if made_at is None or self._clock() - made_at >= STATE_LASTS or await self._is_used(state):
            return self._no_way_back()
        if "error" in query:
            self._log.info("install.cancelled")
            return _page(200, "Nothing was installed", f"Slack says that the install was cancelled. {_AGAIN}")
        code_given = query.get("code", "")
        if not code_given or len(code_given) > _LONGEST:
            return _page(400, "Slack sent no code", _AGAIN)
        return await self._exchanged(code_given, state, made_at)

    async def _is_used(self, state: str) -> bool:
        return await self._store.transact(lambda tx: tx.installations.is_state_used(digest(state)))

    def _no_way_back(self) -> Page:
        self._log.warning("install.refused", reason="state")
        why = "It was used before, is older than ten minutes, or was opened in another browser."
        return _page(400, "This way back from Slack is not good any more", f"{why} {_AGAIN}")

    async def _exchanged(self, code_given: str, state: str, made_at: datetime) -> Page:
        try:
            installation = await self._oauth.exchange(code_given)
        except SlackApiError as problem:
            self._log.error("install.refused", reason=code(problem))
            why = "Whoever runs relay finds the reason in its log, and can check the app's id and secret."
            return _page(502, "Slack did not take the code", f"{why} {_AGAIN}")
        except NoInstallationError as problem:
            self._log.error("install.refused", reason=str(problem))
            why = "Its answer is not one that relay can work with; whoever runs relay finds why in its log."
            return _page(502, "Slack brought no installation", why)
        except CARRIERS as problem:
            self._log.error("install.failed", reason=type(problem).__name__)
            return _page(502, "Slack could not be reached", _AGAIN)
        # Here and not before: what strangers send with a state of their own comes no further than Slack.
        used, now = digest(state), self._clock()
        if not await self._store.transact(lambda tx: use_state(tx, used, made_at, now)):
            return self._no_way_back()
        await self._roll.install(installation)
        return self._installed(installation)

    def _installed(self, installation: Installation) -> Page:
        granted = {one.strip() for one in installation.scopes.split(",")}
        missing = [scope for scope in BOT_SCOPES if scope not in granted]
        if missing:
            self._log.warning("install.scopes_missing", team_id=installation.team_id, scopes=missing)
        where = "organisation" if installation.is_org else "workspace"
        return _page(
            200,
            f"relay is installed in {installation.name}",
            f"Whoever runs relay says what the {where} may talk to: its id is {installation.team_id}. "
            "Then invite the app to the channel that shall get the approval cards.",
            again=False,
        )


def _page(status: int, title: str, words: str, *, again: bool = True) -> Page:
    told, more = html.escape(title), html.escape(words)
    body = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{told}</title>'
        f"<h1>{told}</h1><p>{more}</p>{_LINK if again else ''}</html>"
    )
    return Page(status, body, {**_HEADERS, "Content-Type": "text/html; charset=utf-8"})
