"""What a form does not take is said under its own input, and the form stays open."""

import pytest

from tests.scenarios.acts import ask_tool
from tests.scenarios.test_forms import INPUT, entered, label, opened
from tests.world import GRACE, World


async def test_a_run_by_hand_has_to_say_what_came_out_and_how_it_went(here: World) -> None:
    view = await opened(here, await ask_tool(here, INPUT), "ran_it")
    assert "initial_option" not in str(view.view)
    with pytest.raises(AssertionError, match="required"):
        await here.slack.submit_view(GRACE, view, entered(output="released 7"))
    await here.slack.submit_view(GRACE, view, entered(status="success", output=" "))
    assert view.errors == {"output": "Say what came out, or that nothing did."} and view.is_open
    await here.slack.submit_view(GRACE, view, entered(output="nothing"))
    await here.card_says("ran it themselves")


async def test_a_command_is_not_emptied_and_other_words_may_be(here: World) -> None:
    card = await ask_tool(here, {"command": "make release", "description": "Builds it"})
    view = await opened(here, card, "edit")
    await here.slack.submit_view(GRACE, view, entered(**{label(view, "command"): "  "}))
    refused = "An empty command runs nothing: deny it instead."
    assert view.errors == {label(view, "command"): refused} and view.is_open
    whole = {label(view, "command"): "make release", label(view, "description"): ""}
    await here.slack.submit_view(GRACE, view, entered(**whole))
    await here.card_says("Delivered.")
    assert here.environment.tool_runs[0][2] == {"command": "make release", "description": ""}
