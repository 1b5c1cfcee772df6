"""What relay says, each sentence in one place: what happened, and what to do about it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from relay.domain.approvals import DROPPED, Approval, State
from relay.domain.environments import Report
from relay.domain.policy import Reason
from relay.slack import outcomes
from relay.slack.mrkdwn import code, counted, day_and_time, escape, escaped, length, moment, visible
from relay.store import DoubtError, StoreError
from relay.use_cases.forward_user_message import Waiting
from relay.use_cases.rulings import OTHER_PEOPLE
from relay.use_cases.whisper import Sentence

_NOTE_LIMIT = 600
_REASON_LIMIT = 300
_TOOL_LIMIT = _ID_LIMIT = 100
_NAME_LIMIT = 120
_FILES_NAMED, _CODES_NAMED, _WORDS_QUOTED = 5, 10, 60


@dataclass(frozen=True)
class Away:
    """Since when an environment is offline and why; `refused`: until somebody mends a setting."""

    since: datetime
    reason: str
    refused: bool = False


_WHY_NOT = {
    Reason.GUEST: "guests cannot do that here",
    Reason.DEACTIVATED: "your account is deactivated",
    Reason.FOREIGN: "only members of this workspace can do that here",
    Reason.BOT: "bots and workflows cannot do that",
    Reason.LOOKUP_FAILED: "I could not ask Slack who you are, so I let nobody act on a guess. Try again in a moment",
    Reason.NOT_APPROVER: "you are not one of the approvers",
    Reason.NOT_EDITOR: "you are not one of those who may change it",
    Reason.REQUESTER: "you asked for it, so somebody else has to approve it",
}

STORE_FAILED = "I could not store that, so nothing was sent or decided. Tell whoever runs relay that its store fails, then try again."
IN_DOUBT = "My store went away while I stored that, so it may be sent or not. Look whether something comes of it before you try again."
EVENT_NOT_STORED = "I could not store that, so nothing is sent yet. Slack hands it to me again for five minutes; if no answer comes, tell whoever runs relay that its store fails."
UNKNOWN_ACTION = "That button is not one I know; it may be from another version of me. Nothing was done."
MALFORMED_BUTTON = "I cannot tell what that button was for, so nothing was decided. If its card is still open, use its own buttons."
MALFORMED_COMMAND = "Slack did not tell me who typed that or where, so nothing was sent. Try again."
DETAILS_FAILED = "I could not open the details: Slack did not let me, or not in time. Press *Details* again."
FORM_FAILED = "I could not open that form: Slack did not let me, or not in time. Press the button again."
MALFORMED_FORM = "I cannot tell what that form was for, so nothing was decided. If the card is still open, use its own buttons."
UNKNOWN_CARD = (
    "I do not know the request behind that card; it may be another installation's. Nothing was decided."
)
DEFECT = "Something inside relay went wrong. Nothing is lost that I told you I had; please try again."
TURN_ENDINGS = {
    "stopped": ":octagonal_sign: The agent's turn was stopped.",
    "wordless": ":speech_balloon: The agent ended its turn without a word.",
    "unseen": ":warning: The environment accepted this message, but its device shows no sign of it.",
    "unheard": ":warning: The agent's turn ended while I could not listen, and left no words that I can read.",
    "dropped": ":heavy_minus_sign: The agent answered, but the operator of relay gave the delivery of the answer up.",
}
GRANT_NOT_OFFERED = "That cannot be allowed for a while: its rule does not let it, or somebody changed what is asked. Use *Approve*."
INBOX_FAILED = "I could not read what waits. Tell whoever runs relay that its store fails."
NOTHING_RUNS = "Nothing is running there, so there was nothing to stop."
STOP_ANOTHERS = "Denied, but not stopped: somebody has written to the agent since, and a stop might end what they began. Stop it yourself if that is what you want."
STOP_LATER_TURN = "Denied, but not stopped: as far as I can tell, what runs now is not the turn that asked. Stop it yourself if that is what you want."
STOP_TOO_LATE = "Denied, but not stopped: it took so long that a stop might end something else. Stop it yourself if that is what you want."
NOT_STOPPED = "I could not reach the environment, so nothing was stopped. Try again in a moment."
STOPPED = "Stopped."


def not_stored(problem: StoreError) -> str:
    """Return what to say of something that the store did not take, or may not have taken."""
    return IN_DOUBT if isinstance(problem, DoubtError) else STORE_FAILED


def stopped(asked: Sequence[tuple[str, str]], lasted: timedelta | None) -> str:
    """Return what was stopped: who asked for it, in which words, and how long it ran; nothing: not known."""
    if not asked:
        return STOPPED
    user_id, text = asked[0]
    words = " ".join(visible(text).split())
    quoted = f": “{escaped(words, _WORDS_QUOTED)}”" if words else ""
    more = f" and {counted(len(asked) - 1, 'more message')}" if asked[1:] else ""
    ran = f" ({length(lasted)})" if lasted is not None else ""
    return f"Stopped what <@{user_id}> asked{quoted}{more}{ran}."


STOPPING = "Asking the agent to stop."
SEVERAL_RUN = "Several turns run in this channel: press *Stop* in the thread you mean, or type `!stop` there. Nothing was stopped."
STATUS_FAILED = "I could not read what waits for a decision. Tell whoever runs relay that its store fails."
WRONG_WORKSPACE = "I serve another workspace. Nothing was done."
NOT_INSTALLED = (
    "I am not installed in this workspace any more, or not yet. Nothing was done. Install me again: {}"
)


def help_text(command: str, environment: str) -> str:
    """Return what `/letta help` says."""
    said = {
        "your message": f"sends it to the agent in *{escape(environment)}*; the answer comes in a thread",
        "approvals": "lists what waits for you and for others",
        "approve CODE": "approves by the code on a card; in a thread `!approve CODE`",
        "deny CODE why": "denies by the code on a card; in a thread `!deny CODE why`",
        "stop": "stops what the agent is doing in this channel",
        "status": "says how the agent's environment is",
        "grants": "lists what is allowed for a while",
        "help": "shows this",
    }
    card = "When the agent wants to run a tool that needs a yes, a card with *Approve* and *Deny* is posted for the approvers."
    return "\n".join([card, *(f"`{command} {typed}` {does}" for typed, does in said.items())])


AMBIGUOUS_CODE = "Two open requests happen to have that code, so nothing was decided. Use the buttons of the card you mean."


def did_you_mean(typed: str) -> str:
    """Return what is said to a word that is nearly one of ours, with a code behind it."""
    return f'Did you mean "{escape(typed)}"? Nothing was sent.'


WORD_TAKEN = "I have taken that already."
NO_ROUTE = "No agent answers in this channel: relay's configuration has no route for it. Nothing was sent."


def refused_word(reason: Reason) -> str:
    """Return why somebody's typed answer was not taken."""
    return f"Nothing was decided: {_WHY_NOT[reason]}."


