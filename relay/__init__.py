"""relay puts people in the loop of a Letta agent, in Slack."""

__version__ = "0.1.0"
