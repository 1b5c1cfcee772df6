"""Stories about what people answer on a card, and in which ways."""

from collections.abc import Callable

from relay.demo.agent import TOKEN
from relay.demo.places import ADA, APPROVALS, GRACE, GUEST, LINUS, OPS
from relay.demo.story import Part, Story
from relay.demo.words import everything, says
from relay.demo.world import World
from relay.sandbox.slack import FakeSlack
from relay.sandbox.slack.page import Scenario

_AS_GRACE = "As Grace, in #approvals"
_REASON = "Keep the logs until the audit on Friday."
_OUTPUT = "renewed until 2027-02-19"


def first_steps(world: World) -> Scenario:
    """Return the story of one request, from the command to the reply."""
    story = Story(world, "deploy the site", "make site &&")
    return story.told_as(
        "first-steps",
        "First steps",
        "A command becomes a message to the agent; what it wants to run is asked for, decided, run and told.",
        [
            Part("As Ada, in #ops, type `/letta deploy the site`.", story.begun, ADA, OPS, story.ask),
            Part(
                "A card comes to #approvals: what would run, for whom, who can decide.",
                lambda _: bool(story.cards()),
                GRACE,
                APPROVALS,
            ),
            Part(
                "As the guest, press *Approve*: it is refused, and only the guest is told why.",
                story.told(GUEST),
                GUEST,
                APPROVALS,
                story.clicks(GUEST, "approve", stale=True),
            ),
            Part(
                f"{_AS_GRACE}, press *Approve*.",
                story.card_says("Approved by"),
                GRACE,
                APPROVALS,
                story.clicks(GRACE, "approve"),
            ),
            Part(
                "The tool runs; the card says *Delivered*.", story.card_says("Delivered."), GRACE, APPROVALS
            ),
            Part(
                "The agent's reply stands in the thread in #ops.",
                story.thread_says("the site is live"),
                ADA,
                OPS,
            ),
        ],
        set_up=_nothing,
        begun_by=story.said,
    )


def denial(world: World) -> Scenario:
    """Return the story of a denial whose reason the agent reads."""
    story = Story(world, "free some disk: delete the logs", "rm -rf /var/log/site")
    return story.told_as(
        "denial-with-reason",
        "A denial with its reason",
        "Whoever denies says why, in their own words or by a ready reason; the agent reads it.",
        [
            card_comes(story, "Ada asked to free some disk: the agent wants to delete the logs."),
            Part(
                f"{_AS_GRACE}, press *Deny with reason…*, say why, and submit.",
                story.card_says("Denied by"),
                GRACE,
                APPROVALS,
                story.fills(GRACE, "deny_reason", ready="own", words=_REASON),
            ),
            Part(
                "The agent does not do it, and tells what it read.",
                story.thread_says("I did not do it"),
                ADA,
                OPS,
            ),
        ],
    )


def diff(world: World) -> Scenario:
    """Return the story of a file edit whose diff stands on the card."""
    story = Story(world, "edit the config", "config.toml")
    return story.told_as(
        "diff",
        "A diff",
        "Before a file is changed, the card shows which lines would come and go.",
        [
            card_comes(story, "The agent wants to edit a file: see the diff on the card."),
            approved(story),
            Part("The file is changed.", story.thread_says("configuration is changed"), ADA, OPS),
        ],
    )


def edit(world: World) -> Scenario:
    """Return the story of an approver who changes what runs."""
    story = Story(world, "clean up old builds", "find /srv/builds")
    return story.told_as(
        "edit-and-approve",
        "Edit and approve",
        "An approver changes the command; what runs is what the card shows then, and the card shows both.",
        [
            card_comes(story, "The agent wants to delete builds older than 7 days."),
            Part(
                f"{_AS_GRACE}, press *Edit…*, change what you like, such as `+7` to `+30`, and submit.",
                story.changed,
                GRACE,
                APPROVALS,
                story.fills(GRACE, "edit", command="find /srv/builds -mtime +30 -delete"),
            ),
            Part(
                "The card shows it before and after, and is delivered.",
                story.card_says("Delivered."),
                GRACE,
                APPROVALS,
            ),
            Part("What ran is what Grace made of it.", story.thread_says("What ran was"), ADA, OPS),
        ],
    )


def ran_it(world: World) -> Scenario:
    """Return the story of somebody who runs it by hand."""
    story = Story(world, "renew the certificate", "certbot renew")
    return story.told_as(
        "ran-it-myself",
        "I ran it myself",
        "Somebody runs it by hand and gives the output to the agent, in place of its own call's.",
        [
            card_comes(story, "The agent wants to renew a certificate."),
            Part(
                f"{_AS_GRACE}, open the card's menu, *I ran it myself…*, say what came of it, and submit.",
                story.card_says("ran it themselves"),
                GRACE,
                APPROVALS,
                story.fills(GRACE, "ran_it", status="success", output=_OUTPUT),
            ),
            Part("The agent goes on with that output.", story.thread_says("What came of it"), ADA, OPS),
        ],
    )


