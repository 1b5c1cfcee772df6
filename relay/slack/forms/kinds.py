"""The forms there are, by the id that Slack knows each by."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from relay.domain.approvals import Approval
from relay.slack.blocks import Block
from relay.slack.forms import comment, deny_reason, edit, grant, ran_it
from relay.slack.forms.fields import Meant
from relay.use_cases.record_decision import Answer


@dataclass(frozen=True)
class Form:
    """A form: what it shows, what it makes of what was entered, and what kind of answer it leads to.

    `view` is told whether whoever opens it has a vote; `read` raises UnfitError.
    """

    view: Callable[[Approval, Meant, bool], Block]
    read: Callable[[Approval, Mapping[str, str]], Answer]
    leads_to: Answer


FORMS = {
    "deny_reason": Form(deny_reason.view, deny_reason.read, deny_reason.LEADS_TO),
    "edit": Form(edit.view, edit.read, edit.LEADS_TO),
    "comment": Form(comment.view, comment.read, comment.LEADS_TO),
    "grant": Form(grant.view, grant.read, grant.LEADS_TO),
    "ran_it": Form(ran_it.view, ran_it.read, ran_it.LEADS_TO),
}
