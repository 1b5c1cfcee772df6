"""What Slack's own models and Slack's own types say about a body before Slack sees it.

Sources: PyPI `slack_sdk.models`; `slack_types.schema.json`, generated from npm `@slack/types`.
"""

import copy
import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator
from jsonschema.exceptions import ValidationError
from slack_sdk.errors import SlackObjectFormationError
from slack_sdk.models.basic_objects import JsonObject
from slack_sdk.models.blocks import Block
from slack_sdk.models.views import View

Body = dict[str, Any]

MOST_BLOCKS = 50
_SCHEMA: Body = json.loads((Path(__file__).parent / "slack_types.schema.json").read_text(encoding="utf-8"))


def problems(blocks: list[Body]) -> list[str]:
    """Return what is wrong with the blocks of a message; nothing is the answer hoped for."""
    count = [f"{len(blocks)} blocks, at most {MOST_BLOCKS}"] if len(blocks) > MOST_BLOCKS else []
    return count + _block_problems(blocks)


def view_problems(view: Body) -> list[str]:
    """Return what is wrong with a modal or a Home tab; nothing is the answer hoped for."""
    definition = {"modal": "Modal", "home": "Home"}.get(str(view.get("type")))
    if definition is None:
        return [f"view: {view.get('type')!r} is neither modal nor home"]
    blocks = view.get("blocks")
    inside = _block_problems(blocks) if isinstance(blocks, list) else []
    # The blocks have had their own say, in plainer words than "not valid under any of the schemas".
    around = _schema_problems({**view, "blocks": []}, definition)
    return _model_problems(View, view) + around + _count_problems(blocks) + inside


def _count_problems(blocks: object) -> list[str]:
    limit = _SCHEMA["definitions"]["Modal"]["properties"]["blocks"]["maxItems"]
    if not isinstance(blocks, list):
        return ["view: no list of blocks"]
    return [f"view: {len(blocks)} blocks, at most {limit}"] if len(blocks) > limit else []


def _block_problems(blocks: list[Body]) -> list[str]:
    found: list[str] = []
    for number, block in enumerate(blocks):
        said = _block_model_problems(block) + _block_schema_problems(block)
        found += [f"block {number}: {words}" for words in said]
    return found


def _block_model_problems(block: Body) -> list[str]:
    if block.get("type") not in _modelled():
        return []  # the schema alone knows, or does not know, such a block
    return _model_problems(Block, block)


def _model_problems(model: type[Block] | type[View], body: Body) -> list[str]:
    try:
        # The models keep, and some change, the dictionaries they are made of.
        made: JsonObject | None = _made(model, copy.deepcopy(body))
        if made is None:
            return [f"slack_sdk does not know {body.get('type')!r}"]
        made.to_dict()
    except (SlackObjectFormationError, TypeError, ValueError, AttributeError, KeyError) as error:
        return [f"slack_sdk: {type(error).__name__}: {error}"]
    return []


def _made(model: type[Block] | type[View], body: Body) -> JsonObject | None:
    return View(**body) if model is View else Block.parse(body)


def _block_schema_problems(block: Body) -> list[str]:
    name = _definitions().get(str(block.get("type")))
    if name is None:
        return [f"@slack/types: no block has type {block.get('type')!r}"]
    return _schema_problems(block, name)


def _schema_problems(body: Body, definition: str) -> list[str]:
    said: list[str] = []
    for error in _validator(definition).iter_errors(body):
        plainest = _plainest(error)
        where = ".".join(str(step) for step in plainest.absolute_path) or "itself"
        said.append(f"@slack/types: {where}: {_shortened(plainest.message)}")
    return said


def _plainest(error: ValidationError) -> ValidationError:
    """Return the cause of an error within the alternative that was meant, told by its `type`."""
    causes: list[ValidationError] = list(error.context or [])
    strangers = {cause.schema_path[0] for cause in causes if list(cause.path)[-1:] == ["type"]}
    meant = [cause for cause in causes if cause.schema_path[0] not in strangers]
    return _plainest(meant[0]) if meant else error


def _shortened(words: str) -> str:
    return words if len(words) <= 200 else f"{words[:80]} … {words[-80:]}"


@cache
def _validator(definition: str) -> Draft7Validator:
    return Draft7Validator({"$ref": f"#/definitions/{definition}", "definitions": _SCHEMA["definitions"]})


@cache
def _definitions() -> dict[str, str]:
    """Return the definition of each type of block; naming one gives an error that a person can read."""
    known = [ref["$ref"].rpartition("/")[2] for ref in _SCHEMA["definitions"]["KnownBlock"]["anyOf"]]
    return {block_type: name for name in known for block_type in _types_of(_SCHEMA["definitions"][name])}


def _types_of(definition: Body) -> set[str]:
    shapes = definition.get("anyOf", [definition])
    return {shape["properties"]["type"]["const"] for shape in shapes}


@cache
def _modelled() -> frozenset[str]:
    return frozenset(str(vars(model)["type"]) for model in Block.__subclasses__())
