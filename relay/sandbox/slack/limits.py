"""Slack's limits on what an app may show, as pure functions over Block Kit.

Sources: https://docs.slack.dev/reference/block-kit/blocks, …/block-elements, …/composition-objects and
https://docs.slack.dev/reference/views. Problems read as Slack's own do, a JSON pointer in brackets.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

Surface = Literal["message", "modal", "home"]

# Undocumented; observed to be between 13,000 and 13,300: https://github.com/slackapi/bolt-js/issues/2509
LONGEST_BLOCKS = 13_000
LONGEST_TEXT = 40_000
LONGEST_MARKDOWN = 12_000
MOST_BLOCKS: dict[Surface, int] = {"message": 50, "modal": 100, "home": 100}


@dataclass(frozen=True)
class _Words:
    """What one field may hold: a text object (`any`, `plain`) or a bare string (`bare`)."""

    longest: int
    form: Literal["any", "plain", "bare"] = "bare"
    needed: bool = False


@dataclass(frozen=True)
class _Some:
    """How many items one field may hold."""

    most: int
    needed: bool = True


_Rules = dict[str, _Words | _Some]
_IMAGE: _Rules = {"image_url": _Words(3000), "alt_text": _Words(2000, needed=True)}

_BLOCKS: dict[str, _Rules] = {
    "section": {"text": _Words(3000, "any"), "fields": _Some(10, needed=False)},
    "header": {"text": _Words(150, "plain", needed=True)},
    "context": {"elements": _Some(10)},
    "actions": {"elements": _Some(25)},
    "context_actions": {"elements": _Some(5)},
    "divider": {},
    "rich_text": {"elements": _Some(1_000_000)},
    "markdown": {"text": _Words(LONGEST_MARKDOWN, needed=True)},
    "input": {"label": _Words(2000, "plain", needed=True), "hint": _Words(2000, "plain")},
    "image": {**_IMAGE, "title": _Words(2000, "plain")},
    "table": {"rows": _Some(100), "column_settings": _Some(20, needed=False)},
    "task_card": {"task_id": _Words(255, needed=True), "title": _Words(3000, needed=True)},
    "plan": {"title": _Words(3000, needed=True), "tasks": _Some(1_000_000, needed=False)},
    "alert": {"text": _Words(3000, "any", needed=True)},
    "card": {
        "title": _Words(150, "any"),
        "subtitle": _Words(150, "any"),
        "body": _Words(200, "any"),
        "actions": _Some(25, needed=False),
    },
    "video": {
        "title": _Words(200, "plain", needed=True),
        "video_url": _Words(3000, needed=True),
        "thumbnail_url": _Words(3000, needed=True),
        "alt_text": _Words(2000, needed=True),
        "author_name": _Words(50),
    },
    "file": {"external_id": _Words(255, needed=True), "source": _Words(255, needed=True)},
}

_PLACEHOLDER: _Rules = {"placeholder": _Words(150, "plain")}
_UP_TO_100 = _Some(100, needed=False)
_MENU: _Rules = {**_PLACEHOLDER, "options": _UP_TO_100, "option_groups": _UP_TO_100}
_ELEMENTS: dict[str, _Rules] = {
    "button": {
        "text": _Words(75, "plain", needed=True),
        "value": _Words(2000),
        "url": _Words(3000),
        "accessibility_label": _Words(75),
    },
    "icon_button": {"text": _Words(75, "plain", needed=True), "value": _Words(2000)},
    "workflow_button": {"text": _Words(75, "plain", needed=True)},
    "feedback_buttons": {},
    "static_select": _MENU,
    "multi_static_select": _MENU,
    "external_select": _PLACEHOLDER,
    "multi_external_select": _PLACEHOLDER,
    "users_select": _PLACEHOLDER,
    "multi_users_select": _PLACEHOLDER,
    "conversations_select": _PLACEHOLDER,
    "multi_conversations_select": _PLACEHOLDER,
    "channels_select": _PLACEHOLDER,
    "multi_channels_select": _PLACEHOLDER,
    "overflow": {"options": _Some(5)},
    "checkboxes": {"options": _Some(10)},
    "radio_buttons": {"options": _Some(10)},
    "datepicker": _PLACEHOLDER,
    "timepicker": _PLACEHOLDER,
    "datetimepicker": {},
    "plain_text_input": {**_PLACEHOLDER, "initial_value": _Words(3000)},
    "rich_text_input": _PLACEHOLDER,
    "email_text_input": _PLACEHOLDER,
    "url_text_input": _PLACEHOLDER,
    "number_input": _PLACEHOLDER,
    "file_input": {},
    "image": _IMAGE,
}
_ELEMENTS_WITH_OPTIONS = {"static_select", "multi_static_select", "checkboxes", "radio_buttons"}
_CONFIRM: _Rules = {
    "title": _Words(100, "plain", needed=True),
    "text": _Words(300, "any", needed=True),
    "confirm": _Words(30, "plain", needed=True),
    "deny": _Words(30, "plain", needed=True),
}
_MENU_OPTION: _Rules = {
    "text": _Words(75, "plain", needed=True),
    "value": _Words(150, needed=True),
    "description": _Words(75, "plain"),
}
_OPTION: _Rules = {**_MENU_OPTION, "text": _Words(75, "any", needed=True), "description": _Words(75, "any")}
_OPTION_GROUP: _Rules = {"label": _Words(75, "plain", needed=True), "options": _Some(100)}
_FEEDBACK: _Rules = {"text": _Words(75, "plain", needed=True), "value": _Words(2000, needed=True)}
_VIEW: _Rules = {
    "title": _Words(24, "plain"),
    "submit": _Words(24, "plain"),
    "close": _Words(24, "plain"),
    "private_metadata": _Words(3000),
    "callback_id": _Words(255),
    "external_id": _Words(255),
}
# What may be empty though it is a string: a text object and an id may not.
_MAY_BE_EMPTY = {"value", "private_metadata", "initial_value", "callback_id", "external_id", "alt_text"}
_ELSEWHERE = {"image", "workflow_button", "feedback_buttons", "icon_button"}
_IN_INPUTS_ALONE = {
    "number_input", "email_text_input", "url_text_input", "rich_text_input", "file_input",
}  # fmt: skip
_IN_MESSAGES_ALONE = {"markdown"}
_ALLOWED_IN: dict[str, set[str]] = {
    "context": {"image", "mrkdwn", "plain_text"},
    "context_actions": {"feedback_buttons", "icon_button"},
    "actions": set(_ELEMENTS) - {"image", "feedback_buttons", "icon_button", *_IN_INPUTS_ALONE},
    "input": set(_ELEMENTS) - {"button", "overflow", *_ELSEWHERE},
    "section": set(_ELEMENTS)
    - {"feedback_buttons", "icon_button", "plain_text_input", "datetimepicker", *_IN_INPUTS_ALONE},
    "card": {"button"},
}


def problems(surface: Surface, content: Any) -> list[str]:
    """Return what Slack would refuse: of a message's blocks (a list), or of a whole view (a mapping)."""
    if surface == "message":
        return list(_blocks(content, MOST_BLOCKS[surface], "/blocks"))
    return list(_view(surface, content))


