"""`-i key=value`: text becomes the type that the pipeline's inputs ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import typer


def typed_inputs(given: Sequence[str], schemas: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """`key=value` pairs; `key=@file` takes the value from a file. What does not fit stays text: the check of inputs
    then says what was expected.
    """
    inputs: dict[str, Any] = {}
    for pair in given:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise typer.BadParameter(f"{pair!r} is not key=value.", param_hint="'-i'")
        inputs[key] = typed(_text(key, text), schemas.get(key, {}))
    return inputs


def typed(text: str, schema: Mapping[str, Any]) -> Any:
    wanted = _types(schema)
    if not wanted:
        return _as_json(text, (bool, int, float, list, dict, type(None)), text)
    if "null" in wanted and text in {"", "null"}:
        return None
    for name, kinds in (
        ("boolean", bool),
        ("integer", int),
        ("number", (int, float)),
        ("array", list),
        ("object", dict),
    ):
        if name in wanted:
            value = _as_json(text, kinds, text)
            if not isinstance(value, str) and (name == "boolean" or not isinstance(value, bool)):
                return value
    if "array" in wanted and not text.lstrip().startswith("["):
        items = schema.get("items")
        return [typed(part, items if isinstance(items, Mapping) else {}) for part in text.split(",")]
    return text


def _types(schema: Mapping[str, Any]) -> set[str]:
    declared = schema.get("type")
    if isinstance(declared, str):
        return {declared}
    if isinstance(declared, list):
        return {str(name) for name in declared}
    names = {bool: "boolean", int: "integer", float: "number", str: "string"}
    return {names[type(choice)] for choice in schema.get("enum", []) if type(choice) in names}


def _as_json(text: str, kinds: Any, otherwise: Any) -> Any:
    try:
        value = orjson.loads(text)  # it takes no NaN and no endless nesting, as the server
    except ValueError:
        return otherwise
    return value if isinstance(value, kinds) else otherwise


def _text(key: str, text: str) -> str:
    if not text.startswith("@"):
        return text
    try:
        return Path(text[1:]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"the file of {key} cannot be read: {error}", param_hint="'-i'") from None
