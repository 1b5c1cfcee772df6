"""What came over the wire of the real program, and what it amounts to."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from relay.environment.frames import parse
from relay.environment.sequencer import Sequencer
from relay.environment.turns import Arrival, ToolAsked, Turns

_FOLDER = Path(__file__).parent.parent / "recorded"
RECORDINGS = sorted(path.stem for path in _FOLDER.glob("*.jsonl"))


def lines(name: str) -> list[str]:
    """The frames of a recording, as text."""
    return (_FOLDER / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()


def frames(name: str) -> list[dict[str, Any]]:
    """The frames of a recording."""
    return [json.loads(line) for line in lines(name)]


def follow(texts: Iterable[str]) -> list[Arrival]:
    """What the frames amount to, put in order and followed to the end."""
    sequencer, turns = Sequencer(), Turns()
    ready = [frame for text in texts for frame in sequencer.take(parse(text))] + sequencer.release()
    return [arrival for frame in ready for arrival in turns.take(frame)]


def arrivals(name: str) -> list[Arrival]:
    """What a recording amounts to."""
    return follow(lines(name))


def asked(found: Iterable[Arrival]) -> list[tuple[str, bool]]:
    """The questions among some arrivals: which tool call, and whether it was only listed."""
    return [(one.request.tool_call_id, one.listed) for one in found if isinstance(one, ToolAsked)]
