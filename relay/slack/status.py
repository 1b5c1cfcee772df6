"""`/letta status`: how the environment of a channel is, for those who may send there."""

import asyncio

from relay.domain.policy import may_send
from relay.slack import sentences
from relay.slack.door import SlackDoor
from relay.slack.wire import SlashCommand
from relay.store import StoreError


async def status_answer(door: SlackDoor, command: SlashCommand, environment: str) -> str:
    """Return how an environment is, or why this person is not told."""
    # Slack waits three seconds for the answer, and each of the two may take a while.
    asked = door.people.person(command.user_id, command.team_id)
    person, report = await asyncio.gather(asked, _reported(door, command, environment))
    verdict = may_send(door.rights, person)
    if not verdict.allowed:
        door.log.info("status.refused", user_id=command.user_id, reason=verdict.reason)
        return sentences.refused_details(verdict.reason)
    return report


async def _reported(door: SlackDoor, command: SlashCommand, environment: str) -> str:
    try:
        return sentences.environment_status(await door.report(environment))
    except StoreError as problem:
        door.log.error("status.not_read", reason=str(problem), user_id=command.user_id)
        return sentences.STATUS_FAILED
