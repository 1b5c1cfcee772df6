"""Pictures of what relay shows in Slack, as the demo's page draws it: python -m tests.slack.pictured FOLDER

To be looked at by a person: every state of the card, the modals, the Home tab, threads and whispers, several
a picture, and one picture in dark. It needs Chromium at /usr/bin/chromium.
"""

import json
import mimetypes
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, cast

from playwright.sync_api import Page, Route, sync_playwright

from relay.domain.approvals import DROPPED, State
from relay.domain.grants import LIKE, Grant
from relay.domain.policy import Reason
from relay.domain.rules import Ask, Fact, Risk
from relay.slack import cards, home_blocks, modals, posts, sentences
from relay.slack.blocks import Post
from relay.slack.forms import over
from relay.slack.forms.fields import Meant
from relay.slack.forms.kinds import FORMS
from relay.slack.sentences import Away
from relay.use_cases.forward_user_message import Waiting
from tests.chromium import QUIET, chromium
from tests.slack.asked import APPROVED, DENIED, NOON, approval, message
from tests.slack.printed import DEPLOY, DIFF, SHOWN, TWO, every_state

ADDRESS = "http://workspace.test/"
_A_PICTURE = 4
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
_SOON = NOON + timedelta(hours=1)
_MEANT = Meant(approval_id="apr_1", tool_call_id="call_1", shown_hash=SHOWN, channel_id="C0OPS")

Surface = Literal["message", "modal", "home", "whisper"]

MARKDOWN = """# Deployed

I deployed **release 1.2** to `workshop` and ran the *smoke tests*:

1. Built the image
2. Migrated the tables
   - `people` gained a column
   - `orders` is ~~untouched~~ as it was
3. Restarted the workers

| Check | Took | Result |
|:------|-----:|:------:|
| health | 0.2 s | ok |
| log in | 1.4 s | **slow** |

```python
def deploy(host: str) -> None:
    run(["./deploy", "--host", host])
```

> Note: the cache is cold. See [the runbook](https://example.com/runbook) or https://example.com/a_b.

- [x] tell the team
- [ ] watch the graphs :eyes:
"""


@dataclass(frozen=True)
class Picture:
    """One thing to draw: its name, where it is shown, and what."""

    name: str
    surface: Surface
    blocks: list[dict[str, Any]]
    title: str = ""
    submit: str = ""
    close: str = ""
    errors: dict[str, str] = field(default_factory=dict)


def everything() -> Iterator[tuple[str, Sequence[Picture]]]:
    """Yield what goes on each sheet, under the sheet's name."""
    for number, some in enumerate(_some(list(_cards())), 1):
        yield f"cards-{number:02}", some
    yield "forms-1", list(_forms(votes=True))
    yield "forms-2", list(_other_modals())
    yield "home", list(_homes())
    yield "threads", list(_threads())
    yield "whispers", list(_whispers())


def _some(pictures: list[Picture]) -> Iterator[Sequence[Picture]]:
    for start in range(0, len(pictures), _A_PICTURE):
        yield pictures[start : start + _A_PICTURE]


def _cards() -> Iterator[Picture]:
    for name, request, votes in every_state():
        post = cards.card(request, votes, nobody_left=name == "half-voted")
        yield Picture(name, "message", post.blocks)
    by_grant = approval(State.DELIVERED, replace(APPROVED, user_id="", rule="grant grt_1"))
    yield Picture("allowed by a grant", "message", cards.card(by_grant, grant=_grant()).blocks)
    given = approval(State.DELIVERED, APPROVED)
    yield Picture("a grant given with it", "message", cards.card(given, grant=_grant()).blocks)
    given_up = approval(State.WITHDRAWN, APPROVED, note=DROPPED)
    yield Picture("a decision that was dropped", "message", cards.card(given_up).blocks)
    forgotten = approval(State.DELIVERED, APPROVED, tool_input={}, removed=True)
    yield Picture("without its texts", "message", cards.card(forgotten).blocks)
    long = {"command": "\n".join(f"echo step {number} of the release" for number in range(80))}
    yield Picture("a long command", "message", cards.card(approval(tool_input=long)).blocks)


def _grant() -> Grant:
    patterns = {"command": {LIKE: "make *"}}
    return Grant(
        *("grt_1", "T0HOME", "workshop", "agent-1", "default", "Bash", "0123", patterns, "build", "apr_0190"),
        *("U0GRACE", NOON, _SOON, 3, 20),
    )


def _asking() -> Ask:
    facts = (Fact("amount", "Amount", above=1000),)
    reasons = ("Not now", "Wrong host", "Ask me in person")
    return Ask(
        rule="build", facts=facts, quick_reasons=reasons, grant_for=timedelta(hours=8), suggestions=True
    )


