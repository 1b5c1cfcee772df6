"""What Slack sends, as far as relay reads it: nulls and fields unknown here are normal."""

from collections.abc import Mapping
from typing import Any, Literal, Self

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
    is_ephemeral: bool | None = None


class _Option(_Sent):
    value: str | None = None


class _Action(_Sent):
    action_id: str
    value: str | None = None
    selected_option: _Option | None = None
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
    def stood_in_private(self) -> bool:
        """Whether the button stood in a message for one person alone, which its response_url can replace."""
        return bool(self.container and self.container.is_ephemeral and self.response_url)

    @property
    def key(self) -> str:
        """The same for the same click told twice, another for every other click."""
        action = self.actions[0]
        return f"click/{self.trigger_id or action.action_ts}/{self.user.id}/{action.action_id}"


class SessionStopped(_Sent):
    """https://docs.slack.dev/reference/events/agent_session_stopped"""

    user: str = Field(min_length=1)
    channel: str = Field(min_length=1)
    thread_ts: str = Field(min_length=1)
    event_ts: str = ""


class _Entered(_Sent):
    """What stands in one input; which of the fields, its kind says."""

    value: str | None = None
    selected_option: _Option | None = None
    selected_options: list[_Option] = []


class _Values(_Sent):
    values: dict[str, dict[str, _Entered]] = {}


class _View(_Sent):
    id: str = Field(min_length=1)
    callback_id: str = ""
    private_metadata: str = ""
    blocks: list[dict[str, Any]] = []
    state: _Values = _Values()


class ViewSubmission(_Sent):
    """https://docs.slack.dev/reference/interaction-payloads/view-interactions-payload"""

    user: _User
    view: _View
    trigger_id: str = ""

    @property
    def key(self) -> str:
        """The same for the same submission told twice, another when somebody submits once more."""
        return f"view/{self.view.id}/{self.trigger_id}/{self.user.id}"

    def entered(self) -> dict[str, str]:
        """Return what stands in each input, by its block's id: a text, or the values that are chosen."""
        found: dict[str, str] = {}
        for block_id, by_action in self.view.state.values.items():
            for entry in by_action.values():
                chosen = [one for one in (entry.selected_option, *entry.selected_options) if one]
                found[block_id] = entry.value or ",".join(one.value or "" for one in chosen)
        return found


class HomeOpened(_Sent):
    """https://docs.slack.dev/reference/events/app_home_opened: of the Home tab, or of another one."""

    user: str = Field(min_length=1)
    tab: str = ""


LONGEST_CALL_ID = 500


class ButtonValue(BaseModel):
    """What a card's button carries; no `tool_call_id` where it is too long for one."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    approval_id: str = Field(min_length=1, max_length=100)
    tool_call_id: str = Field(default="", max_length=LONGEST_CALL_ID)
    input_hash: str = Field(min_length=1, max_length=100)

    @classmethod
    def read(cls, value: str | None) -> Self | None:
        """Return the value of a button, or None when it is none of ours."""
        try:
            return cls.model_validate_json(value or "")
        except ValidationError:
            return None


class MoreValue(BaseModel):
    """What an option of a card's menu carries: Slack's own types give it room for 75 characters."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    do: Literal["comment", "ran_it", "deny_stop", "grant", "snooze"]
    approval_id: str = Field(alias="a", min_length=1, max_length=60)
    h: str = Field(min_length=7, max_length=16)  # the first digits of what is shown

    @classmethod
    def read(cls, value: str | None) -> Self | None:
        """Return the value of an option, or None when it is none of ours."""
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


class SharedFile(_Sent):
    """A file that stands under a message; of another workspace's, Slack may say little."""

    id: str | None = None
    name: str | None = None
    title: str | None = None
    mimetype: str | None = None
    size: int | None = None
    url_private: str | None = None
    permalink: str | None = None
    external_url: str | None = None
    is_external: bool | None = None

    @property
    def described(self) -> dict[str, Any]:
        """What is kept of it: an external one is a link, with nothing in Slack to read."""
        return {
            "name": self.name or self.title or self.id or "",
            "type": self.mimetype or "",
            "size": self.size or 0,
            "url": "" if self.is_external else self.url_private or "",
            "link": self.permalink or self.external_url or "",
        }


# What a person says to others; every other subtype tells of something else: an edit, a join, a topic.
_SAID = frozenset({None, "file_share", "thread_broadcast", "me_message"})


class Posted(_Sent):
    """https://docs.slack.dev/reference/events/message and …/app_mention: of one post, both may come."""

    type: Literal["message", "app_mention"]
    channel: str = Field(min_length=1)
    ts: str = Field(min_length=1)
    subtype: str | None = None
    user: str | None = None
    bot_id: str | None = None
    app_id: str | None = None
    text: str | None = None
    thread_ts: str | None = None
    channel_type: str | None = None
    team: str | None = None
    user_team: str | None = None
    files: list[SharedFile] | None = None
    edited: dict[str, Any] | None = None
    hidden: bool | None = None

    @property
    def is_said(self) -> bool:
        """Whether somebody says something new here."""
        return bool(self.user) and self.subtype in _SAID and self.edited is None and not self.hidden

    @property
    def is_direct(self) -> bool:
        """Whether it is said to the app alone."""
        return self.channel_type == "im" or self.channel.startswith("D")

    @property
    def key(self) -> str:
        """The same for every event of one post, and for each time that Slack brings it again."""
        return f"post/{self.channel}/{self.ts}"


def read_post(body: dict[str, Any]) -> Posted | None:
    """Return the post in an event's body, or None when it is none."""
    try:
        return Posted.model_validate(body.get("event"))
    except ValidationError:
        return None


def read_session_stopped(body: dict[str, Any]) -> SessionStopped | None:
    """Return the press of Slack's own stop button in a body, or None when it is none."""
    try:
        return SessionStopped.model_validate(body.get("event"))
    except ValidationError:
        return None


def read_home_opened(body: dict[str, Any]) -> HomeOpened | None:
    """Return who went to a tab of the app, or None when the body tells of something else."""
    try:
        return HomeOpened.model_validate(body.get("event"))
    except ValidationError:
        return None


def read_command(body: Mapping[str, Any]) -> SlashCommand | None:
    """Return the command in a body, or None when it lacks what every command has."""
    try:
        return SlashCommand.model_validate(body)
    except ValidationError:
        return None


def read_submission(body: dict[str, Any]) -> ViewSubmission | None:
    """Return the submitted form in a body, or None when it lacks what every one has."""
    try:
        return ViewSubmission.model_validate(body)
    except ValidationError:
        return None


def read_click(body: dict[str, Any]) -> BlockActions | None:
    """Return the click in a body, or None when it lacks what every click has."""
    try:
        return BlockActions.model_validate(body)
    except ValidationError:
        return None
