"""Nothing that a relay writes has a secret in it, however much goes wrong: log, errors, store, exports."""

import asyncio
import json
import signal
from pathlib import Path

import pytest

from relay.sandbox.environment import UseTool
from tests.crash.relay_process import RelayProcess, relay, relay_in_thread, running
from tests.scenarios.acts import post_raw
from tests.world import ADA, APPROVALS, GRACE, GUEST, OPS, World, world

TALKATIVE = str(Path(__file__).with_name("talkative_relay.py"))
AUDIT_KEY = "audit-key-0123456789abcdef0123456789abcdef"
WORDS = "tell nobody of the treasure in zanzibar"
COMMAND = "dig --at zanzibar"
WRONG = {"SLACK_BOT_TOKEN": "xoxb-this-one-is-wrong", "LETTA_API_KEY": "sk-this-one-is-wrong"}


async def _go_wrong(made: World) -> None:
    """Have everything fail that can, while people work."""
    slack, environment = made.slack, made.environment
    environment.fail_posts(status=401, body={"message": "bad key"}, messages_only=True)
    await slack.slash(ADA, OPS, WORDS)
    await made.thread_says("Not delivered")
    environment.fail_posts(status=500, body="<html>oops", times=2, messages_only=True)
    environment.fail_posts(after=True, messages_only=True)
    slack.fail("chat.postMessage", "fatal_error", status=500, times=2)
    slack.fail("chat.postMessage", "ratelimited", status=429, retry_after=1)
    slack.fail("chat.postEphemeral", "invalid_auth")
    environment.script = lambda turn: [UseTool("Bash", {"command": COMMAND})]
    await slack.slash(ADA, OPS, WORDS)
    card = await made.card()
    slack.fail("views.open", "expired_trigger_id")
    slack.fail("chat.update", "internal_error", status=500, times=2)
    slack.expire_response_urls()
    environment.fail_posts(status=503, approvals_only=True)
    for person, action in ((GUEST, "approve"), (GRACE, "details"), (GRACE, "nonsense"), (GRACE, "approve")):
        await slack.click(person, APPROVALS, card.ts, action, value=_value(made, action, card.ts))
    await made.card_says("Delivered.")
    await _send_nonsense(made)


def _value(made: World, action: str, ts: str) -> str:
    button = made.slack.click_payload(GRACE, APPROVALS, ts, "approve")["actions"][0]
    return str(button["value"]) if action != "nonsense" else "no button of ours"


async def _send_nonsense(made: World) -> None:
    if made.slack.request_url is not None:
        for body in (b"%%%", b"payload=%5B%5D", b"[" * 10_000):
            await post_raw(made, body)
        await post_raw(made, b"text=" + WORDS.encode(), signature="v0=false")
    await made.slack.deliver("command", made.slack.slash_payload(ADA, OPS, WORDS, command="/other"))


async def _break(made: World, process: RelayProcess) -> None:
    """Have an error happen that nobody waits for, with every secret in it."""
    process.send(signal.SIGUSR1)
    await made.slack.slash(ADA, OPS, WORDS)
    await process.logged(event="loop.defect")


def _secrets(made: World) -> list[str]:
    slack = made.slack
    tokens = [slack.bot_token, slack.app_token, slack.signing_secret, made.environment.api_key, AUDIT_KEY]
    return [*tokens, *WRONG.values()]


def _passing_secrets(made: World) -> list[str]:
    return [*made.slack.workspace.response_urls, *made.slack.workspace.triggers]


def _stored(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob("relay.db*") if path.is_file())


def _within(secrets: list[str], text: str) -> list[str]:
    return [one for one in secrets if one in text]


async def _told_to_operators(made: World) -> str:
    """Return all that the command line says."""
    listed = await relay_in_thread(made, "deliveries", "list", "--json")
    ids = [one["id"] for one in json.loads(listed.out)["deliveries"]]
    asked = [["check"], ["doctor"], ["environments", "--json"], ["grants", "list"], ["audit", "export"]]
    asked += [["deliveries", "show", one] for one in ids]
    said = [listed, *[await relay_in_thread(made, *arguments) for arguments in asked]]
    assert len(ids) > 5
    return "\n".join(one.out + one.err for one in said)


async def _refused(made: World) -> str:
    """Return what relays say that are given wrong tokens, or such that are none."""
    bad = {"SLACK_APP_TOKEN": "this-one-is-wrong", "SLACK_API_URL": "https://u:this-one-is-wrong@x/api/"}
    said = [await relay(made, "serve", changed=changed) for changed in (bad, WRONG)]
    assert [one.status for one in said] == [2, 1]
    return "\n".join(one.out + one.err for one in said)


@pytest.mark.parametrize("socket_mode", [False, True], ids=["http", "socket_mode"])
async def test_no_secret_is_in_anything_that_relay_writes(tmp_path: Path, *, socket_mode: bool) -> None:
    errors = tmp_path / "errors.log"
    async with world(tmp_path, socket_mode=socket_mode) as made:
        made.variables["RELAY_AUDIT_KEY"] = AUDIT_KEY
        async with running(made, ("-X", "dev", TALKATIVE, str(errors))) as process:
            await _go_wrong(made)
            await _break(made, process)
            told = await _told_to_operators(made)
            assert await process.stop() == 0
        told += await _refused(made)
        log = "\n".join(json.dumps(line, ensure_ascii=False) for line in process.log)
        written = errors.read_text(encoding="utf-8")
        stored = await asyncio.to_thread(_stored, tmp_path)
        secrets, passing = _secrets(made), _passing_secrets(made)
    assert {"loop.defect", "delivery.attempted"} <= {line["event"] for line in process.log}
    assert "DEBUG" in written
    assert _within([*secrets, *passing, WORDS, COMMAND], log + written) == []
    assert _within([*secrets, *passing, "this-one-is-wrong"], told) == []
    assert [one for one in secrets if one.encode() in stored] == []
