"""The witness of Letta bodies catches exactly what Letta's own client sends."""

import json

from tests.witnesses.letta import official_body

MESSAGE = {"role": "user", "content": "hello", "client_message_id": "dlv_1", "otid": "dlv_1"}


async def test_a_user_message_is_caught_as_sent() -> None:
    request = await official_body("conn 1/a", [MESSAGE], agent_id="agent-1", conversation_id="default")
    assert (request.method, request.path) == ("POST", "/v1/environments/conn%201%2Fa/messages")
    assert request.headers["authorization"] == "Bearer sk-witness"
    assert json.loads(request.body) == {
        "messages": [MESSAGE],
        "agentId": "agent-1",
        "conversationId": "default",
    }


async def test_an_approval_is_caught_as_sent() -> None:
    answer = {"type": "approval", "approve": False, "tool_call_id": "call_1_0", "reason": "no"}
    request = await official_body("conn-1", [{"type": "approval", "approvals": [answer]}])
    assert json.loads(request.body) == {"messages": [{"type": "approval", "approvals": [answer]}]}
