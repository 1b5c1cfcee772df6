"""[[policies]] of relay.toml; the description of each setting says what to write there."""

import zoneinfo
from datetime import time, timedelta
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StrictBool, StrictFloat, StrictInt, StringConstraints
from pydantic_core import PydanticCustomError

from relay.config.durations import duration
from relay.config.tables import TEAM, Strict

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LONGEST_GRANT = timedelta(days=7)
_DURATION = 'say a number and s, m, h or d, as in "90s", "5m", "2h" or "1d" (at most 365d)'
_PEOPLE = (
    "say { users = [user ids], groups = [user group ids], channels = [channel ids], channel_members = true }"
)


def _duration(most: timedelta) -> BeforeValidator:
    def read(written: Any) -> timedelta:
        if not isinstance(written, str):
            raise ValueError("no text")  # noqa: TRY004 - pydantic tells of this one alone
        return duration(written, most=most)

    return BeforeValidator(read)


def _zone(written: str) -> str:
    try:
        zoneinfo.ZoneInfo(written)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        raise ValueError("unknown zone") from None
    return written


def _clock(written: Any) -> time:
    if not isinstance(written, str) or len(written) != 5 or written[2] != ":":
        raise ValueError("no time of day")
    return time.fromisoformat(written)


def _flat(written: Any, within: tuple[str, ...] = ()) -> dict[str, str | bool | int | float]:
    """Return paths and patterns; TOML makes tables of `options.target = …` without quotes."""
    if not isinstance(written, dict) or not written:
        raise PydanticCustomError("no_table", "no table", {"within": within})
    flat: dict[str, str | bool | int | float] = {}
    for key, value in written.items():
        if isinstance(value, dict):
            flat |= {f"{key}.{path}": pattern for path, pattern in _flat(value, (*within, key)).items()}
        elif isinstance(value, str | bool | int | float):
            flat[key] = value
        else:
            raise PydanticCustomError("no_pattern", "no pattern", {"within": (*within, key)})
    return flat


def _listed(written: Any) -> Any:
    return [written] if isinstance(written, str) else written


Duration = Annotated[timedelta, _duration(timedelta(days=365))]
GrantDuration = Annotated[timedelta, _duration(LONGEST_GRANT)]
User = Annotated[str, StringConstraints(pattern=r"^[UW][A-Z0-9]{2,}$")]
Group = Annotated[str, StringConstraints(pattern=r"^S[A-Z0-9]{2,}$")]
Channel = Annotated[str, StringConstraints(pattern=r"^[CG][A-Z0-9]{2,}$")]
Asking = Annotated[str, StringConstraints(pattern=r"^([CGD][A-Z0-9]{2,}|dm)$")]
Place = Annotated[str, StringConstraints(pattern=r"^([CGUW][A-Z0-9]{2,}|thread|dm)$")]
Text = Annotated[str, StringConstraints(min_length=1)]
Short = Annotated[str, StringConstraints(min_length=1, max_length=75, strip_whitespace=True)]
Patterns = Annotated[dict[str, str | bool | int | float], BeforeValidator(lambda written: _flat(written))]
Clock = Annotated[time, BeforeValidator(_clock)]


class WhenTable(Strict):
    """`when`: what must hold besides the tool."""

    channel: Annotated[list[Asking], BeforeValidator(_listed)] = Field(
        default=[], description='say a channel id, "dm", or a list of them'
    )
    environment: Annotated[list[Text], BeforeValidator(_listed)] = Field(
        default=[], description="say the name of an environment, or a list of them"
    )
    requester: Annotated[list[User], BeforeValidator(_listed)] = Field(
        default=[], description="say a user id, or a list of them"
    )
    input: Patterns = Field(
        default={}, description='say which value is like what, as in { command = "*prod*" }'
    )


class PeopleTable(Strict):
    """`approvers` and `editors`: people by name, user group, or channel."""

    users: list[User] = Field(default=[], description='say a list of user ids, as in ["U0123ABCD"]')
    groups: list[Group] = Field(default=[], description='say a list of user group ids, as in ["S0123ABCD"]')
    channels: list[Channel] = Field(
        default=[], description='say a list of the ids of channels whose members count, as in ["C0123ABCD"]'
    )
    channel_members: StrictBool = Field(
        default=False, description="say true to count the members of the channel that asks"
    )


