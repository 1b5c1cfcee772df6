"""Asks who keeps record of advisories whether one is about what relay is served with (requirements.lock).

Usage: audit_dependencies.py [--osv-url URL] [LOCK]. Exit status 1 names each advisory, or says what hinders
the asking. Where no such record can be reached from here, that is said, and the status is 0.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# Advisories that do not concern relay, by their id: each with its why.
ACCEPTED: Mapping[str, str] = {}
_WITHIN = 300.0  # seconds, for all of them
# What pip-audit ends with when a host gave it no answer that it can read; whatever else it says is a defect.
_UNREACHABLE = ("ConnectionError", "Timeout", "ProxyError", "SSLError", "HTTPError", "ServiceError")
Json = Mapping[str, Any]


class NotReachedError(Exception):
    """The record cannot be reached; the message says why."""


class AuditError(Exception):
    """The audit itself fails; the message says how."""


def audited(lock: Path, ways: Sequence[Sequence[str]]) -> list[Json]:
    """Return what the first record that can be reached says of each package. Raises AuditError.

    Raises NotReachedError when none can be.
    """
    reasons = []
    for way in ways:
        try:
            return _audited(lock, way)
        except NotReachedError as problem:
            reasons.append(str(problem))
    raise NotReachedError("; ".join(reasons))


def _audited(lock: Path, way: Sequence[str]) -> list[Json]:
    command = [sys.executable, "-m", "pip_audit", *way, "--disable-pip", "--requirement", str(lock)]
    asked = [*command, "--format", "json", "--aliases", "off", "--desc", "off", "--progress-spinner", "off"]
    try:
        run = subprocess.run(asked, capture_output=True, text=True, timeout=_WITHIN, check=False)  # noqa: S603 - our own arguments
    except subprocess.TimeoutExpired:
        raise NotReachedError(f"{way[1]}: no answer within {_WITHIN:g} s") from None
    try:
        packages: list[Json] = json.loads(run.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        raise _failure(way[1], run.stderr) from None
    # An index that only hands out packages knows none of them as one with advisories.
    if packages and all("skip_reason" in one for one in packages):
        raise NotReachedError(f"{way[1]}: it knows none of the packages")
    return packages


def _failure(service: str, said: str) -> NotReachedError | AuditError:
    if "No module named pip_audit" in said:
        return AuditError("pip-audit is not installed: run `make setup`")
    last = next((line for line in reversed(said.splitlines()) if line.strip()), "pip-audit said nothing")
    if any(name in last for name in _UNREACHABLE):
        return NotReachedError(f"{service}: it cannot be reached")
    return AuditError(f"{service}: {last.strip()[:300]}")


def report(packages: Sequence[Json]) -> tuple[str, list[str]]:
    """Return the summary, and a line for each advisory that is not accepted."""
    looked = [one for one in packages if "skip_reason" not in one]
    skipped = [str(one["name"]) for one in packages if "skip_reason" in one]
    found = [(one, advisory) for one in looked for advisory in one.get("vulns", [])]
    lines = [_line(one, advisory) for one, advisory in found if advisory["id"] not in ACCEPTED]
    summary = f"advisories: {len(looked)} packages looked at, {len(lines)} concern them"
    return summary + (f"; unknown there: {', '.join(skipped)}" if skipped else ""), lines


def _line(package: Json, advisory: Json) -> str:
    fixed = ", ".join(advisory.get("fix_versions") or []) or "no version yet"
    return f"{package['name']} {package['version']}: {advisory['id']}, mended in {fixed}"


def main(arguments: Sequence[str]) -> int:
    """Print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--osv-url", default="", help="ask this record alone, in the form of api.osv.dev")
    parser.add_argument("lock", nargs="?", type=Path, default=Path("requirements.lock"))
    chosen = parser.parse_args(arguments)
    own = [["--vulnerability-service", "osv", "--osv-url", chosen.osv_url]] if chosen.osv_url else []
    ways = own or [["--vulnerability-service", one] for one in ("osv", "pypi")]
    try:
        summary, lines = report(audited(chosen.lock, ways))
    except NotReachedError as problem:
        print(f"advisories: NOT looked at, for no record of them can be reached from here ({problem})")
        return 0
    except AuditError as problem:
        print(f"advisories: {problem}", file=sys.stderr)
        return 1
    print("\n".join([*lines, summary]))
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
