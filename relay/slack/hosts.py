"""Which addresses in what Slack sends are Slack's own: nothing is sent or asked for anywhere else.

What is signed came from Slack, or from somebody who learned the signing secret: an address in it must not
make relay ask a machine of its own network, nor hand the app's token to a stranger.
"""

from collections.abc import Collection
from urllib.parse import urlsplit

_ANSWERS = frozenset({("https", "hooks.slack.com"), ("https", "hooks.slack-gov.com")})
_FILES = frozenset({("https", "files.slack.com"), ("https", "files.slack-gov.com")})


class SlackHosts:
    """Knows Slack's hosts, and that of SLACK_API_URL, which stands for all of them where it is another."""

    def __init__(self, api_url: str) -> None:
        self._api = _origin(api_url)

    def takes_answers(self, url: str) -> bool:
        """Whether a `response_url` leads to Slack."""
        return self._is_of(_ANSWERS, url)

    def has_files(self, url: str) -> bool:
        """Whether a file stands in Slack, which is shown the app's token for it."""
        return self._is_of(_FILES, url)

    def opens_sockets(self, url: str) -> bool:
        """Whether a socket is as safe as the Web API that named it: none in the clear where that is over TLS.

        Its host is Slack's to choose, and was told over that very connection.
        """
        scheme = _origin(url)[0]
        return scheme == "wss" or (scheme == "ws" and self._api[0] == "http")

    def _is_of(self, hosts: Collection[tuple[str, str]], url: str) -> bool:
        origin = _origin(url)
        return origin in hosts or origin == self._api


def _origin(url: str) -> tuple[str, str]:
    """Return the scheme and, as it is written, the host: with a name or another port it is another one."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "", ""
    return parts.scheme, parts.netloc.lower()
