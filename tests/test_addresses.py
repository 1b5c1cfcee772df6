"""Where relay goes when its configuration says so, and where it does not."""

from pathlib import Path

import pytest

from tests.settings import HTTP, WORKSHOP, config_of, problems_of

METADATA = [
    "http://169.254.169.254",
    "http://169.254.169.254:8080",
    "http://2852039166",
    "http://0xa9fea9fe",
    "http://169.254.43518",
    "http://[fe80::1]",
    "http://[::ffff:169.254.169.254]",
    "http://[64:ff9b::a9fe:a9fe]",
    "http://[fd00:ec2::254]",
    "http://100.100.100.200",
    "http://metadata.google.internal",
    "http://METADATA.google.internal.",
    "ws://169.254.169.254:4500",
]
OWN = [
    "http://127.0.0.1:8283",
    "http://localhost:8283",
    "ws://127.0.0.1:4500",
    "ws://[::1]:4500",
    "http://10.1.2.3",
    "https://192.168.1.20",
    "http://letta:8283",
    "http://[fd12:3456::1]:8283",
    "https://api.letta.com",
]
OTHER_SCHEMES = ["file:///etc/passwd", "gopher://127.0.0.1", "ftp://letta", "//127.0.0.1", "javascript:1"]


@pytest.mark.parametrize("url", METADATA)
def test_where_a_cloud_tells_its_secrets_no_environment_is(tmp_path: Path, url: str) -> None:
    [problem] = problems_of(tmp_path, LETTA_BASE_URL=url)
    assert problem.startswith("LETTA_BASE_URL leads to ")
    assert "RELAY_ALLOWED_HOSTS" in problem


@pytest.mark.parametrize("url", OWN)
def test_ones_own_machine_and_network_are_good_addresses(tmp_path: Path, url: str) -> None:
    assert config_of(tmp_path, LETTA_BASE_URL=url).environments["default"].base_url == url


@pytest.mark.parametrize("url", OTHER_SCHEMES)
def test_another_scheme_is_no_address(tmp_path: Path, url: str) -> None:
    [problem] = problems_of(tmp_path, LETTA_BASE_URL=url)
    assert problem.startswith("LETTA_BASE_URL is malformed")


def test_slacks_address_is_looked_at_too(tmp_path: Path) -> None:
    [problem] = problems_of(tmp_path, SLACK_API_URL="http://169.254.169.254/api/")
    assert problem.startswith("SLACK_API_URL leads to 169.254.169.254")


def test_an_address_of_the_file_is_looked_at_with_its_line(tmp_path: Path) -> None:
    toml = WORKSHOP + 'base_url = "http://169.254.169.254"\n[[routes]]\nenvironment = "workshop"\n'
    [problem] = problems_of(tmp_path, HTTP, toml, WORKSHOP_KEY="k")
    assert problem.startswith("relay.toml: line 6: environments.workshop.base_url leads to 169.254.169.254")


@pytest.mark.parametrize("allowed", ["169.254.7.7", " 169.254.7.7 , other", "[169.254.7.7]"])
def test_what_is_named_as_allowed_is_allowed(tmp_path: Path, allowed: str) -> None:
    url = "http://169.254.7.7:8283"
    config = config_of(tmp_path, LETTA_BASE_URL=url, RELAY_ALLOWED_HOSTS=allowed)
    assert config.environments["default"].base_url == url


def test_one_that_is_allowed_allows_no_other(tmp_path: Path) -> None:
    url = "http://169.254.169.254"
    [problem] = problems_of(tmp_path, LETTA_BASE_URL=url, RELAY_ALLOWED_HOSTS="169.254.7.7")
    assert "169.254.169.254" in problem


@pytest.mark.parametrize("name", ["LETTA_BASE_URL", "SLACK_API_URL"])
def test_a_password_in_an_address_is_refused_and_not_repeated(tmp_path: Path, name: str) -> None:
    [problem] = problems_of(tmp_path, {**HTTP, name: "https://ada:lovelace@letta.example/api/"})
    assert problem.startswith(f"{name} has a name or a password in it")
    assert "lovelace" not in problem
