"""What a tab may do as the person it is: the acts, checked as Slack's own client would."""

import re
from collections.abc import Awaitable, Callable, Sequence

from relay.sandbox.slack import inputs
from relay.sandbox.slack.fake import FakeSlack
from relay.sandbox.slack.gestures import FromButton
from relay.sandbox.slack.limits import LONGEST_TEXT
from relay.sandbox.slack.page.scenario import Command, Lessons
from relay.sandbox.slack.page.state import modals, places
from relay.sandbox.slack.workspace import Ack, Channel, Json, View, elements_of

_COMMAND = re.compile(r"(/[^\s/]+)(?:\s+(.*))?", re.DOTALL)


class ActError(Exception):
    """Why an act was not done, in words for the person; `errors` go by the ids of input blocks."""

    def __init__(self, words: str, errors: dict[str, str] | None = None) -> None:
        super().__init__(words)
        self.errors = errors or {}


class Acts:
    """Does what a tab asks, for the person it is at that moment."""

    def __init__(self, slack: FakeSlack, commands: Sequence[Command], lessons: Lessons) -> None:
        self._slack = slack
        self._commands = {one.command for one in commands}
        self._lessons = lessons
        self._known: dict[str, Callable[[str, Json], Awaitable[None]]] = {
            "slash": self._slash,
            "say": self._say,
            "click": self._click,
            "submit": self._submit,
            "close": self._close,
            "press_stop": self._press_stop,
            "open_home": self._open_home,
            "start": self._start,
            "play": self._play,
        }

    async def do(self, user: str, act: Json) -> None:
        """Do one act or say why not."""
        name = act.get("act")
        known = self._known.get(name) if isinstance(name, str) else None
        if known is None:
            raise ActError(f"There is no act called {name!r}; there are {', '.join(sorted(self._known))}.")
        try:
            await known(user, act)
        except AssertionError as problem:
            raise ActError(str(problem)) from None

    async def _slash(self, user: str, act: Json) -> None:
        place, typed = self._place(user, act), _text(act, "text").strip()
        found = _COMMAND.fullmatch(typed)
        command = found[1] if found else typed.split(maxsplit=1)[0] if typed else "/"
        if found is None or (self._commands and command not in self._commands):
            raise ActError(
                f"{command} is not a valid command. "
                "In Slack, all messages that start with the “/” character are interpreted as commands."
            )
        if act.get("thread_ts"):
            raise ActError(f"{command} is not supported in threads. Sorry!")
        words = (found[2] or "").strip()
        await self._lessons.typed(place.id, words)
        await self._slack.slash(user, place.id, words, command)

    async def _say(self, user: str, act: Json) -> None:
        place, words = self._place(user, act), _text(act, "text").strip()
        if not words:
            raise ActError("There is nothing to send.")
        if len(words) > LONGEST_TEXT:
            raise ActError(f"Your message is too long: a message has at most {LONGEST_TEXT} characters.")
        await self._slack.say(user, place.id, words, _root(place, act))

    async def _click(self, user: str, act: Json) -> None:
        action_id = _text(act, "action_id")
        # Whether anything was chosen is said by the presence of `value`: null is a choice too, the empty one.
        value = act.get("value", FromButton.VALUE)
        if "view" in act:
            view = self._view(user, act)
            self._fill(user, view, act)
            ack = await self._slack.click_view(user, view, action_id, value=value)
        else:
            place, ts = self._place(user, act), _text(act, "ts")
            element = self._clicked(user, place, ts, action_id)
            if element["stale"] and value is FromButton.VALUE:
                # The app rewrote the message while the click was under way: Slack tells of what they saw.
                value = element.get("value")
            ack = await self._slack.click(user, place.id, ts, action_id, value=value)
        self._check(ack)

    def _clicked(self, user: str, place: Channel, ts: str, action_id: str) -> Json:
        """Return the element clicked on, and whether it is one that has just gone."""
        whisper, message = self._slack.workspace.ephemeral(ts), place.message(ts)
        if whisper is not None and (whisper.user != user or whisper.channel != place.id):
            raise ActError("That message is for somebody else.")
        found = whisper or message
        if found is None:
            raise ActError("That message is gone.")
        before = [] if message is None else [blocks for _, blocks in reversed(message.history)]
        for stale, blocks in enumerate([found.blocks, *before]):
            there = (element for block in blocks for element in elements_of(block))
            if element := next((one for one in there if one.get("action_id") == action_id), None):
                return {"stale": stale > 0, **element}
        raise ActError("There is no such button in that message.")

    async def _submit(self, user: str, act: Json) -> None:
        view = self._view(user, act)
        self._fill(user, view, act)
        view.errors = {}
        if refused := inputs.refusals(view):
            raise ActError("Something is missing or not as it should be.", refused)
        self._check(await self._slack.submit_view(user, view))

    async def _close(self, user: str, act: Json) -> None:
        view = self._view(user, act)
        if act.get("all"):
            await self._slack.clear_views(user)
        else:
            await self._slack.close_view(user, view)

    async def _press_stop(self, user: str, act: Json) -> None:
        place, ts = self._place(user, act), _text(act, "thread_ts")
        if place.message(ts) is None:
            raise ActError("That thread is gone.")
        await self._slack.press_stop(user, place.id, ts)

    async def _open_home(self, user: str, act: Json) -> None:
        if self._slack.people[user].team_id != self._slack.team_id:
            raise ActError("People from another workspace have no Home tab of this app.")
        await self._slack.home_opened(user, "messages" if act.get("tab") == "messages" else "home")

    async def _start(self, _user: str, act: Json) -> None:
        if wrong := await self._lessons.start(self._lesson(act)):
            raise ActError(wrong)

    async def _play(self, _user: str, act: Json) -> None:
        if wrong := await self._lessons.play(self._lesson(act)):
            raise ActError(wrong)

    def _lesson(self, act: Json) -> str:
        name = _text(act, "scenario")
        if self._lessons.named(name) is None:
            raise ActError(f"There is no scenario called {name!r}.")
        return name

    def _place(self, user: str, act: Json) -> Channel:
        asked = _text(act, "channel")
        found = next((one for one in places(self._slack, user) if one.id == asked), None)
        if found is None:
            raise ActError(f"You are in no channel {asked!r}.")
        if found.is_archived:
            raise ActError("This channel is archived: nothing can be said here.")
        return self._slack.workspace.direct(user) if found.is_im else found

    def _view(self, user: str, act: Json) -> View:
        asked = _text(act, "view")
        home = self._slack.home_of(user)
        there = [*modals(self._slack, user), *([] if home is None else [home])]
        found = next((view for view in there if view.id == asked), None)
        if found is None:
            raise ActError("That dialog is closed.")
        return found

    def _fill(self, user: str, view: View, act: Json) -> None:
        """Enter what stands in the inputs on the screen; what is no input of the view is left out."""
        values = act.get("values") or {}
        if not isinstance(values, dict) or not all(isinstance(one, dict) for one in values.values()):
            raise ActError("`values` must be an object of objects.")
        if view.view["type"] == "modal":
            inputs_of = {b["block_id"]: b["element"] for b in view.view["blocks"] if b["type"] == "input"}
            known = {block: given for block, given in values.items() if block in inputs_of}
            self._slack.fill(user, view, known)

    def _check(self, ack: Ack) -> None:
        if not ack.ok:
            late = not ack.in_time and ack.seconds >= self._slack.ack_limit
            why = "operation_timeout" if late else "dispatch_failed"
            app = self._slack.people[self._slack.workspace.bot_user].real_name
            raise ActError(f"That did not work: {app} gave no answer ({why}). Try again?")


def _root(place: Channel, act: Json) -> str | None:
    """Return the root of the thread to post in, None for the channel itself."""
    if not act.get("thread_ts"):
        return None
    message = place.message(_text(act, "thread_ts"))
    if message is None:
        raise ActError("That thread is gone.")
    return message.thread_ts or message.ts


def _text(act: Json, name: str) -> str:
    found = act.get(name)
    if not isinstance(found, str):
        raise ActError(f"`{name}` must be text.")
    return found
