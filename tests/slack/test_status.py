"""`/letta status` has three seconds in all."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

from relay.domain.environments import Report
from relay.domain.people import Person, Standing
from relay.domain.policy import Rights
from relay.slack.door import SlackDoor
from relay.slack.status import status_answer
from relay.slack.wire import SlashCommand

REPORT = Report("workshop", "agent-1", "device-1", False, True, None, "", "", True, (), 0)


@dataclass
class FakeDoor:
    """A door whose two neighbours each answer once the other one was asked, too."""

    rights: Rights = field(default_factory=lambda: Rights("T0HOME"))
    both: asyncio.Barrier = field(default_factory=lambda: asyncio.Barrier(2))

    @property
    def people(self) -> "FakeDoor":
        return self

    async def person(self, user_id: str, team_id: str) -> Person:
        await self.both.wait()
        return Person(user_id, team_id, "Ada", Standing.MEMBER)

    async def report(self, environment: str) -> Any:
        await self.both.wait()
        return REPORT


async def test_who_asks_and_how_the_environment_is_are_looked_up_at_once() -> None:
    command = SlashCommand(command="/letta", channel_id="C0OPS", user_id="U0ADA", team_id="T0HOME")
    async with asyncio.timeout(5):
        said = await status_answer(cast("SlackDoor", FakeDoor()), command, "workshop")
    assert "*workshop* is online" in said
