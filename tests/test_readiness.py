"""When a relay is ready that listens to many conversations: what `/readyz` says of each."""

from datetime import UTC, datetime

import pytest

from relay.app.readiness import conversations
from relay.domain.runtime import Runtime
from relay.environment.listener import Presence
from relay.web import Health

HOME, FIRST, OTHER = (
    Runtime(environment, "agent-1", conversation)
    for environment, conversation in (("workshop", "default"), ("workshop", "conv-1"), ("garage", "default"))
)
SINCE = datetime(2026, 1, 1, tzinfo=UTC)
OPENING, UP = Presence(up=False), Presence(up=True, since=SINCE, reason="")
OFFLINE = Presence(up=False, since=SINCE, reason="no device")
REFUSED = Presence(up=False, since=SINCE, reason="the key", refused=True)


@pytest.mark.parametrize(
    ("heard", "ready"), [(UP, True), (OFFLINE, True), (REFUSED, True), (OPENING, False)], ids=str
)
def test_one_that_is_being_opened_waits_for_the_first_of_its_environment_alone(
    heard: Presence, ready: bool
) -> None:
    said = conversations({HOME: heard, FIRST: OPENING, OTHER: OPENING})
    assert said["environment workshop / conv-1"] == Health(ready, "its sockets are being opened")
    assert said["environment garage"] == Health(ready=False, words="its sockets are being opened")


@pytest.mark.parametrize(
    ("presence", "said"),
    [
        (UP, Health(ready=True, words="listening")),
        (OFFLINE, Health(ready=True, words="offline: no device")),
        (REFUSED, Health(ready=False, words="refused: the key")),
    ],
    ids=str,
)
def test_one_that_is_known_is_said_as_it_is(presence: Presence, said: Health) -> None:
    assert conversations({HOME: presence, FIRST: UP})["environment workshop / default"] == said
