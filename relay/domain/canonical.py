"""One spelling for one meaning, so that what was shown can be compared with what is sent."""

import hashlib
import hmac
import json
from collections.abc import Callable
from json import encoder
from typing import Any


def json_writer(
    *, sort_keys: bool = False, blanks: bool = False, default: Callable[[Any], Any] | None = None
) -> Callable[[Any], str]:
    """Return what writes a value as JSON in raw UTF-8, as `json.JSONEncoder` would.

    That one sets its C part up anew for each text, which takes twice as long as most texts do.
    """
    comma, colon = (", ", ": ") if blanks else (",", ":")
    plain = json.JSONEncoder(
        ensure_ascii=False, separators=(comma, colon), sort_keys=sort_keys, default=default
    )
    make = encoder.c_make_encoder  # type: ignore[attr-defined]  # which the stubs do not know
    if make is None:  # a Python without that part
        return plain.encode
    # What holds itself ends as a RecursionError, as what is too deep does: no marks are left for it.
    marks, indent, skip, nan = None, None, False, True
    quoted = encoder.encode_basestring
    write = make(marks, plain.default, quoted, indent, colon, comma, sort_keys, skip, nan)
    return lambda value: "".join(write(value, 0))


_WRITE = json_writer(sort_keys=True)


def canonical_json(value: Any) -> str:
    """Return the one compact JSON text of `value`: keys sorted, raw UTF-8, no blanks."""
    return _WRITE(value)


_CODE_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # none that is read as another


def short_code(approval_id: str, shown_hash: str) -> str:
    """Return five letters that stand for a request and what is shown of it, where people type it.

    Two may rarely be alike. The same call asked twice, or in two places, has two codes.
    """
    digest = hashlib.sha256(f"{approval_id}/{shown_hash}".encode()).hexdigest()
    number = int(digest[:8], 16)
    return "".join(_CODE_LETTERS[number >> shift & 31] for shift in (0, 5, 10, 15, 20))


def input_hash(key: bytes, tool_name: str, tool_input: Any, diffs: Any) -> str:
    """Return 32 hex digits of an HMAC-SHA256 over the tool, its original input and its diffs.

    Keyed, so that a hash seen in a button's value says nothing of a short secret in the input.
    """
    text = canonical_json([tool_name, tool_input, diffs])
    return hmac.new(key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:32]
