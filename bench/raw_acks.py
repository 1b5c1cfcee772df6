"""Contestant: an aiohttp handler that verifies the signature and answers; no framework, nothing forwarded."""

import asyncio
import os

from aiohttp import web
from slack_sdk.signature import SignatureVerifier

from bench.serving import PATH, serve


def raw() -> web.Application:
    """Return the least that may answer Slack."""
    verifier = SignatureVerifier(os.environ["SLACK_SIGNING_SECRET"])

    async def letta(request: web.Request) -> web.Response:
        body, headers = await request.read(), request.headers
        timestamp, signature = headers["X-Slack-Request-Timestamp"], headers["X-Slack-Signature"]
        if not verifier.is_valid(body, timestamp, signature):
            return web.Response(status=401)
        return web.json_response({"text": "Queued"})

    app = web.Application()
    app.router.add_post(PATH, letta)
    return app


def main() -> None:
    """Serve until terminated."""
    asyncio.run(serve(raw()))


if __name__ == "__main__":
    main()
