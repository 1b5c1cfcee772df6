"""Several calls of one turn: the card of one that is decided says which other the agent waits for."""

import pytest

from relay.sandbox.environment import UseTool, UseTools
from tests.scenarios.test_typed_answers import code
from tests.world import ADA, APPROVALS, GRACE, OPS, World, everything


@pytest.mark.parametrize("answer", ["approve", "deny"])
async def test_what_is_decided_says_what_the_agent_waits_for_until_that_is_decided(
    here: World, answer: str
) -> None:
    calls = [UseTool("Bash", {"command": f"make {one}"}) for one in ("one", "two")]
    here.environment.script = lambda turn: [UseTools(calls)]
    await here.slack.slash(ADA, OPS, "make both")
    first = await here.card()
    await here.slack.click(GRACE, APPROVALS, first.ts, "approve")
    second = await here.card(2)
    await here.card_says(f"The agent goes on when `{code(second)}` is decided too.")
    await here.slack.click(GRACE, APPROVALS, second.ts, answer)
    await here.card_says("Delivered.")
    assert "goes on when" not in everything(first)
    await here.card_says("Delivered.", 2)
    assert "goes on when" not in everything(second)


async def test_what_is_decided_is_drawn_anew_at_once_when_its_sibling_is(here: World) -> None:
    """The environment is away: nothing that it does says so instead."""
    calls = [UseTool("Bash", {"command": f"make {one}"}) for one in ("one", "two")]
    here.environment.script = lambda turn: [UseTools(calls)]
    await here.slack.slash(ADA, OPS, "make both")
    first = await here.card()
    await here.slack.click(GRACE, APPROVALS, first.ts, "approve")
    second = await here.card(2)
    await here.card_says("The agent goes on when")
    await here.environment.go_offline()
    await here.slack.click(GRACE, APPROVALS, second.ts, "approve")
    await here.slack.wait_for(lambda _: "goes on when" not in everything(first))
    assert "Approved by" in everything(first)
