"""Several calls of one turn: the card of one that is decided says what the agent goes on for."""

import pytest

from relay.sandbox.environment import UseTool, UseTools
from relay.sandbox.slack.workspace import Message
from tests.world import ADA, APPROVALS, GRACE, OPS, World, everything

GOES_ON = "The agent goes on when all calls of its turn are decided."


async def asked(world: World, *words: str) -> Message:
    """Have an agent ask for several calls in one turn; return the card of the first."""
    calls = [UseTool("Bash", {"command": f"make {one}"}) for one in words]
    world.environment.script = lambda turn: [UseTools(calls)]
    await world.slack.slash(ADA, OPS, "make them")
    return await world.card()


@pytest.mark.parametrize("answer", ["approve", "deny"])
async def test_what_is_decided_says_what_the_agent_goes_on_for(here: World, answer: str) -> None:
    first = await asked(here, "one", "two")
    await here.slack.click(GRACE, APPROVALS, first.ts, "approve")
    second = await here.card(2)
    await here.card_says(GOES_ON)
    await here.slack.click(GRACE, APPROVALS, second.ts, answer)
    await here.card_says("Delivered.")
    await here.card_says("Delivered.", 2)
    assert GOES_ON not in everything(first) + everything(second)


async def test_cards_of_many_calls_are_not_rewritten_for_each_other_again_and_again(here: World) -> None:
    first = await asked(here, *(str(number) for number in range(8)))
    await here.slack.click(GRACE, APPROVALS, first.ts, "approve")
    for number in range(2, 9):
        card = await here.card(number)
        await here.slack.click(GRACE, APPROVALS, card.ts, "approve")
    await here.card_says("Delivered.", 8)
    rewritten = [
        call
        for call in here.slack.calls
        if call.method == "chat.update" and call.arguments.get("channel") == APPROVALS
    ]
    assert len(rewritten) <= 3 * 8