def unknown_code(command: str, typed: str, open_ones: Sequence[tuple[str, str]]) -> str:
    """Return what is said to a code that no request has."""
    return (
        f"No request has the code {code(typed, _ID_LIMIT)}; a card gets another when its input is changed. "
        f"Nothing was decided. {_codes(open_ones)} With words of yours, the code comes first: "
        f"{code(f'{command} deny CODE why', _ID_LIMIT)}."
    )


def which_code(command: str, open_ones: Sequence[tuple[str, str]]) -> str:
    """Return what is said to an answer without a code where none, or more than one, can be meant."""
    if not open_ones:
        return "Nothing waits for a decision here, so nothing was decided. Name the code that stands on the card you mean."
    example = code(f"{command} approve {open_ones[0][1]}", _ID_LIMIT)
    return f"Say which one, as in {example}: nothing was decided. {_codes(open_ones)}"


def code_needed(command: str, open_ones: Sequence[tuple[str, str]]) -> str:
    """Return what is said to an approval that has to name its code."""
    example = code(f"{command} approve {open_ones[0][1]}", _ID_LIMIT)
    return f"Nothing was decided: to approve this with words, or where the risk is high, name its code, as in {example}. {_codes(open_ones)}"


def _codes(open_ones: Sequence[tuple[str, str]]) -> str:
    if not open_ones:
        return "Nothing waits for a decision here."
    named = [
        f"{code(tool, _TOOL_LIMIT)} {code(which, _ID_LIMIT)}" for tool, which in open_ones[:_CODES_NAMED]
    ]
    more = f" and {len(open_ones) - _CODES_NAMED} more" if len(open_ones) > _CODES_NAMED else ""
    return f"Waiting here: {', '.join(named)}{more}."


