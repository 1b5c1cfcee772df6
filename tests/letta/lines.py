"""What the router keeps of devices and posts, and how it words a decision for a device."""

import time
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Json = dict[str, Any]


@dataclass(frozen=True)
class Post:
    """One POST …/messages and how it was answered."""

    connection_id: str
    body: Json
    status: int


@dataclass(eq=False)
class DeviceLine:
    """A registered device: its present connection, and the sockets it holds open."""

    device_id: str
    registration: Json
    connection_id: str
    sockets: dict[str, tuple[web.WebSocketResponse, web.Request]] = field(default_factory=dict)
    last_heartbeat: float = field(default_factory=time.time)

    def is_up(self, channels: int) -> bool:
        """Whether all its sockets are open."""
        return len(self.sockets) == channels


def approval_response(request_id: str, body: Json, approval: Json) -> Json:
    """Return the device's form of one posted decision."""
    decision: Json = {"behavior": "allow" if approval["approve"] else "deny"}
    if approval.get("reason") is not None:
        decision["message"] = approval["reason"]
    if approval.get("updated_input") is not None:
        decision["updated_input"] = approval["updated_input"]
    return {
        "type": "input",
        "request_id": request_id,
        "runtime": {"agent_id": body["agentId"], "conversation_id": body.get("conversationId") or "default"},
        "payload": {
            "kind": "approval_response",
            "request_id": f"perm-{approval['tool_call_id']}",
            "decision": decision,
        },
    }
