"""The Bolt application: which arrival goes to which handler, and that each is acknowledged."""

import logging
import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from slack_bolt import BoltResponse
from slack_bolt.async_app import AsyncApp, AsyncBoltRequest
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.authorization.async_authorize import AsyncAuthorize
from slack_bolt.error import BoltUnhandledRequestError
from slack_bolt.middleware.async_middleware import AsyncMiddleware

from relay.slack import sentences
from relay.slack.actions import Actions, listener_of
from relay.slack.arrivals import Arrivals
from relay.slack.commands import Commands
from relay.slack.deciding import Deciding
from relay.slack.door import SlackDoor
from relay.slack.events import Events
from relay.slack.forms.kinds import FORMS
from relay.slack.forms.opening import Opening, Option
from relay.slack.forms.submitting import Submitting, errors_of
from relay.slack.grants import Revocations
from relay.slack.home import Home
from relay.slack.patience import Patience
from relay.slack.stops import Stops
from relay.slack.tell import Tell
from relay.slack.wire import read_click
from relay.slack.words import Words
from relay.store import StoreError

_ANYTHING = re.compile(".*")


def bolt_app(
    door: SlackDoor,
    tell: Tell,
    stops: Stops,
    deciding: Deciding,
    home: Home,
    arrivals: Arrivals | None = None,
) -> AsyncApp:
    """Return the application; everything is given by argument, nothing read from the process.

    With `arrivals` they are counted.
    """
    app = _App(
        name="relay",
        logger=_quiet_logger(),
        client=door.client,
        authorize=_Authorize(door),
        # The listener runs before the response: stored, then acknowledged, and no polling for it.
        process_before_response=True,
        # The route verifies the signature over the bytes, before anything is parsed.
        request_verification_enabled=False,
        ssl_check_enabled=False,
        # What no listener takes comes to the error handler, to be acknowledged like the rest.
        raise_error_for_unhandled_request=True,
        attaching_function_token_enabled=False,
        attaching_conversation_kwargs_enabled=False,
    )
    _register(app, door, tell, stops, deciding, home)
    if arrivals is not None:  # both ways in come through here
        app.async_dispatch = partial(arrivals.answered, app.async_dispatch)  # type: ignore[method-assign]
    return app


def _register(
    app: AsyncApp, door: SlackDoor, tell: Tell, stops: Stops, deciding: Deciding, home: Home
) -> None:
    words = Words(door, deciding)
    commands, actions = Commands(door, stops, words, home), Actions(door, tell, stops, deciding)
    events = Events(door, tell, stops, words)
    app.middleware(_OwnCommand(door.config.slack.command, commands))
    for action_id in ("approve", "deny", "retry", "details", "stop"):
        app.action(action_id)(getattr(actions, action_id))
    patience = Patience(door, tell, deciding)
    app.action("ask_again")(patience.ask_again)
    # What else a card's menu does, by the name of its option.
    options: dict[str, Option] = {"snooze": patience.snooze}
    opening = Opening(door, tell, deciding, options)
    for action_id in ("deny_reason", "edit", "more"):
        app.action(action_id)(getattr(opening, action_id))
    submitting = Submitting(door, tell, deciding)
    for form in FORMS:
        app.view(form)(submitting.take)
    app.action("revoke")(Revocations(door, tell, deciding, home).revoke)
    app.event("app_home_opened")(home.opened)
    for kind in ("message", "app_mention"):
        app.event(kind)(events.take)
    app.event("agent_session_stopped")(stops.pressed_in_slack)
    # Last: what nobody takes is acknowledged all the same, or Slack shows the person an error.
    app.command(_ANYTHING)(commands.unknown)
    for anything in (app.action, app.event, app.view, app.shortcut, app.options):
        anything(_ANYTHING)(actions.unknown)
    app.error(_on_defect(door, tell))


class _App(AsyncApp):
    """Bolt's, without the web client that it makes for each request: a tenth of what a command takes."""

    def _init_context(self, req: AsyncBoltRequest) -> None:
        # A version of Bolt that calls no such method makes its clients again: slower, and no less right.
        req.context["logger"], req.context["listener_runner"] = self.logger, self.listener_runner
        req.context["client"] = self.client


class _OwnCommand(AsyncMiddleware):
    """Takes relay's own command before Bolt looks for a listener, which costs as much as storing it."""

    def __init__(self, command: str, commands: Commands) -> None:
        self._command = command
        self._commands = commands

    async def async_process(
        self,
        *,
        req: AsyncBoltRequest,
        resp: BoltResponse,  # noqa: ARG002 - Bolt's signature
        next: Callable[[], Awaitable[BoltResponse]],  # noqa: A002 - Bolt's name for it
    ) -> BoltResponse:
        if req.body.get("command") == self._command:
            return await self._commands.taken(req.body)
        return await next()


class _Authorize(AsyncAuthorize):
    """Knows the one workspace of this door, whoever asks; the use cases tell who may."""

    def __init__(self, door: SlackDoor) -> None:
        workspace = door.workspace
        self._result = AuthorizeResult(
            enterprise_id=workspace.enterprise_id,
            team_id=workspace.team_id,
            bot_user_id=workspace.bot_user_id,
            bot_id=workspace.bot_id,
            # Of many workspaces the client has each its own, which may change at any time.
            bot_token=door.config.slack.bot_token.get_secret_value() or None,
        )

    async def __call__(self, **_: Any) -> AuthorizeResult:
        return self._result


def _on_defect(door: SlackDoor, tell: Tell) -> Any:
    async def on_defect(error: Exception, request: AsyncBoltRequest) -> BoltResponse:
        if isinstance(error, BoltUnhandledRequestError):
            door.became("unknown")
            return BoltResponse(status=200)
        kind = request.body.get("type", "command")
        if isinstance(error, StoreError) and kind == "event_callback":
            door.became("not_stored")
            return BoltResponse(status=503)  # unlike all else, Slack brings an event again
        door.became("defect")
        door.log.error("arrival.defect", kind=kind, exc_info=error)
        if kind == "command":
            return BoltResponse(status=200, body={"text": sentences.DEFECT, "response_type": "ephemeral"})
        if kind == "view_submission":  # kept open: whoever filled it in loses no word
            return BoltResponse(status=200, body=errors_of(request.body, sentences.DEFECT))
        # Slack shows nobody the body of the answer to a press: whoever pressed is told another way.
        click = read_click(request.body) if kind == "block_actions" else None
        if click is not None:
            await tell.now(listener_of(door, click), sentences.DEFECT)
        return BoltResponse(status=200)

    return on_defect


def _quiet_logger() -> logging.Logger:
    # Bolt's warnings quote whole requests, response_urls and all: they are not for a log.
    logger = logging.getLogger("relay.bolt")
    logger.setLevel(logging.CRITICAL)
    return logger
