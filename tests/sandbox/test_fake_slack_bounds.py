"""Every bound of Slack's that is a number: the largest value is taken, and one more is refused."""

import itertools
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient as Client

from relay.sandbox.slack import FakeSlack, problems
from tests.sandbox.test_fake_slack import ADA, OPS, client_of, section
from tests.sandbox.test_fake_slack_views import Json, actions, asks, modal, option, words

CONFIRM = {"title": words("t"), "text": words("x"), "confirm": words("y"), "deny": words("n")}
Shape = Callable[[int], Any]


def many(make: Callable[[str], Json]) -> Callable[[int], list[Json]]:
    """Return so many of what `make` makes, each with an id of its own."""
    return lambda n: [make(str(number)) for number in range(n)]


def button(action_id: str = "a", **more: Any) -> Json:
    return {"type": "button", "action_id": action_id, "text": words("Go"), **more}


def feedback(action_id: str) -> Json:
    sides = {side: {"text": words("t"), "value": "v"} for side in ("positive_button", "negative_button")}
    return {"type": "feedback_buttons", "action_id": action_id, **sides}


def acts(*elements: Json, block_id: str = "b") -> list[Json]:
    return [{"type": "actions", "block_id": block_id, "elements": list(elements)}]


def confirmed(**more: Any) -> list[Json]:
    return acts(button(confirm=CONFIRM | more))


def select(*options: Json, **more: Any) -> list[Json]:
    return acts({"type": "static_select", "action_id": "s", "options": list(options), **more})


MESSAGE: dict[str, tuple[int, Shape]] = {
    "blocks of a message": (50, lambda n: [{"type": "divider"}] * n),
    "block_id": (255, lambda n: [{"type": "divider", "block_id": "b" * n}]),
    "action_id": (255, lambda n: acts(button("a" * n))),
    "button text": (75, lambda n: acts(button(text=words("t" * n)))),
    "button value": (2000, lambda n: acts(button(value="v" * n))),
    "button url": (3000, lambda n: acts(button(url="u" * n))),
    "elements of actions": (25, lambda n: acts(*many(button)(n))),
    "elements of context": (10, lambda n: [{"type": "context", "elements": [words("x")] * n}]),
    "elements of context_actions": (
        5,
        lambda n: [{"type": "context_actions", "elements": many(feedback)(n)}],
    ),
    "section text": (3000, lambda n: [section("t" * n)]),
    "context text": (3000, lambda n: [{"type": "context", "elements": [words("x" * n)]}]),
    "fields": (10, lambda n: [{"type": "section", "fields": [words("x")] * n}]),
    "field text": (2000, lambda n: [{"type": "section", "fields": [words("x" * n)]}]),
    "header": (150, lambda n: [{"type": "header", "text": words("h" * n)}]),
    "confirm title": (100, lambda n: confirmed(title=words("t" * n))),
    "confirm text": (300, lambda n: confirmed(text=words("t" * n))),
    "confirm button": (30, lambda n: confirmed(confirm=words("t" * n))),
    "confirm other button": (30, lambda n: confirmed(deny=words("t" * n))),
    "option text": (75, lambda n: select(option("v") | {"text": words("t" * n)})),
    "option description": (75, lambda n: select(option("v") | {"description": words("t" * n)})),
    "option value": (150, lambda n: select(option("v" * n) | {"text": words("t")})),
    "options": (100, lambda n: select(*many(option)(n))),
    "placeholder": (150, lambda n: select(option("v"), placeholder=words("p" * n))),
    "overflow options": (5, lambda n: [actions("overflow", options=many(option)(n))]),
    "checkboxes": (10, lambda n: [actions("checkboxes", options=many(option)(n))]),
    "radio buttons": (10, lambda n: [actions("radio_buttons", options=many(option)(n))]),
    "markdown": (12_000, lambda n: [{"type": "markdown", "text": "m" * n}]),
    "markdown together": (
        12_000,
        lambda n: [{"type": "markdown", "text": "m" * 6000}, {"type": "markdown", "text": "m" * (n - 6000)}],
    ),
    "image address": (3000, lambda n: [{"type": "image", "image_url": "u" * n, "alt_text": "a"}]),
    "image words": (2000, lambda n: [{"type": "image", "image_url": "u", "alt_text": "a" * n}]),
}
MODAL: dict[str, tuple[int, Shape]] = {
    "title": (24, lambda n: modal(title=words("t" * n))),
    "submit": (24, lambda n: modal(submit=words("t" * n))),
    "close": (24, lambda n: modal(close=words("t" * n))),
    "private_metadata": (3000, lambda n: modal(private_metadata="m" * n)),
    "callback_id": (255, lambda n: modal(callback_id="c" * n)),
    "external_id": (255, lambda n: modal(external_id="e" * n)),
    "blocks of a modal": (100, lambda n: modal(*[{"type": "divider"}] * n)),
    "label": (2000, lambda n: modal(asks() | {"label": words("l" * n)})),
    "hint": (2000, lambda n: modal(asks() | {"hint": words("h" * n)})),
    "initial value": (3000, lambda n: modal(asks(initial_value="v" * n))),
    "largest input": (3000, lambda n: modal(asks(max_length=n))),
}


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlack]:
    async with FakeSlack(keep_tiers=True) as workspace:
        yield workspace


