"""The format of definitions as a model is told it: what the JSON Schema says, in a quarter of its length."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

UNTOLD = frozenset({"$schema", "title", "examples", "additionalProperties", "unevaluatedProperties", "discriminator"})
"""Of a schema; titles repeat names."""
EXAMPLE = """\
id: daily_orders
name: Daily orders
inputs:
  day: {type: string, format: date}
stages:
  - id: fetch
    type: http
    config:
      url: https://shop.example/orders?day=${{ inputs.day }}
    retry: {max_attempts: 3, delay: 10s, backoff: exponential}
  - id: done
    type: noop
    needs: [fetch]
"""


def format_told(schema: Mapping[str, Any]) -> str:
    """From the JSON Schema of the whole format (`engine.definition.json_schema`)."""
    parts = dict(schema["$defs"])
    stage = dict(parts.pop("StageSpec"))
    stage.pop("allOf", None)  # which settings go with which type: said by their names below
    told = {
        "pipeline": _told(schema["properties"], named=True),
        "stage": _told(stage["properties"], named=True),
        "parts": {name: _told(part) for name, part in parts.items()},
    }
    return (
        "A definition looks like this; values in ${{ }} are CEL expressions over inputs, results, execution, trigger "
        f"and item, and may stand anywhere in `config`:\n\n{EXAMPLE}\n"
        "The fields of the pipeline, those of a stage, and their parts as JSON Schema; `config` of a stage of type T "
        f"is the part T.config:\n\n{json.dumps(told, separators=(',', ':'), ensure_ascii=False)}"
    )


def _told(schema: Any, *, named: bool = False) -> Any:
    """`named`: its keys are names of fields, not words of the schema."""
    if isinstance(schema, list):
        return [_told(one) for one in schema]
    if not isinstance(schema, Mapping):
        return schema.removeprefix("#/$defs/") if isinstance(schema, str) else schema
    if not named and {"if", "else"} <= schema.keys() and "then" not in schema:
        return _told({**{key: value for key, value in schema.items() if key not in ("if", "else")}, **schema["else"]})
    found = {}
    for key, value in schema.items():
        if named or not (key in UNTOLD or (key == "default" and not value)):
            found[key] = _told(value, named=not named and key == "properties")
    return _without_null(found) if not named else found


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Leaving a field out does the same."""
    kinds = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
    if len(kinds) != 1:
        return {**schema, "anyOf": kinds} if kinds else schema
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    return {**kinds[0], **rest}
