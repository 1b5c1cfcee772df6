"""What many scenarios do: have a tool asked for, click, look into the store."""

import json
import sqlite3
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from relay.sandbox.environment import Step, UseTool
from relay.sandbox.slack.workspace import Ack, Message
from tests.world import ADA, OPS, World

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"


async def ask_tool(
    world: World,
    tool_input: dict[str, Any],
    *,
    name: str = "Bash",
    channel: str = OPS,
    number: int = 1,
    then: Sequence[Step] = (),
) -> Message:
    """Have the agent ask for a tool with this input, and go on with more; return the card."""
    world.environment.script = lambda turn: [UseTool(name, tool_input), *then]
    await world.slack.slash(ADA, channel, "please use your tool")
    return await world.card(number)


def value(card: Message, **changed: str) -> str:
    """Return the value of a card's Approve button, with fields changed."""
    [buttons] = [block for block in card.blocks if block["type"] == "actions"]
    held: dict[str, str] = json.loads(buttons["elements"][0]["value"])
    return json.dumps(held | changed)


def rows(world: World, table: str) -> int:
    """Return how many rows a table of the store has."""
    with sqlite3.connect(f"file:{world.folder}/relay.db?mode=ro", uri=True) as reading:
        count: int = reading.execute(f"select count(*) from {table}").fetchone()[0]  # noqa: S608
    reading.close()
    return count


async def post_raw(
    world: World, body: bytes, *, content_type: str = FORM, timestamp: int | None = None, signature: str = ""
) -> Ack:
    """Post bytes to the relay as Slack would sign them, or under a false signature."""
    headers = {**world.slack.sign(body, timestamp), "Content-Type": content_type}
    if signature:
        headers["X-Slack-Signature"] = signature
    return await world.slack.deliver("event", {}, headers=headers, body=body)


def as_form(payload: dict[str, Any]) -> bytes:
    """Return a slash command as Slack posts it."""
    return urlencode(payload).encode()


def audited(world: World, action: str) -> list[str]:
    """Return who is on the record for an action."""
    with sqlite3.connect(f"file:{world.folder}/relay.db?mode=ro", uri=True) as reading:
        found = reading.execute("select actor from audit where action = ?", [action]).fetchall()
    reading.close()
    return [actor for (actor,) in found]
