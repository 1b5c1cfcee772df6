"""The scripted agent: what it does with each sentence that it knows, and a friendly answer to any other."""

import asyncio
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any

from relay.demo.diffs import CONFIG_DIFF, CONFIG_INPUT, README_DIFF, README_INPUT
from relay.sandbox.environment import Fail, Outcome, Say, Turn, UseTool, UseTools, Wait

Steps = Generator[Any, Any, None]
TOKEN = "ghp_" + "7Qm2Rk9TzV4xW1bN8cL5yH3dJ6fS0gPaE2uK"  # opens nothing
_AT_WORK = 600.0  # seconds that it goes on, unless somebody stops it

_LONG = """\
## How relay keeps people in the loop

You type, I work, **people decide**. In the order in which it happens:

1. What you type after `/letta` is stored, acknowledged, and *then* sent to where I run.
2. I think, and say what I am about to do.
3. Before a tool runs that needs a yes, a card is posted for those who may decide.
4. What they decide reaches me once, with their reason.

### What a card never does

- It never says *delivered* before there is evidence of it.
- It never shows a secret that it recognises: `token=‹secret 1›` is all that is seen.
- It never takes two decisions, however fast two people click.

```python
def decide(card, people):
    votes = [one for one in people if one.may_decide(card)]
    return len(votes) >= card.quorum
```

| who | may ask | may decide |
|---|---|---|
| Ada | yes | no |
| Grace, Linus | yes | yes |
| a guest | no | no |

> One denial is enough, also where two approvals are needed.

That is all there is to it. Try one of the scenarios, or ask me for something else.
"""


@dataclass(frozen=True)
class Sentence:
    """Something that the agent can be asked: what to type, the words it is known by, and what it does."""

    text: str
    words: tuple[str, ...]
    answer: Callable[[], Steps]


def script(turn: Turn) -> Steps:
    """Do what the newest message asks for."""
    asked = turn.last_line.lower()
    known = (one for one in SENTENCES if all(word in asked for word in one.words))
    found = next(known, None)
    yield from found.answer() if found else _friendly()


def workshop(turn: Turn) -> Iterator[Say]:
    """Do what is asked of the agent in the workshop, which has a printer and needs no yes."""
    if "label" in turn.last_line.lower():
        yield Say("The printer is warm again: **12 labels are printed**.")
    else:
        yield Say("I am the agent of the workshop. Ask me to *print the labels*.")


def _bash(command: str, description: str, returns: str = "ok\n") -> UseTool:
    return UseTool("Bash", {"command": command, "description": description}, returns=returns)


def _ending(outcome: Outcome, done: str) -> Say:
    if outcome.approved:
        remark = f" I read your remark: *{outcome.reason}*" if outcome.reason else ""
        return Say(done + remark)
    return Say(f"I did not do it. I was told: *{outcome.reason}*")


def _one_call(first: str, tool: UseTool, done: str) -> Callable[[], Steps]:
    def answer() -> Steps:
        yield Say(first)
        outcome = yield tool
        yield _ending(outcome, done)

    return answer


def _clean_up() -> Steps:
    yield Say("Old builds fill the disk. I would delete those that are older than a week.")
    outcome = yield _bash("find /srv/builds -mtime +7 -delete", "Delete old builds")
    yield _ending(outcome, f"Done. What ran was `{outcome.input['command']}`.")


def _certificate() -> Steps:
    yield Say("The certificate ends in three days. I would renew it.")
    outcome = yield _bash("certbot renew --cert-name example.org", "Renew the certificate", "renewed\n")
    yield _ending(outcome, f"Good. What came of it, as I read it: `{outcome.tool_return.strip()}`.")


def _rotate() -> Steps:
    yield Say("I would give the deploy key to the site's settings and forget the old one.")
    command = f"gh secret set DEPLOY_TOKEN --body {TOKEN}"
    outcome = yield UseTool("Bash", {"command": command, "description": "Rotate the deploy token"})
    used = str(outcome.input["command"]).rsplit(maxsplit=1)[-1]
    yield _ending(outcome, f"Rotated. The tool was called with the real token, which ends in `{used[-4:]}`.")


def _both() -> Steps:
    yield Say("Two things at once: a backup, and then the update.")
    calls = [_bash("pg_dump site > site.sql", "Back up"), _bash("npm update", "Update the packages")]
    first, second = yield UseTools(calls)
    told = [f"{name}: {'done' if one.approved else 'not done'}" for name, one in _named(first, second)]
    yield Say("\n".join(f"- {one}" for one in told))


