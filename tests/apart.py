"""Programs in a process of their own: what they load is nobody else's."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
_PLAIN = """
import asyncio, sys, tempfile
from pathlib import Path
from tests.world import ADA, OPS, world

async def main():
    with tempfile.TemporaryDirectory() as folder:
        async with world(Path(folder)) as made:
            await made.start_relay()
            await made.slack.slash(ADA, OPS, "hello")
            await made.thread_says("echo: hello")
            assert {unsaid!r} not in made.log.getvalue()
    print(sorted(one for one in sys.modules if one.startswith({modules!r})))

asyncio.run(main())
"""


def ran(program: str) -> str:
    """Run a program and return what it prints."""
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def loaded_by_default(*modules: str, unsaid: str) -> str:
    """Return which modules a relay without any settings has loaded; `unsaid` must not be in its log."""
    return ran(_PLAIN.format(modules=modules, unsaid=unsaid))