def _modal(name: str, view: dict[str, Any], **errors: str) -> Picture:
    told = {key: str((view.get(key) or {}).get("text", "")) for key in ("title", "submit", "close")}
    return Picture(name, "modal", view["blocks"], **told, errors=errors)


def _forms(*, votes: bool) -> Iterator[Picture]:
    suggestions = (
        {"id": "s1", "text": "Always allow `make *` in this project"},
        {"id": "s2", "text": "More"},
    )
    request = approval(tool_input=DEPLOY, ask=_asking(), code="K7QF", suggestions=suggestions)
    for name, form in FORMS.items():
        yield _modal(name, form.view(request, _MEANT, votes))
    yield _modal(
        "deny_reason, refused",
        FORMS["deny_reason"].view(request, _MEANT, votes),
        ready="Choose a reason, or write one below; without a reason, use Deny on the card.",
    )


def _other_modals() -> Iterator[Picture]:
    risky = approval(tool_input={**DEPLOY, "force": True}, ask=TWO, code="K7QF", shown_hash=SHOWN)
    yield _modal("edit, a quorum", FORMS["edit"].view(risky, _MEANT, True))
    yield _modal("edit, without a vote", FORMS["edit"].view(risky, _MEANT, False))
    plain = approval(ask=Ask(risk=Risk.NORMAL))
    yield _modal("deny_reason, none ready", FORMS["deny_reason"].view(plain, _MEANT, True))
    yield _modal("details", modals.details(replace(risky, edited_input={**DEPLOY, "amount": 900})))
    wide = {"file_path": "src/settings.py", "old_string": "TIMEOUT = 5", "new_string": "TIMEOUT = 50"}
    yield _modal(
        "details, a diff", modals.details(approval(tool_name="Edit", tool_input=wide, diffs=(DIFF,)))
    )
    late = sentences.not_pending(approval(State.DELIVERED, APPROVED))
    yield _modal("not taken", over.view(late, [("Reason", "Not on a Friday,\nplease.")]))


def _homes() -> Iterator[Picture]:
    rows = [
        home_blocks.Row(approval(code="K7QF"), "https://home.slack.com/archives/C0OPS/p1"),
        home_blocks.Row(approval(tool_input=DEPLOY, code="M2XA", state=State.EXPIRED), ""),
        home_blocks.Row(
            approval(tool_name="Edit", tool_input={"file_path": "src/settings.py"}, code="PP4Z"), ""
        ),
    ]
    decided = [home_blocks.Row(approval(State.DELIVERED, one, code="K7QF"), "") for one in (APPROVED, DENIED)]
    grants = [
        home_blocks.Held(_grant(), approval()),
        home_blocks.Held(replace(_grant(), patterns={}), approval()),
    ]
    full = home_blocks.Contents(
        yours=rows, yours_more=12, others=rows[:1], recent=decided, grants=grants, unsure=2
    )
    for name, contents in {
        "home": full,
        "home, nothing": home_blocks.Contents(),
        "home, a guest": home_blocks.Contents(refused=Reason.GUEST),
    }.items():
        yield Picture(name, "home", home_blocks.home(contents, "U0GRACE")["blocks"])
    yield Picture("/letta approvals", "whisper", home_blocks.approvals_list(full).blocks)
    yield Picture("/letta grants", "whisper", home_blocks.grants_list(full).blocks)


def _threads() -> Iterator[Picture]:
    yield _post("the message that begins a thread", posts.root(message()))
    for state in ("queued", "away", "retrying", "delivered", "failed", "dropped"):
        yield _post(f"status: {state}", posts.status(message(state, note="connection refused")))
    yield _post("working", posts.working(message()))
    yield _post("a reply", posts.reply(MARKDOWN))
    yield _post(
        "a reply that is hostile",
        posts.reply("<script>alert(1)</script> <!channel> [x](javascript:alert(1))"),
    )
    for ending in sentences.TURN_ENDINGS:
        yield _post(f"turn ended: {ending}", posts.plain(sentences.turn_ended(ending, None)))
    yield _post("turn stopped", posts.plain(sentences.turn_ended("stopped", "U0GRACE")))
    yield _post("turn failed", posts.plain(sentences.turn_failed("the model server said: 529 overloaded")))


def _post(name: str, post: Post) -> Picture:
    return Picture(name, "message", post.blocks)


def _whispers() -> Iterator[Picture]:
    away, waiting = Away(NOON, "connection refused"), Waiting("Bash", "C0APPROVALS", 2)
    said = {
        "help": sentences.help_text("/letta", "workshop"),
        "queued": sentences.queued("workshop", None, None),
        "queued, away": sentences.queued("workshop", away, None),
        "queued, waiting": sentences.queued("workshop", None, waiting),
        "no route": sentences.NO_ROUTE,
        "which code": sentences.which_code("/letta", [("Bash", "K7QF"), ("Edit", "M2XA")]),
        "late": sentences.not_pending(approval(State.DELIVERED, APPROVED)),
        "refused": sentences.refused_message(Reason.GUEST),
    }
    for name, words in said.items():
        yield Picture(name, "whisper", [{"type": "section", "text": {"type": "mrkdwn", "text": words}}])


