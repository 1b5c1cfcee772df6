"""What a person may put into inputs, what Slack's own client refuses, and how Slack tells the app of it."""

import copy
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any

from relay.sandbox.slack.workspace import Json, View, elements_of

LONGEST_INPUT = 3000

# How a state entry names what is chosen, and how a view names what is chosen at first.
_FIELDS = {
    "plain_text_input": ("value", "initial_value"),
    "number_input": ("value", "initial_value"),
    "email_text_input": ("value", "initial_value"),
    "url_text_input": ("value", "initial_value"),
    "rich_text_input": ("rich_text_value", "initial_value"),
    "static_select": ("selected_option", "initial_option"),
    "external_select": ("selected_option", "initial_option"),
    "radio_buttons": ("selected_option", "initial_option"),
    "checkboxes": ("selected_options", "initial_options"),
    "multi_static_select": ("selected_options", "initial_options"),
    "multi_external_select": ("selected_options", "initial_options"),
    "users_select": ("selected_user", "initial_user"),
    "multi_users_select": ("selected_users", "initial_users"),
    "channels_select": ("selected_channel", "initial_channel"),
    "multi_channels_select": ("selected_channels", "initial_channels"),
    "conversations_select": ("selected_conversation", "initial_conversation"),
    "multi_conversations_select": ("selected_conversations", "initial_conversations"),
    "datepicker": ("selected_date", "initial_date"),
    "timepicker": ("selected_time", "initial_time"),
    "datetimepicker": ("selected_date_time", "initial_date_time"),
}
_WITH_OPTIONS = {"static_select", "radio_buttons", "overflow"}
_WITH_SEVERAL = {"checkboxes", "multi_static_select"}

Filled = dict[tuple[str, str], Json]


def chosen(element: Json, value: Any) -> Json:
    """Return the fields of an action or a state that tell what was chosen; options go by their value."""
    kind = str(element["type"])
    if kind in _WITH_OPTIONS:
        return {"selected_option": None if value is None else _option(element, value)}
    if kind in _WITH_SEVERAL:
        return {"selected_options": [_option(element, one) for one in value or []]}
    if kind in _FIELDS:
        return {_FIELDS[kind][0]: value}
    return {} if value is None else {"value": value}


def holds_state(element: Json) -> bool:
    """Whether what is chosen in an element stays there, and is told with every later action."""
    return element.get("type") in _FIELDS


def entry(element: Json, value: Any) -> Json:
    """Return how a state tells of a value; Slack's own entries are taken as they are."""
    return value if isinstance(value, dict) else {"type": element["type"], **chosen(element, value)}


def state(blocks: list[Json], filled: Filled) -> Json:
    """Return the `values` of a state: what was entered, and else what the view began with."""
    values: Json = {}
    for block, element in _stateful(blocks):
        place = (block["block_id"], element["action_id"])
        values.setdefault(place[0], {})[place[1]] = copy.deepcopy(filled.get(place) or _initial(element))
    return values


def kept(blocks: list[Json], filled: Filled, renewed: list[Json]) -> Filled:
    """Return what stays in the inputs when a view is updated: of those with the same two ids.

    So it is with Slack: another `initial_value` under the same ids is not shown.
    """
    before = state(blocks, filled)
    stays: Filled = {}
    for block, element in _stateful(renewed):
        place = (block["block_id"], element["action_id"])
        old = before.get(place[0], {}).get(place[1])
        if block["type"] == "input" and old and old["type"] == element["type"] and _offered(element, old):
            stays[place] = old
    return stays


def fill(shown: View, values: dict[str, dict[str, Any]]) -> None:
    """Enter `values[block_id][action_id]` into the inputs of a view; complain of what is not there."""
    there = {
        (block["block_id"], element["action_id"]): element
        for block, element in _stateful(shown.view["blocks"])
        if block["type"] == "input"
    }
    for block_id, by_action in values.items():
        for action_id, value in by_action.items():
            if (block_id, action_id) not in there:
                raise AssertionError(f"No input {block_id}/{action_id}; there are {sorted(there)}.")
            shown.filled[block_id, action_id] = entry(there[block_id, action_id], value)


def refusals(shown: View) -> dict[str, str]:
    """Return by block id what Slack's client says instead of submitting; empty where it submits."""
    found: dict[str, str] = {}
    values = state(shown.view["blocks"], shown.filled)
    for block, element in _stateful(shown.view["blocks"]):
        if block["type"] == "input":
            told = values[block["block_id"]][element["action_id"]][_FIELDS[element["type"]][0]]
            if words := _refusal(element, told, optional=bool(block.get("optional"))):
                found[block["block_id"]] = words
    return found


def _refusal(element: Json, told: Any, *, optional: bool) -> str:
    if told is None or told in ("", []):
        return "" if optional else "Please complete this required field."
    if element["type"] == "plain_text_input":
        least, most = element.get("min_length", 0), element.get("max_length", LONGEST_INPUT)
        if not least <= len(str(told)) <= most:
            return f"Please enter between {least} and {most} characters."
    if element["type"] == "number_input":
        return _number_refusal(element, str(told))
    if element["type"] == "email_text_input" and "@" not in str(told):
        return "Please enter a valid email address."
    if element["type"] == "url_text_input" and "://" not in str(told):
        return "Please enter a valid URL."
    return ""


def _number_refusal(element: Json, told: str) -> str:
    try:
        number = Decimal(told)
    except InvalidOperation:
        return "Please enter a number."
    if not element.get("is_decimal_allowed") and number != number.to_integral_value():
        return "Please enter a whole number."
    least, most = element.get("min_value"), element.get("max_value")
    if least is not None and number < Decimal(least):
        return f"Please enter a number of at least {least}."
    if most is not None and number > Decimal(most):
        return f"Please enter a number of at most {most}."
    return ""


def _stateful(blocks: list[Json]) -> Iterator[tuple[Json, Json]]:
    for block in blocks:
        for element in elements_of(block):
            if holds_state(element):
                yield block, element


def _initial(element: Json) -> Json:
    field, initial = _FIELDS[element["type"]]
    usual: list[Json] | None = [] if field.endswith("s") else None
    return {"type": element["type"], field: element.get(initial, usual)}


def _offered(element: Json, old: Json) -> bool:
    """Whether the options chosen before are still among those of an element."""
    several = old.get("selected_options") or [old.get("selected_option")]
    values = [option["value"] for option in options(element)]
    return not values or all(one is None or one["value"] in values for one in several)


def options(element: Json) -> list[Json]:
    """Return the options of an element, those in groups too."""
    grouped = [option for group in element.get("option_groups", []) for option in group["options"]]
    return [*element.get("options", []), *grouped]


def _option(element: Json, value: Any) -> Json:
    found = next((option for option in options(element) if option["value"] == value), None)
    if found is None:
        values = [option["value"] for option in options(element)]
        raise AssertionError(f"No option {value!r} in {element.get('action_id')}; there are {values}.")
    return found
