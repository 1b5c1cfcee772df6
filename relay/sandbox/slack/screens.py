"""What a person does in modals and in the app's Home tab."""

from typing import Any, Literal

from relay.sandbox.slack import gestures, inputs
from relay.sandbox.slack.deliveries import Deliveries
from relay.sandbox.slack.gestures import FromButton, Value
from relay.sandbox.slack.workspace import Ack, Json, View, Workspace


class Screens:
    """The screens of all people: each sees their own modals, the uppermost alone, and their own Home tab."""

    workspace: Workspace
    _deliveries: Deliveries

    async def home_opened(self, user: str, tab: Literal["home", "messages"] = "home") -> Ack:
        """Go to the app's Home or Messages tab."""
        event: Json = {
            "type": "app_home_opened",
            "user": user,
            "channel": self.workspace.direct(user).id,
            "tab": tab,
            "event_ts": self.workspace.new_ts(),
        }
        home = self.home_of(user)
        if home is not None and tab == "home":
            event["view"] = gestures.with_state(home)
        return await self._deliveries.deliver("event", gestures.event(self.workspace, event))

    def home_of(self, user: str) -> View | None:
        """Return what the app has published on a person's Home tab, None where nothing."""
        homes = (one for one in self.workspace.views if one.user == user and one.view["type"] == "home")
        return next(homes, None)

    def modal_of(self, user: str) -> View | None:
        """Return the modal that a person sees now, None where there is none."""
        open_ones = [one for one in self.workspace.views if one.user == user and one.is_open]
        return next((one for one in reversed(open_ones) if one.view["type"] == "modal"), None)

    def fill(self, user: str, view: View | str, values: dict[str, dict[str, Any]]) -> None:
        """Enter `values[block_id][action_id]` into a modal's inputs, without submitting it.

        Options go by their value, several in a list, a date and time in seconds since the epoch.
        """
        inputs.fill(self._before(user, view), values)

    async def click_view(
        self, user: str, view: View | str, action_id: str, *, value: Value = FromButton.VALUE
    ) -> Ack:
        """Click a button in a modal or Home tab, or choose the option(s) of that value, or type it."""
        payload = gestures.click_in_view(self.workspace, user, self._before(user, view), action_id, value)
        return await self._deliveries.deliver("action", payload)

    async def submit_view(
        self, user: str, view: View | str, values: dict[str, dict[str, Any]] | None = None
    ) -> Ack:
        """Fill a modal and submit it; complain where Slack's own client would not submit."""
        shown = self._before(user, view)
        if not shown.view.get("submit"):
            raise AssertionError(f"View {shown.id} has no submit button.")
        inputs.fill(shown, values or {})
        if refused := inputs.refusals(shown):
            raise AssertionError(f"Slack does not submit this: {refused}")
        return await self._deliveries.deliver("view_submission", self.submission_payload(user, shown))

    async def close_view(self, user: str, view: View | str) -> Ack | None:
        """Dismiss a modal; return how the app answered, None where it did not want to know."""
        shown = self._before(user, view)
        shown.is_open = False
        self.workspace.changed()
        if not shown.view["notify_on_close"]:
            return None
        return await self._deliveries.deliver("view_closed", gestures.closing(self.workspace, user, shown))

    async def clear_views(self, user: str) -> list[Ack]:
        """Dismiss all modals of a stack; return how the app answered of those that it wanted to know."""
        stack = [one for one in reversed(self.workspace.views) if one.user == user and one.is_open]
        modals = [one for one in stack if one.view["type"] == "modal"]
        for one in modals:
            one.is_open = False
        self.workspace.changed()
        wanted = (one for one in modals if one.view["notify_on_close"])
        told = (gestures.closing(self.workspace, user, one, cleared=True) for one in wanted)
        return [await self._deliveries.deliver("view_closed", one) for one in told]

    def submission_payload(
        self, user: str, view: View | str, values: dict[str, dict[str, Any]] | None = None, **overrides: Any
    ) -> Json:
        """Return what a submission would send, whoever sends it; an override of None leaves the field out.

        `values` may be anything, also what no client would let through.
        """
        payload = gestures.submission(self.workspace, user, self._view(view), values or {})
        return gestures.overridden(payload, overrides)

    def _view(self, view: View | str) -> View:
        found = view if isinstance(view, View) else self.workspace.view(view)
        if found is None:
            raise AssertionError(f"There is no view {view}.")
        return found

    def _before(self, user: str, view: View | str) -> View:
        """Return a view that this person has before them."""
        shown = self._view(view)
        if shown.user != user:
            raise AssertionError(f"View {shown.id} is on the screen of {shown.user}, not of {user}.")
        if shown.view["type"] == "modal" and self.modal_of(user) is not shown:
            raise AssertionError(f"{user} does not see view {shown.id}: it is closed, or another is over it.")
        return shown