def quorum(world: World) -> Scenario:
    """Return the story of what needs two people."""
    story = Story(world, "deploy to production", "TARGET=production")
    second = story.clicks(LINUS, "approve"), story.clicks(GRACE, "approve")

    async def other() -> None:
        linus_has = any(says(one, f"1 of 2:* <@{LINUS}>") for one in story.cards())
        await second[linus_has]()

    return story.told_as(
        "quorum",
        "Two people for production",
        "A rule wants two approvals for what touches production, and a second look before each.",
        [
            card_comes(story, "The agent wants to deploy to production: high risk, two people needed."),
            Part(
                f"{_AS_GRACE}, press *Approve* and confirm. It is not decided yet: 1 of 2.",
                story.card_says("1 of 2"),
                GRACE,
                APPROVALS,
                story.clicks(GRACE, "approve"),
            ),
            Part(
                "As Linus, approve it too: now it is decided.",
                story.card_says("Approved by"),
                LINUS,
                APPROVALS,
                other,
            ),
            Part("Version 2.4 is in production.", story.thread_says("in production"), ADA, OPS),
        ],
    )


def grant(world: World) -> Scenario:
    """Return the story of what is allowed for a while."""
    story = Story(world, "build the weekly report", "make report")
    once_more = "build the weekly report once more"
    return story.told_as(
        "grant",
        "Allowed for a while",
        "An approver allows the same call in this conversation for a while: the next one runs without asking.",
        [
            card_comes(story, "The agent wants to build a report."),
            Part(
                f"{_AS_GRACE}, open the card's menu, *Allow for a while…*, and submit.",
                story.card_says("allowed it for a while"),
                GRACE,
                APPROVALS,
                story.fills(GRACE, "grant"),
            ),
            Part("The report is built.", story.thread_says("is built"), ADA, OPS),
            Part(
                f"As Ada, write in the same thread in #ops: `{once_more}`.",
                lambda _: any(says(one, once_more) for one in story.thread()),
                ADA,
                OPS,
                story.replies(ADA, once_more),
            ),
            Part(
                "Nobody is asked: a card says whose grant allowed it. `/letta grants` revokes it.",
                story.card_says("grant for", number=2),
                GRACE,
                APPROVALS,
                spot=story.at_card(2),
            ),
        ],
    )


def secret(world: World) -> Scenario:
    """Return the story of a secret that nobody sees."""
    story = Story(world, "rotate the token", "gh secret set")

    def masked(_: FakeSlack) -> bool:
        shown = [everything(one.blocks) for one in story.cards()]
        return any("masked here" in one for one in shown) and not any(TOKEN in one for one in shown)

    return story.told_as(
        "masked-secret",
        "A masked secret",
        "What is recognised as a secret is shown nowhere, and the tool is called with the real thing.",
        [
            Part("The card shows a mark in place of the token.", masked, GRACE, APPROVALS),
            approved(story),
            Part("The tool got the real token.", story.thread_says("the real token"), ADA, OPS),
        ],
    )


def rules(world: World) -> Scenario:
    """Return the story of what rules decide without anybody."""
    story = Story(world, "run the tests", "make test")
    denied = Story(world, "drop the database", "DROP DATABASE")

    async def begin_both() -> None:
        denied.begin()

    return story.told_as(
        "rules",
        "What rules decide",
        "One rule allows the tests, another denies to drop a database; both are on the record.",
        [
            Part("As Ada, in #ops, type `/letta run the tests`.", story.begun, ADA, OPS, story.ask),
            Part("They run, and nobody was asked.", story.thread_says("412 tests pass"), ADA, OPS),
            Part(
                "As Ada, type `/letta drop the database`.",
                denied.begun,
                ADA,
                OPS,
                denied.ask,
                denied.at_thread,
            ),
            Part(
                "A card in #approvals says that a rule denied it, and why.",
                denied.card_says("Denied by"),
                ADA,
                APPROVALS,
                spot=denied.at_card(),
            ),
            Part(
                "The agent read the reason.",
                denied.thread_says("dropped by people"),
                ADA,
                OPS,
                spot=denied.at_thread,
            ),
        ],
        set_up=begin_both,
        begun_by=story.said,
    )


async def _nothing() -> None:
    """Wait for the person: the first step is theirs."""


def card_comes(story: Story, text: str) -> Part:
    """Return the step at which the story's card is there."""
    return Part(text, lambda _: bool(story.cards()), GRACE, APPROVALS)


def approved(story: Story) -> Part:
    """Return the step at which Grace approves."""
    return Part(
        f"{_AS_GRACE}, press *Approve*.",
        story.card_says("Approved by"),
        GRACE,
        APPROVALS,
        story.clicks(GRACE, "approve"),
    )


STORIES: tuple[Callable[[World], Scenario], ...] = (
    first_steps,
    denial,
    diff,
    edit,
    ran_it,
    quorum,
    grant,
    secret,
    rules,
)