@pytest.fixture
def client(slack: FakeSlack) -> Client:
    return client_of(slack)


@pytest.mark.parametrize("name", MESSAGE)
def test_a_message_holds_so_much_and_no_more(name: str) -> None:
    most, shape = MESSAGE[name]
    assert problems("message", shape(most)) == []
    assert problems("message", shape(most + 1))


@pytest.mark.parametrize("name", MODAL)
def test_a_modal_holds_so_much_and_no_more(name: str) -> None:
    most, shape = MODAL[name]
    assert problems("modal", shape(most)) == []
    assert problems("modal", shape(most + 1))


def test_a_home_tab_holds_a_hundred_blocks() -> None:
    home = {"type": "home", "blocks": [{"type": "divider"}] * 100}
    assert problems("home", home) == []
    assert problems("home", home | {"blocks": [{"type": "divider"}] * 101})


@pytest.mark.parametrize(
    ("blocks", "problem"),
    [
        ([{"type": "header", "text": words("")}], "more than 0"),
        ([{"type": "markdown", "text": ""}], "more than 0"),
        (acts(button(text=words(""))), "more than 0"),
        (acts(button(""), button("b")), "more than 0"),
        ([{"type": "section", "fields": [words("")]}], "more than 0"),
        (select(option("v") | {"text": words("")}), "more than 0"),
        (confirmed(title=words("")), "more than 0"),
        (acts(), "no fewer than 1"),
        (acts(button(), button()), "action_id a already exists"),
        ([*acts(button()), *acts(button())], "block_id b already exists"),
        (acts(button(style="warning")), "allowed values"),
        (acts(button(value={"id": "apr_1"})), "must provide a string"),
    ],
)
def test_what_is_empty_or_given_twice_is_refused(blocks: Any, problem: str) -> None:
    assert any(problem in found for found in problems("message", blocks))


def test_ids_may_come_again_elsewhere() -> None:
    assert problems("message", [*acts(button(), block_id="b"), *acts(button(), block_id="c")]) == []


async def written(client: Client, how: str, body: Json) -> str:
    """Post, or post and then rewrite, a message of that body; return the error, empty where it is taken."""
    more = {"user": ADA} if how == "chat.postEphemeral" else {}
    if how == "chat.update":
        more = {"ts": str((await client.chat_postMessage(channel=OPS, text="before"))["ts"])}
    try:
        await client.api_call(how, json={"channel": OPS, **body, **more})
    except SlackApiError as refused:
        return str(refused.response["error"])
    return ""


@pytest.mark.parametrize("how", ["chat.postMessage", "chat.update", "chat.postEphemeral"])
@pytest.mark.parametrize(
    ("most", "shape", "error"),
    [
        (40_000, lambda n: {"text": "t" * n}, "msg_too_long"),
        (50, lambda n: {"text": "t", "blocks": [{"type": "divider"}] * n}, "invalid_blocks"),
        (3000, lambda n: {"text": "t", "blocks": [section("t" * n)]}, "invalid_blocks"),
        (
            13_000,
            lambda n: {"text": "t", "blocks": [section("t" * 2500)] * 5 + [section("t" * (n - 12_500))]},
            "msg_blocks_too_long",
        ),
    ],
)
async def test_the_same_bounds_hold_however_a_message_is_written(
    client: Client, how: str, most: int, shape: Shape, error: str
) -> None:
    assert await written(client, how, shape(most)) == ""
    assert await written(client, how, shape(most + 1)) == error


async def until_limited(client: Client, method: str, arguments: dict[str, str]) -> tuple[int, Any]:
    """Call until it is refused; return how many calls were taken, and the refusal."""
    for taken in itertools.count():
        try:
            await client.api_call(method, json=arguments)
        except SlackApiError as refused:
            return taken, refused.response
    raise AssertionError("unreachable")


@pytest.mark.parametrize(
    ("method", "most", "arguments"),
    [
        ("usergroups.list", 20, {}),
        ("conversations.info", 50, {"channel": OPS}),
        ("users.info", 100, {"user": ADA}),
        ("conversations.members", 100, {"channel": OPS}),
    ],
)
async def test_a_tier_is_so_many_calls_a_minute(
    client: Client, method: str, most: int, arguments: dict[str, str]
) -> None:
    began = time.monotonic()
    taken, limited = await until_limited(client, method, arguments)
    assert (limited.status_code, limited["error"]) == (429, "ratelimited")
    assert 1 <= int(limited.headers["Retry-After"]) <= 60 / most + 1
    # While the calls were made, there was room for a few more.
    assert most <= taken <= most + 1 + (time.monotonic() - began) * most / 60
