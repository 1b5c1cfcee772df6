"""What two file tools of the scripted agent would change: their inputs, and the environment's diffs."""

from typing import Any

_OLD = 'timeout = "5s"\nretries = 0'
_NEW = 'timeout = "30s"\nretries = 3'
CONFIG_INPUT = {"file_path": "/srv/site/config.toml", "old_string": _OLD, "new_string": _NEW}
README_INPUT = {
    "file_path": "/srv/site/README.md",
    "content": "# The site\n\nBuild it with `make site`.\nAsk in #ops before you publish it.\n",
}


def _lines(kind: str, text: str) -> list[dict[str, str]]:
    return [{"type": kind, "content": line} for line in text.splitlines()]


def _diff(name: str, lines: list[dict[str, str]], start: int) -> dict[str, Any]:
    old = sum(line["type"] != "add" for line in lines)
    new = sum(line["type"] != "remove" for line in lines)
    hunk = {"oldStart": start, "oldLines": old, "newStart": start, "newLines": new, "lines": lines}
    return {"mode": "advanced", "fileName": name, "hunks": [hunk]}


CONFIG_DIFF = _diff(
    "config.toml",
    [
        *_lines("context", '[upstream]\naddress = "10.0.0.7:8080"'),
        *_lines("remove", _OLD),
        *_lines("add", _NEW),
        *_lines("context", '\n[log]\nlevel = "info"'),
    ],
    12,
)
README_DIFF = _diff("README.md", _lines("add", README_INPUT["content"]), 1)
