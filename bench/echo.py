"""What the stand-ins take by themselves: every question is posted as it comes, every click passed on.

It reads nothing but what it has to pass on, keeps nothing and checks nothing.
"""

import asyncio
import json
import os
import signal
from urllib.parse import parse_qs

import aiohttp
from aiohttp import web

from bench.contestants import LIVE

_BASE = os.environ["LETTA_BASE_URL"]
_PLACE = f"/v1/environments/{os.environ['LETTA_CONNECTION_ID']}"


async def _listen(session: aiohttp.ClientSession, place: int) -> None:
    query = f"conversationId=conv-{place}&channel=control&agentId=agent-bench"
    async with session.ws_connect(f"{_BASE}{_PLACE}/status/ws?{query}") as socket:
        async for received in socket:
            asked = json.loads(received.data)
            body = {"channel": "C", "text": received.data, "blocks": [_button(asked["request"])]}
            async with session.post(f"{os.environ['SLACK_API_URL']}chat.postMessage", json=body) as answer:
                await answer.read()


def _button(request: dict[str, str]) -> dict[str, object]:
    value = json.dumps({"tool_call_id": request["tool_call_id"]})
    return {"type": "actions", "elements": [{"action_id": "approve", "value": value}]}


async def main() -> None:
    """Serve until terminated, after one line of JSON that names the port."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        kept: set[asyncio.Task[None]] = set()

        async def pass_on(body: bytes) -> None:
            action = json.loads(parse_qs(body.decode())["payload"][0])["actions"][0]
            approval = {"approve": True, "tool_call_id": json.loads(action["value"])["tool_call_id"]}
            told = {"messages": [{"type": "approval", "approvals": [approval]}]}
            async with session.post(f"{_BASE}{_PLACE}/messages", json=told) as answer:
                await answer.read()

        async def click(request: web.BaseRequest) -> web.Response:
            passing = asyncio.create_task(pass_on(await request.read()))
            kept.add(passing)
            passing.add_done_callback(kept.discard)
            return web.Response()

        listening = [asyncio.create_task(_listen(session, place)) for place in range(LIVE)]
        runner = web.ServerRunner(web.Server(click, access_log=None))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        print(json.dumps({"event": "serving", "port": runner.addresses[0][1]}), flush=True)
        await stop.wait()
        for one in listening:
            one.cancel()
        await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
