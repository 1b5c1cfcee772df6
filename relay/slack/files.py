"""Files that people attach: text is read and passed on, everything else is named."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime
from http import HTTPStatus
from pathlib import PurePosixPath
from typing import Any

import aiohttp

from relay.config import SlackConfig
from relay.domain.deliveries import Delivery, Retry
from relay.domain.text import neutralise
from relay.slack.hosts import SlackHosts
from relay.store import Store
from relay.use_cases.attachments import tell_not_passed

LARGEST = 100_000  # bytes of one file
_MOST = 10
_LIMITS = aiohttp.ClientTimeout(total=15.0, sock_connect=5.0)
_ATTEMPTS = 4  # a file that Slack does not hand out must not hold up the words for ever
_LONGEST_NAME = 200
_TEXT_TYPES = frozenset(
    {"json", "xml", "yaml", "x-yaml", "toml", "sql", "javascript", "x-javascript", "typescript"}
    | {"x-sh", "x-shellscript", "x-httpd-php", "x-python", "x-ndjson", "graphql", "csv", "rtf"}
)
_TEXT_SUFFIXES = frozenset(
    [
        ".txt",
        ".md",
        ".rst",
        ".log",
        ".csv",
        ".tsv",
        ".json",
        ".jsonl",
        ".yaml",
        ".yml",
        ".toml",
        ".ini",
        ".cfg",
        ".conf",
        ".env",
        ".xml",
        ".html",
        ".css",
        ".js",
        ".ts",
        ".jsx",
        ".tsx",
        ".py",
        ".rb",
        ".go",
        ".rs",
        ".java",
        ".kt",
        ".c",
        ".h",
        ".cc",
        ".cpp",
        ".hpp",
        ".cs",
        ".php",
        ".pl",
        ".lua",
        ".r",
        ".swift",
        ".scala",
        ".sh",
        ".bash",
        ".zsh",
        ".ps1",
        ".bat",
        ".sql",
        ".graphql",
        ".proto",
        ".tf",
        ".patch",
        ".diff",
        ".tex",
        ".gradle",
        ".properties",
    ]
)


class Files:
    """Reads the files of a delivery, from Slack alone and with the token of its workspace."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        slack: SlackConfig,
        token_of: Callable[[str], Awaitable[str]],
        store: Store,
        clock: Callable[[], datetime],
    ) -> None:
        self._session = session
        self._token_of = token_of
        self._hosts = SlackHosts(slack.api_url)
        self._store = store
        self._clock = clock

    async def prepared(self, delivery: Delivery) -> Delivery | Retry:
        """Return the delivery with its files as further text parts, or Retry while Slack has trouble.

        What cannot be passed is named in a line, and the person is told in the thread.
        """
        files = delivery.body.get("files")
        if not files:
            return delivery
        token = await self._token_of(delivery.team_id)
        parts, left_out = [delivery.body["content"]], []
        for number, one in enumerate(files):
            text = (
                await self._read(one, token, delivery.attempts) if number < _MOST and _is_text(one) else None
            )
            if isinstance(text, Retry):
                return text
            parts.append(_named(one) if text is None else _whole(one, text))
            if text is None:
                left_out.append(one)
        if left_out:
            now = self._clock()
            await self._store.transact(lambda tx: tell_not_passed(tx, delivery.subject_id, left_out, now))
        content = [{"type": "text", "text": part} for part in parts]
        return replace(delivery, body={**delivery.body, "content": content})

    async def _read(self, one: Mapping[str, Any], token: str, attempts: int) -> str | Retry | None:
        if not token or not self._hosts.has_files(one["url"]):
            return None  # the token goes nowhere else
        try:
            async with self._session.get(
                one["url"],
                headers={"Authorization": f"Bearer {token}"},
                timeout=_LIMITS,
                allow_redirects=False,
            ) as answer:
                passing = (
                    answer.status == HTTPStatus.TOO_MANY_REQUESTS
                    or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR
                )
                if not passing:
                    return await _text(one, answer)
                trouble = f"Slack answered {answer.status} for an attached file"
        except (aiohttp.ClientError, TimeoutError, OSError) as problem:
            trouble = f"an attached file could not be read from Slack ({type(problem).__name__})"
        return Retry(trouble, unasked=True) if attempts < _ATTEMPTS else None


async def _text(one: Mapping[str, Any], answer: aiohttp.ClientResponse) -> str | None:
    if answer.status != HTTPStatus.OK:
        return None
    if answer.content_type == "text/html" and one["type"] != "text/html":
        return None  # a page to sign in: the app may not read files
    found = bytearray()
    async for chunk in answer.content.iter_any():
        found += chunk
        if len(found) > LARGEST:
            return None
    try:
        text = found.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    return None if "\x00" in text else text


def _is_text(one: Mapping[str, Any]) -> bool:
    if not one["url"] or one["size"] > LARGEST:
        return False
    kind, _, form = str(one["type"]).partition("/")
    if kind == "text" or (kind == "application" and form in _TEXT_TYPES) or form.endswith(("+json", "+xml")):
        return True
    return PurePosixPath(one["name"]).suffix.lower() in _TEXT_SUFFIXES and kind not in (
        "image",
        "video",
        "audio",
    )


def _whole(one: Mapping[str, Any], text: str) -> str:
    return f"Attached file {_name(one)} ({_size(one)}):\n\n{neutralise(text)}"


def _named(one: Mapping[str, Any]) -> str:
    link = f": {one['link']}" if one["link"] else ""
    described = ", ".join(word for word in (one["type"], _size(one)) if word)
    return neutralise(f"Attached file {_name(one)} ({described}), which is not included{link}")


def _name(one: Mapping[str, Any]) -> str:
    return neutralise(" ".join(str(one["name"]).split())[:_LONGEST_NAME]) or "without a name"


def _size(one: Mapping[str, Any]) -> str:
    return f"{one['size']:,} bytes"
