"""Stories about time and place: silence, races, absence, and what happens outside Slack."""

import asyncio
from collections.abc import Callable

from relay.demo.deciding import approved, card_comes
from relay.demo.places import ADA, APPROVALS, GRACE, HOME, LINUS, OPS, WORKSHOP
from relay.demo.story import Part, Story, code_of, home_text
from relay.demo.words import everything, says
from relay.demo.world import World
from relay.sandbox.slack import FakeSlack, Message
from relay.sandbox.slack.page import Scenario


def expiry(world: World) -> Scenario:
    """Return the story of a card that nobody answers in time."""
    story = Story(world, "purge the cache", "cdn purge")
    return story.told_as(
        "expiry",
        "Nobody answers",
        f"A card is open for {world.pace.expires_after}: people are reminded, it expires, and is asked again.",
        [
            card_comes(story, "The agent wants to purge the cache. Do nothing: the card says until when."),
            Part(
                "A reminder comes under the card, and to the approvers alone.",
                story.under_card("still waits for a decision"),
                GRACE,
                APPROVALS,
                spot=story.at_card(thread=True),
            ),
            Part(
                "Nobody answered: the card expired, and nothing was sent.",
                story.card_says("expired, nobody answered"),
                GRACE,
                APPROVALS,
            ),
            Part(
                "As Grace, press *Ask again*.",
                lambda _: any(map(_is_asked_again, story.cards())),
                GRACE,
                APPROVALS,
                story.clicks(GRACE, "ask_again"),
            ),
            approved(story),
            Part("The cache is empty.", story.thread_says("The cache is empty"), ADA, OPS),
        ],
    )


def inbox(world: World) -> Scenario:
    """Return the story of the Home tab."""
    story = Story(world, "refund order 1042", "refund_order")

    def stands(title: str, until: str) -> Callable[[FakeSlack], bool]:
        def done(slack: FakeSlack) -> bool:
            under = home_text(slack, GRACE).partition(title)[2].partition(until)[0]
            return any(code and code in under for code in map(code_of, story.cards()))

        return done

    opened = stands("Waiting for you", "Waiting for others")
    seen: set[str] = set()

    def was_opened(slack: FakeSlack) -> bool:
        if opened(slack):
            seen.update(one.ts for one in story.cards())
        return any(one.ts in seen for one in story.cards())

    return story.told_as(
        "inbox",
        "The inbox",
        "What waits for somebody is in the app's Home tab and in `/letta approvals`, with a link to its card.",
        [
            card_comes(story, "A refund of 1,250 EUR waits: the card marks the unusual amount."),
            Part(
                "As Grace, open the app's Home tab: it stands under *Waiting for you*.",
                was_opened,
                GRACE,
                HOME,
                lambda: world.slack.home_opened(GRACE),
            ),
            approved(story),
            Part(
                "In the Home tab it stands under *Recent* now.", stands("Recent", "Your grants"), GRACE, HOME
            ),
        ],
    )


def offline(world: World) -> Scenario:
    """Return the story of an environment that goes away and returns."""
    story = Story(world, "print the labels", "", WORKSHOP)

    async def leave() -> None:
        await world.workshop.go_offline()

    def somebody_waits(_: FakeSlack) -> bool | None:
        return any(says(one, "offline since") for one in story.news(WORKSHOP)) or None

    async def come_back() -> None:
        await world.slack.workspace.until(lambda: somebody_waits(world.slack))
        await asyncio.sleep(world.pace.others)
        await world.workshop.come_back(rotate=True)

    return story.told_as(
        "offline",
        "An environment that is away",
        "What is sent while the agent's device is offline waits, and is delivered once when it is back.",
        [
            Part(
                "The workshop's device is offline. As Ada, in #workshop, type `/letta print the labels`.",
                story.begun,
                ADA,
                WORKSHOP,
                story.ask,
            ),
            Part(
                "The thread says since when it is offline, and that the message waits.",
                story.thread_says("offline since"),
                ADA,
                WORKSHOP,
            ),
            Part(
                "The device comes back, under a new connection; the labels are printed, once.",
                story.thread_says("12 labels"),
                ADA,
                WORKSHOP,
            ),
        ],
        set_up=leave,
        others=come_back,
    )


