"""Which addresses are Slack's."""

import pytest

from relay.slack.hosts import SlackHosts

SLACK = SlackHosts("https://slack.com/api/")
STAND_IN = SlackHosts("http://127.0.0.1:8420/api/")
STRANGE = [
    "",
    "http://hooks.slack.com/commands/1",
    "https://hooks.slack.com.example/commands/1",
    "https://example/hooks.slack.com",
    "https://hooks.slack.com@example/commands/1",
    "https://hooks.slack.com:8443/commands/1",
    "https://hooks.slack.com\\@example/",
    "https://hooks.slack.com\\.example/",
    "https://hooks.slack.com.",
    "https://evil-hooks.slack.com/",
    "https://169.254.169.254/latest/meta-data",
    "http://127.0.0.1:6379/",
    "https://[::1]/",
    "https://[",
    "file:///etc/passwd",
    "gopher://hooks.slack.com/",
    "//hooks.slack.com/",
    "hooks.slack.com",
    "javascript:alert(1)",
]


@pytest.mark.parametrize("url", STRANGE)
def test_nothing_else_takes_answers_or_has_files(url: str) -> None:
    assert not SLACK.takes_answers(url)
    assert not SLACK.has_files(url)
    assert not STAND_IN.has_files(url)
    assert not STAND_IN.takes_answers(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.slack.com/commands/T1/2/3",
        "https://HOOKS.slack.com/actions/T1",
        "https://hooks.slack-gov.com/commands/T1/2/3",
    ],
)
def test_slacks_own_take_answers(url: str) -> None:
    assert SLACK.takes_answers(url)
    assert STAND_IN.takes_answers(url)


def test_files_stand_in_slack_alone() -> None:
    assert SLACK.has_files("https://files.slack.com/files-pri/T1-F1/notes.txt")
    assert not SLACK.has_files("https://hooks.slack.com/files-pri/T1-F1/notes.txt")
    assert not SLACK.takes_answers("https://files.slack.com/files-pri/T1-F1/notes.txt")


def test_another_web_api_stands_for_all_of_slack() -> None:
    assert STAND_IN.takes_answers("http://127.0.0.1:8420/response/1")
    assert STAND_IN.has_files("http://127.0.0.1:8420/files/1")
    assert not STAND_IN.takes_answers("http://127.0.0.1:8421/response/1")
    assert not SLACK.takes_answers("http://127.0.0.1:8420/response/1")


@pytest.mark.parametrize(
    ("hosts", "url", "opens"),
    [
        (SLACK, "wss://wss-primary.slack.com/link/?ticket=1", True),
        (SLACK, "ws://wss-primary.slack.com/link/?ticket=1", False),
        (SLACK, "https://wss-primary.slack.com/link/?ticket=1", False),
        (SLACK, "file:///etc/passwd", False),
        (SLACK, "", False),
        (STAND_IN, "ws://127.0.0.1:8420/link?ticket=1", True),
    ],
)
def test_a_socket_is_as_safe_as_the_web_api(hosts: SlackHosts, url: str, opens: bool) -> None:
    assert hosts.opens_sockets(url) is opens
