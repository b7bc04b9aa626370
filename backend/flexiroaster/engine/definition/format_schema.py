"""JSON Schema of the whole format, for editors: generated from the models, with each stage type's own config."""

from __future__ import annotations

from typing import Any

from flexiroaster.engine.definition.config_schema import tolerant
from flexiroaster.engine.definition.report import StageTypes
from flexiroaster.engine.field_types import FormatJsonSchema
from flexiroaster.engine.pipeline import Pipeline

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema(stage_types: StageTypes) -> dict[str, Any]:
    """What `validate` accepts by shape: a stage's config nested or flat, `needs` or not, expressions for values."""
    schema = Pipeline.model_json_schema(by_alias=True, schema_generator=FormatJsonSchema)
    definitions = schema["$defs"]
    schema["required"] = ["stages"]
    stage = definitions["StageSpec"]
    stage.pop("additionalProperties")
    stage["unevaluatedProperties"] = False
    stage["properties"]["when"] = {"type": ["string", "boolean"], "description": "An expression: ${{ … }}"}
    stage["properties"]["type"] = {"type": "string", "examples": sorted(stage_types)}
    stage["allOf"] = [_for_type(name, stage_types[name].schema, definitions) for name in sorted(stage_types)]
    return {"$schema": DIALECT, "title": "FlexiRoaster pipeline", **schema}


def _for_type(name: str, schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """`config` of this type, or its keys in the stage itself as the specification writes them."""
    prefix = f"{name}."
    config = _renamed(tolerant(schema), prefix)
    for key, definition in config.pop("$defs", {}).items():
        definitions[prefix + key] = definition
    definitions[f"{prefix}config"] = config
    engine_keys = definitions["StageSpec"]["properties"]
    flat = {key: below for key, below in config.get("properties", {}).items() if key not in engine_keys}
    return {
        "if": {"properties": {"type": {"const": name}}, "required": ["type"]},
        "then": {"properties": {"config": _without_required(config), **flat}},
    }


def _without_required(config: dict[str, Any]) -> dict[str, Any]:
    """Required keys may lie in the stage itself, so only `validate` can miss them."""
    return {key: value for key, value in config.items() if key not in {"required", "oneOf", "anyOf"}}


def _renamed(schema: Any, prefix: str) -> Any:
    """References into the type's own definitions, which move into the definitions of the whole."""
    if isinstance(schema, dict):
        return {
            key: f"#/$defs/{prefix}{value.removeprefix('#/$defs/')}"
            if key == "$ref" and isinstance(value, str) and value.startswith("#/$defs/")
            else _renamed(value, prefix)
            for key, value in schema.items()
        }
    return [_renamed(item, prefix) for item in schema] if isinstance(schema, list) else schema
