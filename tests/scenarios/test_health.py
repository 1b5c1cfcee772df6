"""Alive, ready, stopping."""

import asyncio
from typing import Any

import httpx

from relay.app import App, json_log
from relay.config import load
from tests.scenarios.acts import rows
from tests.world import ADA, OPS, World, everything


async def ask(world: World, path: str) -> tuple[int, dict[str, Any]]:
    """Return status and body of a health question."""
    async with httpx.AsyncClient() as supervisor:
        answer = await supervisor.get(world.url + path)
    return answer.status_code, answer.json()


async def readiness(world: World, status: int, words: str) -> dict[str, Any]:
    """Ask until the relay is as ready as said, in these words; each question is a round trip."""
    async with asyncio.timeout(15):
        while True:
            seen, body = await ask(world, "/readyz")
            if seen == status and words in str(body):
                return body


async def test_a_running_relay_is_alive_and_ready(both_ways: World) -> None:
    assert (await ask(both_ways, "/healthz"))[0] == 200
    body = await readiness(both_ways, 200, "listening")
    assert body["ready"] is True
    assert body["store"] == "writable"


async def test_an_environment_known_to_be_offline_is_ready_and_said(here: World) -> None:
    await here.environment.go_offline()
    body = await readiness(here, 200, "offline")
    assert body["environment default"].startswith("offline")


async def test_an_environment_that_is_offline_at_start_keeps_nobody_from_starting(idle: World) -> None:
    await idle.environment.go_offline()
    await idle.start_relay()
    await readiness(idle, 200, "offline")
    assert (await idle.slack.slash(ADA, OPS, "hello")).ok


async def test_in_socket_mode_the_http_door_is_not_mounted(idle: World) -> None:
    await idle.start_relay({"SLACK_APP_TOKEN": idle.slack.app_token})
    body = b"payload={}"
    async with httpx.AsyncClient() as stranger:
        answer = await stranger.post(idle.url + "/slack/events", content=body, headers=idle.slack.sign(body))
    assert answer.status_code == 404


async def test_a_stopped_relay_keeps_what_it_could_not_deliver(both_ways: World) -> None:
    await both_ways.environment.go_offline()
    await both_ways.slack.slash(ADA, OPS, "keep me")
    await both_ways.thread_says("has been offline since")
    await both_ways.stop_relay()
    assert rows(both_ways, "messages") == 1
    await both_ways.environment.come_back()
    await both_ways.start_relay()
    await both_ways.thread_says("echo: keep me")
    assert len(both_ways.environment.received) == 1


async def test_a_message_whose_delivery_hangs_is_kept_by_a_stop_within_ten_seconds(here: World) -> None:
    here.environment.fail_posts(hang=True)
    await here.slack.slash(ADA, OPS, "hold the line")
    await here.environment.wait_for(lambda environment: environment.posts)
    async with asyncio.timeout(30):
        await here.stop_relay()
    await here.start_relay()
    await here.thread_says("echo: hold the line")
    ids = {post.body["messages"][0]["client_message_id"] for post in here.environment.posts}
    assert len(ids) == 1


async def test_a_stopped_relay_takes_nothing_more(here: World) -> None:
    await here.stop_relay()
    ack = await here.slack.slash(ADA, OPS, "anybody there?")
    assert ack.status is None


async def test_a_stop_during_a_slow_start_is_obeyed_at_once(idle: World) -> None:
    idle.slack.fail("auth.test", "", hang=True)
    app, stop = App(load(idle.variables, idle.folder), json_log(idle.log)), asyncio.Event()
    serving = asyncio.create_task(app.serve(stop))
    await idle.slack.wait_for(lambda slack: any(call.method == "auth.test" for call in slack.calls))
    stop.set()
    await asyncio.wait_for(serving, 5)
    assert not app.ready.is_set()


async def test_each_conversation_of_an_environment_is_said_by_itself(idle: World) -> None:
    routes = f'[[routes]]\nchannel = "{OPS}"\nconversation = "conv-1"\n[[routes]]\n'
    (idle.folder / "relay.toml").write_text(routes)
    await idle.start_relay()
    body = await readiness(idle, 200, "listening")
    found = {name for name in body if name.startswith("environment")}
    assert found == {"environment default / conv-1", "environment default / default"}


async def test_a_conversation_that_is_not_the_default_one_is_named(idle: World) -> None:
    await idle.start_relay({"LETTA_CONVERSATION_ID": "conv-1"})
    body = await readiness(idle, 200, "listening")
    assert body["environment default / conv-1"] == "listening"


async def test_a_refused_key_is_not_ready_and_said(idle: World) -> None:
    await idle.start_relay({"LETTA_API_KEY": "sk-of-somebody-else"})
    body = await readiness(idle, 503, "refused")
    assert body["environment default"].startswith("refused: ")
    assert "LETTA_API_KEY" in body["environment default"]
    assert "sk-of-somebody-else" not in str(body)


async def test_who_writes_to_an_environment_that_refuses_the_key_is_told_that(idle: World) -> None:
    await idle.start_relay({"LETTA_API_KEY": "sk-of-somebody-else"})
    await readiness(idle, 503, "refused")
    await idle.slack.slash(ADA, OPS, "hello")
    said = await idle.told(ADA, "It has been offline since")
    assert "(" in said and "refused the key" in said
    assert "is sent when" not in said


async def test_who_writes_to_an_environment_that_is_not_there_is_told_why(idle: World) -> None:
    await idle.start_relay({"LETTA_DEVICE_ID": "device-of-nobody"})
    body = await readiness(idle, 200, "offline")
    reason = body["environment default"].removeprefix("offline: ")
    await idle.slack.slash(ADA, OPS, "hello")
    said = await idle.told(ADA, "It has been offline since")
    assert said.endswith(f" ({reason}); your message is sent when it is back.")
    assert reason in everything(await idle.thread_says("has been offline since"))
