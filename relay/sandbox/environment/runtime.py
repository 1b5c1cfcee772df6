"""The state of one (agent, conversation) on the device, and how it is told."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from relay.sandbox.environment import frames
from relay.sandbox.environment.approvals import Round
from relay.sandbox.environment.records import Ledger
from relay.sandbox.environment.script import Agent, Json, UserMessage
from relay.sandbox.environment.wire import Wire

REMINDER = (
    "<system-reminder>\nThis is an automated message providing context about the user's environment.\n"
    "</system-reminder>"
)
_RUNS_TOLD = 32  # of so many runs, the newest, the real program tells whose messages they answer


@dataclass
class Memory:
    """What a device keeps on disk for a conversation, so that it outlives a restart."""

    history: list[Json] = field(default_factory=list)
    known: set[str] = field(default_factory=set)
    asked: Counter[str] = field(default_factory=Counter)


@dataclass
class Held:
    """A user message that waits for its turn."""

    item_id: str
    message: UserMessage
    enqueued_at: str = field(default_factory=frames.now)

    def as_item(self) -> Json:
        """The message as it stands in the list of waiting messages."""
        return {
            "id": self.item_id,
            "client_message_id": self.message.client_message_id,
            "kind": "message",
            "source": "user",
            "content": self.message.content,
            "enqueued_at": self.enqueued_at,
        }


@dataclass
class Runtime:
    """What the device knows about one conversation while it is up."""

    agent: Agent
    conversation_id: str
    wire: Wire
    ledger: Ledger
    memory: Memory
    status: str = "WAITING_ON_INPUT"
    active: list[str] = field(default_factory=list)
    by_run: dict[str, list[str]] = field(default_factory=dict)
    executing: list[str] = field(default_factory=list)
    processing: bool = False
    round: Round | None = None
    held: list[Held] = field(default_factory=list)

    @property
    def address(self) -> Json:
        """The runtime field of every frame."""
        return {"agent_id": self.agent.agent_id, "conversation_id": self.conversation_id}

    @property
    def pending(self) -> list[Json]:
        """The requests that wait for a person now: one at most."""
        return list(self.round.pending) if self.round else []

    def say(self, frame: Json) -> None:
        """Send one event of this conversation."""
        self.wire.say(frame, self.address)

    def say_loop(self, status: str | None = None) -> None:
        """Tell what the loop does, after moving it to a status if one is given."""
        self.status = status or self.status
        self.say(frames.loop_status(self.status, self.active, self.by_run, self.executing))

    def say_device(self, *, processing: bool | None = None, online: bool = True) -> None:
        """Tell what the device does, after saying whether it is processing if given."""
        self.processing = self.processing if processing is None else processing
        self.say(
            frames.device_status(
                self.agent.permission_mode, self.pending, processing=self.processing, online=online
            )
        )

    def say_held(self, removed: Sequence[Json] = ()) -> None:
        """Tell which messages wait."""
        self.say(frames.waiting_messages([held.as_item() for held in self.held], removed))

    def say_request(self, request: Json) -> None:
        """Ask for a person."""
        self.say({"type": "control_request", **request, **self.address})

    def say_state(self, recover: bool = False) -> None:
        """Tell everything that is, and no delta; live requests are asked again when recovering."""
        self.say_device()
        self.say_all_but_device(recover)

    def say_all_but_device(self, recover: bool = False) -> None:
        """Tell the loop, the live requests when recovering, the waiting messages and the subagents."""
        self.say_loop()
        if recover:
            for request in self.pending:
                self.say_request(request)
        self.say_held()
        self.say({"type": "update_subagent_state", "subagents": []})

    def stamped(self, delta_id: str) -> Json:
        """The opening fields of a model message."""
        return {"id": delta_id, "date": frames.now(), **self.address}

    def begin_run(self, run_id: str, messages: Sequence[UserMessage]) -> None:
        """Make a run the active one, and remember which messages it answers."""
        self.active = [run_id]
        self.by_run[run_id] = [message.client_message_id for message in messages]
        while len(self.by_run) > _RUNS_TOLD:
            del self.by_run[next(iter(self.by_run))]

    def remember(self, delta_id: str, role: str, content: list[Json], **fields: Any) -> None:
        """Write a message into the conversation's history."""
        entry = {
            **self.stamped(delta_id),
            "message_type": f"{role}_message",
            "role": role,
            "content": content,
            **fields,
        }
        self.memory.history.append(entry)

    def remember_user(self, message: UserMessage) -> None:
        """Write a user message into the history, behind the device's own reminder."""
        content = [{"type": "text", "text": REMINDER}, {"type": "text", "text": message.content}]
        delta_id = f"ui-msg-{self.wire.count('ui')}"
        self.remember(delta_id, "user", content, otid=message.otid or message.client_message_id)

    def take_held(self) -> list[UserMessage]:
        """Remove every waiting message from the list and give them."""
        taken, self.held = [held.message for held in self.held], []
        return taken
