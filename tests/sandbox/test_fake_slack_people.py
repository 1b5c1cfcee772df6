"""Groups, members, scopes and rate limits of the stand-in Slack, seen by a client no one here wrote."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest
from slack_sdk.web.async_client import AsyncWebClient as Client

from relay.sandbox.slack import FakeSlack
from tests.sandbox.test_fake_slack import GRACE, OPS, client_of, error_of, refusal


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlack]:
    async with FakeSlack(keep_tiers=True) as workspace:
        yield workspace


@pytest.fixture
def client(slack: FakeSlack) -> Client:
    return client_of(slack)


async def test_user_groups_are_listed_with_their_people(slack: FakeSlack, client: Client) -> None:
    slack.groups["S0ONCALL"] = {GRACE, "U0MEMBER"}
    [leads, oncall] = (await client.usergroups_list(include_users=True, include_count=True))["usergroups"]
    assert (leads["id"], leads["handle"], leads["users"]) == ("S0LEADS", "leads", [GRACE])
    assert (oncall["id"], oncall["user_count"]) == ("S0ONCALL", 2)
    assert "users" not in (await client.usergroups_list())["usergroups"][0]


async def test_a_group_that_is_not_there_is_refused(client: Client) -> None:
    assert await error_of(client.usergroups_users_list(usergroup="S0NONE")) == "no_such_subteam"


async def test_members_come_page_by_page(slack: FakeSlack, client: Client) -> None:
    slack.channels[OPS].members |= {f"U1{n:03}" for n in range(100)}
    first = await client.conversations_members(channel=OPS)
    assert len(first["members"]) == 100
    cursor = first["response_metadata"]["next_cursor"]
    rest = await client.conversations_members(channel=OPS, cursor=cursor)
    assert set(first["members"]) | set(rest["members"]) == slack.channels[OPS].members
    assert not rest["response_metadata"]["next_cursor"]
    assert await error_of(client.conversations_members(channel=OPS, limit=1000)) == "invalid_limit"


async def test_members_of_a_public_channel_are_told_to_an_app_outside(
    slack: FakeSlack, client: Client
) -> None:
    assert GRACE in (await client.conversations_members(channel="C0OUTSIDE"))["members"]
    slack.channels["C0OUTSIDE"].is_private = True
    assert await error_of(client.conversations_members(channel="C0OUTSIDE")) == "channel_not_found"


@pytest.mark.parametrize(
    ("scope", "method", "arguments"),
    [
        ("usergroups:read", "usergroups.users.list", {"usergroup": "S0LEADS"}),
        ("usergroups:read", "usergroups.list", {}),
        ("channels:read", "conversations.members", {"channel": OPS}),
        ("im:read", "conversations.members", {"channel": f"D{GRACE}"}),
        ("channels:history", "conversations.history", {"channel": OPS}),
        ("im:write", "conversations.open", {"users": GRACE}),
        ("users:read", "users.info", {"user": GRACE}),
        ("chat:write", "chat.postMessage", {"channel": OPS, "text": "t"}),
    ],
)
async def test_without_its_scope_a_method_is_refused(
    slack: FakeSlack, client: Client, scope: str, method: str, arguments: dict[str, str]
) -> None:
    slack.workspace.direct(GRACE)
    assert (await client.api_call(method, json=arguments))["ok"]
    slack.scopes.discard(scope)
    refused = await refusal(client.api_call(method, json=arguments))
    assert (refused["error"], refused["needed"]) == ("missing_scope", scope)
    assert scope not in refused["provided"].split(",")


async def test_members_of_a_private_channel_need_a_scope_of_their_own(
    slack: FakeSlack, client: Client
) -> None:
    slack.channels[OPS].is_private = True
    slack.scopes.discard("groups:read")
    assert (await refusal(client.conversations_members(channel=OPS)))["needed"] == "groups:read"


async def test_an_answer_names_the_scopes_of_its_token_and_the_time_that_slack_has(
    slack: FakeSlack, client: Client
) -> None:
    slack.clock_ahead = 600
    answer = await client.auth_test()
    assert answer.headers["X-OAuth-Scopes"].split(",") == sorted(slack.scopes)
    ahead = parsedate_to_datetime(answer.headers["Date"]) - datetime.now(UTC)
    assert timedelta(seconds=595) < ahead < timedelta(seconds=605)


async def test_a_method_takes_as_many_calls_a_minute_as_its_tier(client: Client) -> None:
    for _ in range(20):
        await client.usergroups_users_list(usergroup="S0LEADS")
    limited = await refusal(client.usergroups_users_list(usergroup="S0LEADS"))
    assert (limited.status_code, limited["error"]) == (429, "ratelimited")
    assert 1 <= int(limited.headers["Retry-After"]) <= 3
    await client.usergroups_list()


async def test_the_tiers_are_not_kept_unless_they_shall_be() -> None:
    async with FakeSlack() as slack:
        for _ in range(21):
            await client_of(slack).usergroups_users_list(usergroup="S0LEADS")
