"""One turn of the agent, frame by frame in the recorded order."""

import asyncio
from collections.abc import Generator, Sequence
from typing import Any
from uuid import uuid4

from relay.sandbox.environment import frames
from relay.sandbox.environment.approvals import Answer, Call, Round
from relay.sandbox.environment.runtime import Runtime
from relay.sandbox.environment.script import (
    Fail,
    Json,
    Outcome,
    Say,
    Step,
    Turn,
    UserMessage,
    UseTool,
    UseTools,
    Wait,
)

TOOLS_THAT_STREAM = {"Bash"}


class TurnRun:
    """Plays the agent's script for some user messages."""

    def __init__(self, runtime: Runtime, messages: list[UserMessage]) -> None:
        self.runtime = runtime
        self.turn = Turn(runtime.agent.agent_id, runtime.conversation_id, list(messages))
        self.run_id: str | None = None
        self._seq_id = 0
        self._failure: str | None = None

    async def play(self, *, from_held: bool) -> None:
        """Run to the end of the turn, asking a person where the script uses a tool."""
        self._open(from_held)
        self._begin_run()
        await self._follow_script()
        if self._failure is None:
            self._end_run("end_turn")
        self._close()

    def _open(self, from_held: bool) -> None:
        runtime = self.runtime
        for message in self.turn.messages:
            runtime.remember_user(message)
        runtime.say_loop("SENDING_API_REQUEST")
        runtime.say_device(processing=True)
        if from_held:
            runtime.say_held(removed=_dequeued(self.turn.messages))
        runtime.say_loop("WAITING_FOR_API_RESPONSE")
        runtime.say_loop("PROCESSING_API_RESPONSE")

    def _begin_run(self) -> None:
        runtime = self.runtime
        self.run_id = f"local-run-{runtime.wire.count('run')}"
        self._seq_id = 0
        runtime.begin_run(self.run_id, self.turn.messages)
        runtime.say_loop("PROCESSING_API_RESPONSE")

    async def _follow_script(self) -> None:
        steps = iter(self.runtime.agent.script(self.turn))
        outcome: Any = None
        while self._failure is None:
            try:
                step = steps.send(outcome) if isinstance(steps, Generator) else next(steps)
            except StopIteration:
                return
            outcome = await self._perform(step)

    async def _perform(self, step: Step) -> Any:
        match step:
            case Say():
                await self._say(step)
            case UseTool():
                return (await self._use_tools([step]))[0]
            case UseTools():
                return await self._use_tools(step.calls)
            case Fail():
                self._fail(step.message)
            case Wait():
                await step.event.wait()
        return None

    async def _say(self, step: Say) -> None:
        delta_id = f"ui-msg-{self.runtime.wire.count('ui')}"
        for chunk in step.chunks():
            content = [{"type": "text", "text": chunk}]
            self._model_delta("assistant_message", delta_id, content=content)
            await asyncio.sleep(self.runtime.agent.delta_seconds)
            if step.hold is not None:
                await step.hold.wait()
        self.runtime.remember(delta_id, "assistant", [{"type": "text", "text": step.text}])

    async def _use_tools(self, tools: Sequence[UseTool]) -> tuple[Outcome, ...]:
        calls = self._announce(tools)
        asking = Round(calls, self._ask)
        if any(call.answer is None for call in calls):
            self.runtime.say_loop("WAITING_ON_APPROVAL")
            self.runtime.round = asking
            asking.proceed()
            await asking.settled.wait()
            self.runtime.round = None
        outcomes = self._execute(calls)
        self._next_run()
        return outcomes

    def _announce(self, tools: Sequence[UseTool]) -> list[Call]:
        number = self.runtime.wire.count("call")
        calls = []
        for index, tool in enumerate(tools):
            tool_call_id = tool.tool_call_id or f"call_{number}_{index}"
            call = Call(tool, tool_call_id, self._letta_id(), Answer(True) if tool.allowed else None)
            calls.append(call)
            tool_call = {
                "tool_call_id": tool_call_id,
                "name": tool.name,
                "arguments": frames.compact(tool.input),
            }
            self._model_delta("approval_request_message", call.delta_id, tool_call=tool_call)
        self._end_run("requires_approval")
        allowed = [call.tool_call_id for call in calls if call.tool.allowed]
        asked = [call.tool_call_id for call in calls if not call.tool.allowed]
        self.runtime.say(frames.classification(self.run_id or "", allowed, asked))
        return calls

    def _ask(self, request: Json) -> None:
        self.runtime.memory.asked[request["request"]["tool_call_id"]] += 1
        self.runtime.say_request(request)
        self.runtime.say_loop()
        self.runtime.say_device()
        self.runtime.ledger.changed()

    def _execute(self, calls: Sequence[Call]) -> tuple[Outcome, ...]:
        runtime = self.runtime
        runtime.executing = [call.tool_call_id for call in calls if call.runs]
        runtime.say_loop("EXECUTING_CLIENT_SIDE_TOOL")
        runtime.say_loop()
        runtime.say_device()
        results = {id(call): self._run_tool(call) for call in calls if call.runs}
        for call in calls:
            if not call.runs:
                results[id(call)] = self._result_in_its_place(call)
        runtime.executing = []
        return tuple(self._return(call, *results[id(call)]) for call in calls)

    def _run_tool(self, call: Call) -> tuple[str, str]:
        self._client_tool(
            call, "client_tool_start", tool_name=call.tool.name, tool_args=frames.compact(call.input)
        )
        self.runtime.ledger.tool_runs.append((call.tool_call_id, call.tool.name, call.input))
        text = call.tool.run(call.input)
        if call.tool.name in TOOLS_THAT_STREAM:
            delta_id = f"synthetic-tool-return-stream-{call.tool_call_id}"
            self.runtime.say(
                frames.tool_return(
                    delta_id, self.run_id or "", call.tool_call_id, "success", text, streamed=True
                )
            )
        self._client_tool(call, "client_tool_end", status="success")
        self.runtime.ledger.changed()
        return "success", text

    def _result_in_its_place(self, call: Call) -> tuple[str, str]:
        answer = call.answer or Answer(False)
        result = answer.result or ("error", answer.reason or "")
        self._client_tool(call, "client_tool_end", status=result[0])
        return result

    def _client_tool(self, call: Call, message_type: str, **fields: str) -> None:
        body = {"id": call.delta_id, "date": frames.now(), "message_type": message_type}
        self.runtime.say(
            frames.delta({**body, "run_id": self.run_id, "tool_call_id": call.tool_call_id, **fields})
        )

    def _return(self, call: Call, status: str, text: str) -> Outcome:
        delta_id = f"synthetic-tool-return-{uuid4()}"
        self.runtime.say(frames.tool_return(delta_id, self.run_id or "", call.tool_call_id, status, text))
        answer = call.answer or Answer(False)
        return Outcome(answer.approve, answer.reason, call.input, text)

    def _next_run(self) -> None:
        runtime = self.runtime
        joined = self._join_held()
        runtime.say_loop("SENDING_API_REQUEST")
        runtime.say_loop("WAITING_FOR_API_RESPONSE")
        # Recorded: the old run stays active through this status only when a held message joined.
        runtime.active = runtime.active if joined else []
        runtime.say_loop("PROCESSING_API_RESPONSE")
        runtime.say_loop()
        runtime.say_device()
        self._begin_run()

    def _join_held(self) -> list[UserMessage]:
        joined = self.runtime.take_held()
        if joined:
            self.runtime.say_held(removed=_dequeued(joined))
        for message in joined:
            self.runtime.say(frames.queued_user_message(message))
            self.runtime.remember_user(message)
        self.turn.messages += joined
        return joined

    def _letta_id(self) -> str:
        return f"letta-msg-{self.runtime.wire.count('letta')}"

    def _model_delta(self, message_type: str, delta_id: str, **fields: Any) -> None:
        self._seq_id += 1
        body = {**self.runtime.stamped(delta_id), "message_type": message_type, **fields}
        body |= {"run_id": self.run_id, "seq_id": self._seq_id, "type": "message"}
        self.runtime.say(frames.delta(body))

    def _stop_reason(self, reason: str) -> None:
        self._seq_id += 1
        body = {"message_type": "stop_reason", "stop_reason": reason, "run_id": self.run_id}
        self.runtime.say(frames.delta({**body, "seq_id": self._seq_id, "type": "message"}))

    def _end_run(self, reason: str) -> None:
        self._model_delta("usage_statistics", self._letta_id(), **frames.usage())
        self._stop_reason(reason)

    def _fail(self, message: str) -> None:
        run_id = self.run_id or ""
        self.runtime.say(frames.model_error(message, run_id))
        self._model_delta(
            "error_message",
            self._letta_id(),
            message=message,
            detail=message,
            error_type="local_backend_error",
            retryable=False,
        )
        self._stop_reason("error")
        ids = [user_message.client_message_id for user_message in self.turn.messages]
        self.runtime.say(frames.model_error(message, run_id, terminal_for=ids))
        self._failure = frames.wrapped_error(message, run_id)

    def _close(self) -> None:
        runtime = self.runtime
        runtime.active = []
        runtime.say_loop("WAITING_ON_INPUT")
        runtime.say_device(processing=False)
        stop_reason = "end_turn" if self._failure is None else "error"
        runtime.say(frames.turn_finished(stop_reason, self.run_id, self._failure))
        runtime.say_device()
        runtime.ledger.changed()


def _dequeued(messages: Sequence[UserMessage]) -> list[Json]:
    return [{"client_message_id": m.client_message_id, "disposition": "dequeued"} for m in messages]
