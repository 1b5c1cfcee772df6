"""Which turn a stop would end that goes with a denial: the one that asked, or nothing is stopped."""

import pytest

from relay.domain.presence import UnderWay
from relay.use_cases.stop_after import Prospect, hits
from tests.slack.asked import approval

ASKED = approval()
CALL = ASKED.asked.tool_call_id


def running(*runs: tuple[str, ...], **asked: tuple[str, ...]) -> UnderWay:
    return UnderWay(True, runs, asked)


@pytest.mark.parametrize(
    ("message_ids", "seen", "found"),
    [
        ((), None, Prospect.UNSEEN),
        (("ada",), None, Prospect.UNSEEN),
        ((), UnderWay(), Prospect.OVER),
        (("ada",), UnderWay(), Prospect.OVER),
        # The run that asked, told by its message, by its call, or by both.
        (("ada",), running(("ada",)), Prospect.MEANT),
        ((), running(("ada",), **{CALL: ("ada",)}), Prospect.MEANT),
        (("ada",), running(("ada",), **{CALL: ("ada",)}), Prospect.MEANT),
        # Who joined it on the way is told with those who began it.
        (("ada",), running(("ada", "bob")), Prospect.MEANT),
        (("ada",), running(("ada",), ("ada", "bob")), Prospect.MEANT),
        # Another one's, also when theirs was put in line before the denial.
        (("ada",), running(("bob",)), Prospect.LATER),
        ((), running(("bob",)), Prospect.LATER),
        ((), running(("bob",), other=("bob",)), Prospect.LATER),
        (("ada",), running(("ada",), ("bob",)), Prospect.LATER),
        # Begun at a terminal: only while it is the one that was heard to ask.
        ((), running(**{CALL: ()}), Prospect.MEANT),
        ((), running(other=()), Prospect.UNSEEN),
        ((), running(), Prospect.UNSEEN),
        (("ada",), running(), Prospect.UNSEEN),
    ],
)
def test_a_stop_ends_the_turn_that_asked_and_no_other(
    message_ids: tuple[str, ...], seen: UnderWay | None, found: Prospect
) -> None:
    assert hits(ASKED, message_ids, seen) is found
