"""Learns which thread a command has before Slack's answer to the posting of its root has come.

People reply as soon as they see it; what they say then is for the agent like every later reply.
"""

from typing import Any

import aiohttp
from slack_sdk.errors import SlackClientError

from relay.slack.door import SlackDoor
from relay.store import Transaction
from relay.use_cases.conversations import stand_in

_EVENT_TYPE = "relay_delivery"


async def learn_thread(door: SlackDoor, channel_id: str, thread_ts: str) -> None:
    """Learn whose thread it is, where that is not known and a root may stand there. Raises StoreError."""
    team_id = door.workspace.team_id

    def work(tx: Transaction) -> dict[str, str]:
        if tx.messages.in_thread(team_id, channel_id, thread_ts) is not None:
            return {}
        return tx.deliveries.roots_on_their_way(team_id, channel_id)

    roots = await door.store.transact(work)
    message_id = roots.get(await _delivery_of(door, channel_id, thread_ts)) if roots else None
    if message_id is not None:
        await door.store.transact(lambda tx: stand_in(tx, message_id, thread_ts))


async def _delivery_of(door: SlackDoor, channel_id: str, ts: str) -> str:
    """Return which delivery posted a message, as its metadata says; empty for what others posted."""
    try:
        page = await door.client.conversations_replies(
            channel=channel_id, ts=ts, limit=1, include_all_metadata=True
        )
    except (SlackClientError, aiohttp.ClientError, TimeoutError) as problem:
        door.log.warning("thread.not_read", channel_id=channel_id, reason=type(problem).__name__)
        return ""
    parents: list[dict[str, Any]] = [one for one in page.get("messages") or [] if one.get("ts") == ts]
    metadata = (parents[0].get("metadata") or {}) if parents else {}
    told = metadata.get("event_type") == _EVENT_TYPE
    return str((metadata.get("event_payload") or {}).get("id") or "") if told else ""
