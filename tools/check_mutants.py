"""Checks that every mutant which no test notices is explained, by its function and line, in docs/mutants.md.

Usage: check_mutants.py, in the folder where `mutmut run` ran. Exit status 1 names each other mutant.
"""

import sys
from pathlib import Path

from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.stats import status_by_exit_code
from mutmut.utils.file_utils import walk_mutatable_files

EXPLAINED = Path("docs/mutants.md")


def changed_line(mutant: str, path: Path) -> str:
    """Return the line that a mutant has in place of the original one."""
    lines = get_diff_for_mutant(mutant, path=path).splitlines()[2:]
    return next((line[1:].strip() for line in lines if line.startswith("+")), "")


def function_of(mutant: str) -> str:
    """Return the function that a mutant is of, as people write it: `votes.tally`, `matching.Policy.first`."""
    module, _, name = mutant.rpartition("__mutmut_")[0].removeprefix("relay.domain.").partition(".x")
    return f"{module}.{name.strip('ǁ').replace('ǁ', '.') if name.startswith('ǁ') else name.removeprefix('_')}"


def main() -> int:
    """Print what is left unexplained, and how many mutants there were."""
    explained = EXPLAINED.read_text(encoding="utf-8").split("\n- ")
    statuses: list[str] = []
    unexplained = 0
    for path in walk_mutatable_files():
        source = SourceFileMutationData(path=path)
        source.load()
        for mutant, code in source.exit_code_by_key.items():
            statuses.append(status_by_exit_code[code])
            if statuses[-1] == "killed":
                continue
            line = changed_line(mutant, path)
            if not any(f"`{function_of(mutant)}`" in one and f"`{line}`" in one for one in explained):
                unexplained += 1
                print(f"{mutant} {statuses[-1]}: {line}")
    killed = statuses.count("killed")
    print(f"{len(statuses)} mutants: {killed} killed, {len(statuses) - killed - unexplained} explained")
    return 1 if unexplained or not statuses else 0


if __name__ == "__main__":
    sys.exit(main())
