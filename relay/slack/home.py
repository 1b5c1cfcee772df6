"""The Home tab: published when somebody opens it, and brought up to date for those who did lately."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from relay.domain.canonical import canonical_json
from relay.domain.deliveries import Delivery, Kind, Outcome, Retry
from relay.slack import home_blocks, sentences
from relay.slack.blocks import Block, Post
from relay.slack.door import SlackDoor
from relay.slack.inbox import Inbox
from relay.slack.posts import plain
from relay.slack.tell import Tell
from relay.slack.verdicts import CARRIERS, meaning
from relay.slack.wire import read_home_opened
from relay.store import StoreError
from relay.use_cases.whisper import Listener

_REMEMBERED_FOR = 3600.0
_REMEMBERED = 1_000
_APART = 3.0  # a person's tab is published no more often, unless they open it
_AT_ONCE = 4
_NO_ROOM = home_blocks.Room(0, 0, 0, 0)  # for requests: a list of grants has its own
_LATER = 30.0  # after what failed for another reason than its rate


@dataclass
class _Viewer:
    """Somebody who opened the tab: when it is due next, and what was published last."""

    team_id: str
    opened: float
    published: float = -math.inf
    due: float = math.inf
    last: str = ""


class Home:
    """Publishes each person's inbox to their Home tab, and lists it where they ask in a channel."""

    def __init__(
        self, door: SlackDoor, inbox: Inbox, tell: Tell, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._door = door
        self._inbox = inbox
        self._tell = tell
        self._clock = clock
        self._viewers: dict[str, _Viewer] = {}
        self._woken = asyncio.Event()

    async def opened(self, body: dict[str, Any]) -> None:
        """Take somebody's going to the Home tab."""
        event = read_home_opened(body)
        if event is None or event.tab != "home":
            return
        now = self._clock()
        viewer = self._viewers.pop(event.user, None) or _Viewer(str(body.get("user_team") or ""), now)
        viewer.opened, viewer.due, viewer.last = now, now, ""
        self._viewers[event.user] = viewer
        if len(self._viewers) > _REMEMBERED:
            self._viewers.pop(next(iter(self._viewers)))
        self._woken.set()

    def changed(self) -> None:
        """Have the tabs of those who opened them lately brought up to date, soon."""
        now = self._clock()
        self._viewers = {
            user: one for user, one in self._viewers.items() if now - one.opened < _REMEMBERED_FOR
        }
        # The more people look, the further apart: each of them costs a look at everything that waits.
        apart = max(_APART, len(self._viewers) / 5)
        for viewer in self._viewers.values():
            viewer.due = min(viewer.due, max(now, viewer.published + apart))
        self._woken.set()

    def watching(
        self, send: Callable[[Delivery], Awaitable[Outcome]]
    ) -> Callable[[Delivery], Awaitable[Outcome]]:
        """Return the same way out, with an eye on the cards: each change of a request rewrites its own."""

        async def sent(delivery: Delivery) -> Outcome:
            if delivery.kind is Kind.CARD and self._viewers:
                self.changed()
            return await send(delivery)

        return sent

    async def run(self) -> None:
        """Publish what is due until cancelled."""
        while True:
            now = self._clock()
            due = [user for user, one in self._viewers.items() if one.due <= now][:_AT_ONCE]
            if due:
                await asyncio.gather(*(self._publish(user, self._viewers[user]) for user in due))
                continue
            await self._sleep(min((one.due for one in self._viewers.values()), default=math.inf) - now)

    async def _sleep(self, seconds: float) -> None:
        self._woken.clear()
        try:
            async with asyncio.timeout(None if math.isinf(seconds) else seconds):
                await self._woken.wait()
        except TimeoutError:
            return

    async def _publish(self, user_id: str, viewer: _Viewer) -> None:
        viewer.due, viewer.published = math.inf, self._clock()
        try:
            contents = await self._inbox.of(user_id, viewer.team_id, home_blocks.HOME)
            view = home_blocks.home(contents, user_id)
            await self._show(user_id, viewer, view)
        except (StoreError, *CARRIERS) as problem:
            self._failed(user_id, viewer, problem)
        except Exception:  # the tab's boundary: a defect is recorded, and the others see theirs
            self._door.log.exception("arrival.defect", kind="home")

    async def _show(self, user_id: str, viewer: _Viewer, view: Block) -> None:
        written = canonical_json(view)
        if written != viewer.last:
            await self._door.client.views_publish(user_id=user_id, view=view)
            viewer.last = written

    def _failed(self, user_id: str, viewer: _Viewer, problem: Exception) -> None:
        outcome = None if isinstance(problem, StoreError) else meaning(problem)
        again = outcome is None or isinstance(outcome, Retry)
        after = outcome.after if isinstance(outcome, Retry) and outcome.after else _LATER
        if again:
            viewer.due = min(viewer.due, self._clock() + after)
        self._door.log.warning("home.not_published", user_id=user_id, reason=str(outcome or problem))

    def list_approvals(self, listener: Listener, team_id: str) -> None:
        """Tell somebody in private what waits."""
        self._tell.soon(self._list(listener, team_id, home_blocks.LIST, home_blocks.approvals_list))

    def list_grants(self, listener: Listener, team_id: str) -> None:
        """Tell somebody in private what is allowed for a while, as far as they may revoke it."""
        self._tell.soon(self._list(listener, team_id, _NO_ROOM, home_blocks.grants_list))

    def list_grants_again(self, listener: Listener, team_id: str) -> None:
        """Put the list as it is now in the place of the one whose button was pressed."""
        self._tell.soon(self._list(listener, team_id, _NO_ROOM, home_blocks.grants_list, replaces=True))

    async def _list(
        self,
        listener: Listener,
        team_id: str,
        room: home_blocks.Room,
        listed: Callable[[home_blocks.Contents], Post],
        *,
        replaces: bool = False,
    ) -> None:
        try:
            post = listed(await self._inbox.of(listener.user_id, team_id, room))
        except StoreError as problem:
            self._door.log.error("inbox.not_read", reason=str(problem), user_id=listener.user_id)
            post = plain(sentences.INBOX_FAILED)
        except Exception:  # no error handler of Bolt's watches over this any more
            self._door.log.exception("arrival.defect", kind="inbox")
            post = plain(sentences.DEFECT)
        try:
            await (self._tell.instead if replaces else self._tell.privately)(listener, post)
        except CARRIERS as problem:
            reason = type(problem).__name__
            self._door.log.warning("sentence.not_said", user_id=listener.user_id, reason=reason)
