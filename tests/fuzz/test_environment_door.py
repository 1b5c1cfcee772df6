"""Whatever an environment's status sockets bring is acknowledged, and what comes after it is heard."""

import asyncio
import json
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from relay.sandbox.environment.sockets import HALVES
from tests.environment.recorded import RECORDINGS, frames
from tests.fuzz.running import Running, relay_running
from tests.fuzz.shapes import Json, cases, changed, damages

# One of each shape that was recorded: what a device says, in the words of the real one.
_SHAPES = {
    (frame["type"], str(frame.get("delta", {}).get("message_type")), tuple(sorted(frame))): frame
    for name in RECORDINGS
    for frame in frames(name)
}
SHAPES = sorted(_SHAPES.values(), key=json.dumps)
_ACKNOWLEDGED_WITHIN = 10.0


def test_frames_of_an_environment(tmp_path: Path) -> None:
    with relay_running(tmp_path) as running:

        @cases(2)
        @given(st.data())
        def acknowledged(data: st.DataObject) -> None:
            several = [_frame(data) for _ in range(data.draw(st.integers(1, 5)))]
            garbage = data.draw(st.none() | damages)
            running.run(_tell(running, several, garbage, data.draw(st.sampled_from(["control", "stream"]))))

        acknowledged()


def _frame(data: st.DataObject) -> Json:
    frame, _ = data.draw(changed(data.draw(st.sampled_from(SHAPES))))
    # Ours is the conversation in most; the device's own order goes on, mostly.
    if data.draw(st.integers(0, 4)):
        frame["runtime"] = None
    if data.draw(st.integers(0, 4)):
        frame["event_seq"] = None
    return frame


async def _tell(running: Running, several: list[Json], garbage: Any, channel: str) -> None:
    """Send frames to the relay, and wait until each has its acknowledgement."""
    environment = running.made.environment
    async with asyncio.timeout(_ACKNOWLEDGED_WITHIN):
        await environment.wait_for(lambda one: len(one.sockets) >= 2)
        socket = next(socket for socket in environment.sockets if socket.channel == channel)
        sent = []
        for frame in several:
            socket.seq += 1
            sent.append(socket.seq)
            text = json.dumps({**frame, "seq": socket.seq, "type": str(frame.get("type"))})
            socket.send_text(HALVES.sub(lambda half: f"\\u{ord(half[0]):04x}", text))
        if garbage is not None:
            socket.send_text(garbage.done(json.dumps(several[0]).encode()).decode(errors="replace"))
        await environment.wait_for(lambda _: set(sent) <= set(socket.acked) or socket.socket.closed)
        assert not socket.socket.closed
