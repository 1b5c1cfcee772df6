"""One spelling for one meaning, so that what was shown can be compared with what is sent."""

import hashlib
import hmac
import json
from typing import Any


def canonical_json(value: Any) -> str:
    """Return the one compact JSON text of `value`: keys sorted, raw UTF-8, no blanks."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def input_hash(key: bytes, tool_name: str, tool_input: Any, diffs: Any) -> str:
    """Return 32 hex digits of an HMAC-SHA256 over the tool, its original input and its diffs.

    Keyed, so that a hash seen in a button's value says nothing of a short secret in the input.
    """
    text = canonical_json([tool_name, tool_input, diffs])
    return hmac.new(key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:32]