def characters(blocks: Any) -> int:
    """Return how many characters a reader would see over all blocks."""
    if isinstance(blocks, list):
        return sum(characters(item) for item in blocks)
    if not isinstance(blocks, dict):
        return 0
    shown = ("text", "title", "alt_text", "label", "body")
    bare = sum(len(blocks[key]) for key in shown if isinstance(blocks.get(key), str))
    return bare + sum(characters(value) for value in blocks.values())


def _error(words: str, at: str) -> str:
    return f"{words} [json-pointer:{at}]"


def _view(surface: Surface, view: Any) -> Iterator[str]:
    if not isinstance(view, dict):
        yield _error("must provide an object", "/view")
        return
    if view.get("type") != surface:
        yield _error(f"must be one of the allowed values: {surface}", "/view/type")
    if surface == "modal" and not view.get("title"):
        yield _error("missing required field: title", "/view")
    yield from _fields(view, _VIEW, "/view")
    blocks = view.get("blocks")
    yield from _blocks(blocks, MOST_BLOCKS[surface], "/view/blocks")
    for block in _dicts(blocks):
        if block.get("type") in _IN_MESSAGES_ALONE:
            yield _error(f"unsupported type: {block['type']}", "/view/blocks")
    asks = any(block.get("type") == "input" for block in _dicts(blocks))
    if surface == "modal" and asks and not view.get("submit"):
        yield _error("missing required field: submit (needed beside an input block)", "/view")


