"""The list of what relay records: every action that the code records is in it, and no other is."""

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from relay.domain import audit
from relay.domain.approvals import State
from relay.domain.deliveries import State as DeliveryState

ROOT = Path(audit.__file__).parent.parent
PASSED_ON = "action"  # what Transaction.record is given itself
# What is recorded under a name that is put together, and what the second half may be.
STATES = (State.DELIVERED, State.DECIDED_ELSEWHERE, State.UNCONFIRMED, State.WITHDRAWN)
SETTLED = (DeliveryState.DELIVERED, DeliveryState.FAILED)
HALVES = {
    "approval.{state.value}": STATES,
    "decision.{settled.state.value}": (*SETTLED, DeliveryState.PENDING),
    "message.{state}": (*SETTLED, "away", "retrying"),
}
# The functions that put one together of a word they are given, and where they are called.
WORDS = {
    "approval.{what}": ("record", "_record"),
    "turn.{ending}": ("post_ending",),
}


def _parsed() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(ROOT.rglob("*.py")):
        if "sandbox" not in path.parts:  # imports nothing of relay's and records nothing
            yield path, ast.parse(path.read_text(encoding="utf-8"))


def _calls(tree: ast.AST, *names: str) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
            if called in names:
                yield node


def _recorded() -> Iterator[tuple[Path, ast.Module, ast.expr]]:
    """Yield each expression that names what is recorded."""
    for path, tree in _parsed():
        for call in _calls(tree, "record"):
            if isinstance(call.func, ast.Attribute) and len(call.args) > 2:
                yield path, tree, call.args[2]


def _words(*functions: str) -> set[str]:
    """Return the words that functions are called with, but for one that means something else by them."""
    found: set[object] = set()
    for path, tree in _parsed():
        if path.name == "apply_policy.py":
            continue
        for call in _calls(tree, *functions):
            given = [one for arg in call.args for one in _branches(arg) if isinstance(one, ast.Constant)]
            found |= {one.value for one in given}
    return {one for one in found if isinstance(one, str) and one.isidentifier()}


def _branches(given: ast.expr) -> tuple[ast.expr, ...]:
    return (given.body, given.orelse) if isinstance(given, ast.IfExp) else (given,)


def _names(path: Path, tree: ast.Module, named: ast.expr) -> set[str]:
    """Return what an expression may come to."""
    if isinstance(named, ast.Constant):
        return {str(named.value)}
    if isinstance(named, ast.Name):
        module = ".".join(("relay", *path.relative_to(ROOT).with_suffix("").parts))
        return set() if named.id == PASSED_ON else {getattr(import_module(module), named.id)}
    if isinstance(named, ast.JoinedStr):
        written = ast.unparse(named).removeprefix("f").strip("'\"")
        halves = _words(*WORDS[written]) if written in WORDS else HALVES[written]
        return {f"{written.partition('{')[0]}{one}" for one in halves}
    assert isinstance(named, ast.Subscript), f"{path}: say here what {ast.unparse(named)} comes to"
    tables = [node for node in ast.walk(tree) if isinstance(node, ast.Dict)]
    values = [one.value for table in tables for one in table.values if isinstance(one, ast.Constant)]
    return {one for one in values if isinstance(one, str) and "." in one}


def test_the_list_of_actions_is_what_the_code_records() -> None:
    recorded = {audit.OPENED, audit.PRUNED}  # the store writes these itself
    for path, tree, named in _recorded():
        recorded |= _names(path, tree, named)
    assert recorded == set(audit.ACTIONS)
    assert len(audit.ACTIONS) == len(set(audit.ACTIONS))
