"""The state of an install: nobody has to remember it, and it is good once, for a while, in one browser."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from relay.slack.installing.departures import depart
from relay.slack.installing.states import States
from relay.use_cases.installing import use_state
from tests.store.stores import store_at
from tests.workspaces.building import ALPHA
from tests.workspaces.installs import Front, front

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
async def pages(tmp_path: Path) -> AsyncIterator[Front]:
    """The pages of an install; the app is installed nowhere yet."""
    async with front(tmp_path) as made:
        yield made


def test_a_state_is_known_again_by_whoever_has_the_key_and_says_when_it_was_made() -> None:
    state = States(b"key").make(NOW)
    assert States(b"key").made_at(state) == NOW
    assert States(b"key").make(NOW) != state
    assert States(b"another").made_at(state) is None


@pytest.mark.parametrize(
    "forged",
    [
        lambda state: f"9{state[1:]}",
        lambda state: state.replace(".", "..", 1),
        lambda state: state[:-1] + ("0" if state[-1] != "0" else "1"),
        lambda state: state.rpartition(".")[0],
        lambda state: state.rpartition(".")[0] + ".",
        lambda _: "",
        lambda _: ".",
        lambda _: "é.é",
    ],
)
def test_a_state_that_was_changed_is_none(forged: Callable[[str], str]) -> None:
    states = States(b"key")
    assert states.made_at(forged(states.make(NOW))) is None


@pytest.mark.parametrize(
    ("after", "status"), [(timedelta(minutes=9, seconds=50), 200), (timedelta(minutes=10), 400)]
)
async def test_a_way_back_is_good_for_ten_minutes(pages: Front, after: timedelta, status: int) -> None:
    location, cookies = pages.begin()
    back = await pages.consent(location)
    pages.ahead = after
    assert (await pages.pages.redirected(back, cookies)).status == status
    assert len(pages.cloud.tokens) == (status == 200)


async def test_a_state_of_somebody_elses_making_is_refused_before_slack_is_asked(pages: Front) -> None:
    location, cookies = pages.begin()
    back = await pages.consent(location)
    back["state"] = States(b"theirs").make(pages.now())
    assert (await pages.pages.redirected(back, dict.fromkeys(cookies, back["state"]))).status == 400
    assert pages.cloud.tokens == {}


async def test_a_state_is_good_for_no_second_code_and_slack_is_not_asked_for_it(pages: Front) -> None:
    location, cookies = pages.begin()
    back, another = await pages.consent(location), await pages.consent(location)
    assert (await pages.pages.redirected(back, cookies)).status == 200
    assert (await pages.pages.redirected(another, cookies)).status == 400
    assert len(pages.cloud.tokens) == 1


async def test_of_two_codes_that_come_at_once_with_one_state_one_installs(pages: Front) -> None:
    location, cookies = pages.begin()
    backs = [await pages.consent(location), await pages.consent(location)]
    shown = await asyncio.gather(*(pages.pages.redirected(back, cookies) for back in backs))
    assert sorted(one.status for one in shown) == [200, 400]
    assert pages.logged.count("workspace.installed") == 1


async def test_what_strangers_make_up_is_never_stored(pages: Front) -> None:
    for query in ({"code": "made-up"}, {"error": "access_denied"}, {}):
        location, cookies = pages.begin()
        state = next(iter(cookies.values()))
        assert state in location
        await pages.pages.redirected({"state": state, **query}, cookies)
    assert await pages.states() == 0


async def test_on_each_engine_a_state_is_used_once(store_url: str) -> None:
    async with store_at(store_url) as store:
        for state in ("one", "two"):
            work = partial(use_state, state=state, made_at=NOW, now=NOW)
            assert await asyncio.gather(*(store.transact(work) for _ in range(3))) == [True, False, False]


async def test_a_used_state_is_forgotten_when_it_is_too_old_anyway(pages: Front) -> None:
    for minutes in (0, 11):
        pages.ahead = timedelta(minutes=minutes)
        assert (await pages.install()).status == 200
        assert await pages.states() == 1


@pytest.mark.parametrize("ahead", [timedelta(hours=1), timedelta(hours=-1)])
async def test_an_uninstall_is_told_from_one_of_a_former_installation_by_slacks_clock_alone(
    pages: Front, ahead: timedelta
) -> None:
    pages.ahead = ahead
    assert (await pages.install()).status == 200
    told = {
        "type": "event_callback",
        "event": {"type": "app_uninstalled"},
        "event_time": int(time.time()) - 60,
    }
    await depart(pages.roll, ALPHA, told)
    assert pages.roll.find(ALPHA) is not None
    await depart(pages.roll, ALPHA, told | {"event_time": int(time.time())})
    assert pages.roll.gone(ALPHA) == "app_uninstalled"
