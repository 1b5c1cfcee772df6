"""`relay doctor`: each thing that is wrong has its own line, with what to do; and it changes nothing."""

import asyncio
import fcntl
import json
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from relay.app.doctor import examined
from relay.config import load
from relay.domain.findings import Finding, Level
from relay.store import Store
from relay.store.examine import room, sync
from tests.crash.relay_process import Said, relay, relay_in_thread, running
from tests.scenarios.acts import rows
from tests.store.records import by_hand
from tests.world import ADA, APPROVALS, GRACE, GUEST, OPS, OUTSIDE, SHARED, World, world

SECRET = "0123456789abcdef0123456789abcdef"
# A folder in which nobody makes a file, root included: tests may run as root.
NOT_EVEN_ROOTS = next(one for one in ("/sys/kernel", "/") if Path(one).is_dir())
RULES = """
[[routes]]
channel = "{channel}"
environment = "default"
approvals = ["C0APPROVALS"]

[[policies]]
name = "production"
tools = ["Bash"]
approvers = {{ users = ["U0APPROVER"], groups = ["{group}"], channels = ["C0OPS"] }}
"""


@pytest.fixture
async def idle(tmp_path: Path) -> AsyncIterator[World]:
    """Both stand-ins, all of it right, and no relay; over Socket Mode."""
    async with world(tmp_path, socket_mode=True) as made:
        yield made


def rules(world: World, *, channel: str = "*", group: str = "S0LEADS") -> None:
    """Give the world a relay.toml that names all sorts of things."""
    path = world.folder / "relay.toml"
    path.write_text(RULES.format(channel=channel, group=group), encoding="utf-8")
    world.variables["RELAY_CONFIG"] = str(path)
    world.variables.pop("RELAY_APPROVALS_CHANNEL", None)  # the route says where cards go


async def told(world: World) -> tuple[int, list[Finding]]:
    """Run the doctor; return its exit status and what it found."""
    said = await relay_in_thread(world, "doctor", "--json")
    assert said.err == ""
    _no_secret(world, said)
    found: dict[str, Any] = json.loads(said.out)
    listed = [Finding(**{**one, "level": Level(one["level"])}) for one in found["findings"]]
    assert found["wrong"] == sum(one.level is Level.WRONG for one in listed)
    assert found["good"] == (said.status == 0)
    return said.status, listed


def not_right(listed: list[Finding]) -> list[Finding]:
    """Return what is not as it should be, but for the disk of whoever runs this, which may be slow."""
    slow = sync(1.0)
    return [
        one
        for one in listed
        if one.level is not Level.OK and (one.about, one.level, one.fix) != (slow.about, slow.level, slow.fix)
    ]


def _no_secret(world: World, said: Said) -> None:
    secrets = [value for name, value in world.variables.items() if name.endswith(("TOKEN", "SECRET", "KEY"))]
    secrets += [world.slack.bot_token, world.slack.app_token, world.environment.api_key]
    assert [secret for secret in secrets if secret in said.out + said.err] == []


async def only(world: World, level: Level = Level.WRONG) -> Finding:
    """Return the one thing that is not as it should be."""
    status, listed = await told(world)
    [found] = not_right(listed)
    assert found.level is level
    assert status == (1 if level is Level.WRONG else 0)
    assert found.fix.endswith(".") or found.fix.startswith("Run: ")
    return found


async def test_where_everything_is_right_each_thing_has_a_line_that_says_so(idle: World) -> None:
    rules(idle)
    said = await relay_in_thread(idle, "doctor")
    _no_secret(idle, said)
    assert (said.status, said.err) == (0, "")
    *lines, verdict = said.out.splitlines()
    assert [
        line for line in lines if not line.startswith("ok       ") and "  store folder: " not in line
    ] == []
    assert verdict.endswith(" warnings, 0 wrong")
    for about in (
        "configuration", "SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "scopes", "clock", f"channel {APPROVALS}",
        f"channel {OPS}", f"person {GRACE}", "user group S0LEADS", "a sample card", "environment default",
        "store", "store folder", "disk space",
    ):  # fmt: skip
        assert [line for line in lines if f"  {about}: " in line], about


