"""One conversation on the device: starts turns, holds messages, takes answers, stops."""

import asyncio
from collections.abc import Callable

from relay.sandbox.environment import frames
from relay.sandbox.environment.approvals import Answer
from relay.sandbox.environment.runtime import Held, Runtime
from relay.sandbox.environment.script import Json, UserMessage
from relay.sandbox.environment.turn import TurnRun

Reply = Callable[[Json], None]


class Conversation:
    """The device's hold on one conversation while it is up."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self._play: asyncio.Task[None] | None = None
        self._run: TurnRun | None = None
        self._interrupted = False
        self._held_so_far = 0

    @property
    def busy(self) -> bool:
        """Whether a turn runs."""
        return self._play is not None

    def receive(self, messages: list[UserMessage], reply: Reply | None) -> None:
        """Start a turn with the messages, or hold them while one runs; the reply says which."""
        if not (self.busy or self._interrupted):
            self._reply(reply, accepted=True, disposition="started")
            self._start(messages, from_held=False)
            return
        self._reply(reply, accepted=True, disposition="queued")
        self._hold(messages)
        if not self.busy:
            # Recorded: the first message after an interruption goes through the held list.
            self._interrupted = False
            self._start_held()

    def pass_over(self, reply: Reply | None) -> None:
        """Accept messages that were seen before, and do nothing with them."""
        self._reply(reply, accepted=True, disposition="duplicate")

    def answer(self, request_id: str, answer: Answer, reply: Reply | None) -> bool:
        """Take an answer to a pending request; the first wins."""
        asking = self.runtime.round
        if asking is None or not asking.answer(request_id, answer):
            self._reply(reply, accepted=False, error=frames.NOT_PENDING)
            return False
        self.runtime.say_loop()
        self.runtime.say_device()
        self._reply(reply, accepted=True)
        asking.proceed()
        return True

    def abort(self, reply: Reply | None = None) -> bool:
        """Cancel the running turn with its pending request; False when none runs."""
        run = self._run
        if not self.cancel() or run is None:
            self._reply_abort(reply, aborted=False)
            return False
        self._interrupted = True
        self._tell_interruption(run.run_id)
        self._reply_abort(reply, aborted=True)
        self.runtime.say(frames.turn_finished("cancelled", run.run_id))
        self.runtime.say_device()
        if self.runtime.held:
            self._interrupted = False
            self._start_held()
        return True

    def cancel(self) -> bool:
        """End the running turn without a word; False when none runs."""
        if self._play is None or self._play.done():
            return False
        self._play.cancel()
        self._play = self._run = None
        self.runtime.round, self.runtime.active, self.runtime.executing = None, [], []
        return True

    def replay(self) -> None:
        """Say what a device says after its own socket dropped: not online, then the same requests again."""
        self.runtime.say_device(online=False)
        self.runtime.say_loop()
        for request in self.runtime.pending:
            self.runtime.say_request(request)

    def remove_held(self, item_id: str, reply: Reply) -> None:
        """Take a waiting message back before its turn."""
        removed = [held for held in self.runtime.held if held.item_id == item_id]
        self.runtime.held = [held for held in self.runtime.held if held.item_id != item_id]
        reply({"type": "remove_queue_item_response", "success": bool(removed), "item_id": item_id})
        for held in removed:
            self.runtime.say_held()
            client_message_id = held.message.client_message_id
            self.runtime.say_held([{"client_message_id": client_message_id, "disposition": "cancelled"}])

    def _hold(self, messages: list[UserMessage]) -> None:
        for message in messages:
            self._held_so_far += 1
            self.runtime.held.append(Held(f"q-{self._held_so_far}", message))
        self.runtime.say_held()

    def _start(self, messages: list[UserMessage], *, from_held: bool) -> None:
        self._run = TurnRun(self.runtime, messages)
        self._play = asyncio.create_task(self._run.play(from_held=from_held))
        self._play.add_done_callback(lambda play: self._ended(play, from_held=from_held))

    def _start_held(self) -> None:
        messages = self.runtime.take_held()
        for message in messages:
            self.runtime.say(frames.queued_user_message(message))
        self.runtime.say_held()
        self.runtime.say_loop()
        self._start(messages, from_held=True)

    def _ended(self, play: asyncio.Task[None], *, from_held: bool) -> None:
        if play is not self._play or play.cancelled():
            return
        if (error := play.exception()) is not None:
            self.runtime.ledger.script_errors.append(error)
            self.runtime.ledger.changed()
        self._play = self._run = None
        if self.runtime.held:
            self._start_held()
        elif from_held:
            self.runtime.say_held()
            self.runtime.say_loop()
        self.runtime.ledger.changed()

    def _tell_interruption(self, run_id: str | None) -> None:
        for _ in range(2):  # recorded twice
            self.runtime.say_loop("WAITING_ON_INPUT")
            self.runtime.say_device(processing=False)
        self.runtime.say(frames.lifecycle("status", run_id=run_id, message="Interrupted", level="warning"))

    def _reply(self, reply: Reply | None, **fields: object) -> None:
        if reply is not None:
            reply({"type": "input_accepted", "runtime": self.runtime.address, **fields})

    def _reply_abort(self, reply: Reply | None, *, aborted: bool) -> None:
        if reply is not None:
            reply(
                {
                    "type": "abort_message_response",
                    "runtime": self.runtime.address,
                    "aborted": aborted,
                    "success": True,
                }
            )
