"""The channels that a configuration names: whether they are there, and whether the app is in them."""

from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from relay.domain.findings import Finding, Level, good, warning
from relay.slack.examine.app import unasked
from relay.slack.examine.named import Use
from relay.slack.verdicts import CARRIERS, code

_GONE = "The id is wrong, or it is a private channel: correct it, or /invite the app there."
_ELSEWHERE = "Name another channel for {uses}."


async def channel(client: AsyncWebClient, channel_id: str, uses: set[Use]) -> list[Finding]:
    """Return everything that is wrong with a channel, or that all is well."""
    about = f"channel {channel_id}"
    try:
        answer = await client.conversations_info(channel=channel_id)
    except CARRIERS as problem:
        if code(problem) == "channel_not_found":
            # A rule for a channel that is not there is only never used.
            level = Level.WARNING if uses == {Use.RULE} else Level.WRONG
            return [Finding(level, about, f"Slack shows the app none of that id ({_named_for(uses)})", _GONE)]
        return [unasked(about, problem)]
    found = answer.get("channel")
    if not isinstance(found, dict):
        return [warning(about, "not checked: Slack does not describe it", "Run it again.")]
    problems = list(_problems(about, found, uses))
    name = f"#{found['name']}, " if found.get("name") else ""
    return problems or [good(about, f"{name}{_named_for(uses)}")]


def _problems(about: str, found: dict[str, Any], uses: set[Use]) -> list[Finding]:
    """Return what is wrong: where cards go it stops them, elsewhere it is perhaps meant."""
    level = Level.WRONG if Use.CARDS in uses else Level.WARNING
    elsewhere = _ELSEWHERE.format(uses=" and ".join(sorted(uses)))
    problems = []
    if found.get("is_archived"):
        problems.append(Finding(level, about, "it is archived", elsewhere))
    elif not found.get("is_member", True) and uses != {Use.RULE}:
        problems.append(
            Finding(level, about, f"the app is not in it ({_named_for(uses)})", "/invite it there.")
        )
    if found.get("is_ext_shared"):
        said = "it is shared with another workspace, which reads what is posted there"
        problems.append(Finding(level, about, said, elsewhere))
    elif found.get("is_pending_ext_shared"):
        said = "another workspace is invited to it, and would read what is posted there"
        problems.append(warning(about, said, elsewhere))
    return problems


def _named_for(uses: set[Use]) -> str:
    return f"for {', '.join(sorted(uses))}"
