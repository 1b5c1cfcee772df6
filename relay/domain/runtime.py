"""Where an agent listens: one conversation of one agent in one environment."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Runtime:
    """A conversation of an agent in an environment; `environment` is the name the configuration gives it."""

    environment: str
    agent_id: str
    conversation_id: str

    @property
    def ordering_key(self) -> str:
        """Messages to one runtime leave in the order they came."""
        return f"{self.environment}/{self.agent_id}/{self.conversation_id}"
