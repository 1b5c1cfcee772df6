"""Where the stand-in environment stands in its router: its address, whether it is there, how it is listed."""

import time
from dataclasses import dataclass, field
from typing import Literal
from uuid import uuid4

from relay.sandbox.environment.script import Agent, Json

RouterKind = Literal["translating", "verbatim"]
OLD_HEARTBEAT_SECONDS = 600


def new_connection_id() -> str:
    """A connection id no other connection has."""
    return f"connection-{uuid4()}"


@dataclass
class Place:
    """The router's view of the device."""

    api_key: str
    device_id: str
    router: RouterKind
    connection_id: str = field(default_factory=new_connection_id)
    online: bool = True
    offline_status: int = 404
    overtake: bool = False
    message_protocol: str | None = "v2-input"
    connected_at: float = field(default_factory=time.time)
    left_at: float | None = None

    def reaches(self, connection_id: str) -> bool:
        """Whether the router still has a connection of that id."""
        return self.online and connection_id == self.connection_id

    def leave(self) -> None:
        """Go offline."""
        self.online, self.left_at = False, time.time()

    def come_back(self, *, rotate: bool) -> None:
        """Be online again, under a new connection id when rotating."""
        self.online, self.left_at, self.connected_at = True, None, time.time()
        if rotate:
            self.connection_id = new_connection_id()

    def listing(self, agent: Agent) -> Json:
        """The environment as the directory shows it; times are epoch milliseconds."""
        seen = time.time() if self.online else (self.left_at or 0.0) - OLD_HEARTBEAT_SECONDS
        metadata = {"os": "linux", "lettaCodeVersion": "0.34.12", "workingDirectory": "/workspace"}
        if self.message_protocol is not None:
            metadata["environmentMessageProtocol"] = self.message_protocol
        return {
            "id": f"environment-{self.device_id}",
            "connectionId": self.connection_id if self.online else None,
            "deviceId": self.device_id,
            "connectionName": "stand-in",
            "organizationId": "organization-1",
            "connectedAt": _milliseconds(self.connected_at),
            "firstSeenAt": _milliseconds(self.connected_at),
            "lastHeartbeat": _milliseconds(seen),
            "lastSeenAt": _milliseconds(seen),
            "currentMode": agent.permission_mode,
            "metadata": metadata,
        }


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)
