"""The real Letta Code program (PyPI `letta`), offline: its home in a scratch folder, its model ours.

What was seen, and what this relies on:
- `--lifecycle-output jsonl` says `connected` on standard output once the device's state is replayed and
  it takes instructions: that, and no pause, is what `start` waits for.
- The program ends when the process that started it dies; its tools run in sessions of their own, so that
  a killed program can leave a tool running. Whatever has our scratch HOME is killed at the end.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

START_SECONDS = 60.0
LETTA = Path(sys.executable).with_name("letta")


class LettaProgram:
    """One home of the program, and the server that runs in it (or does not, at the moment)."""

    def __init__(self, home: Path, model_url: str, variables: dict[str, str] | None = None) -> None:
        self.home = home
        self.said: list[str] = []
        self._model_url = model_url
        self._variables = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(home),
            "DISABLE_AUTOUPDATER": "1",
            "LETTA_CODE_TELEM": "0",
            "NO_COLOR": "1",
            **(variables or {}),
        }
        self._process: asyncio.subprocess.Process | None = None
        self._reading: list[asyncio.Task[None]] = []
        self._streams = 0
        self._spoke = asyncio.Condition()

    async def connect_model(self) -> None:
        """Tell the program, once for its home, where the language model is."""
        process = await self._spawn(
            "--backend", "local", "connect", "openai-compatible",
            "--base-url", self._model_url, "--api-key", "fake",
        )  # fmt: skip
        async with asyncio.timeout(START_SECONDS):
            out, err = await process.communicate()
        if process.returncode:
            raise AssertionError(f"letta connect ended with {process.returncode}: {out!r} {err!r}")

    async def start_device(self) -> None:
        """Start it as a device that registers at the router of its variables; return once it listens."""
        await self._serve("--computer-name", "workshop", "--lifecycle-output", "jsonl")
        await self.says('"connected"')

    async def start_app_server(self, address: str = "ws://127.0.0.1:0") -> str:
        """Start it as an App Server, on a free port unless told, and return the address of its socket."""
        await self._serve("--listen", address)
        line = await self.says("ws://127.0.0.1:")
        return next(word for word in line.split() if word.startswith("ws://127.0.0.1:"))

    async def _serve(self, *arguments: str) -> None:
        self.said, self._streams = [], 2
        self._process = process = await self._spawn("server", "--backend", "local", *arguments)
        assert process.stdout is not None and process.stderr is not None
        self._reading = [asyncio.create_task(self._read(one)) for one in (process.stdout, process.stderr)]

    async def says(self, words: str, since: int = 0) -> str:
        """Wait until the running program prints, after so many lines, one with these words; return it."""

        def found() -> str | None:
            return next((line for line in self.said[since:] if words in line), None)

        async with asyncio.timeout(START_SECONDS), self._spoke:
            await self._spoke.wait_for(lambda: found() or self._streams == 0)
        line = found()
        assert line is not None, f"letta ended without saying {words!r}: {self.said}"
        return line

    async def kill(self) -> None:
        """Kill it without a word, with everything it started."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        await asyncio.gather(*self._reading)
        for left_over in _with_home(self.home):
            with contextlib.suppress(ProcessLookupError):
                os.kill(left_over, signal.SIGKILL)

    async def _spawn(self, *arguments: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            LETTA, *arguments, env=self._variables, cwd=self.home, start_new_session=True,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip

    async def _read(self, stream: asyncio.StreamReader) -> None:
        async for line in stream:
            async with self._spoke:
                self.said.append(line.decode(errors="replace").rstrip())
                self._spoke.notify_all()
        async with self._spoke:
            self._streams -= 1
            self._spoke.notify_all()


def _with_home(home: Path) -> Sequence[int]:
    """Return the ids of all processes whose home is this one: started by us, or by what we started."""
    wanted = f"HOME={home}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return found
