"""What must be true when the day is over; each function returns whatever is not so."""

from collections import defaultdict

from tests.soak.day import Day, call, tool
from tests.world import GRACE, button, everything

_TRUE_OF_NOTHING_RUN = ("nothing was decided here", "had stopped asking")
_UNSURE = "nothing shows that it was this answer"


def lost(day: Day) -> list[str]:
    """Return the acknowledged messages that never reached the agent."""
    arrived = {message.last_line for message in day.world.environment.received}
    return [one.text for one in day.typed if one.acknowledged and one.text not in arrived]


def doubled(day: Day) -> list[str]:
    """Return the messages that reached the agent more than once as new ones."""
    first: dict[str, int] = defaultdict(int)
    for message in day.world.environment.received:
        first[message.last_line] += not message.duplicate
    return [text for text, times in first.items() if times > 1]


def without_one_root(day: Day) -> list[str]:
    """Return the acknowledged messages that are not quoted once."""
    return [one.text for one in day.typed if one.acknowledged and len(day.roots(one.place, one.text)) != 1]


def without_one_answer(day: Day) -> list[str]:
    """Return the messages that have no answer and no word of why, or several."""
    wrong = []
    for one in day.typed:
        answers, unheard = day.answers(one.place, one.text), day.unheard(one.place, one.text)
        if len(answers) > 1 or len(unheard) > 1 or (one.acknowledged and not answers and not unheard):
            wrong.append(f"{one.text}: {[each.text for each in (*answers, *unheard)]}")
    return wrong


def unposted(day: Day) -> list[str]:
    """Return the messages whose answer the agent gave and nobody saw."""
    return [one.text for one in day.answered if len(day.answers(one.place, one.text)) != 1]


def given_up(day: Day) -> list[str]:
    """Return the messages that are said to have no answer although no device lost them."""
    return [
        one.text for one in day.typed if day.unheard(one.place, one.text) and one.text not in day.cut_short
    ]


def undecided(day: Day) -> list[str]:
    """Return the tool calls that somebody decided, and whose device never took that decision."""
    taken = {(one.tool_call_id, one.approve) for one in day.world.environment.decisions if one.accepted}
    decided = {
        text: "tool approve" in text
        for text, cards in day.cards().items()
        if any(f" by <@{GRACE}>" in everything(card) for card in cards)
    }
    missing = [text for text, approve in decided.items() if (call(text), approve) not in taken]
    return [text for text in missing if text not in day.cut_short]


def decided_as_two(day: Day) -> list[str]:
    """Return the tool calls that were decided twice, or in two ways."""
    taken: dict[tuple[str, int], int] = defaultdict(int)
    verdicts: dict[str, set[bool]] = defaultdict(set)
    for decision in day.world.environment.decisions:
        taken[decision.tool_call_id, decision.occurrence] += decision.accepted
        verdicts[decision.tool_call_id].add(decision.approve)
    twice = [f"{call} {time}" for (call, time), count in taken.items() if count > 1]
    return twice + [call for call, several in verdicts.items() if len(several) > 1]


def wrongly_run(day: Day) -> list[str]:
    """Return the tools that ran twice, or although nobody approved them."""
    ran = [given["command"] for _, _, given in day.world.environment.tool_runs]
    denied = [command for command in ran if "tool deny" in command]
    return denied + [command for command in set(ran) if ran.count(command) > 1]


def untrue_cards(day: Day) -> list[str]:
    """Return the cards that say what is not so, or that still have buttons."""
    ran = {given["command"] for _, _, given in day.world.environment.tool_runs}
    wrong = []
    for text, cards in day.cards().items():
        for card in cards:
            words = everything(card)
            approved = "tool approve" in text
            who = f"{'Approved' if approved else 'Denied'} by <@{GRACE}>"
            told = who in words and "Delivered." in words and (tool(text) in ran) == approved
            nothing = any(said in words for said in _TRUE_OF_NOTHING_RUN) and tool(text) not in ran
            if button(card, "approve") is not None or not (told or nothing or _UNSURE in words):
                wrong.append(words)
    return wrong


def unsure_cards(day: Day) -> list[str]:
    """Return the messages whose cards say that nobody knows what became of the decision."""
    return [text for text, cards in day.cards().items() if any(_UNSURE in everything(one) for one in cards)]


def without_one_card(day: Day) -> list[str]:
    """Return the tools that ran without a card, and the messages whose tool has several."""
    cards = day.cards()
    ran = {given["command"] for _, _, given in day.world.environment.tool_runs}
    without = [one.text for one in day.typed if tool(one.text) in ran and one.text not in cards]
    return without + [text for text, several in cards.items() if len(several) > 1]
