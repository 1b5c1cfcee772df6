"""Calls to those who may decide: under a card, or to one person alone, from the state things are in then."""

from collections.abc import Awaitable, Sequence
from typing import Any, Protocol

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from relay.domain.approvals import Approval, State
from relay.domain.deliveries import Delivered, Delivery, Outcome, Refused, Retry
from relay.domain.rules import Circle, Silence
from relay.domain.votes import Vote, tally
from relay.slack import posts
from relay.slack.blocks import Post
from relay.slack.mrkdwn import code, day_and_time, visible
from relay.slack.outcomes import decided_by
from relay.slack.threads import asking_thread
from relay.slack.verdicts import meaning
from relay.store import Store
from relay.store.approvals import Copy
from relay.use_cases.open_approval import IN_THREAD
from relay.use_cases.remind import Why

_TOOL_LIMIT = 80
_MOST_NAMED = 10
_NOTHING = Delivered({})

Wanted = tuple[Approval, Sequence[Vote], Copy | None, tuple[str, str | None]]


class PostTo(Protocol):
    """Posts what a delivery carries, once."""

    def __call__(
        self, delivery: Delivery, channel: str, post: Post, *, thread_ts: str | None = None
    ) -> Awaitable[Outcome]: ...


class Reminders:
    """Calls people, unless there is nothing to call them to any more."""

    def __init__(self, client: AsyncWebClient, store: Store, post: PostTo, command: str) -> None:
        self._client = client
        self._store = store
        self._post = post
        self._command = command

    async def send(self, delivery: Delivery) -> Outcome:
        """Attempt a call once and return how it ended. Raises what the Web API's client raises."""
        if "stands" in delivery.body:
            return await self._call_off(delivery)
        found = await self._store.transact(lambda tx: _wanted(tx, delivery))
        if not isinstance(found, tuple):
            return found
        approval, votes, copy, (channel, thread_ts) = found
        if copy is None and delivery.uncertain:
            return _NOTHING  # it may be there already, and where could not be looked up: once is enough
        link = "" if thread_ts else await self._link(approval)
        post = words(approval, votes, delivery.body, link=link, command=self._command)
        return await self._post(delivery, channel, post, thread_ts=thread_ts)

    async def _call_off(self, delivery: Delivery) -> Outcome:
        """Rewrite a call that somebody got alone: what it called to is decided."""
        stands = delivery.body["stands"]
        approval = await self._store.transact(lambda tx: tx.approvals.get(delivery.subject_id))
        if approval is not None:
            link = "" if delivery.body["copy_id"] else await self._link(approval)
            post = called_off(approval, link)
            try:
                await self._client.chat_update(**stands, text=post.text, blocks=post.blocks)
            except SlackApiError as problem:
                if not isinstance(meaning(problem), Refused):
                    raise
                # Somebody deleted it: there is nothing left to rewrite.
        return Delivered(stands)

    async def _link(self, approval: Approval) -> str:
        """Return where the card stands, for whoever has none of their own."""
        copies = await self._store.transact(lambda tx: tx.approvals.copies(approval.id))
        shared = next((one for one in copies if one.ts and not str(one.channel_id).startswith("D")), None)
        if shared is None:
            return ""
        try:
            found = await self._client.chat_getPermalink(
                channel=str(shared.channel_id), message_ts=str(shared.ts)
            )
        except SlackApiError:
            return ""
        return str(found["permalink"])


def _wanted(tx: Any, delivery: Delivery) -> Wanted | Outcome:
    """Return what a call is about and where it goes, or how it ends without being made."""
    body, approval = delivery.body, tx.approvals.get(delivery.subject_id)
    if approval is None or approval.state is not State.PENDING:
        return _NOTHING
    rests = approval.snoozed_until is not None and approval.snoozed_until > delivery.created_at
    if rests and body["why"] == Why.REMIND:
        return _NOTHING
    votes = tx.votes.of(approval.id)
    if any(one.user_id == body["user_id"] and one.shown_hash == approval.shown_hash for one in votes):
        return _NOTHING
    if not body["copy_id"]:
        return approval, votes, None, (body["user_id"], None)
    copy = tx.approvals.copy(body["copy_id"])
    if copy is None or copy.ts is None:
        return Retry("the card is not posted yet") if copy is not None and copy.places else _NOTHING
    where = asking_thread(tx, approval) if copy.places[:1] == (IN_THREAD,) else None
    thread_ts = where[1] if isinstance(where, tuple) and where[0] == copy.channel_id else None
    return approval, votes, copy, (str(copy.channel_id), thread_ts or copy.ts)


def words(
    approval: Approval, votes: Sequence[Vote], body: Any, *, link: str = "", command: str = "/letta"
) -> Post:
    """Return a call: to everybody who reads a thread, with the mentions that ping, or to one person."""
    tool = code(visible(approval.asked.tool_name), _TOOL_LIMIT)
    counted = tally(approval.ask, votes, approval.shown_hash, approval.edited_by)
    so_far = f" ({len(counted.approving)} of {counted.needed} approved)" if counted.needed > 1 else ""
    said = _OPENINGS[Why(body["why"])].format(tool=tool, so_far=so_far, by=f"<@{body['by']}>")
    if body["user_id"]:
        how = f"<{link}|Open the card>" if link else f"Type {code(f'{command} approve {approval.code}', 60)}"
        return posts.plain(f"{said}{_end(approval)}{'' if not link and not approval.code else f' {how}.'}")
    circle = approval.ask.escalate_to if body["why"] == Why.ESCALATE else approval.ask.approvers
    called = _mentions(circle, {one.user_id for one in votes if one.shown_hash == approval.shown_hash})
    return posts.plain(f"{said}{_end(approval)}{f' {called}' if called else ''}")


def called_off(approval: Approval, link: str) -> Post:
    """Return what stands in the place of a call to something that waits no longer."""
    tool = code(visible(approval.asked.tool_name), _TOOL_LIMIT)
    card = f" <{link}|Open the card>." if link else ""
    if approval.decision is None:
        return posts.plain(f":heavy_minus_sign: {tool} waits no longer; nothing was decided here.{card}")
    return posts.plain(f":ballot_box_with_check: Decided: {tool}. {decided_by(approval)}.{card}")


_OPENINGS = {
    Why.REMIND: ":alarm_clock: {tool} still waits for a decision{so_far}.",
    Why.ESCALATE: ":rotating_light: Nobody decided on {tool} in time{so_far}, so others are asked as well.",
    Why.AGAIN: ":repeat: {by} asks again: {tool} waits for a decision.",
}


def _end(approval: Approval) -> str:
    if approval.expires_at is None:
        return ""
    denied = approval.ask.on_silence is Silence.DENY
    return f" It {'is denied' if denied else 'expires'} {day_and_time(approval.expires_at)}."


def _mentions(circle: Circle, voted: set[str]) -> str:
    """Return the mentions that call a circle's people; a channel's members, and everybody, are not pinged."""
    called = [f"<@{one}>" for one in sorted(circle.users - voted)]
    called += [f"<!subteam^{one}>" for one in sorted(circle.groups)]
    return ", ".join(called[:_MOST_NAMED])
