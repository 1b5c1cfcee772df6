"""What may be typed after `relay`, and the words of its help."""

from argparse import ArgumentParser, ArgumentTypeError, RawDescriptionHelpFormatter
from typing import Any

from relay import __version__

STATES = {
    "pending": "waits for its NEXT attempt, at the latest; without one for the delivery before it",
    "sending": "is under way",
    "delivered": "was taken by its destination",
    "failed": "was given up: refused, or too late; `retry` sends it again",
    "dropped": "was given up for good, by `drop`",
}
KINDS = {
    "message": "what a person said, to the environment",
    "decision": "an Approve or Deny, to the environment",
    "answer": "a decision that had no effect, to the environment once more over its socket",
    "stop": "the end of a turn, to the environment: a call was denied, or another relay was asked for it",
    "root": "the message in Slack that quotes a command and whose thread carries the rest",
    "status": "how a message fares, in its thread",
    "reply": "the agent's words, in the thread",
    "card": "one copy of an approval's card",
    "whisper": "a sentence for one person alone",
    "reminder": "a call to those who may decide what still waits",
}
_DEFAULT_LIMIT = 50


class _Parser(ArgumentParser):
    """Has each command say for itself what it does not know: the usage that is printed is then its own."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown


def parser() -> ArgumentParser:
    """Return the parser; what it parses names its `command`."""
    whole = _Parser(prog="relay", description="Puts people in the loop of a Letta agent, in Slack.")
    whole.add_argument("--version", action="version", version=f"relay {__version__}")
    commands = whole.add_subparsers(required=True, metavar="COMMAND")
    _add(commands, "serve", "serve the workspace, or all that install the app, until stopped")
    _add_demo(commands)
    _add(commands, "check", "check the configuration and say what it comes to")
    looking = _add(commands, "doctor", "look at everything relay needs, and say what is wrong with it")
    looking.add_argument("--json", action="store_true", help="print JSON")
    listing = _add(commands, "environments", "list the environments and how each is")
    listing.add_argument("--json", action="store_true", help="print JSON")
    policy = commands.add_parser("policy", help="try the rules", description="Try the rules of relay.toml.")
    _add_policy_verbs(policy.add_subparsers(required=True, metavar="VERB"))
    audit = commands.add_parser(
        "audit", help="keep and check the record", description="Keep and check the record."
    )
    _add_audit_verbs(audit.add_subparsers(required=True, metavar="VERB"))
    store = commands.add_parser(
        "store", help="back the store up, or move it", description="Back the store up, or move it."
    )
    _add_store_verbs(store.add_subparsers(required=True, metavar="VERB"))
    grants = commands.add_parser(
        "grants",
        help="see and end what is allowed for a while",
        description="See and end what is allowed for a while, beside a running relay or with it stopped.",
    )
    _add_grant_verbs(grants.add_subparsers(required=True, metavar="VERB"))
    deliveries = commands.add_parser(
        "deliveries",
        help="see and mend what has to leave",
        description="See and mend what has to leave, beside a running relay or with it stopped.",
        epilog=_legend(),
        formatter_class=RawDescriptionHelpFormatter,
    )
    _add_verbs(deliveries.add_subparsers(required=True, metavar="VERB"))
    return whole


def _add_demo(commands: Any) -> None:
    trying = _add(commands, "demo", "try everything between stand-ins, with no account")
    part = trying.add_mutually_exclusive_group()
    part.add_argument("--walk", action="store_true", help="only print the main job, step by step, and end")
    part.add_argument("--page", action="store_true", help="only open the workspace in the browser")
    trying.add_argument(
        "--port", type=_port, metavar="N", help="where the page is served (8420, or any where that is taken)"
    )
    trying.add_argument("--no-browser", action="store_true", help="open no browser")


def _add_verbs(verbs: Any) -> None:
    listing = _add(
        verbs,
        "list",
        "list deliveries, newest first",
        epilog=_legend(),
        formatter_class=RawDescriptionHelpFormatter,
    )
    listing.add_argument("--state", choices=list(STATES), help="only those in this state")
    _add_filters(listing)
    listing.add_argument(
        "--limit", type=_positive, default=_DEFAULT_LIMIT, metavar="N", help="at most so many (%(default)s)"
    )
    listing.add_argument("--after", default="", metavar="ID", help="only those older than this delivery")
    showing = _add(verbs, "show", "show one delivery")
    showing.add_argument("id", metavar="ID", help="as `relay deliveries list` names it")
    retrying = _add(verbs, "retry", "send what failed again: one delivery, or all that the filters leave")
    dropping = _add(
        verbs, "drop", "give up what waits or failed, for good: one, or all that the filters leave"
    )
    retrying.add_argument("--state", choices=["failed"], help="those that failed: no others are sent again")
    dropping.add_argument("--state", choices=["pending", "failed"], help="only those in this state")
    dropping.add_argument("--yes", action="store_true", help="ask nothing back")
    for verb in (retrying, dropping):
        verb.add_argument("id", metavar="ID", nargs="?", help="as `relay deliveries list` names it")
        _add_filters(verb)
        verb.add_argument("--all", action="store_true", help="all of them: in place of a filter")
    for verb in (listing, showing, retrying, dropping):
        verb.add_argument("--json", action="store_true", help="print JSON")


def _add_filters(verb: ArgumentParser) -> None:
    verb.add_argument("--kind", choices=list(KINDS), help="only those of this kind")
    verb.add_argument("--environment", default="", metavar="NAME", help="only those to this environment")
    verb.add_argument("--team", default="", metavar="ID", help="only those of this workspace: T…")
    verb.add_argument(
        "--subject", default="", metavar="ID", help="only those that speak for this: msg_…, apr_…, cpy_…"
    )
    verb.add_argument(
        "--channel", default="", metavar="ID", help="only those of messages said, or cards posted, in it: C…"
    )
    verb.add_argument(
        "--older-than", default="", metavar="TIME", help="made before: a day, a moment, or how long ago: 2h"
    )
    verb.add_argument("--newer-than", default="", metavar="TIME", help="made since: the same")


def _add_grant_verbs(verbs: Any) -> None:
    listing = _add(verbs, "list", "list the grants that may be used, those that end first first")
    revoking = _add(verbs, "revoke", "revoke a grant: people are asked again from now on")
    revoking.add_argument("id", metavar="GRANT_ID", help="as `relay grants list` names it")
    for name, verb in (("grants.list", listing), ("grants.revoke", revoking)):
        verb.set_defaults(command=name)  # deliveries are listed too
        verb.add_argument("--json", action="store_true", help="print JSON")


def _add_policy_verbs(verbs: Any) -> None:
    explaining = _add(verbs, "explain", "say which rule takes a tool call, what happens, and who may decide")
    explaining.add_argument("--tool", required=True, metavar="NAME", help="the tool the agent wants to run")
    explaining.add_argument(
        "--input", default="{}", metavar="JSON", help="what it is called with; @FILE reads it from a file"
    )
    explaining.add_argument("--user", default="", metavar="ID", help="say also what this person may do")
    explaining.add_argument("--channel", default="", metavar="ID", help="where it is asked for")
    explaining.add_argument("--team", default="", metavar="ID", help="whose it is, where many are served")
    explaining.add_argument("--environment", default="", metavar="NAME", help="as relay.toml names it")
    explaining.add_argument(
        "--requester", action="append", metavar="ID", help="who asked for it; may be given several times"
    )
    replaying = _add(verbs, "replay", "say of past requests what the rules would have changed")
    replaying.add_argument(
        "--since", default="30d", metavar="TIME", help="how far back, as in 12h or 30d (%(default)s)"
    )
    replaying.add_argument(
        "--policy", default="", metavar="FILE", help="a relay.toml in place of the present"
    )
    for verb in (explaining, replaying):
        verb.add_argument("--json", action="store_true", help="print JSON")


def _add_audit_verbs(verbs: Any) -> None:
    exporting = _add(verbs, "export", "write the entries, oldest first, and the anchors of every chain")
    exporting.add_argument("--format", choices=["jsonl", "csv"], default="jsonl", help="(%(default)s)")
    exporting.add_argument(
        "--since", default="", metavar="TIME", help="a day, a moment, or how long ago: 30d"
    )
    exporting.add_argument("--until", default="", metavar="TIME", help="the same")
    exporting.add_argument("--subject", default="", metavar="ID", help="only what befell this: apr_…, msg_…")
    exporting.add_argument("--action", default="", metavar="NAME", help="only these: decision.recorded")
    verifying = _add(verbs, "verify", "say whether the record is as it was written")
    verifying.add_argument(
        "--anchors",
        action="append",
        default=[],
        metavar="FILE",
        help="an export or a log: where its chains were, they must be; as many as there are",
    )
    verifying.add_argument(
        "--never-pruned", action="store_true", help="nothing may have been removed for its age either"
    )
    accepting = _add(verbs, "accept", "stand, with RELAY_AUDIT_KEY, for a chain the store's own key signed")
    accepting.add_argument("chain", metavar="CHAIN", help="as `relay audit verify` names it")
    for verb in (verifying, accepting):
        verb.add_argument("--json", action="store_true", help="print JSON")


def _add_store_verbs(verbs: Any) -> None:
    copying = _add(verbs, "backup", "copy the store, beside a running relay or with it stopped")
    copying.add_argument("file", metavar="FILE", help="where the copy is to be")
    copying.add_argument("--force", action="store_true", help="put it in the place of a file that is there")
    moving = _add(verbs, "copy", "copy the store from its file into an empty PostgreSQL database")
    to = moving.add_mutually_exclusive_group(required=True)
    to.add_argument(
        "url",
        metavar="URL",
        nargs="?",
        help="postgresql://user@host/database; its password is looked for in PGPASSWORD and ~/.pgpass",
    )
    to.add_argument(
        "--url-file", metavar="FILE", help="a file with the URL, which may have the password in it"
    )
    for verb in (copying, moving):
        verb.add_argument("--json", action="store_true", help="print JSON")


def _add(commands: Any, name: str, text: str, **more: Any) -> ArgumentParser:
    added: ArgumentParser = commands.add_parser(
        name, help=text, description=text[:1].upper() + text[1:] + ".", **more
    )
    added.set_defaults(command=name)
    return added


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise ArgumentTypeError(f"{text!r} is no number from 1 upwards")
    return int(text)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) < 65536):
        raise ArgumentTypeError(f"{text!r} is no port: a number from 1 to 65535, or 0 for any that is free")
    return int(text)


def _legend() -> str:
    width = max(map(len, [*STATES, *KINDS]))
    lines = []
    for title, words in (("states:", STATES), ("kinds:", KINDS)):
        lines += [title, *(f"  {word.ljust(width)}  {text}" for word, text in words.items()), ""]
    return "\n".join(lines)
