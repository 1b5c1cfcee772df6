"""What must be true when the killing is over; each function returns whatever is not so."""

import json
from collections import defaultdict

from relay.sandbox.environment.frames import NOT_PENDING
from tests.crash.load import Crowd, tool
from tests.store.beside import rows
from tests.world import GRACE, LINUS, World, button, everything


def holds(crowd: Crowd) -> None:
    """Check everything that is promised of a relay that dies."""
    assert lost(crowd) == []
    assert arrived_as_two(crowd) == []
    assert overtaken(crowd) == []
    assert without_one_root(crowd) == []
    assert without_one_card(crowd) == []
    assert without_one_decision(crowd) == []
    assert run_unasked(crowd) == []
    assert untrue_cards(crowd) == []
    assert given_up(crowd.world) == []


def lost(crowd: Crowd) -> list[str]:
    """Return the acknowledged commands that never reached the environment."""
    arrived = set(crowd.arrived())
    return [typed.text for typed in crowd.typed if typed.text not in arrived]


def arrived_as_two(crowd: Crowd) -> list[str]:
    """Return the commands that arrived under more than one client_message_id."""
    ids = defaultdict(set)
    for message in crowd.world.environment.received:
        ids[message.last_line].add(message.client_message_id)
    return [text for text, several in ids.items() if len(several) > 1]


def overtaken(crowd: Crowd) -> list[tuple[str, str]]:
    """Return the pairs of commands where the later one, typed after the first's ack, arrived first."""
    place = {text: number for number, text in enumerate(crowd.arrived())}
    return [
        (first.text, later.text)
        for first in crowd.typed
        for later in crowd.typed
        if first.acknowledged < later.at and place[first.text] > place[later.text]
    ]


def without_one_root(crowd: Crowd) -> list[str]:
    """Return the acknowledged commands that have no thread root, or several."""
    return [typed.text for typed in crowd.typed if len(crowd.roots(typed.text)) != 1]


def without_one_card(crowd: Crowd) -> list[tuple[str, list[str]]]:
    """Return the tool calls that have no card, or several, with when each was posted."""
    cards = {tool(number): [one.ts for one in crowd.cards(number)] for number in range(crowd.clicks)}
    return [(call, posted) for call, posted in cards.items() if len(posted) != 1]


def without_one_decision(crowd: Crowd) -> list[str]:
    """Return the tool calls whose request was not decided exactly once by what was posted about them."""
    accepted = defaultdict(list)
    posted = defaultdict(set)
    for decision in crowd.world.environment.decisions:
        posted[decision.tool_call_id].add((decision.approve, decision.reason))
        if decision.accepted:
            accepted[decision.tool_call_id].append(decision)
    wrong = [call for call in posted if len(posted[call]) != 1 or len(accepted[call]) != 1]
    missing = crowd.clicks - len(posted)
    return wrong + ["never decided"] * missing


def run_unasked(crowd: Crowd) -> list[str]:
    """Return the tools that ran without an approval, twice, or not at all in spite of one."""
    ran = [call for call, _, _ in crowd.world.environment.tool_runs]
    approved = [one.tool_call_id for one in crowd.world.environment.decisions if one.accepted and one.approve]
    return sorted(set(ran) ^ set(approved)) + [call for call in set(ran) if ran.count(call) > 1]


def untrue_cards(crowd: Crowd) -> list[str]:
    """Return the cards that still have buttons, or do not say what was decided and by whom."""
    asked = {call: (name, given) for call, name, given in crowd.world.environment.tool_runs}
    ran = {given["command"] for _, given in asked.values()}
    wrong = []
    for number in range(crowd.clicks):
        for card in crowd.cards(number):
            words, approved = everything(card), tool(number) in ran
            who = f"Approved by <@{GRACE}>" if approved else f"Denied by <@{LINUS}>"
            ending = "Delivered." in words or "not confirmed" in words
            if who not in words or not ending or any(button(card, name) for name in ("approve", "deny")):
                wrong.append(words)
    return wrong


def given_up(world: World) -> list[str]:
    """Return the deliveries that failed for good, but for decisions that nobody waited for any more.

    An answer follows a decision that may not have arrived: where it had, the device says so.
    """
    failed = """
        SELECT kind, last_error FROM deliveries
        WHERE state = 'failed' AND last_error NOT IN ('no longer asked', 'unconfirmed')
    """
    arrived = ("answer", f"the device did not take the answer: {NOT_PENDING}")
    found = rows(world.variables["RELAY_STORE_URL"], failed)
    return [json.dumps(row) for row in found if tuple(row) != arrived]