SHEET = """<!doctype html><html lang="en"><meta charset="utf-8"><link rel="stylesheet" href="/blocks.css">
<style>
body { background: var(--bk-paper); color: var(--bk-ink); font: 15px/1.4 var(--bk-sans); margin: 20px; }
body { width: 660px; }
body > h2 { border-top: 1px solid var(--bk-line); color: var(--bk-quiet); font-size: 13px; font-weight: 400; }
body > h2 { margin: 20px 0 8px; padding-top: 6px; }
.modal { border-radius: 8px; box-shadow: var(--bk-shadow); margin: 0 auto; }
.modal { max-width: 520px; padding: 20px 28px; }
.modal h1 { font-size: 20px; margin: 0 0 16px; }
.modal footer { display: flex; gap: 12px; justify-content: flex-end; margin-top: 20px; }
.said { display: grid; gap: 8px; grid-template-columns: 36px 1fr; }
.face { background: #4a154b; border-radius: 8px; color: #fff; font-weight: 800; height: 36px; }
.face { line-height: 36px; text-align: center; }
.name { font-weight: 800; }
.alone { color: var(--bk-quiet); font-size: 13px; }
</style>
<body></body></html>"""

DRAW = """async (pictures) => {
  const { blocks } = await import("/blocks.js");
  const people = { U0ADA: "Ada", U0GRACE: "Grace", U0LINUS: "Linus" };
  const channels = { C0OPS: "ops", C0APPROVALS: "approvals" };
  const put = (parent, tag, name, words) => {
    const made = document.createElement(tag);
    made.className = name; made.textContent = words ?? ""; parent.append(made);
    return made;
  };
  for (const one of pictures) {
    const context = { me: "U0GRACE", filled: {}, errors: one.errors, act: async () => {},
      surface: one.surface === "whisper" ? "message" : one.surface,
      person: (id) => people[id] ? { id, name: people[id].toLowerCase(), real_name: people[id] } : null,
      channel: (id) => channels[id] ? { id, name: channels[id] } : null };
    put(document.body, "h2", "", one.name);
    const drawn = blocks(one.blocks, context);
    if (one.surface === "modal") {
      const modal = put(document.body, "div", "modal");
      put(modal, "h1", "", one.title);
      modal.append(drawn);
      const footer = put(modal, "footer", "");
      if (one.close) put(footer, "button", "bk-button", one.close);
      if (one.submit) put(footer, "button", "bk-button bk-primary", one.submit);
    } else if (one.surface === "home") {
      document.body.append(drawn);
    } else {
      const said = put(document.body, "div", "said");
      put(said, "div", "face", "r");
      const right = put(said, "div", "");
      if (one.surface === "whisper") put(right, "div", "alone", "Only visible to you");
      put(right, "div", "name", "relay");
      right.append(drawn);
    }
  }
}"""


def _serve(route: Route) -> None:
    name = route.request.url.removeprefix(ADDRESS)
    if not name:
        route.fulfill(body=SHEET, content_type="text/html")
        return
    found = files("relay.sandbox.slack.page") / "static" / name
    if not found.is_file():
        route.fulfill(status=404)
        return
    kind = "text/javascript" if name.endswith(".js") else mimetypes.guess_type(name)[0]
    route.fulfill(body=found.read_bytes(), content_type=kind or "application/octet-stream")


def _complain(words: str) -> None:
    sys.stderr.write(f"{words}\n")


def draw(page: Page, pictures: Sequence[Picture], to: Path) -> None:
    """Draw one sheet and keep it as a PNG."""
    page.goto(ADDRESS)
    page.evaluate(DRAW, cast("list[Any]", json.loads(json.dumps([vars(one) for one in pictures]))))
    page.screenshot(path=to, full_page=True)


def main(folder: Path) -> None:
    """Draw every sheet, and the first in dark as well."""
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=QUIET)
        for scheme in SCHEMES:
            page = browser.new_page(viewport={"width": 700, "height": 400}, color_scheme=scheme)
            page.route(f"{ADDRESS}**", _serve)
            page.on("pageerror", lambda error: _complain(str(error)))
            page.on("console", lambda said: _complain(said.text))
            for name, pictures in everything():
                if scheme == "light" or name in ("cards-01", "threads"):
                    draw(page, pictures, folder / f"{name}{'-dark' if scheme == 'dark' else ''}.png")
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "pictures"))
