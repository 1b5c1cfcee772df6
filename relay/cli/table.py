"""How the command line prints rows, moments and other programs' words."""

from collections.abc import Sequence
from datetime import datetime


def print_table(rows: Sequence[tuple[str, ...]]) -> None:
    """Print rows with their cells below one another."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def cut(text: str, most: int) -> str:
    """Return a text of at most `most` letters; of a longer one the beginning, and that it goes on."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def moment(written: str | None) -> str:
    """Return a moment as people read it, or a dash for none."""
    return datetime.fromisoformat(written).strftime("%Y-%m-%d %H:%M:%SZ") if written else "-"


def line(text: str) -> str:
    """Return what another program said as one line that tells a terminal nothing."""
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())