def race(world: World) -> Scenario:
    """Return the story of two people who click at once."""
    story = Story(world, "restart the web server", "systemctl restart")
    at_once: set[str] = set()  # the cards on which both have clicked in the same moment

    def is_decided() -> bool:
        return any(not says(one, "approval needed") for one in story.cards())

    async def linus_too() -> None:
        await world.slack.workspace.until(lambda: is_decided() or None)
        if story.card().ts not in at_once:
            await story.clicks(LINUS, "deny", stale=True)()

    async def both() -> None:
        at_once.add(story.card().ts)
        clicks = story.clicks(GRACE, "approve"), story.clicks(LINUS, "deny", stale=True)
        await asyncio.gather(*(click() for click in clicks))

    def too_late(slack: FakeSlack) -> bool:
        return any(story.told(user, "already")(slack) for user in (GRACE, LINUS))

    return story.told_as(
        "race",
        "Two people at once",
        "Grace approves and Linus denies in the same moment: one decision is made, and the other is told.",
        [
            card_comes(story, "The agent wants to restart the web server."),
            Part(
                "As Grace, press *Approve*; Linus, who sees the card as it was, presses *Deny*.",
                lambda _: is_decided(),
                GRACE,
                APPROVALS,
                both,
            ),
            Part("Whoever was later is told so, alone: see as Linus.", too_late, LINUS, APPROVALS),
            Part(
                "The agent got one answer, and goes on.",
                lambda slack: story.thread_says("40 ms")(slack) or story.thread_says("I was told")(slack),
                ADA,
                OPS,
            ),
        ],
        others=linus_too,
    )


def stop(world: World) -> Scenario:
    """Return the story of a turn that somebody stops."""
    story = Story(world, "check every server", "")
    return story.told_as(
        "stop",
        "Stop a running turn",
        "What the agent is doing can be stopped by a button, a command or a word; the thread says who did.",
        [
            Part(
                "The agent is at work on 400 servers, and the thread shows it.",
                story.thread_says("400 servers"),
                ADA,
                OPS,
            ),
            Part(
                "As Ada, write `!stop` in the thread, or press *Stop* there.",
                story.thread_says("stopped the agent's turn"),
                ADA,
                OPS,
                story.replies(ADA, "!stop"),
            ),
        ],
    )


def elsewhere(world: World) -> Scenario:
    """Return the story of a request that is answered at the agent's own terminal."""
    story = Story(world, "update the packages", "apt-get -y upgrade")

    async def at_the_terminal() -> None:
        await world.slack.workspace.until(lambda: story.cards() or None)
        await asyncio.sleep(world.pace.others)
        for conversation_id in list(world.site.device.conversations):
            for request in world.site.pending(conversation_id):
                asked = request["request"]
                if story.asked in str(asked["input"]):
                    await world.site.answer_at_terminal(asked["tool_call_id"], True)

    return story.told_as(
        "elsewhere",
        "Decided elsewhere",
        "Somebody answers at the agent's own terminal: the card says so, and takes no click any more.",
        [
            card_comes(story, "The agent wants to update packages. Do nothing."),
            Part(
                "Somebody approves it at the terminal: the card says that it was decided elsewhere.",
                story.card_says("decided elsewhere"),
                GRACE,
                APPROVALS,
            ),
            Part("The agent went on.", story.thread_says("All nine are new"), ADA, OPS),
        ],
        others=at_the_terminal,
    )


def _is_asked_again(card: Message) -> bool:
    """Return whether a card was open once more after it had expired."""
    versions = [everything(blocks) for blocks in (*(before for _, before in card.history), card.blocks)]
    expired = next((n for n, one in enumerate(versions) if "expired, nobody answered" in one), len(versions))
    return any("approval needed" in one for one in versions[expired:])


STORIES: tuple[Callable[[World], Scenario], ...] = (expiry, inbox, offline, race, stop, elsewhere)
