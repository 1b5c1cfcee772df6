"""What the command line answers, as a process of its own, beside a running relay and without one."""

import asyncio
import json
import stat
from typing import Any

from tests.crash.relay_process import relay, relay_in_thread, running
from tests.world import ADA, OPS, OUTSIDE, World

BROKEN = {
    "SLACK_BOT_TOKEN": None,
    "LETTA_AGENT_ID": None,
    "RELAY_APPROVALS_CHANNEL": "#approvals",
    "RELAY_PORT": "seventy",
}


async def _failed(world: World) -> str:
    """Have one message fail for good in a run of the relay's own; return its delivery's id."""
    world.environment.fail_posts(status=422)
    await world.slack.slash(ADA, OPS, "unwanted")
    await world.thread_says("Not delivered")
    listed = await _json(world, "list", "--state", "failed")
    [only] = listed["deliveries"]
    found: str = only["id"]
    return found


async def _json(world: World, *arguments: str) -> dict[str, Any]:
    said = await relay_in_thread(world, "deliveries", *arguments, "--json")
    assert said.status == 0, said.err
    found: dict[str, Any] = json.loads(said.out)
    return found


async def test_deliveries_are_listed_shown_and_retried_beside_a_running_relay(here: World) -> None:
    which = await _failed(here)
    shown = await _json(here, "show", which)
    assert (shown["kind"], shown["state"], shown["attempts"]) == ("message", "failed", 1)
    assert "422" in shown["last_error"]
    assert await _json(here, "retry", which) == {"retried": which}
    await here.thread_says("echo: unwanted")
    assert here.environment.received[0].client_message_id == which


async def test_deliveries_are_listed_shown_and_retried_without_a_running_relay(here: World) -> None:
    which = await _failed(here)
    await here.stop_relay()
    assert (await _json(here, "show", which))["state"] == "failed"
    assert await _json(here, "retry", which) == {"retried": which}
    assert (await _json(here, "show", which))["state"] == "pending"
    await here.start_relay()
    await here.environment.wait_for(lambda seen: seen.received)
    assert here.environment.received[0].client_message_id == which


async def test_people_read_a_table_where_scripts_read_json(here: World) -> None:
    which = await _failed(here)
    listed = await relay_in_thread(here, "deliveries", "list")
    shown = await relay_in_thread(here, "deliveries", "show", which)
    again = await relay_in_thread(here, "deliveries", "show", "nonsense")
    heads, *rows = listed.out.splitlines()
    assert heads.split() == [
        "ID",
        "KIND",
        "STATE",
        "ENVIRONMENT",
        "CREATED",
        "TRIES",
        "NEXT",
        "LAST",
        "ERROR",
    ]
    [row] = [row.split() for row in rows if row.startswith(which)]
    assert row[1:4] == ["message", "failed", "default"]
    assert "422" in " ".join(row)
    assert which in shown.out
    assert again.status == 1
    assert "nonsense" in again.problem


async def test_a_list_that_is_cut_short_says_what_to_type_for_the_rest_beside_a_relay_and_without_one(
    here: World,
) -> None:
    await here.slack.slash(ADA, OPS, "hello")
    await here.thread_says("echo: hello")
    beside = await _pages(here)
    await here.stop_relay()
    without = await _pages(here)
    assert beside == without
    assert len(beside) == len(set(beside)) == 3


async def _pages(world: World) -> list[str]:
    """Return the ids that are listed when each page is asked for as the page before says."""
    found: list[str] = []
    asked = ["deliveries", "list", "--limit", "1"]
    for left in (2, 1, 0):
        said = await relay_in_thread(world, *asked)
        _, row, *rest = said.out.splitlines()
        found.append(row.split()[0])
        if left:
            [hint] = rest
            assert hint.startswith(f"{left} more: relay deliveries list --limit 1 --after ")
            asked = hint.split(": relay ")[1].split()
        else:
            assert rest == []
    return found


async def test_a_delivery_that_did_not_fail_is_not_retried(here: World) -> None:
    await here.slack.slash(ADA, OPS, "hello")
    await here.thread_says("echo: hello")
    which = here.environment.received[0].client_message_id
    said = await relay_in_thread(here, "deliveries", "retry", which)
    assert said.status == 1
    assert f"{which} is delivered" in said.problem
    assert len(here.environment.received) == 1


async def test_the_bearer_secret_that_a_waiting_whisper_carries_is_not_printed(here: World) -> None:
    here.slack.fail("chat.postEphemeral", "internal_error", times=99)
    here.slack.fail("chat.postMessage", "internal_error", times=99, when=lambda sent: sent["channel"] == ADA)
    await here.slack.slash(ADA, OUTSIDE, "hello", response_url="http://127.0.0.1:1/response/bearer-secret")
    await here.slack.wait_for(lambda slack: any(one.error == "internal_error" for one in slack.calls))
    listed = (await _json(here, "list"))["deliveries"]
    [whisper] = [row for row in listed if row["kind"] == "whisper"]
    shown = await _json(here, "show", whisper["id"])
    assert shown["state"] in ("pending", "sending")
    assert shown["body"]["user_id"] == ADA
    assert "bearer-secret" not in json.dumps([listed, shown])


