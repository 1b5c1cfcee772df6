"""The recorded frames, through a whole relay: people see the same, however the frames come."""

import os
from pathlib import Path

import pytest

from tests.environment.recorded import RECORDINGS, frames
from tests.environment.recorded_acts import STORIES
from tests.environment.recorded_stage import seen_otherwise
from tests.environment.recorded_ways import Way

_NIGHTLY = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"
_SEEDS = 50 if _NIGHTLY else 2
# Of the frames after which the sockets may drop, every eleventh of each recording at a time.
_STEP = 11
_STARTS = range(_STEP if _NIGHTLY else 1)


def test_every_recording_has_its_story() -> None:
    assert sorted(STORIES) == RECORDINGS


@pytest.mark.parametrize("name", RECORDINGS)
async def test_a_recorded_turn_is_seen_as_it_was(name: str, tmp_path: Path) -> None:
    assert await seen_otherwise(tmp_path, [(name, Way())]) == {}


@pytest.mark.parametrize("name", RECORDINGS)
async def test_frames_that_overtake_each_other_are_seen_as_the_same(name: str, tmp_path: Path) -> None:
    plays = [(name, Way(kind, seed)) for kind in ("shuffled", "apart") for seed in range(_SEEDS)]
    assert await seen_otherwise(tmp_path, plays) == {}


@pytest.mark.parametrize("name", RECORDINGS)
async def test_frames_that_come_several_times_are_seen_once(name: str, tmp_path: Path) -> None:
    assert await seen_otherwise(tmp_path, [(name, Way("repeated"))]) == {}


@pytest.mark.parametrize("start", _STARTS)
async def test_sockets_that_drop_after_any_frame_lose_nothing_that_was_said(
    start: int, tmp_path: Path
) -> None:
    plays = [
        (name, Way(cut=cut))
        for place, name in enumerate(RECORDINGS)
        for cut in range((start + place) % _STEP, len(frames(name)), _STEP)
    ]
    assert await seen_otherwise(tmp_path, plays) == {}
