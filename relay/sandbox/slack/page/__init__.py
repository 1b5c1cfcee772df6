"""The local workspace in the browser: be anyone of a stand-in workspace, and try an app there."""

from relay.sandbox.slack.page.scenario import Command, Scenario, Spot, Step
from relay.sandbox.slack.page.server import Page

__all__ = ["Command", "Page", "Scenario", "Spot", "Step"]
