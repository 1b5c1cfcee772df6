"""Where cards may go: asked of Slack, remembered for some minutes, never guessed.

A card shows what a tool is called with. In a channel shared with another workspace, that workspace's
people would read it: so nothing is posted to a place until Slack has said that it is not shared.
"""

import asyncio
import math
import time
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, replace
from typing import Any

from slack_sdk.errors import SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from relay.domain.deliveries import Refused, Retry
from relay.slack.verdicts import CARRIERS, code, meaning, too_large

_REMEMBERED_FOR = 600.0
_TROUBLE_REMEMBERED_FOR = 1.0  # so that many cards that wait ask once, not each for itself
_LOOKED_AGAIN_AFTER = 60.0
_ASK_WITHIN = 5.0
_START_WITHIN = 15.0
_AT_ONCE = 5
_PEOPLE = ("U", "W")  # a direct message is read by one person alone

_BEFORE_CHECKED = Retry("whether another workspace reads the places for cards is being asked")
_NEVER = Refused("it is shared with another workspace")
_OPEN = "open"
_NOT_IN_IT = "the app is not in it: /invite it there"
_WORDS = {
    "channel_not_found": (
        "channel_not_found: the id is wrong, or it is a private channel that the app was not invited to"
    ),
    "not_in_channel": _NOT_IN_IT,
    "is_archived": "it is archived",
}


@dataclass(frozen=True)
class _Seen:
    """What is known of a place until `until`: why it is `closed` to cards, and how it fares in words."""

    words: str
    closed: Refused | Retry | None
    at: float = -math.inf
    until: float = -math.inf


_NEVER_SEEN = _Seen("not asked about yet", None)


