"""What Slack sends, as far as relay reads it: nulls and fields unknown here are normal."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError


class _Sent(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class SlashCommand(_Sent):
    """https://docs.slack.dev/interactivity/implementing-slash-commands"""

    command: str
    text: str = ""
    team_id: str = ""
    channel_id: str = Field(min_length=1)
    channel_name: str = ""
    user_id: str = Field(min_length=1)
    response_url: str | None = None
    trigger_id: str = ""


class _User(_Sent):
    id: str = Field(min_length=1)
    team_id: str | None = None


class _Identified(_Sent):
    id: str | None = None


class _Container(_Sent):
    message_ts: str | None = None
    channel_id: str | None = None


class _Action(_Sent):
    action_id: str
    value: str | None = None
    action_ts: str | None = None


class BlockActions(_Sent):
    """https://docs.slack.dev/reference/interaction-payloads/block_actions-payload"""

    user: _User
    team: _Identified | None = None
    channel: _Identified | None = None
    container: _Container | None = None
    actions: list[_Action] = Field(min_length=1)
    trigger_id: str = ""
    response_url: str | None = None

    @property
    def channel_id(self) -> str:
        """Where the button stood: interactions with a lost message still name their container."""
        found = (self.channel.id if self.channel else None) or (
            self.container.channel_id if self.container else None
        )
        return found or ""

    @property
    def message_ts(self) -> str | None:
        return self.container.message_ts if self.container else None

    @property
    def key(self) -> str:
        """The same for the same click told twice, another for every other click."""
        action = self.actions[0]
        return f"click/{self.trigger_id or action.action_ts}/{self.user.id}/{action.action_id}"


class ButtonValue(BaseModel):
    """What a card's button carries."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    approval_id: str = Field(min_length=1, max_length=100)
    tool_call_id: str = Field(min_length=1, max_length=500)
    input_hash: str = Field(min_length=1, max_length=100)

    @classmethod
    def read(cls, value: str | None) -> Self | None:
        """Return the value of a button, or None when it is none of ours."""
        try:
            return cls.model_validate_json(value or "")
        except ValidationError:
            return None


class RetryValue(BaseModel):
    """What a Retry button carries."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    subject_id: str = Field(min_length=1, max_length=100)

    @classmethod
    def read(cls, value: str | None) -> Self | None:
        """Return the value of a button, or None when it is none of ours."""
        try:
            return cls.model_validate_json(value or "")
        except ValidationError:
            return None


def read_command(body: dict[str, Any]) -> SlashCommand | None:
    """Return the command in a body, or None when it lacks what every command has."""
    try:
        return SlashCommand.model_validate(body)
    except ValidationError:
        return None


def read_click(body: dict[str, Any]) -> BlockActions | None:
    """Return the click in a body, or None when it lacks what every click has."""
    try:
        return BlockActions.model_validate(body)
    except ValidationError:
        return None