def _named(backup: Outcome, update: Outcome) -> list[tuple[str, Outcome]]:
    return [("the backup", backup), ("the update", update)]


def _explain() -> Steps:
    yield Say(_LONG)


def _fail() -> Steps:
    yield Say("Let me ask the model…")
    yield Fail("529: the model is overloaded, try again later")


def _every_server() -> Steps:
    yield Say("I go through all 400 servers, one after the other. This takes its time…")
    enough = asyncio.Event()
    asyncio.get_running_loop().call_later(_AT_WORK, enough.set)
    yield Wait(enough)
    yield Say("All 400 servers are fine.")


def _friendly() -> Steps:
    known = "\n".join(f"- {one.text}" for one in SENTENCES)
    yield Say(f"Hello! I am a scripted agent and know only some sentences. Ask me to\n\n{known}")


_SITE = _bash("make site && rsync -a --delete dist/ web1:/srv/site/", "Build and publish the site", "214\n")
_REFUND = UseTool(
    "refund_order", {"order": "1042", "amount": 1250, "currency": "EUR", "to": "bob@example.org"}
)
_RESTART = _bash("systemctl restart web", "Restart the web server")

# The first whose words all stand in what is asked is meant.
SENTENCES = (
    Sentence(
        "deploy to production",
        ("deploy", "production"),
        _one_call(
            "The tests are green: I would bring version 2.4 into production.",
            _bash("make deploy TARGET=production VERSION=2.4", "Deploy to production"),
            "Version 2.4 **is in production**.",
        ),
    ),
    Sentence(
        "deploy the site",
        ("deploy",),
        _one_call(
            "I will build the site and publish it.",
            _SITE,
            "Done: **the site is live**, 214 files were published.",
        ),
    ),
    Sentence(
        "free some disk: delete the logs",
        ("logs",),
        _one_call(
            "I would free the disk by deleting the old logs.",
            _bash("rm -rf /var/log/site/*", "Delete old logs"),
            "Done: 3.1 GB are free again.",
        ),
    ),
    Sentence(
        "edit the config",
        ("config",),
        _one_call(
            "The time limit is too short: I would change two lines of the configuration.",
            UseTool("Edit", CONFIG_INPUT, diffs=[CONFIG_DIFF]),
            "The configuration is changed.",
        ),
    ),
    Sentence(
        "write a readme",
        ("readme",),
        _one_call(
            "There is none yet: I would write one.",
            UseTool("Write", README_INPUT, diffs=[README_DIFF]),
            "The readme is written.",
        ),
    ),
    Sentence("clean up old builds", ("builds",), _clean_up),
    Sentence("renew the certificate", ("certificate",), _certificate),
    Sentence("rotate the token", ("token",), _rotate),
    Sentence(
        "purge the cache",
        ("purge",),
        _one_call(
            "Visitors still see the old pages. I would purge the cache.",
            _bash("cdn purge --all", "Purge the cache"),
            "The cache is empty.",
        ),
    ),
    Sentence(
        "build the weekly report",
        ("weekly",),
        _one_call(
            "I would build the report of this week.",
            _bash("make report WEEK=47", "Build the report"),
            "The report of week 47 **is built**.",
        ),
    ),
    Sentence(
        "refund order 1042",
        ("refund",),
        _one_call("Bob sent everything back: I would refund him.", _REFUND, "Bob has his 1,250 EUR back."),
    ),
    Sentence(
        "restart the web server",
        ("restart",),
        _one_call("It answers slowly: I would restart it.", _RESTART, "It is back, and answers in 40 ms."),
    ),
    Sentence(
        "update the packages",
        ("packages",),
        _one_call(
            "Nine packages are old.",
            _bash("apt-get -y upgrade", "Update the packages"),
            "All nine are new now.",
        ),
    ),
    Sentence(
        "run the tests",
        ("tests",),
        _one_call("Running them.", _bash("make test", "Run the tests"), "All 412 tests pass."),
    ),
    Sentence(
        "drop the database",
        ("database",),
        _one_call(
            "It is in the way: I would drop it.",
            _bash('psql -c "DROP DATABASE site"', "Drop the database"),
            "It is gone.",
        ),
    ),
    Sentence("back up and update", ("back", "update"), _both),
    Sentence("check every server", ("server",), _every_server),
    Sentence("explain how this works", ("explain",), _explain),
    Sentence("fail", ("fail",), _fail),
)
