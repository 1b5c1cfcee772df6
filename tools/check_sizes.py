"""Checks that the product stays readable: no long file, no long function, most functions short.

Usage: check_sizes.py [FOLDER]. Exit status 1 names each offender.
"""

import ast
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

LONGEST_FILE = 400
LONGEST_FUNCTION = 50
LONGEST_MEDIAN = 12


def function_sizes(source: str) -> Iterator[tuple[str, int, int]]:
    """Yield the name, first line and number of lines of every function of a module."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            last = node.end_lineno or node.lineno
            yield node.name, node.lineno, last - node.lineno + 1


def file_offences(path: Path, source: str) -> Iterator[str]:
    """Yield one line for the file and for each of its functions that is too long."""
    lines = len(source.splitlines())
    if lines > LONGEST_FILE:
        yield f"{path}: {lines} lines, at most {LONGEST_FILE}"
    for name, line, size in function_sizes(source):
        if size > LONGEST_FUNCTION:
            yield f"{path}:{line}: {name} has {size} lines, at most {LONGEST_FUNCTION}"


def report(folder: Path) -> tuple[str, list[str]]:
    """Return a summary of one line about a folder of Python files, and its offences."""
    sources = {path: path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.py"))}
    sizes = [size for source in sources.values() for _, _, size in function_sizes(source)]
    offences = [offence for path, source in sources.items() for offence in file_offences(path, source)]
    median = statistics.median(sizes) if sizes else 0
    if median > LONGEST_MEDIAN:
        offences.append(f"{folder}: half the functions have over {median:g} lines, at most {LONGEST_MEDIAN}")
    longest = max((len(source.splitlines()) for source in sources.values()), default=0)
    summary = (
        f"sizes: {len(sources)} files, longest {longest} lines; "
        f"{len(sizes)} functions, median {median:g} lines, longest {max(sizes, default=0)}"
    )
    return summary, offences


def main(arguments: list[str]) -> int:
    """Print what is too long in a folder, `relay` by default, and return the exit status."""
    summary, offences = report(Path(arguments[0] if arguments else "relay"))
    for offence in offences:
        print(offence, file=sys.stderr)
    print(summary)
    return 1 if offences else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
