"""Checks that every relative link of the documentation leads to a file, and to a heading, that is there.

Usage: check_links.py [FOLDER]. Exit status 1 names each broken link.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/**/*.md")
_FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
_INLINE_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"""\]\(\s*<?([^)\s>]+)|^\s*\[[^\]]+\]:\s*(\S+)|(?:href|src)=["']([^"']+)""", re.MULTILINE)
_HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)
_ABSOLUTE = re.compile(r"[a-z][a-z0-9+.-]*:|//", re.IGNORECASE)


def pages(root: Path) -> list[Path]:
    """Return every page of the documentation under `root`."""
    return sorted(path for pattern in PAGES for path in root.glob(pattern))


def links(text: str) -> Iterator[str]:
    """Yield the target of every relative link of a page, code left out."""
    for match in _LINK.finditer(_INLINE_CODE.sub("", _FENCE.sub("", text))):
        target = next(group for group in match.groups() if group)
        if not _ABSOLUTE.match(target):
            yield target


def anchors(text: str) -> set[str]:
    """Return the anchors GitHub gives the headings of a page."""
    found: set[str] = set()
    for match in _HEADING.finditer(_FENCE.sub("", text)):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", match[1])
        slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        copies = (f"{slug}-{number}" if number else slug for number in range(len(found) + 1))
        found.add(next(copy for copy in copies if copy not in found))
    return found


def broken(page: Path, root: Path) -> Iterator[str]:
    """Yield one line for each relative link of a page that leads nowhere."""
    text = page.read_text(encoding="utf-8")
    for link in links(text):
        name, _, anchor = unquote(link).partition("#")
        start = root if name.startswith("/") else page.parent
        target = start / name.lstrip("/") if name else page
        if not target.exists():
            yield f"{page}: {link}: no such file"
        elif anchor and target.suffix == ".md" and anchor not in anchors(target.read_text(encoding="utf-8")):
            yield f"{page}: {link}: no such heading"


def main(arguments: list[str]) -> int:
    """Print the broken links of a checkout, this one by default, and return the exit status."""
    root = Path(arguments[0] if arguments else ".")
    found = pages(root)
    offences = [offence for page in found for offence in broken(page, root)]
    for offence in offences:
        print(offence, file=sys.stderr)
    print(f"links: {len(found)} pages, {len(offences)} broken links")
    return 1 if offences else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
