"""The scenarios of the page, and the commands that its slash box knows."""

from relay.demo import deciding, happening
from relay.demo.agent import SENTENCES
from relay.demo.world import World
from relay.sandbox.slack.page import Command, Scenario

_WORDS = (
    "status",
    "approvals",
    "grants",
    "approve CODE",
    "deny CODE why",
    "stop",
    "help",
)


def scenarios(world: World) -> list[Scenario]:
    """Return every scenario, in the order in which they are best seen."""
    return [story(world) for story in (*deciding.STORIES, *happening.STORIES)]


def commands() -> list[Command]:
    """Return the one command, with what can be asked of the agent first."""
    words = [*(one.text for one in SENTENCES), *_WORDS]
    return [Command("/letta", "Talk to the agent, or decide by a card's code", "[your message]", words)]
