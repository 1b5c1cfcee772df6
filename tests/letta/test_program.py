"""The main job against the real Letta Code program, told as what people see in Slack."""

import pytest

from tests.letta.conftest import LettaWorld
from tests.letta.model import Say
from tests.world import ADA, OPS, everything

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_message_is_answered_in_its_thread(here: LettaWorld) -> None:
    here.mind.steps = [Say("Good morning to you too.")]
    await here.slack.slash(ADA, OPS, "good morning")
    reply = await here.thread_says("Good morning to you too.")
    root = here.slack.channels[OPS].messages[0]
    assert "good morning" in everything(root)
    assert reply.thread_ts == root.ts
    assert here.mind.read("user")[-1].endswith("\n\ngood morning")
