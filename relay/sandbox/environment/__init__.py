"""A stand-in for a hosted Letta environment: REST, status sockets, a device with a scripted agent."""

from relay.sandbox.environment.fake import FakeEnvironment
from relay.sandbox.environment.records import Decision, Post, ToolReturn
from relay.sandbox.environment.script import (
    Agent,
    Fail,
    Outcome,
    Say,
    Script,
    Step,
    Turn,
    UserMessage,
    UseTool,
    UseTools,
    Wait,
    default_script,
)
from relay.sandbox.environment.sockets import StatusSocket

__all__ = [
    "Agent",
    "Decision",
    "Fail",
    "FakeEnvironment",
    "Outcome",
    "Post",
    "Say",
    "Script",
    "StatusSocket",
    "Step",
    "ToolReturn",
    "Turn",
    "UseTool",
    "UseTools",
    "UserMessage",
    "Wait",
    "default_script",
]
