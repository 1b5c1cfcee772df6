"""A card as each rule would make it, with a long input: whether Slack would take it."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

from slack_sdk.errors import SlackApiError, SlackObjectFormationError
from slack_sdk.models.blocks import Block as SlackBlock
from slack_sdk.web.async_client import AsyncWebClient

from relay.config import Config
from relay.domain.approvals import Approval, Asked, State
from relay.domain.findings import Finding, good, warning, wrong
from relay.domain.rules import Ask
from relay.slack.blocks import Blocks, size
from relay.slack.cards import card
from relay.slack.verdicts import CARRIERS, code, too_large

_MOST_BLOCKS, _MOST_CHARACTERS = 50, 13_000
_ABOUT = "a sample card"
_FIX = "Shorten the rule, and report this to whoever gave you relay."
_NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
_ASKED = Asked(
    environment="sample",
    agent_id="agent-sample",
    conversation_id="default",
    tool_call_id="call_sample",
    tool_name="Bash",
    tool_input={"command": "echo sample\n" * 2_000, "description": "A sample that nobody is asked about"},
    diffs=(),
    words="This is a sample.",
)
_SAMPLE = Approval(
    id="apr_0190b5a0000070008000000000000000",
    team_id="T0SAMPLE",
    asked=_ASKED,
    input_hash="0" * 32,
    occurrence=1,
    state=State.PENDING,
    decision=None,
    requesters=("U0SAMPLE",),
    message_id=None,
    epoch="",
    event_seq=0,
    gone_at=None,
    sent=False,
    note="",
    created_at=_NOON,
    revision=1,
    code="ABCDE",
)


async def cards(client: AsyncWebClient, config: Config) -> list[Finding]:
    """Return whether cards keep Slack's limits, by our own account and, where it can be asked, by Slack's.

    Nothing is posted: blocks.validate says of blocks whether they would be taken.
    https://docs.slack.dev/reference/methods/blocks.validate
    """
    asks = [Ask(), *(rule.ask for rule in config.policy.rules if rule.ask is not None)]
    made = [(ask, card(replace(_SAMPLE, ask=ask), command=config.slack.command).blocks) for ask in asks]
    problems = [problem for ask, blocks in made for problem in _problems(ask, blocks)]
    if problems:
        return problems
    # The largest alone: Slack takes a few dozen questions a minute, and there may be a thousand rules.
    return [await _by_slack(client, max((blocks for _, blocks in made), key=size), len(made))]


def _problems(ask: Ask, blocks: Blocks) -> Iterator[Finding]:
    about = f'{_ABOUT}, rule "{ask.rule}"' if ask.rule else _ABOUT
    if len(blocks) > _MOST_BLOCKS:
        yield wrong(about, f"has {len(blocks)} blocks; Slack takes {_MOST_BLOCKS}", _FIX)
    if size(blocks) > _MOST_CHARACTERS:
        yield wrong(about, f"has {size(blocks):,} characters; Slack takes {_MOST_CHARACTERS:,}", _FIX)
    for block in SlackBlock.parse_all(blocks):
        try:
            block.validate_json()
        except SlackObjectFormationError as problem:
            yield wrong(about, f"Slack would not take it: {problem}", _FIX)


async def _by_slack(client: AsyncWebClient, blocks: Blocks, number: int) -> Finding:
    kept = f"{number} sorts of card keep Slack's limits" if number > 1 else "keeps Slack's limits"
    try:
        await client.api_call("blocks.validate", data={"blocks": json.dumps(blocks)})
    except CARRIERS as problem:
        if refused := _refused(problem):
            return warning(_ABOUT, f"Slack would not take it: {refused}", _FIX)
        return good(_ABOUT, f"{kept}, by relay's own account")
    return good(_ABOUT, f"{kept}, and Slack would take it")


def _refused(problem: Exception) -> str:
    """Return what Slack has against the blocks; empty where it said nothing of them."""
    if not isinstance(problem, SlackApiError):
        return ""
    listed = problem.response.get("errors")
    if not listed and not too_large(problem):
        return ""
    first = listed[0] if isinstance(listed, list) and listed else code(problem)
    return str(first.get("message") or code(problem)) if isinstance(first, dict) else str(first)