def decided_by_word(tool: str, which: str, *, approve: bool) -> str:
    """Return what is said when a typed answer decided."""
    what = "Approved" if approve else "Denied"
    return f"{what}: {code(tool, _TOOL_LIMIT)} {code(which, _ID_LIMIT)}. Its card says what becomes of it."


def unknown_command(theirs: str, ours: str) -> str:
    """Return the answer to a slash command that reached relay by mistake."""
    return f"I do not know the command {escape(theirs[:100])}; mine is {ours}. Nothing was done."


def queued(environment: str, away: Away | None, waiting: Waiting | None) -> str:
    """Return the answer to a stored message; nothing is claimed before it is true."""
    said = [f"Queued for {escape(environment)}."]
    if away is not None:
        # Where somebody has to mend a setting first, nothing is promised.
        then = "" if away.refused else "; your message is sent when it is back"
        said.append(f"It has been offline since {moment(away.since)}{because(away.reason)}{then}.")
    if waiting is not None:
        said.append(_waits(waiting))
    return " ".join(said)


def because(reason: str) -> str:
    """Return a reason as it stands in brackets behind what it explains; nothing for none."""
    return f" ({escaped(reason, _REASON_LIMIT)})" if reason else ""


def _waits(waiting: Waiting) -> str:
    more = f", then on {waiting.more} more" if waiting.more else ""
    sentence = f"The agent waits for a decision on {code(waiting.tool_name, _TOOL_LIMIT)} first{more}."
    if waiting.place is None:  # its card is not posted yet
        return sentence
    if waiting.place.startswith("D"):
        return f"{sentence} Its card is in a direct message to those who may decide."
    return f"{sentence} Its card is in <#{waiting.place}>."


def environment_status(report: Report) -> str:
    """Return what `/letta status` says."""
    state = "online" if report.online else "offline"
    is_so = f"has been {state} since {moment(report.since)}" if report.since else f"is {state}"
    waits = "." if report.online else f"{because(report.reason)}. What is sent waits until it is back."
    where = (
        "an App Server" if report.app_server else f"device {code(report.device_id or 'unknown', _ID_LIMIT)}"
    )
    mode = f", in the permission mode {code(report.mode, _ID_LIMIT)}" if report.mode else ""
    never = "" if report.asks else " In that mode it runs every tool without asking anybody."
    agent = f"Agent {code(report.agent_id, _ID_LIMIT)} on {where}{mode}.{never}"
    said = f"*{escape(report.name)}* {is_so}{waits}"
    return "\n".join([said, agent, *_heard(report), _pending(report.pending)])


def _heard(report: Report) -> list[str]:
    if report.listened is None or report.elsewhere:
        return [f"I do not listen to it myself: {report.elsewhere}."]
    said = [f"I listen to {sum(one.up for one in report.listened)} of its conversations."]
    unheard = [one.reason for one in report.listened if not one.up]
    if unheard:
        said.append(f"I cannot hear {len(unheard)} of them{because(unheard[0])}.")
    return said


def _pending(number: int) -> str:
    if number == 0:
        return "Nothing waits for a decision."
    return f"{counted(number, 'request')} {'waits' if number == 1 else 'wait'} for a decision."


def refused_details(reason: Reason) -> str:
    """Return why somebody is not shown what a tool is called with."""
    return f"Not shown: {_WHY_NOT[reason]}."


def refused_inbox(reason: Reason) -> str:
    """Return why somebody is shown nothing of what waits."""
    if reason is Reason.GUEST:
        return "Guests see nothing here."
    return f"There is nothing to show you: {_WHY_NOT[reason]}."