class EscalationTable(Strict):
    """`escalate_to`: who is asked besides when nobody answers."""

    users: list[User] = Field(default=[], description='say a list of user ids, as in ["U0123ABCD"]')
    groups: list[Group] = Field(default=[], description='say a list of user group ids, as in ["S0123ABCD"]')


class HoursTable(Strict):
    """`hours`: when silence counts."""

    zone: Annotated[str, BeforeValidator(_zone)] = Field(
        default="UTC", description='say a time zone of the IANA list, as in "Europe/Berlin"'
    )
    days: list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]] = Field(
        default=["mon", "tue", "wed", "thu", "fri"],
        min_length=1,
        description=f"say a list of days, of {', '.join(DAYS)}",
    )
    begin: Clock = Field(
        default=time(9), alias="from", description='say hours and minutes in quotes, as in "09:00"'
    )
    end: Clock = Field(
        default=time(17), alias="to", description='say hours and minutes in quotes, as in "17:00"'
    )


class FactTable(Strict):
    """One of `facts`: a value of the input that the card names."""

    path: str = Field(min_length=1, description="say where the value stands: keys joined by dots")
    label: Short = Field(description="say what the card calls it, in at most 75 characters")
    above: StrictInt | StrictFloat | None = Field(
        default=None, description="say the number above which the value is marked as unusual"
    )


class PolicyTable(Strict):
    """[[policies]]: for which tool calls, and what is done with them."""

    name: Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f-\x9f]+$", strip_whitespace=True)] = (
        Field(
            min_length=1,
            max_length=75,
            description="give each rule a name of its own, of at most 75 characters",
        )
    )
    team: str = Field(
        default="", pattern=TEAM, description='say the team id of a workspace, as in "T0123ABCD"'
    )
    tools: list[Text] = Field(
        min_length=1, description='say a list of tool names, with * and ? as wildcards, as in ["Bash"]'
    )
    when: WhenTable = Field(
        default=WhenTable(), description="say { channel = …, environment = …, requester = …, input = { … } }"
    )
    action: Literal["ask", "allow", "deny"] = Field(default="ask", description='say "ask", "allow" or "deny"')
    reason: str = Field(
        default="", max_length=500, description="say why, in quotes and at most 500 characters"
    )
    approvers: PeopleTable | None = Field(default=None, description=_PEOPLE)
    editors: PeopleTable | None = Field(default=None, description=_PEOPLE)
    quorum: StrictInt = Field(
        default=1, ge=1, le=10, description="say how many people must approve, from 1 to 10"
    )
    requester_may_approve: StrictBool = Field(default=False, description="say true or false")
    edit_needs_another: StrictBool = Field(default=False, description="say true or false")
    expires_after: Duration | None = Field(default=None, description=_DURATION)
    on_silence: Literal["wait", "deny", "escalate"] = Field(
        default="wait", description='say "wait", "deny" or "escalate"'
    )
    remind_after: list[Duration] = Field(
        default=[], max_length=10, description='say a list of at most 10 durations, as in ["5m", "1h"]'
    )
    escalate_to: EscalationTable | None = Field(
        default=None, description="say { users = [user ids], groups = [user group ids] }"
    )
    hours: HoursTable | None = Field(
        default=None,
        description='say { zone = "Europe/Berlin", days = ["mon"], from = "09:00", to = "17:00" }',
    )
    risk: Literal["normal", "high"] = Field(default="normal", description='say "normal" or "high"')
    cards: list[Place] = Field(
        default=[], max_length=10, description='say a list of channel ids, user ids, "thread" and "dm"'
    )
    quick_reasons: list[Short] = Field(
        default=[], max_length=5, description="say a list of at most 5 texts of at most 75 characters"
    )
    facts: list[FactTable] = Field(
        default=[],
        max_length=10,
        description='say a list of at most 10, as in [{ path = "amount", label = "Amount", above = 100 }]',
    )
    grant_for: GrantDuration | None = Field(
        default=None, description='say the longest a grant may last, as in "8h" (at most 7d)'
    )
    grant_uses: StrictInt = Field(
        default=20, ge=1, le=1000, description="say how often a grant may be used, from 1 to 1000"
    )
    suggestions: StrictBool = Field(default=False, description="say true or false")
