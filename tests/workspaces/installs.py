"""The two pages of an install over a store that loses its database, with a clock of the test's; no relay."""

import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from http.cookies import SimpleCookie
from pathlib import Path
from typing import TypeVar
from urllib.parse import parse_qsl, urlsplit

import aiohttp
import structlog
from cryptography.fernet import Fernet
from pydantic import SecretStr
from slack_sdk.web.async_client import AsyncWebClient

from relay.config import OAuthConfig
from relay.sandbox.slack import Consent, FakeSlackCloud
from relay.slack.installing.oauth import OAuth
from relay.slack.installing.pages import InstallPages, Page
from relay.slack.installing.roll import Roll
from relay.slack.installing.seal import TokenSeal
from relay.store import DoubtError, Store, StoreError, Transaction
from tests.workspaces.building import ALPHA, PUBLIC

T = TypeVar("T")


class DoubtfulStore(Store):
    """A store whose database is lost in the commit of the next change of an installation.

    It `loses` it "before" or "after" it was kept, and `stays_away` or is there again at once.
    """

    is_shared = True  # as every database is
    loses = ""
    stays_away = False
    is_away = False

    async def transact(self, work: Callable[[Transaction], T]) -> T:
        """Run a work as a store does, but for what is lost."""
        if self.is_away:
            raise StoreError("the database cannot be reached")
        changed = False

        def watched(tx: Transaction) -> T:
            nonlocal changed
            before = tx.installations.all()
            result = work(tx)
            changed = tx.installations.all() != before
            if changed and self.loses == "before":
                raise StoreError("lost")
            return result

        result: list[T] = []
        try:
            result.append(await super().transact(watched))
        except StoreError:
            if not (changed and self.loses):
                raise
        if changed and self.loses:
            self.loses, self.is_away = "", self.stays_away
            raise DoubtError("the database was lost while it stored this, which may be kept")
        return result[0]


class Front:
    """What answers the browser of whoever installs the app, as a start makes it."""

    def __init__(self, cloud: FakeSlackCloud, store: DoubtfulStore, session: aiohttp.ClientSession) -> None:
        self.cloud = cloud
        self.store = store
        self.session = session
        self.ahead = timedelta()  # the clock of ours, of Slack's
        self.logged: list[str] = []
        log = structlog.wrap_logger(
            structlog.ReturnLogger(), processors=[self._note], wrapper_class=structlog.BoundLogger
        )
        config = OAuthConfig(cloud.client_id, SecretStr(cloud.client_secret), (), PUBLIC)
        client = AsyncWebClient(base_url=cloud.api_url, session=session)
        self.oauth = OAuth(client, config, self.now)
        self.roll = Roll(store, TokenSeal([Fernet.generate_key().decode()]), self.now, log)
        self.pages = InstallPages(config, self.oauth, self.roll, store, self.now, log)

    def now(self) -> datetime:
        """Return the time as relay has it."""
        return datetime.now(UTC) + self.ahead

    def _note(self, _: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        self.logged.append(str(event["event"]))
        return event

    def begin(self) -> tuple[str, dict[str, str]]:
        """Begin an install; return the page of Slack's that it leads to, and the browser's cookies."""
        page = self.pages.install()
        assert page.status == 302
        cookies = SimpleCookie(page.headers["Set-Cookie"])
        return page.headers["Location"], {name: one.value for name, one in cookies.items()}

    async def consent(self, location: str) -> dict[str, str]:
        """Have somebody consent there; return what Slack leads back with."""
        self.cloud.consent = Consent(ALPHA)
        async with self.session.get(location, allow_redirects=False) as answer:
            return dict(parse_qsl(urlsplit(answer.headers["Location"]).query))

    async def install(self) -> Page:
        """Install the app, and return the page it ends on."""
        location, cookies = self.begin()
        return await self.pages.redirected(await self.consent(location), cookies)

    async def states(self) -> int:
        """Return how many rows of states there are in the store."""
        query = "select count(*) from install_states"
        found: int = await self.store.transact(
            lambda tx: tx.installations._connection.exec_driver_sql(query).scalar_one()
        )
        return found


@contextlib.asynccontextmanager
async def front(folder: Path) -> AsyncIterator[Front]:
    """Give the pages, with a store of their own and a workspace that nobody installed the app in."""
    async with FakeSlackCloud() as cloud, aiohttp.ClientSession() as session:
        cloud.add(ALPHA)
        store = DoubtfulStore.open(f"sqlite:///{folder}/relay.db")
        assert isinstance(store, DoubtfulStore)
        made = Front(cloud, store, session)
        await made.roll.load()
        yield made
        store.is_away = False
        await store.close()