def refused_message(reason: Reason) -> str:
    """Return why a message was not taken."""
    return f"Not sent: {_WHY_NOT[reason]}."


def whispered(sentence: Sentence, facts: Mapping[str, Any], approval: Approval | None) -> str:
    """Return the words of a private sentence, from the state things are in now."""
    why = _WHY_NOT.get(Reason(facts["reason"])) if facts.get("reason") in set(Reason) else None
    if sentence is Sentence.NOT_PENDING:
        return not_pending(approval)
    return {
        Sentence.MAY_NOT_DECIDE: f"Nothing was decided: {why}.",
        Sentence.MAY_NOT_RETRY: f"Nothing was sent again: {why}.",
        Sentence.MAY_NOT_EDIT: f"Nothing was changed: {why}.",
        Sentence.EDIT_DENIED: f"Nothing was changed: {_denying(facts)}",
        Sentence.NOT_SUGGESTED: "Nothing was decided: what the environment suggests cannot be taken up with this request. Approve it without.",
        Sentence.EDITED: f"Your change is on the card. It is decided when {_more_people(facts)} approved it as it is now.",
        Sentence.VOTED: f"Your approval counts: {facts.get('approving', 0)} of {facts.get('needed', 0)}. It is not decided yet.",
        Sentence.VOTED_ALREADY: _voted_already(facts),
        Sentence.UNKNOWN_CARD: UNKNOWN_CARD,
        Sentence.CARD_OUTDATED: "Nothing was decided: that card shows something else than what is asked now. I have renewed it.",
        Sentence.NOT_GRANTABLE: GRANT_NOT_OFFERED,
        Sentence.GRANT_REVOKED: "Revoked: from now on people are asked again.",
        Sentence.GRANT_OVER: "That grant is over already; it allows nothing any more.",
        Sentence.STOP_DROPPED: "The agent's turn was not stopped: the operator of relay gave the stop up.",
        Sentence.MAY_NOT_REVOKE: f"Nothing was revoked: {why}.",
        Sentence.NOTHING_TO_RETRY: "There is nothing left to send again there.",
        Sentence.RETRYING: "Sending it again.",
        Sentence.MAY_NOT_ASK_AGAIN: f"Nothing was asked again: {why}.",
        Sentence.ASKED_ALREADY: "It is being asked again already.",
        Sentence.MAY_NOT_SNOOZE: f"Nothing was snoozed: {why}.",
        Sentence.SNOOZED: _snoozed(approval),
        Sentence.INVITE_ME: _no_thread(str(facts.get("channel_id", "")), str(facts.get("reason", ""))),
    }[sentence]


def _snoozed(approval: Approval | None) -> str:
    if approval is None or approval.snoozed_until is None:
        return "Snoozed."
    ends = f" It ends {day_and_time(approval.expires_at)}." if approval.expires_at else ""
    return f"Snoozed: nobody is reminded before {day_and_time(approval.snoozed_until)}.{ends}"


def _more_people(facts: Mapping[str, Any]) -> str:
    needed = int(facts.get("needed", 1)) - int(facts.get("approving", 0))
    return "somebody who may decide it has" if needed <= 1 else f"{needed} people who may decide it have"


def _voted_already(facts: Mapping[str, Any]) -> str:
    missing = int(facts.get("needed", 1)) - int(facts.get("approving", 0))
    return f"You have approved already; {missing} more {'is' if missing == 1 else 'are'} needed."


def _denying(facts: Mapping[str, Any]) -> str:
    rule = str(facts.get("rule", ""))
    named = f"the rule {code(rule, _NAME_LIMIT)}" if rule else "no rule"
    if facts.get("why") == OTHER_PEOPLE:
        return f"about what you made of it, {named} asks other people. Deny this one, and let the agent ask anew."
    return f"{named} denies what you made of it." if rule else f"{named} allows what you made of it."


