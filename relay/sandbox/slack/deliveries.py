"""One delivery to the app: sent, measured, and what its acknowledgement changes on the person's screen."""

import asyncio
import time
from typing import Any

from relay.sandbox.slack import surfaces
from relay.sandbox.slack.chat import check_body
from relay.sandbox.slack.doors import NOBODY, Answer, HttpDoor, Retry
from relay.sandbox.slack.refusals import RefusedError, blocks_given
from relay.sandbox.slack.sockets import SocketDoor
from relay.sandbox.slack.workspace import Ack, Json, View, Workspace


class Deliveries:
    """Sends payloads through the door in use and does what the acknowledgements say."""

    def __init__(self, workspace: Workspace, http: HttpDoor, sockets: SocketDoor, ack_limit: float) -> None:
        self.request_url: str | None = None
        self.ack_limit = ack_limit
        self.events: list[Json] = []
        self._workspace = workspace
        self._http = http
        self._sockets = sockets

    async def deliver(
        self,
        kind: str,
        payload: Json,
        *,
        retry: Retry | None = None,
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
    ) -> Ack:
        """Deliver one payload and return how it was answered; the answer counts only in time."""
        url, started = self.request_url, time.monotonic()
        if kind == "event" and retry is None:
            self.events.append(payload)
        if url is None:
            sending = asyncio.create_task(self._sockets.send(kind, payload, retry))
        else:
            sending = asyncio.create_task(self._http.send(url, kind, payload, retry, headers, body))
        answer, late = await self._patiently(sending, kind, payload)
        seconds = time.monotonic() - started
        in_time = answer.status is not None and not late
        ack = Ack(kind, answer.status, seconds, answer.body, in_time, "http" if url else "socket")
        self._workspace.acks.append(ack)
        if ack.ok:
            self._take(kind, payload, ack.body)
        elif not late:
            self._tell(kind, payload, "dispatch_failed")
        self._workspace.changed()
        return ack

    async def _patiently(
        self, sending: asyncio.Future[Answer], kind: str, payload: Json
    ) -> tuple[Answer, bool]:
        """Return the answer and whether it was late: a late one is waited for once more, to be measured."""
        try:
            await asyncio.wait({sending}, timeout=self.ack_limit)
            if sending.done():
                return sending.result(), False
            self._tell(kind, payload, "operation_timeout")
            self._workspace.changed()
            await asyncio.wait({sending}, timeout=self.ack_limit)
            return (sending.result() if sending.done() else NOBODY), True
        finally:
            sending.cancel()

    def _tell(self, kind: str, payload: Json, words: str) -> None:
        if kind == "event":
            return
        channel, user = _place(payload)
        told = self._workspace.whisper(channel, user, words, [], "ack")
        told.failed = str(payload.get("command") or "") if kind == "command" else ""

    def _take(self, kind: str, payload: Json, body: Json | str | None) -> None:
        if kind == "command" and body:
            self._reply(payload, {"text": body} if isinstance(body, str) else body)
        elif kind == "view_submission":
            shown = self._workspace.view(_within(payload, "view"))
            if shown is not None:
                self._settle(shown, body if isinstance(body, dict) else {})
        elif kind == "view_closed":
            self._close([_within(payload, "view")])

    def _reply(self, payload: Json, body: Json) -> None:
        text = str(body.get("text") or "")
        if not text.strip() and not body.get("blocks"):
            return
        try:
            blocks = blocks_given(body)
            check_body(text, blocks)
        except RefusedError:
            self._tell("command", payload, "invalid_command_response")
            return
        channel_id, user = _place(payload)
        channel = self._workspace.channels.get(channel_id)
        if body.get("response_type") == "in_channel" and channel is not None:
            self._workspace.post(channel, self._workspace.bot_user, text, blocks or [])
        else:
            self._workspace.whisper(channel_id, user, text, blocks or [], "ack")

    def _settle(self, shown: View, body: Json) -> None:
        """Do what the app says to a submitted modal: without a word, it closes."""
        action = body.get("response_action")
        if action == "errors":
            shown.errors = _errors(shown, body.get("errors"))
            return
        if action == "clear":
            self._close([view.id for view in self._workspace.views if view.user == shown.user])
        elif action in ("update", "push"):
            self._another(shown, action, body.get("view"))
        else:
            self._close([shown.id])

    def _another(self, shown: View, action: str, view: Any) -> None:
        try:
            checked = surfaces.checked("modal", view)
            if action == "update":
                surfaces.replace(self._workspace, shown, checked)
            else:
                surfaces.show(self._workspace, shown.user, checked, under=shown)
        except RefusedError as refused:
            shown.errors = {"view": "; ".join(refused.messages) or refused.error}

    def _close(self, ids: list[Any]) -> None:
        for view in self._workspace.views:
            if view.id in ids and view.view["type"] == "modal":
                view.is_open = False


def _errors(shown: View, errors: Any) -> dict[str, str]:
    """Return what stands at the inputs; errors of anything but inputs Slack does not take."""
    there = {block["block_id"] for block in shown.view["blocks"] if block["type"] == "input"}
    if not isinstance(errors, dict) or not errors:
        return {"view": "invalid response_action errors: none are given"}
    if wrong := sorted(set(errors) - there):
        return {"view": f"invalid response_action errors: no input block is called {wrong}"}
    if not all(isinstance(words, str) and words for words in errors.values()):
        return {"view": "invalid response_action errors: each must say something"}
    return errors


def _place(payload: Json) -> tuple[str, str]:
    """Return the channel and the person a payload came from; empty where it does not say."""
    user = payload.get("user_id") or _within(payload, "user") or ""
    channel = payload.get("channel_id") or _within(payload, "channel") or ""
    return str(channel), str(user)


def _within(payload: Json, name: str) -> Any:
    """Return the id of what a payload holds under a name; a tampered payload may hold anything."""
    held = payload.get(name)
    return held.get("id") if isinstance(held, dict) else None
