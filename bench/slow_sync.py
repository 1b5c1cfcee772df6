"""Adds time to every sync of a server: a small library, built here and preloaded into it."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

MILLISECONDS = 3
_SOURCE = Path(__file__).with_name("slow_sync.c")


@dataclass(frozen=True)
class SlowSync:
    """A library that is built, and the file in which it counts the syncs it has slowed."""

    library: Path
    counted: Path

    def variables(self) -> dict[str, str]:
        """Return the process environment of a server whose syncs are to be slow."""
        return {
            "LD_PRELOAD": str(self.library),
            "SLOW_SYNC_MS": str(MILLISECONDS),
            "SLOW_SYNC_COUNT": str(self.counted),
        }

    def count(self) -> int:
        """Return how many syncs have been slowed so far."""
        return int.from_bytes(self.counted.read_bytes()[:8], "little")


def build(folder: Path) -> SlowSync | None:
    """Build the library in `folder`; return None where there is no C compiler to build it with."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    made = SlowSync(folder / "slow_sync.so", folder / "slow_syncs")
    made.counted.write_bytes(bytes(8))
    command = [compiler, "-shared", "-fPIC", "-O2", "-o", str(made.library), str(_SOURCE), "-ldl"]
    built = subprocess.run(command, capture_output=True, check=False)
    return made if built.returncode == 0 else None