def _blocks(blocks: Any, most: int, at: str) -> Iterator[str]:
    if not isinstance(blocks, list):
        yield _error("must provide an array", at)
        return
    if len(blocks) > most:
        yield _error(f"no more than {most} items allowed", at)
    for number, block in enumerate(blocks):
        yield from _block(block, f"{at}/{number}")
    ids = [b.get("block_id") for b in _dicts(blocks)]
    yield from _repeated(ids, "block_id", at)
    markdown = sum(len(str(b.get("text", ""))) for b in _dicts(blocks) if b.get("type") == "markdown")
    if markdown > LONGEST_MARKDOWN:
        yield _error(f"all markdown together must be less than {LONGEST_MARKDOWN + 1} characters", at)
    if sum(b.get("type") == "table" for b in _dicts(blocks)) > 1:
        yield _error("only_one_table_allowed", at)


def _block(block: Any, at: str) -> Iterator[str]:
    if not isinstance(block, dict):
        yield _error("must provide an object", at)
        return
    kind = str(block.get("type"))
    if kind not in _BLOCKS:
        yield _error(f"unsupported type: {kind}", f"{at}/type")
        return
    yield from _fields(block, {"block_id": _Words(255), **_BLOCKS[kind]}, at)
    yield from _particular(block, at)
    yield from _elements(block, at)


def _particular(block: dict[str, Any], at: str) -> Iterator[str]:
    kind = block["type"]
    if kind == "section":
        if not block.get("text") and not block.get("fields"):
            yield _error("missing required field: text or fields", at)
        for number, words in enumerate(_items(block.get("fields"))):
            yield from _words(words, _Words(2000, "any"), f"{at}/fields/{number}")
    elif kind == "image" and not (block.get("image_url") or block.get("slack_file")):
        yield _error("missing required field: image_url or slack_file", at)
    elif kind == "input" and not isinstance(block.get("element"), dict):
        yield _error("missing required field: element", at)
    elif kind == "table":
        for number, row in enumerate(_items(block.get("rows"))):
            yield from _count(row, _Some(20), f"{at}/rows/{number}")
    elif kind == "card" and not any(block.get(key) for key in ("hero_image", "title", "actions", "body")):
        yield _error("missing required field: hero_image, title, actions or body", at)
    elif kind == "plan":
        for number, task in enumerate(_items(block.get("tasks"))):
            yield from _block(task, f"{at}/tasks/{number}")


def _elements(block: dict[str, Any], at: str) -> Iterator[str]:
    kind = block["type"]
    if kind not in _ALLOWED_IN:
        return
    found: list[tuple[str, Any]] = []
    for place in ("elements", "actions"):
        found += [(f"{at}/{place}/{n}", item) for n, item in enumerate(_items(block.get(place)))]
    found += [(f"{at}/{place}", block[place]) for place in ("accessory", "element") if block.get(place)]
    for where, element in found:
        yield from _element(element, kind, where)
    yield from _repeated([e.get("action_id") for _, e in found if isinstance(e, dict)], "action_id", at)


def _element(element: Any, inside: str, at: str) -> Iterator[str]:
    kind = str(element.get("type")) if isinstance(element, dict) else "none"
    if kind not in _ALLOWED_IN[inside]:
        yield _error(f"unsupported type: {kind}", at)
        return
    if kind in ("mrkdwn", "plain_text"):
        yield from _words(element, _Words(3000, "any"), at)
        return
    yield from _fields(element, {"action_id": _Words(255), **_ELEMENTS[kind]}, at)
    if kind in ("button", "icon_button") and element.get("style") not in (None, "primary", "danger"):
        yield _error("must be one of the allowed values: primary, danger", f"{at}/style")
    yield from _parts(element, at)