async def test_the_operators_socket_is_for_this_user_alone(here: World) -> None:
    mode = (here.folder / "relay.db.sock").stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600


async def test_a_relay_that_was_killed_leaves_its_store_to_the_command_line(idle: World) -> None:
    async with running(idle) as process:
        await idle.slack.slash(ADA, OPS, "hello")
        await idle.thread_says("echo: hello")
        await process.kill()
    assert (idle.folder / "relay.db.sock").exists()
    listed = await relay(idle, "deliveries", "list")
    assert (listed.status, listed.err) == (0, "")
    assert len(listed.out.splitlines()) == 1 + 3


async def test_without_a_store_the_command_line_says_where_it_looked_and_makes_none(idle: World) -> None:
    said = await relay(idle, "deliveries", "list")
    assert said.status == 1
    assert f"{idle.folder}/relay.db" in said.problem
    assert not (idle.folder / "relay.db").exists()


async def test_serve_and_check_name_every_problem_at_once_and_connect_to_nothing(idle: World) -> None:
    serve, check = await asyncio.gather(
        relay(idle, "serve", changed=BROKEN), relay(idle, "check", changed=BROKEN)
    )
    assert serve.status == check.status == 2
    assert serve.err == check.err
    assert all(name in serve.err for name in BROKEN)
    assert serve.out == ""
    assert idle.slack.calls == []
    assert idle.environment.sockets == []
    assert not (idle.folder / "relay.db").exists()


async def test_check_says_what_a_good_configuration_comes_to_and_prints_no_secret(idle: World) -> None:
    said = await relay(idle, "check")
    assert said.status == 0
    assert "The configuration is good." in said.out
    assert "C0APPROVALS" in said.out
    assert "kept: the record for ever, the words of what is settled for ever" in said.out
    secrets = (idle.slack.bot_token, idle.slack.signing_secret, idle.environment.api_key)
    assert not any(secret in said.out for secret in secrets)
    assert idle.slack.calls == []


async def test_check_says_what_is_configured_and_unused_and_is_content(idle: World) -> None:
    unused = {"SLACK_APP_TOKEN": "xapp-1"}
    said, silent = await asyncio.gather(relay(idle, "check", changed=unused), relay(idle, "check"))
    assert (said.status, said.err) == (0, "")
    assert "  unused: SLACK_SIGNING_SECRET: " in said.out
    assert "unused" not in silent.out


async def test_a_store_in_a_folder_that_is_not_there_is_refused_and_the_folder_not_made(idle: World) -> None:
    folder = idle.folder / "nowhere"
    said = await relay(idle, "serve", changed={"RELAY_STORE_URL": f"sqlite:///{folder}/relay.db"})
    assert said.status == 1
    assert said.problem == f"relay: the folder {folder} does not exist: create it, or set RELAY_STORE_URL"
    assert not folder.exists()


async def test_serve_takes_its_secrets_from_files(idle: World) -> None:
    for name in ("SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET", "LETTA_API_KEY"):
        path = idle.folder / name.lower()
        path.write_text(idle.variables.pop(name) + "\n")
        idle.variables[f"{name}_FILE"] = str(path)
    async with running(idle):
        await idle.slack.slash(ADA, OPS, "hello")
        await idle.thread_says("echo: hello")


async def test_a_wrong_token_ends_serve_with_one_line_that_names_it(idle: World) -> None:
    other = {"RELAY_STORE_URL": f"sqlite:///{idle.folder}/other.db"}
    bot, app = await asyncio.gather(
        relay(idle, "serve", changed={"SLACK_BOT_TOKEN": "xoxb-wrong"}),
        relay(idle, "serve", changed={"SLACK_APP_TOKEN": "xapp-wrong", **other}),
    )
    assert bot.status == app.status == 1
    assert "SLACK_BOT_TOKEN" in bot.problem
    assert "SLACK_APP_TOKEN" in app.problem
    assert "wrong" not in bot.err + app.err


async def test_what_the_command_line_cannot_read_ends_with_status_2(idle: World) -> None:
    unknown, unreadable = await asyncio.gather(
        relay(idle, "frobnicate"),
        relay(idle, "check", changed={"LETTA_API_KEY": None, "LETTA_API_KEY_FILE": "/nowhere/key"}),
    )
    assert unknown.status == unreadable.status == 2
    assert "/nowhere/key" in unreadable.err
