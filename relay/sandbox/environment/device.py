"""The stand-in device: what it does with each frame that reaches it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from relay.sandbox.environment import frames
from relay.sandbox.environment.approvals import Answer
from relay.sandbox.environment.conversation import Conversation, Reply
from relay.sandbox.environment.records import Decision, Ledger, ToolReturn, Via
from relay.sandbox.environment.runtime import Memory, Runtime
from relay.sandbox.environment.script import Agent, Json, UserMessage
from relay.sandbox.environment.wire import Sink, Wire

DEFAULT_CONVERSATION = "default"
_PAGE = 50  # of what was said, as the real program gives it


class Device:
    """One device with one agent, any number of conversations."""

    def __init__(self, agent: Agent, ledger: Ledger, sink: Sink) -> None:
        self.agent = agent
        self.ledger = ledger
        self.wire = Wire(sink)
        self.conversations: dict[str, Conversation] = {}
        self.deleted: set[str] = set()  # conversations that are not there any more
        self._memories: dict[str, Memory] = {}
        self._commands: dict[str, Callable[[Conversation, Json, Reply], None]] = {
            "sync": self._sync,
            "input": self._input,
            "abort_message": _abort,
            "remove_queue_item": _remove_held,
            "conversation_messages_list": _list_messages,
        }

    def command(self, frame: Json, respond: Reply) -> None:
        """Do what a status socket asks; what is unknown is ignored, as a device ignores it."""
        self.ledger.commands.append(frame)
        reply = _answering(frame, respond)
        conversation_id = self._addressed(frame)
        act = self._commands.get(str(frame.get("type")))
        if frame.get("type") == "runtime_start":
            self._runtime_start(conversation_id, frame, reply)
        elif act is not None and conversation_id is not None:
            act(self.conversation(conversation_id), frame, reply)
        self.ledger.changed()

    def conversation(self, conversation_id: str, *, announce: bool = False) -> Conversation:
        """The conversation of that id, begun when it is new; announced with its state when asked to."""
        known = self.conversations.get(conversation_id)
        if known is not None:
            return known
        memory = self._memories.setdefault(conversation_id, Memory())
        runtime = Runtime(self.agent, conversation_id, self.wire, self.ledger, memory)
        self.conversations[conversation_id] = begun = Conversation(runtime)
        if announce:
            runtime.say_state()
        return begun

    def take_messages(
        self, conversation_id: str, messages: Sequence[Json], reply: Reply | None = None
    ) -> None:
        """Give the agent user messages, each client_message_id once in a conversation."""
        conversation = self.conversation(conversation_id, announce=True)
        fresh = self._once(conversation, messages)
        # A body without any message starts a turn all the same: recorded.
        if fresh or not messages:
            conversation.receive(fresh, reply)
        else:
            conversation.pass_over(reply)
        self.ledger.changed()

    def refuse_approval(self, conversation_id: str) -> None:
        """Say that an approval came in the shape of a user message."""
        self.ledger.violations += 1
        violation = {"message": frames.PROTOCOL_VIOLATION, "stop_reason": "error", "is_terminal": False}
        self.conversation(conversation_id).runtime.say(frames.lifecycle("loop_error", **violation))
        self.ledger.changed()

    def answer(
        self,
        conversation_id: str,
        tool_call_id: str,
        answer: Answer,
        via: Via | None,
        reply: Reply | None = None,
    ) -> bool:
        """Take an answer to a tool call; via None is a person at the device itself, who is not recorded."""
        conversation = self.conversation(conversation_id)
        occurrence = conversation.runtime.memory.asked[tool_call_id]
        accepted = conversation.answer(f"perm-{tool_call_id}", answer, reply)
        if via is not None:
            self._record(conversation_id, tool_call_id, answer, via, accepted, occurrence)
        self.ledger.changed()
        return accepted

    def restart(self) -> None:
        """Lose every turn, request and number, and say nothing."""
        for conversation in self.conversations.values():
            conversation.cancel()
        self.conversations.clear()
        self.wire.restart()

    def _addressed(self, frame: Json) -> str | None:
        """The conversation a frame is for; None when its agent is not ours."""
        runtime = frame.get("runtime")
        address = runtime if isinstance(runtime, dict) else frame
        if address.get("agent_id") != self.agent.agent_id:
            return None
        return str(address.get("conversation_id") or DEFAULT_CONVERSATION)

    def _runtime_start(self, conversation_id: str | None, frame: Json, reply: Reply) -> None:
        if conversation_id is None:
            reply({"type": "runtime_start_response", "success": False, "error": "Agent not found"})
            return
        if conversation_id in self.deleted:
            reply({"type": "runtime_start_response", "success": False, "error": "Conversation not found"})
            return
        runtime = self.conversation(conversation_id).runtime
        reply(
            {
                "type": "runtime_start_response",
                "success": True,
                "runtime": runtime.address,
                "agent": {"id": self.agent.agent_id},
                "conversation": {"id": conversation_id},
                "created": {"agent": False, "conversation": False},
            }
        )
        runtime.say_state(bool(frame.get("recover_approvals")))
        if frame.get("force_device_status"):
            runtime.say_device()

    def _sync(self, conversation: Conversation, frame: Json, reply: Reply) -> None:
        runtime = conversation.runtime
        if frame.get("force_device_status"):
            runtime.say_device()
        # Recorded: the answer comes amid the events, not after them.
        reply({"type": "sync_response", "runtime": runtime.address, "success": True})
        runtime.say_all_but_device(bool(frame.get("recover_approvals")))
        runtime.say_device()

    def _input(self, conversation: Conversation, frame: Json, reply: Reply) -> None:
        sent = frame.get("payload")
        sent = sent if isinstance(sent, dict) else {}
        conversation_id = conversation.runtime.conversation_id
        if sent.get("kind") == "approval_response":
            self._approval_response(conversation_id, sent, reply)
        elif sent.get("kind") == "create_message":
            messages = sent.get("messages") or []
            if any(message.get("type") == "approval" for message in messages):
                self.refuse_approval(conversation_id)
            else:
                self.take_messages(conversation_id, messages, reply)

    def _approval_response(self, conversation_id: str, sent: Json, reply: Reply) -> None:
        decision = sent.get("decision") or {}
        approve = decision.get("behavior") == "allow"
        reason = decision.get("message")
        if not approve and not isinstance(reason, str):
            reply({"type": "input_accepted", "accepted": False, "error": "Denial message must be a string"})
            return
        tool_call_id = str(sent.get("request_id")).removeprefix("perm-")
        answer = Answer(approve, reason, decision.get("updated_input"))
        self.answer(conversation_id, tool_call_id, answer, "socket", reply)

    def _once(self, conversation: Conversation, messages: Sequence[Json]) -> list[UserMessage]:
        fresh = []
        known = conversation.runtime.memory.known
        for body in messages:
            message = _user_message(body, self.agent.agent_id, conversation.runtime.conversation_id)
            message = replace(message, duplicate=message.client_message_id in known)
            known.add(message.client_message_id)
            self.ledger.received.append(message)
            if not message.duplicate:
                fresh.append(message)
        return fresh

    def _record(
        self,
        conversation_id: str,
        tool_call_id: str,
        answer: Answer,
        via: Via,
        accepted: bool,
        occurrence: int,
    ) -> None:
        if answer.result is not None:
            status, text = answer.result
            self.ledger.tool_returns.append(
                ToolReturn(tool_call_id, status, text, accepted, occurrence, conversation_id)
            )
            return
        decision = Decision(
            tool_call_id=tool_call_id,
            approve=answer.approve,
            reason=answer.reason,
            updated_input=answer.updated_input,
            via=via,
            accepted=accepted,
            occurrence=occurrence,
            conversation_id=conversation_id,
        )
        self.ledger.decisions.append(decision)


def text_of(content: Any) -> str:
    """The text of a content, which is a string or a list of text parts."""
    if isinstance(content, str):
        return content
    return "".join(str(part.get("text", "")) for part in content or [])


def _user_message(body: Json, agent_id: str, conversation_id: str) -> UserMessage:
    return UserMessage(
        client_message_id=str(body.get("client_message_id")),
        content=text_of(body.get("content")),
        agent_id=agent_id,
        conversation_id=conversation_id,
        otid=body.get("otid"),
    )


def _answering(frame: Json, respond: Reply) -> Reply:
    def reply(fields: Json) -> None:
        kind = fields.pop("type")
        respond({"type": kind, "request_id": frame.get("request_id"), **fields})

    return reply


def _abort(conversation: Conversation, _: Json, reply: Reply) -> None:
    conversation.abort(reply)


def _remove_held(conversation: Conversation, frame: Json, reply: Reply) -> None:
    conversation.remove_held(str(frame.get("item_id")), reply)


def _list_messages(conversation: Conversation, frame: Json, reply: Reply) -> None:
    query = frame.get("query") or {}
    newest_first = list(reversed(conversation.runtime.memory.history))
    ids = [one["id"] for one in newest_first]
    start = ids.index(query["before"]) + 1 if query.get("before") in ids else 0
    page = newest_first[start : start + query.get("limit", _PAGE)]
    reply(
        {
            "type": "conversation_messages_list_response",
            "success": True,
            "messages": page,
            "next_before": page[-1]["id"] if page else None,
            "has_more": start + len(page) < len(newest_first),
        }
    )