def _no_thread(channel_id: str, reason: str) -> str:
    if channel_id.startswith("D"):
        return "I cannot post in this conversation, so answers come to you alone."
    if reason in ("not_in_channel", "channel_not_found"):
        return (
            f"I cannot post in <#{channel_id}>, so answers come to you alone. "
            "Invite me with `/invite` to get a thread that everybody can follow."
        )
    why = f" (Slack says {escape(reason)})" if reason else ""
    return f"I cannot post in <#{channel_id}>{why}, so answers come to you alone."


def not_pending(approval: Approval | None) -> str:
    """Return why a click came too late, and who was first."""
    if approval is None:
        return "That request is over. Nothing was decided."
    decided = _decided_already(approval)
    if approval.state is State.WITHDRAWN and approval.note == DROPPED:
        return f"{decided} But {DROPPED}."
    return {
        State.PENDING: "Nothing was decided. Try again.",
        State.DECIDED: f"{decided} It is being delivered.",
        State.DELIVERED: f"{decided} It is delivered.",
        State.FAILED: f"{decided} It could not be delivered: {escaped(approval.note, _NOTE_LIMIT)}. Use *Retry* on the card.",
        State.WITHDRAWN: "Too late: the agent no longer asks for this. Your click changed nothing.",
        State.SUPERSEDED: "Too late: the agent asks for something else now, on a newer card. Your click changed nothing.",
        State.DECIDED_ELSEWHERE: "Too late: somebody answered this outside Slack.",
        State.EXPIRED: "That request expired: nobody answered in time. Use *Ask again* on its card.",
        State.UNCONFIRMED: f"{decided} Whether it arrived in time is not known.",
    }[approval.state]


def _decided_already(approval: Approval) -> str:
    """Return by whom or by which rule it was decided, as its card says it."""
    what = code(approval.asked.tool_name, _TOOL_LIMIT)
    which = f" {code(approval.code, _ID_LIMIT)}" if approval.code else ""
    who = outcomes.decided_by(approval)
    return f"{what}{which} is decided already: {who[:1].lower()}{who[1:]}."


def turn_ended(ending: str, by: str | None) -> str:
    """Return how a turn ended that left no words, and who ended it."""
    if by and ending == "stopped":
        return f":octagonal_sign: <@{by}> stopped the agent's turn."
    return TURN_ENDINGS[ending]


def refused_stop(reason: Reason) -> str:
    """Return why somebody may not stop a turn."""
    return f"Nothing was stopped: {_WHY_NOT[reason]}."


def runs_elsewhere(channel_id: str) -> str:
    """Return why nothing was stopped: the turn that runs is another channel's."""
    where = "in a direct message" if channel_id.startswith("D") else f"for <#{channel_id}>"
    return f"Nothing runs here; the agent works {where}. Nothing was stopped."


def status(tool: str) -> str:
    """Return what the agent is doing, as it stands behind the app's name."""
    return f"is running {code(tool, _TOOL_LIMIT)}…" if tool else "is thinking…"


def loading(tool: str) -> list[str]:
    """Return what is shown in turn while something is waited for."""
    if tool:
        return [f"Running {code(tool, _TOOL_LIMIT)}…"]
    return ["Thinking…", "Working on it…", "Still at it…"]


def not_passed(files: Sequence[Mapping[str, Any]]) -> str:
    """Return what is said of attached files that the agent cannot be given."""
    named = [
        f"{code(one['name'], _NAME_LIMIT)} ({escaped(one['type'] or 'unknown type', _TOOL_LIMIT)})"
        for one in files
    ]
    which = ", ".join(named[:_FILES_NAMED]) + (
        f" and {len(named) - _FILES_NAMED} more" if named[_FILES_NAMED:] else ""
    )
    return f":paperclip: I pass on text files of up to 100 KB. Of {which} the agent gets only the name and a link."


def turn_failed(error: str) -> str:
    """Return what is said when a turn ended in an error."""
    return f":warning: The agent could not finish: {escape(error[:1500])}"


def answered_together(permalink: str) -> str:
    """Return what leads to the answer to several messages, under one of them; no link: it is gone."""
    where = f": <{escape(permalink)}|see the answer>" if permalink else "."
    return f"Answered together with a later message{where}"