async def test_nothing_is_posted_connected_or_made(idle: World) -> None:
    rules(idle)
    before = sorted(idle.folder.iterdir())
    await told(idle)
    assert sorted(idle.folder.iterdir()) == before
    assert idle.slack.connected == 0
    assert not any(one.method.startswith(("chat.", "views.")) for one in idle.slack.calls)
    assert not any(channel.messages for channel in idle.slack.channels.values())
    assert (idle.environment.posts, idle.environment.sockets) == ([], [])


async def test_over_http_the_secret_is_looked_at_and_socket_mode_is_not(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        odd = await only(made, Level.WARNING)
        made.variables["SLACK_SIGNING_SECRET"] = SECRET
        status, listed = await told(made)
        assert (odd.about, status) == ("SLACK_SIGNING_SECRET", 0)
        assert not_right(listed) == []
        assert not any(one.method == "apps.connections.open" for one in made.slack.calls)


async def test_beside_a_running_relay_it_names_its_process_and_leaves_it_alone(idle: World) -> None:
    async with running(idle) as process:
        await idle.environment.wait_for(lambda seen: len(seen.sockets) == 2 and seen.acked)
        holder = (idle.folder / "relay.db.lock").read_text().strip()
        entries = rows(idle, "audit")
        said = await relay(idle, "doctor")
        assert f"ok       store: a running relay has it (process {holder})" in said.out.splitlines()
        assert said.status == 0, said.out
        assert await process.ready() == 200
        assert rows(idle, "audit") == entries


@pytest.mark.parametrize("name", ["SLACK_BOT_TOKEN", "SLACK_APP_TOKEN"])
async def test_a_token_that_slack_refuses_is_named_and_not_shown(idle: World, name: str) -> None:
    idle.variables[name] = idle.variables[name][:5] + "of-somebody-else"
    status, listed = await told(idle)
    [wrong] = [one for one in listed if one.level is Level.WRONG]
    assert (status, wrong.about, wrong.found) == (1, name, "Slack refuses it: invalid_auth")
    assert "Copy it again" in wrong.fix


async def test_without_a_bot_token_that_works_nothing_is_said_of_channels(idle: World) -> None:
    idle.variables["SLACK_BOT_TOKEN"] = "xoxb-wrong"
    _, listed = await told(idle)
    [left_out] = [one for one in not_right(listed) if one.level is Level.WARNING]
    assert "not checked" in left_out.found
    assert not any(one.about.startswith("channel C") for one in listed)


async def test_each_missing_scope_is_named_with_what_it_is_for(idle: World) -> None:
    idle.slack.scopes.difference_update({"files:read", "app_mentions:read"})
    status, listed = await told(idle)
    wrong = {one.about: one for one in not_right(listed)}
    assert (status, set(wrong)) == (1, {"scope files:read", "scope app_mentions:read"})
    assert "attach" in wrong["scope files:read"].found
    assert all(one.fix.startswith("Install the app again with the manifest") for one in wrong.values())


async def test_what_cannot_be_asked_for_want_of_a_scope_is_a_warning(idle: World) -> None:
    rules(idle)
    idle.slack.scopes.discard("usergroups:read")
    _, listed = await told(idle)
    assert [(one.level, one.about) for one in not_right(listed)] == [
        (Level.WRONG, "scope usergroups:read"),
        (Level.WARNING, "user groups"),
    ]


@pytest.mark.parametrize(("ahead", "which"), [(600, "behind"), (-600, "ahead of")])
async def test_a_clock_that_is_ten_minutes_off_is_wrong(idle: World, ahead: float, which: str) -> None:
    idle.slack.clock_ahead = ahead
    found = await only(idle)
    assert found.about == "clock"
    assert f"s {which} Slack's" in found.found
    assert int(found.found.split()[0]) in range(598, 603)


async def test_a_clock_that_is_half_a_minute_off_will_do(idle: World) -> None:
    idle.slack.clock_ahead = 30
    status, _ = await told(idle)
    assert status == 0


@pytest.mark.parametrize(
    ("channel", "said", "fix"),
    [
        (OUTSIDE, "the app is not in it", "/invite it there"),
        (SHARED, "shared with another workspace", "Name another channel for cards"),
        ("C0NOWHERE", "none of that id", "correct it"),
    ],
)
async def test_a_channel_that_cannot_have_cards_is_wrong(
    idle: World, channel: str, said: str, fix: str
) -> None:
    idle.variables["RELAY_APPROVALS_CHANNEL"] = channel
    found = await only(idle)
    assert found.about == f"channel {channel}"
    assert said in found.found and fix in found.fix


async def test_an_archived_channel_is_wrong(idle: World) -> None:
    idle.slack.channels[APPROVALS].is_archived = True
    assert (await only(idle)).found == "it is archived"


async def test_a_channel_of_a_route_need_not_have_the_app_and_is_warned_of(idle: World) -> None:
    rules(idle, channel=OUTSIDE)
    found = await only(idle, Level.WARNING)
    assert found.about == f"channel {OUTSIDE}"


async def test_a_person_that_slack_does_not_know_is_wrong(idle: World) -> None:
    idle.variables["RELAY_APPROVERS"] = f"{GRACE},U0NOBODY"
    found = await only(idle)
    assert (found.about, found.found) == ("person U0NOBODY", "Slack knows nobody of that id")


async def test_a_person_who_may_not_decide_is_warned_of(idle: World) -> None:
    idle.variables["RELAY_APPROVERS"] = f"{GRACE},{GUEST}"
    found = await only(idle, Level.WARNING)
    assert found.about == f"person {GUEST}"
    assert "is a guest" in found.found


async def test_a_user_group_that_slack_does_not_know_is_wrong(idle: World) -> None:
    rules(idle, group="S0NOBODY")
    assert (await only(idle)).about == "user group S0NOBODY"


async def test_a_user_group_with_nobody_in_it_is_warned_of(idle: World) -> None:
    rules(idle)
    idle.slack.groups["S0LEADS"].clear()
    assert (await only(idle, Level.WARNING)).found == "nobody is in @leads"


async def test_where_slack_says_of_blocks_whether_it_would_take_them_it_is_asked(idle: World) -> None:
    rules(idle)
    assert (await found_of(idle, "a sample card")).found.endswith("and Slack would take it")
    [asked] = [one for one in idle.slack.calls if one.method == "blocks.validate"]
    assert len(json.dumps(asked.arguments["blocks"])) > 5_000


async def found_of(world: World, about: str) -> Finding:
    """Return what the doctor finds of one thing."""
    _, listed = await told(world)
    [found] = [one for one in listed if one.about == about]
    return found


async def test_a_slack_that_cannot_say_it_leaves_relays_own_account(idle: World) -> None:
    idle.slack.fail("blocks.validate", "unknown_method")
    found = await found_of(idle, "a sample card")
    assert (found.level, found.found) == (Level.OK, "keeps Slack's limits, by relay's own account")


async def test_a_card_that_slack_would_not_take_is_warned_of(idle: World) -> None:
    idle.slack.fail("blocks.validate", "invalid_blocks")
    assert "would not take it" in (await only(idle, Level.WARNING)).found


async def test_the_settings_are_named_and_where_their_values_stand_is_not_said(idle: World) -> None:
    token = idle.folder / "token"
    token.write_text(idle.variables.pop("SLACK_BOT_TOKEN"))
    idle.variables |= {"SLACK_BOT_TOKEN_FILE": str(token), "SLACK_API_TOKEN": "unused"}
    said = (await found_of(idle, "settings")).found
    assert said.endswith(", SLACK_BOT_TOKEN_FILE") and "LETTA_DEVICE_ID" in said
    assert "SLACK_API_TOKEN" not in said and str(token) not in said


async def test_an_environment_that_is_away_is_wrong(idle: World) -> None:
    await idle.environment.go_offline()
    found = await only(idle)
    assert (found.about, found.found) == ("environment default", "offline: the device is not connected")
    assert "letta server" in found.fix


async def test_a_key_that_is_refused_is_wrong(idle: World) -> None:
    idle.variables["LETTA_API_KEY"] = "sk-of-somebody-else"
    found = await only(idle)
    assert (found.about, found.fix) == ("environment default", "Check LETTA_API_KEY.")
    assert "refused the key" in found.found


async def test_a_device_that_nobody_knows_is_wrong(idle: World) -> None:
    idle.variables["LETTA_DEVICE_ID"] = "device-of-somebody-else"
    assert (await only(idle)).fix == "Correct the device that the configuration names."


async def test_an_address_where_nobody_is_is_wrong(idle: World) -> None:
    idle.variables["LETTA_BASE_URL"] = "http://127.0.0.1:9"
    assert "cannot be reached" in (await only(idle)).found


async def test_a_mode_in_which_nobody_is_asked_is_warned_of(idle: World) -> None:
    idle.environment.current_mode = "unrestricted"
    found = await only(idle, Level.WARNING)
    assert "unrestricted" in found.found


async def test_a_device_that_may_be_too_old_is_warned_of_and_one_that_is_is_wrong(idle: World) -> None:
    idle.environment.place.message_protocol = None
    assert "update" in (await only(idle, Level.WARNING)).fix.lower()
    idle.environment.place.message_protocol = "v1"
    assert (await only(idle)).fix == "Update Letta Code on the device."


async def test_who_does_not_answer_is_said_not_to(idle: World) -> None:
    idle.slack.fail("conversations.info", "hang", hang=True)
    idle.slack.fail("apps.connections.open", "hang", hang=True)
    config = load(idle.variables, idle.folder)
    found = {one.about: one for one in await examined(config, within=0.5)}
    for about in (f"channel {APPROVALS}", "SLACK_APP_TOKEN"):
        assert (found[about].level, found[about].found) == (Level.WRONG, "no answer within 0.5 s")
    assert found["environment default"].level is Level.OK


async def test_a_rate_that_slack_keeps_us_to_is_a_warning(idle: World) -> None:
    idle.slack.fail("conversations.info", "ratelimited")
    assert "in a minute" in (await only(idle, Level.WARNING)).fix


async def test_slack_that_cannot_be_reached_is_wrong(idle: World) -> None:
    idle.variables["SLACK_API_URL"] = "http://127.0.0.1:9/api/"
    _, listed = await told(idle)
    wrong = [one for one in listed if one.level is Level.WRONG]
    assert [one.about for one in wrong] == ["SLACK_BOT_TOKEN", "SLACK_APP_TOKEN"]
    assert all("cannot be reached" in one.found for one in wrong)


async def test_a_store_that_a_silent_process_holds_is_wrong(idle: World) -> None:
    with (idle.folder / "relay.db.lock").open("w+") as lock:
        lock.write("4711\n")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = await only(idle)
    assert (found.about, found.found) == ("store", "process 4711 holds it, and does not answer as a relay")


async def made(world: World) -> None:
    """Have the world's store made, as a relay does that starts and stops."""
    await Store.open(world.variables["RELAY_STORE_URL"]).close()


async def test_a_store_at_rest_is_read_and_left_as_it_was(idle: World) -> None:
    await made(idle)
    before = {path: path.stat().st_mtime_ns for path in idle.folder.iterdir()}
    status, listed = await told(idle)
    assert status == 0
    assert [one.found for one in listed if one.about == "store permissions"] == [
        "its owner alone may read it"
    ]
    assert {path: path.stat().st_mtime_ns for path in idle.folder.iterdir()} == before


@pytest.mark.parametrize(("version", "level"), [("9999", Level.WRONG), ("0001", Level.OK)])
async def test_a_store_of_a_newer_relay_is_wrong_and_one_of_an_older_will_do(
    idle: World, version: str, level: Level
) -> None:
    await made(idle)
    by_hand(idle.variables["RELAY_STORE_URL"], f"UPDATE alembic_version SET version_num = '{version}'")  # noqa: S608
    _, listed = await told(idle)
    [found] = [one for one in listed if one.about == "store schema"]
    assert (found.level, version in found.found) == (level, True)


@pytest.mark.parametrize("write", [b"no database at all" * 100, b"SQLite format 3\0" * 100])
async def test_a_file_that_is_no_store_is_wrong(idle: World, write: bytes) -> None:
    path = idle.folder / "relay.db"
    path.write_bytes(write)
    path.chmod(0o600)
    assert (await only(idle)).about == "store schema"


async def test_a_store_that_others_can_read_is_warned_of(idle: World) -> None:
    await made(idle)
    (idle.folder / "relay.db").chmod(0o644)
    found = await only(idle, Level.WARNING)
    assert found.fix == f"Run: chmod 600 {idle.folder}/relay.db"


async def test_a_folder_that_is_not_there_is_wrong(idle: World) -> None:
    idle.variables["RELAY_STORE_URL"] = f"sqlite:///{idle.folder}/nowhere/relay.db"
    assert (await only(idle)).about == "store folder"


async def test_a_folder_that_cannot_be_written_is_wrong(idle: World) -> None:
    idle.variables["RELAY_STORE_URL"] = f"sqlite:///{NOT_EVEN_ROOTS}/relay.db"
    _, listed = await told(idle)
    [found] = [one for one in listed if one.about == "store folder"]
    assert (found.level, f"no file can be made in {NOT_EVEN_ROOTS}" in found.found) == (Level.WRONG, True)


@pytest.mark.parametrize(
    ("judge", "enough", "too_little"), [(sync, 0.05, 0.051), (room, 100_000_000, 99_999_999)]
)
def test_a_slow_or_full_disk_is_warned_of(
    judge: Callable[[float], Finding], enough: float, too_little: float
) -> None:
    assert judge(enough).level is Level.OK
    assert judge(too_little).level is Level.WARNING
    assert judge(too_little).fix


async def test_a_configuration_that_cannot_be_used_ends_with_2_and_asks_nobody(idle: World) -> None:
    idle.variables["RELAY_APPROVALS_CHANNEL"] = "#approvals"
    said = await relay_in_thread(idle, "doctor")
    assert (said.status, said.out) == (2, "")
    assert "RELAY_APPROVALS_CHANNEL" in said.err
    assert idle.slack.calls == []


async def test_what_changes_nothing_is_a_warning(idle: World) -> None:
    idle.variables["SLACK_SIGNING_SECRET"] = SECRET
    said = await relay_in_thread(idle, "doctor")
    assert said.status == 0
    assert [
        line
        for line in said.out.splitlines()
        if line.startswith("warning  unused setting: SLACK_SIGNING_SECRET")
    ]


async def test_two_doctors_at_once_do_not_disturb_each_other(idle: World) -> None:
    config = load(idle.variables, idle.folder)
    both = await asyncio.gather(examined(config), examined(config))
    assert [one for found in both for one in not_right(found)] == []
    assert ADA not in str(both)


@pytest.mark.parametrize("wanted", [True, False])
async def test_traces_that_nothing_here_can_send_are_wrong_where_they_are_relays_own(
    idle: World, monkeypatch: pytest.MonkeyPatch, *, wanted: bool
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http", None)
    if wanted:
        (idle.folder / "relay.toml").write_text(
            '[tracing]\nendpoint = "http://127.0.0.1:9"\n', encoding="utf-8"
        )
        idle.variables["RELAY_CONFIG"] = str(idle.folder / "relay.toml")
    else:
        idle.variables["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:9"
    found = await only(idle, Level.WRONG if wanted else Level.WARNING)
    assert found.about == "tracing" and "what sends them is not installed" in found.found
    assert "pip install" in found.fix