class Places:
    """Knows which places are closed to cards, and how each place of the configuration fares.

    `fatal`: relay ends where one of these is shared, so that until then nothing is refused for it.
    """

    def __init__(
        self,
        client: AsyncWebClient,
        channels: Iterable[str],
        soon: Callable[[Coroutine[Any, Any, None]], None],
        log: Any,
        clock: Callable[[], float] = time.monotonic,
        *,
        fatal: bool = True,
    ) -> None:
        self._client = client
        self._fatal = fatal
        self._channels = _channels(channels)
        self._soon = soon
        self._log = log
        self._clock = clock
        self._seen: dict[str, _Seen] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._checked = False

    async def check(self) -> list[str]:
        """Ask about every place, and return those that another workspace reads too, at the first that is.

        What cannot be asked about in good time is asked about before the first card.
        """
        limit = asyncio.Semaphore(_AT_ONCE)

        async def look(channel: str) -> None:
            async with limit:
                await self._look(channel)

        looks = [asyncio.create_task(look(channel)) for channel in self._channels]
        try:
            for done in asyncio.as_completed(looks, timeout=_START_WITHIN):
                await done
                if shared := self._shared():
                    return shared
        except TimeoutError:
            pass
        finally:
            for left in looks:
                left.cancel()
        self._checked = not self._shared()
        return self._shared()

    async def take(self, channels: Iterable[str]) -> list[str]:
        """Let other places be those of the configuration, unless another workspace reads some: return those.

        Of the new ones that Slack tells nothing of in good time, it is asked before the first card.
        """
        wanted = _channels(channels)
        limit = asyncio.Semaphore(_AT_ONCE)

        async def look(channel: str) -> None:
            async with limit:
                await self._look(channel)

        looks = [asyncio.create_task(look(channel)) for channel in wanted if channel not in self._channels]
        if looks:
            done, late = await asyncio.wait(looks, timeout=_START_WITHIN)
            for one in late:
                one.cancel()
            for one in done:
                one.result()
        shared = [channel for channel in wanted if self._of(channel).closed == _NEVER]
        if not shared:
            self._channels = wanted
        return shared

    def replace(self, channels: Iterable[str]) -> None:
        """Let other places be those of the configuration; Slack is asked about each before its first card."""
        self._channels = _channels(channels)

    def _shared(self) -> list[str]:
        return [channel for channel in self._channels if self._of(channel).closed == _NEVER]

    async def closed(self, channel: str) -> Refused | Retry | None:
        """Return why no card may be posted to a place now, or None where one may."""
        if channel.startswith(_PEOPLE):
            return None
        if self._of(channel).until <= self._clock():
            await self._look(channel)
        closed = self._of(channel).closed
        # Where the configuration names such a place relay ends: nobody's request is denied for it.
        unchecked = self._fatal and channel in self._channels and not self._checked
        return _BEFORE_CHECKED if closed == _NEVER and unchecked else closed

    def took(self, channel: str) -> None:
        """Remember that a card was posted to a place."""
        seen = self._of(channel)
        if seen.closed is None and seen.words != _OPEN:
            self._note(channel, replace(seen, words=_OPEN))

    def refused(self, channel: str, problem: SlackClientError) -> None:
        """Remember why Slack took no card there, if the place is the reason."""
        if not too_large(problem) and isinstance(meaning(problem), Refused):
            self._note(channel, replace(self._of(channel), words=_in_words(code(problem))))

    def words(self) -> dict[str, str]:
        """Return how each place of the configuration fares.

        Whoever asks has something mended, perhaps: the place unlooked at for longest is looked at again.
        """
        now = self._clock()
        old = [
            (self._of(channel).at, channel)
            for channel in self._channels
            if self._of(channel).words != _OPEN and now - self._of(channel).at >= _LOOKED_AGAIN_AFTER
        ]
        if old:
            channel = min(old)[1]
            self._seen[channel] = replace(self._of(channel), at=now, until=-math.inf)
            self._soon(self._look(channel))
        return {channel: self._of(channel).words for channel in self._channels}

    def _of(self, channel: str) -> _Seen:
        return self._seen.get(channel, _NEVER_SEEN)

    async def _look(self, channel: str) -> None:
        async with self._locks.setdefault(channel, asyncio.Lock()):
            if self._of(channel).until <= self._clock():
                self._note(channel, await self._ask(channel))

    async def _ask(self, channel: str) -> _Seen:
        try:
            async with asyncio.timeout(_ASK_WITHIN):
                answer = await self._client.conversations_info(channel=channel)
        except CARRIERS as problem:
            return self._not_told(problem)
        found = answer.get("channel")
        if not isinstance(found, dict):
            return self._kept(_Seen("Slack does not describe it", Retry("Slack does not describe the place")))
        return self._kept(_described(found))

    def _not_told(self, problem: Exception) -> _Seen:
        outcome = meaning(problem)
        if isinstance(outcome, Retry):
            reason = f"whether another workspace reads it is not known: {outcome.reason}"
            return self._kept(_Seen(reason, Retry(reason, after=outcome.after)))
        return self._kept(_Seen(_in_words(code(problem)), Refused(code(problem))))

    def _kept(self, seen: _Seen) -> _Seen:
        now, told = self._clock(), seen.closed in (None, _NEVER)
        return replace(seen, at=now, until=now + (_REMEMBERED_FOR if told else _TROUBLE_REMEMBERED_FOR))

    def _note(self, channel: str, seen: _Seen) -> None:
        before = self._of(channel)
        self._seen[channel] = seen
        if seen.words == before.words:
            return
        if seen.words == _OPEN:
            self._log.info("place.open", channel=channel)
        else:
            unknown = isinstance(seen.closed, Retry)
            self._log.warning(
                "place.unknown" if unknown else "place.closed", channel=channel, reason=seen.words
            )


def _channels(places: Iterable[str]) -> list[str]:
    return sorted({place for place in places if not place.startswith(_PEOPLE)})


def _described(found: dict[str, Any]) -> _Seen:
    if found.get("is_ext_shared"):
        return _Seen("shared with another workspace, which would read the cards", _NEVER)
    # The rest is for Slack to refuse when a card is posted: an invitation counts at once.
    if found.get("is_archived"):
        return _Seen(_in_words("is_archived"), None)
    return _Seen(_OPEN if found.get("is_member", True) else _NOT_IN_IT, None)


def _in_words(error: str) -> str:
    return _WORDS.get(error, f"Slack refuses it: {error}")
