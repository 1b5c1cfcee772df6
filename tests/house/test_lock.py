"""The lock files pin everything by hash, agree with each other and name no place to fetch from."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements.lock", "requirements-dev.lock")


def pins(name: str) -> dict[str, tuple[str, int]]:
    """Return each package's pinned version and how many hashes it has."""
    text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")
    found = re.findall(r"^([a-z0-9][a-z0-9._-]*)==(\S+)(.*)$", text, re.MULTILINE | re.IGNORECASE)
    return {package: (version, rest.count("--hash=sha256:")) for package, version, rest in found}


@pytest.mark.parametrize("name", LOCKS)
def test_every_package_is_pinned_by_hash(name: str) -> None:
    assert pins(name)
    assert not [package for package, (_, hashes) in pins(name).items() if hashes == 0]


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_no_host(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert "://" not in text
    assert not re.findall(r"^--(?!hash)", text, re.MULTILINE)


def test_tests_run_with_what_is_served() -> None:
    tested = pins("requirements-dev.lock")
    assert {name: tested.get(name) for name in pins("requirements.lock")} == pins("requirements.lock")


def test_every_dependency_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = {re.split(r"[<>=]", line)[0] for line in project["project"]["dependencies"]}
    assert wanted <= set(pins("requirements.lock"))
