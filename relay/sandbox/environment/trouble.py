"""Failures of POST …/messages on demand."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class PostTrouble:
    """What happens to the next posts: a status, a cut connection, or no answer at all."""

    times: int = 1
    status: int = 500
    body: str | dict[str, Any] | None = None
    retry_after: str | float | None = None
    hang: bool = False
    after: bool = False
    approvals_only: bool = False
    messages_only: bool = False

    def concerns(self, body: dict[str, Any]) -> bool:
        """Whether this post is one to fail."""
        approval = is_approval(body)
        return not (self.approvals_only and not approval) and not (self.messages_only and approval)

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the failing answer."""
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}


@dataclass
class Troubles:
    """The failures to come, first come first used."""

    to_come: list[PostTrouble] = field(default_factory=list)

    def next_for(self, body: dict[str, Any]) -> PostTrouble | None:
        """Take the failure this post has to suffer, if any."""
        for trouble in self.to_come:
            if trouble.times > 0 and trouble.concerns(body):
                trouble.times -= 1
                return trouble
        return None


def is_approval(body: dict[str, Any]) -> bool:
    """Whether a post carries approvals."""
    messages = body.get("messages")
    return isinstance(messages, list) and any(
        isinstance(m, dict) and m.get("type") == "approval" for m in messages
    )
