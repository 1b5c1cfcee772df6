"""What the container image is made of is there, and reaches the build."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
COPIED = [
    source
    for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
    for source in line.split()[:-1]
]


def last(instruction: str) -> str:
    return str(re.findall(rf"^{instruction} (.+)$", DOCKERFILE, re.MULTILINE)[-1]).strip()


@pytest.mark.parametrize("source", COPIED)
def test_every_file_copied_into_the_image_exists(source: str) -> None:
    assert (ROOT / source).exists()


def test_only_what_is_copied_reaches_the_build() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert {line[1:] for line in lines if line.startswith("!")} == set(COPIED)


def test_the_image_does_not_run_as_root() -> None:
    assert last("USER") not in {"root", "0"}


def test_the_store_is_on_the_volume() -> None:
    assert f"RELAY_STORE_URL=sqlite:///{last('VOLUME')}/relay.db" in DOCKERFILE


def test_the_image_serves() -> None:
    assert (last("ENTRYPOINT"), last("CMD")) == ('["relay"]', '["serve"]')