def _parts(element: dict[str, Any], at: str) -> Iterator[str]:
    if "confirm" in element:
        yield from _object(element["confirm"], _CONFIRM, f"{at}/confirm")
    yield from _offered(element, at)
    kind = element["type"]
    if kind == "feedback_buttons":
        for side in ("positive_button", "negative_button"):
            yield from _object(element.get(side), _FEEDBACK, f"{at}/{side}")
    elif kind == "plain_text_input":
        yield from _lengths(element, at)
    elif kind == "number_input" and not isinstance(element.get("is_decimal_allowed"), bool):
        yield _error("missing required field: is_decimal_allowed", at)
    elif kind == "datetimepicker" and not isinstance(element.get("initial_date_time", 0), int):
        yield _error("must be an integer", f"{at}/initial_date_time")


def _offered(element: dict[str, Any], at: str) -> Iterator[str]:
    """Yield what is wrong with the options of an element, and with those it begins with."""
    kind = element["type"]
    rules = _OPTION if kind in ("checkboxes", "radio_buttons") else _MENU_OPTION
    for number, option in enumerate(_items(element.get("options"))):
        yield from _object(option, rules, f"{at}/options/{number}")
    for number, group in enumerate(_items(element.get("option_groups"))):
        yield from _object(group, _OPTION_GROUP, f"{at}/option_groups/{number}")
        for place, option in enumerate(_items(group.get("options")) if isinstance(group, dict) else []):
            yield from _object(option, rules, f"{at}/option_groups/{number}/options/{place}")
    if kind not in _ELEMENTS_WITH_OPTIONS:
        return
    if "static_select" in kind and not ("options" in element or "option_groups" in element):
        yield _error("missing required field: options", at)
    grouped = [one for group in _dicts(element.get("option_groups")) for one in _items(group.get("options"))]
    first = [element["initial_option"]] if element.get("initial_option") else element.get("initial_options")
    if any(option not in [*_items(element.get("options")), *grouped] for option in _items(first)):
        yield _error("must be one of the provided options", f"{at}/initial_option")


def _lengths(element: dict[str, Any], at: str) -> Iterator[str]:
    least, most = element.get("min_length", 0), element.get("max_length", 3000)
    if not isinstance(most, int) or not 0 < most <= 3000:
        yield _error("must be more than 0 and less than 3001", f"{at}/max_length")
    elif not isinstance(least, int) or not 0 <= least <= most:
        yield _error("must be less than or equal to max_length", f"{at}/min_length")


def _object(value: Any, rules: _Rules, at: str) -> Iterator[str]:
    if isinstance(value, dict):
        yield from _fields(value, rules, at)
    else:
        yield _error("must provide an object", at)


def _fields(holder: dict[str, Any], rules: _Rules, at: str) -> Iterator[str]:
    for name, rule in rules.items():
        value = holder.get(name)
        if value is None:
            if rule.needed:
                yield _error(f"missing required field: {name}", at)
        elif isinstance(rule, _Some):
            yield from _count(value, rule, f"{at}/{name}")
        else:
            yield from _words(value, rule, f"{at}/{name}", may_be_empty=name in _MAY_BE_EMPTY)


def _count(value: Any, rule: _Some, at: str) -> Iterator[str]:
    if not isinstance(value, list):
        yield _error("must provide an array", at)
    elif len(value) > rule.most:
        yield _error(f"no more than {rule.most} items allowed", at)
    elif not value:
        yield _error("no fewer than 1 item allowed", at)


def _words(value: Any, rule: _Words, at: str, *, may_be_empty: bool = False) -> Iterator[str]:
    if rule.form != "bare":
        allowed = ("plain_text",) if rule.form == "plain" else ("plain_text", "mrkdwn")
        if not isinstance(value, dict) or value.get("type") not in allowed:
            yield _error(f"must be a text object of type {' or '.join(allowed)}", at)
            return
        value, at = value.get("text"), f"{at}/text"
    if not isinstance(value, str):
        yield _error("must provide a string", at)
    elif len(value) > rule.longest:
        yield _error(f"must be less than {rule.longest + 1} characters", at)
    elif not value and not may_be_empty:
        yield _error("must be more than 0 characters", at)


def _repeated(ids: list[Any], name: str, at: str) -> Iterator[str]:
    given = [one for one in ids if one is not None]
    for one in sorted({str(one) for one in given if given.count(one) > 1}):
        yield _error(f"{name} {one} already exists", at)


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in _items(value) if isinstance(item, dict)]
