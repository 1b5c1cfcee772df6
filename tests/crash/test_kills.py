"""200 commands and 50 requests at a relay that is killed again and again: nothing acknowledged is lost."""

import os
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.crash import facts
from tests.crash.load import Crowd, Doom, click_struck, survive
from tests.world import world

# After commit before ack; after ack before claim; claimed before sent; sent before recorded.
POINTS = ("store.committed", "dispatcher.waking", "dispatcher.claimed", "dispatcher.attempted")

# At each of these passes in turn a relay dies, and is started again on the same file.
ARRIVING = (
    ("store.committed", 130),
    ("dispatcher.waking", 90),
    ("store.committed", 60),
    ("dispatcher.waking", 5),
)
LEAVING = (
    ("dispatcher.attempted", 110),
    ("dispatcher.claimed", 100),
    ("dispatcher.attempted", 71),
    ("dispatcher.claimed", 6),
)
NIGHTLY = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"


def _rounds() -> list[Any]:
    found = [pytest.param(ARRIVING, id="arriving"), pytest.param(LEAVING, id="leaving")]
    for seed in range(25 if NIGHTLY else 0):
        chance = Random(seed)
        for point in POINTS:
            dooms = tuple((point, chance.randint(1, 70)) for _ in range(5))
            found.append(pytest.param(dooms, id=f"{point}, seed {seed}"))
    return found


@pytest.mark.parametrize("dooms", _rounds())
async def test_what_was_acknowledged_or_decided_survives_every_kill(
    dooms: tuple[Doom, ...], tmp_path: Path
) -> None:
    async with world(tmp_path) as made:
        crowd = Crowd(made, commands=200, clicks=50)
        await survive(crowd, dooms)
        assert len(crowd.typed) == 200
        facts.holds(crowd)


async def test_the_same_holds_in_socket_mode(tmp_path: Path) -> None:
    async with world(tmp_path, socket_mode=True) as made:
        made.slack.ack_limit = 1.0  # an envelope that the dead relay had taken is waited for no longer
        crowd = Crowd(made, commands=40, clicks=8)
        await survive(crowd, (("store.committed", 25),))
        assert len(crowd.typed) == 40
        facts.holds(crowd)


@pytest.mark.parametrize("point", POINTS)
async def test_a_click_that_the_kill_hits_is_decided_once_and_its_card_ends_true(
    point: str, tmp_path: Path
) -> None:
    async with world(tmp_path) as made:
        facts.holds(await click_struck(made, point))
