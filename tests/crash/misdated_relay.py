"""A relay on a machine whose clock is wrong: `misdated_relay.py SECONDS`, so far ahead.

Slack's signatures go by `time.time()`, which is left as it is: they are a matter of this machine's clock.
"""

import datetime as dt
import sys

_AHEAD = dt.timedelta(seconds=float(sys.argv[1]))
_TRUE = dt.datetime


class _Ahead(_TRUE):
    @classmethod
    def now(cls, tz: dt.tzinfo | None = None) -> "_Ahead":
        return cls.fromtimestamp((_TRUE.now(dt.UTC) + _AHEAD).timestamp(), tz)


if __name__ == "__main__":
    dt.datetime = _Ahead  # type: ignore[misc]  # before anything of relay is imported
    from relay.cli import main

    sys.exit(main(["serve"]))
