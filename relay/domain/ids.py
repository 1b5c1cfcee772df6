"""Ids that name what they belong to and sort by the time they were made."""

import os
from datetime import datetime


def new_id(prefix: str, now: datetime) -> str:
    """Return `prefix_` and a UUIDv7 in hex: 48 bits of milliseconds, then chance.

    Source: RFC 9562, section 5.7.
    """
    milliseconds = int(now.timestamp() * 1000)
    chance = bytearray(os.urandom(10))
    chance[0] = 0x70 | (chance[0] & 0x0F)
    chance[2] = 0x80 | (chance[2] & 0x3F)
    return f"{prefix}_{milliseconds:012x}{chance.hex()}"
