"""A real browser before the demo's page: tabs of people, and what must never happen in any of them."""

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from playwright.async_api import (
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Locator,
    Request,
    WebSocketRoute,
    async_playwright,
)
from playwright.async_api import Page as Window

from relay.demo.page import opened
from relay.demo.places import ADA, APPROVALS, OPS
from relay.demo.words import says
from relay.demo.world import Pace, World, world
from relay.sandbox.slack import FakeSlack, Message
from relay.sandbox.slack.page import Page
from tests.chromium import QUIET, chromium

# A defect that asks for something outside finds nothing there.
ARGUMENTS = [*QUIET, "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
QUICK = Pace(step=0.0, others=0.0, word=0.0, remind_after="1s", expires_after="3s", longest=60.0)
PATIENCE = 15_000.0  # milliseconds: a busy machine is slow
WIDTH, HEIGHT = 1280, 800


@asynccontextmanager
async def browser() -> AsyncIterator[BrowserContext]:
    """Give a browser without a window, with one profile; end it afterwards.

    A profile of its own for each test costs more than the test. What a page keeps goes by its address, and
    each test's page has another.
    """
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        try:
            profile = await running.new_context(viewport={"width": WIDTH, "height": HEIGHT}, locale="en-GB")
            profile.set_default_timeout(PATIENCE)
            yield profile
        finally:
            await running.close()


@dataclass
class Tab:
    """A tab, by what a person sees in it."""

    window: Window

    @property
    def box(self) -> Locator:
        """What one types into in the channel."""
        return self.window.locator("#main textarea")

    @property
    def offers(self) -> Locator:
        """What the box offers to complete what is typed."""
        return self.window.locator("#main .offers [role=option]")

    @property
    def reply_box(self) -> Locator:
        """What one types into in the thread."""
        return self.window.locator("#thread textarea")

    @property
    def thread(self) -> Locator:
        """The panel of the thread."""
        return self.window.locator("#thread")

    @property
    def whispers(self) -> Locator:
        """What only this person sees, in the channel."""
        return self.window.locator("#main .whisper")

    @property
    def modal(self) -> Locator:
        """The modal that is open."""
        return self.window.locator("#modal[open]")

    @property
    def question(self) -> Locator:
        """The question whether one is sure."""
        return self.window.locator(".bk-confirm")

    @property
    def menu(self) -> Locator:
        """The menu that is open."""
        return self.window.locator("[role=menu]")

    @property
    def lost(self) -> Locator:
        """The line that says that the connection is lost."""
        return self.window.locator("#lost")

    def message(self, ts: str) -> Locator:
        """Return a message of the channel."""
        return self.window.locator(f"#main article[data-ts='{ts}']")

    def button(self, ts: str, action_id: str) -> Locator:
        """Return what can be pressed on a message of the channel."""
        return self.message(ts).locator(f"[data-action-id={action_id}]")

    def option(self, words: str) -> Locator:
        """Return an entry of the menu that is open, by how it begins."""
        return self.window.get_by_role("menuitem").filter(has_text=words)

    def field(self, block_id: str) -> Locator:
        """Return the input of the modal in a block."""
        return self.modal.locator(f"[data-block-id='{block_id}']").locator("input, textarea").first

    def radio(self, value: str) -> Locator:
        """Return a radio button of the modal."""
        return self.modal.locator(f"input[type=radio][value='{value}']")

    @property
    def submit(self) -> Locator:
        """The button that sends a modal."""
        return self.modal.locator(".modal-foot button.primary")

    async def be(self, user: str) -> None:
        """Be somebody else, with the mouse."""
        await self.window.locator("#sidebar select").select_option(user)
        await self.is_person(user)

    async def is_person(self, user: str) -> None:
        """Wait until the tab shows what somebody sees."""
        await self.window.wait_for_function("user => location.hash.includes(`as=${user}`)", arg=user)

    async def go(self, place: str) -> None:
        """Go to a place, with the mouse."""
        await self.window.locator(f"[data-place={place}]").click()

    async def choose(self, ts: str, words: str) -> None:
        """Open the menu of a message and take what begins with some words."""
        await self.button(ts, "more").click()
        await self.option(words).click()

    async def has_focus(self, selector: str) -> bool:
        """Return whether the focus is on what a selector finds."""
        return bool(await self.window.evaluate("which => document.activeElement.matches(which)", selector))

    async def focused(self, selector: str) -> None:
        """Wait until the focus is on what a selector finds."""
        await self.window.wait_for_function("which => document.activeElement.matches(which)", arg=selector)


class Late:
    """Holds back what the server tells tabs, so that people see things as they were."""

    def __init__(self) -> None:
        self.holds = False
        self._held: list[tuple[WebSocketRoute, str | bytes]] = []

    def stand_between(self, tab: WebSocketRoute) -> None:
        """Hand over what the server says, or keep it."""
        tab.connect_to_server().on_message(lambda words: self._told(tab, words))

    def _told(self, tab: WebSocketRoute, words: str | bytes) -> None:
        if self.holds:
            self._held.append((tab, words))
        else:
            tab.send(words)

    def release(self) -> None:
        """Hand over all that was kept, and keep no more."""
        self.holds = False
        for tab, words in self._held:
            tab.send(words)


@dataclass
class Here:
    """A world, its page, and the tabs that are open; `wrong` is what should never have happened in them."""

    made: World
    page: Page
    profile: BrowserContext
    wrong: list[str] = field(default_factory=list)
    expected: tuple[str, ...] = ()  # words of complaints that a test brings about
    late: Late = field(default_factory=Late)

    @property
    def slack(self) -> FakeSlack:
        """The workspace."""
        return self.made.slack

    async def tab(self, user: str = ADA, place: str = OPS, thread: str = "", *, late: bool = False) -> Tab:
        """Open a tab as somebody, somewhere; `late`: what it is told can be held back."""
        asked = {"as": user, "in": place} | ({"thread": thread} if thread else {})
        window = await self.profile.new_page()
        self._watch(window)
        if late:
            await window.route_web_socket("**/socket*", self.late.stand_between)
        await window.goto(f"{self.page.url}#{urlencode(asked)}")
        await window.wait_for_selector("#sidebar .place")
        return Tab(window)

    async def card(self, asked: str, words: str = "approval needed") -> Message:
        """Have Ada ask for something; return the card that comes of it."""
        before = {one.ts for one in self.slack.channels[APPROVALS].messages}
        await self.slack.slash(ADA, OPS, asked)

        def came(slack: FakeSlack) -> Message | None:
            new = (one for one in slack.channels[APPROVALS].messages if one.ts not in before)
            return next((one for one in new if one.thread_ts is None and says(one, words)), None)

        return await self.slack.wait_for(came)

    async def said(self, words: str, place: str = OPS) -> Message:
        """Return the first message of a channel or its threads that says some words, when it is there."""
        return await self.slack.wait_for(
            lambda slack: next((one for one in slack.channels[place].messages if says(one, words)), None)
        )

    def _watch(self, window: Window) -> None:
        """Note whatever must not happen in a tab."""
        window.on("console", self._told)
        window.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        window.on("request", self._requested)
        window.on("dialog", self._asked)
        window.on("popup", lambda other: self.wrong.append(f"popup: {other.url}"))

    def _told(self, said: ConsoleMessage) -> None:
        if said.type in ("error", "warning"):
            self.wrong.append(f"console: {said.text}")

    def _requested(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme not in ("data", "blob") and address.hostname != "127.0.0.1":
            self.wrong.append(f"request: {request.url}")

    async def _asked(self, dialog: Dialog) -> None:
        self.wrong.append(f"dialog: {dialog.message}")
        await dialog.dismiss()

    def complaints(self) -> list[str]:
        """Return what happened that nobody brought about."""
        return [one for one in self.wrong if not any(words in one for words in self.expected)]

    async def close(self) -> None:
        """Close every tab."""
        for window in self.profile.pages:
            await window.close()


@asynccontextmanager
async def demo(profile: BrowserContext, folder: Path, pace: Pace = QUICK) -> AsyncIterator[Here]:
    """Give a world with its page and no tab yet; nothing of it is left afterwards, and nothing went wrong."""
    log = io.StringIO()
    async with world(folder, pace, log) as made, opened(made, 0) as page:
        here = Here(made, page, profile)
        try:
            yield here
        finally:
            await here.close()
    assert not here.complaints()
    assert "defect" not in log.getvalue(), log.getvalue()
