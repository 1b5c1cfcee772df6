"""The `response_url` of commands and clicks: a right to answer, five times within half an hour."""

import json
import time

from aiohttp import web

from relay.sandbox.slack.chat import check_body
from relay.sandbox.slack.refusals import RefusedError, blocks_given, yes
from relay.sandbox.slack.workspace import Json, ResponseUrl, Workspace, with_ids


class ResponseUrls:
    """Answers what is posted to `/response/…`."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    async def answer(self, request: web.Request) -> web.Response:
        """Do what a posted answer asks, once, and say `ok`."""
        right = self._workspace.response_urls.get(request.match_info["secret"])
        if right is None or right.uses_left < 1 or time.monotonic() > right.expires:
            why = "used_url" if right and right.uses_left < 1 else "expired_url"
            return web.json_response({"ok": False, "error": why}, status=404)
        try:
            sent = json.loads(await request.read())
            self.apply(right, sent if isinstance(sent, dict) else {})
        except ValueError:
            return web.Response(text="invalid_payload", status=400)
        except RefusedError as refused:
            return web.json_response(refused.body(), status=400)
        right.uses_left -= 1
        self._workspace.changed()
        return web.Response(text="ok")

    def apply(self, right: ResponseUrl, sent: Json) -> None:
        """Change, delete or add what the answer says; refuse what Slack would."""
        if yes(sent.get("delete_original")):
            self._delete(right)
            return
        text, blocks = str(sent.get("text") or ""), blocks_given(sent)
        check_body(text, blocks)
        if yes(sent.get("replace_original")) and self._replace(right, text, blocks or []):
            return
        channel = self._workspace.channels.get(right.channel)
        thread_ts = sent.get("thread_ts")
        if sent.get("response_type") == "in_channel" and channel is not None:
            self._workspace.post(channel, self._workspace.bot_user, text, blocks or [], thread_ts=thread_ts)
        else:
            self._workspace.whisper(right.channel, right.user, text, blocks or [], "response_url", thread_ts)

    def _replace(self, right: ResponseUrl, text: str, blocks: list[Json]) -> bool:
        channel = self._workspace.channels.get(right.channel)
        whisper = self._workspace.ephemeral(right.ts) if right.ts else None
        message = channel.message(right.ts) if channel else None
        if whisper is not None:
            whisper.text, whisper.blocks = text, with_ids(blocks)
        elif message is not None:
            message.rewrite(text, with_ids(blocks))
        return whisper is not None or message is not None

    def _delete(self, right: ResponseUrl) -> None:
        channel = self._workspace.channels.get(right.channel)
        whisper = self._workspace.ephemeral(right.ts) if right.ts else None
        message = channel.message(right.ts) if channel else None
        if whisper is not None:
            self._workspace.ephemerals.remove(whisper)
        elif channel is not None and message is not None:
            channel.messages.remove(message)
