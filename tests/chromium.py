"""The browser that tests and pictures use: the system's, which brings nothing along and calls nobody."""

import shutil

NAMES = ("chromium", "google-chrome", "chromium-browser")
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def chromium() -> str:
    """Return where the browser is. Raises AssertionError where there is none: no test is left out."""
    found = next((path for path in map(shutil.which, NAMES) if path), None)
    assert found, f"This needs a browser: none of {', '.join(NAMES)} is here. Run make setup."
    return found
