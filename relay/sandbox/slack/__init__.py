"""A stand-in Slack workspace: Web API, Socket Mode, signed HTTP, response_url, and people who act."""

from relay.sandbox.slack.cloud import Consent, FakeSlackCloud
from relay.sandbox.slack.fake import FakeSlack
from relay.sandbox.slack.gestures import FromButton
from relay.sandbox.slack.limits import problems
from relay.sandbox.slack.workspace import Ack, ApiCall, Channel, Ephemeral, Message, Person, View, Workspace

__all__ = [
    "Ack",
    "ApiCall",
    "Channel",
    "Consent",
    "Ephemeral",
    "FakeSlack",
    "FakeSlackCloud",
    "FromButton",
    "Message",
    "Person",
    "View",
    "Workspace",
    "problems",
]
