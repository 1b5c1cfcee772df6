"""Slash commands as Slack sends them, signed and laid out as bytes ahead of their time."""

import hashlib
import hmac
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlencode

SIGNING_SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
TEAM = "T0BENCH00"
CONVERSATIONS = 200
_PEOPLE = 50
_SLACK = "https://hooks.slack.com"
_NUMBER = re.compile(rb"deploy the site, please \(number (\d+)\)")


@dataclass(frozen=True)
class Command:
    """A request ready to be written to a socket, known again by the number in its text."""

    number: int
    request: bytes


def channel(conversation: int) -> str:
    """Return the channel in which a conversation is held."""
    return f"C0BENCH{conversation:04d}"


def cards(conversation: int) -> str:
    """Return the channel in which a conversation's cards are posted."""
    return f"C1BENCH{conversation:04d}"


def number_in(body: bytes) -> int | None:
    """Return the number of the command whose text is in `body`."""
    found = _NUMBER.search(body)
    return int(found[1]) if found else None


class Commands:
    """Makes commands, each with a number and a trigger id never used before in this run.

    What is said to a person alone goes to `answers`.
    """

    def __init__(self, answers: str = _SLACK) -> None:
        self._next = 1
        self._answers = answers

    def make(self, count: int) -> list[Command]:
        """Return `count` commands signed now: Slack's signature is good for five minutes."""
        first, self._next = self._next, self._next + count
        return list(_signed(range(first, self._next), self._answers))


def signed(body: bytes) -> bytes:
    """Return a request with this body, signed now."""
    timestamp = str(int(time.time()))
    told = b"v0:%b:%b" % (timestamp.encode(), body)
    signature = hmac.new(SIGNING_SECRET.encode(), told, hashlib.sha256).hexdigest()
    return _head(len(body), timestamp, signature) + body


def command_in(place: int, number: int) -> bytes:
    """Return a signed command typed in one conversation."""
    return signed(_body(number, place, _SLACK))


def _signed(numbers: range, answers: str) -> Iterator[Command]:
    for number in numbers:
        yield Command(number, signed(_body(number, number % CONVERSATIONS, answers)))


def _body(number: int, place: int, answers: str) -> bytes:
    fields = {
        "token": "gIkuvaNzQIHg97ATvDxqgjtO",
        "team_id": TEAM,
        "team_domain": "bench",
        "channel_id": channel(place),
        "channel_name": "bench",
        "user_id": f"U0BENCH{number % _PEOPLE:03d}",
        "user_name": "bench",
        "command": "/letta",
        "text": f"deploy the site, please (number {number})",
        "api_app_id": "A0BENCH00",
        "is_enterprise_install": "false",
        "response_url": f"{answers}/commands/{TEAM}/{number}/fresh",
        "trigger_id": f"{number}.398738663015.470bedcc",
    }
    return urlencode(fields).encode()


def _head(length: int, timestamp: str, signature: str) -> bytes:
    return (
        "POST /slack/events HTTP/1.1\r\n"
        "Host: 127.0.0.1\r\n"
        "User-Agent: Slackbot 1.0 (+https://api.slack.com/robots)\r\n"
        "Accept: */*\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {length}\r\n"
        f"X-Slack-Request-Timestamp: {timestamp}\r\n"
        f"X-Slack-Signature: v0={signature}\r\n"
        "\r\n"
    ).encode()
