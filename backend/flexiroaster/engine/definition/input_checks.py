"""The inputs of a pipeline: valid JSON Schemas, fitting defaults, and what a starter gives."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema_rs

from flexiroaster.engine.definition.config_schema import SchemaChecker
from flexiroaster.engine.definition.findings import Findings, path_text, shown_value
from flexiroaster.engine.definition.limits import Refused, plain_document
from flexiroaster.engine.definition.nodes import Path
from flexiroaster.engine.errors import Problem
from flexiroaster.engine.expressions import did_you_mean
from flexiroaster.engine.expressions.template import templated_texts
from flexiroaster.engine.pipeline import Pipeline
from flexiroaster.engine.quoting import listed, quoted, without_middle

_REFERENCES = frozenset({"$ref", "$dynamicRef", "$recursiveRef", "$id", "$anchor", "$dynamicAnchor", "$schema"})
_RESERVED = frozenset({"in", "true", "false", "null"})


def check_input_schemas(document: dict[str, Any], findings: Findings) -> None:
    inputs = document.get("inputs")
    for name, schema in (inputs if isinstance(inputs, dict) else {}).items():
        if not isinstance(schema, dict):
            continue
        path: Path = ("inputs", name)
        if name in _RESERVED:
            sentence = f"{quoted(name)} is a word of the expression language."
            findings.add("invalid_id", sentence, path, found=name, at_key=True)
        reference = next(_references(schema, path), None)
        if reference is not None:
            findings.add(
                "invalid_input_schema",
                f"`{reference[-1]}` is not allowed in an input: write the schema out.",
                reference,
                at_key=True,
            )
        elif _is_schema(schema, path, findings):
            _check_default(schema, path, findings)


def _references(value: Any, path: Path) -> Iterator[Path]:
    """A validator would fetch what a `$ref` points at, from anywhere."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key in _REFERENCES:
                yield (*path, key)
            yield from _references(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _references(item, (*path, index))


def _is_schema(schema: dict[str, Any], path: Path, findings: Findings) -> bool:
    try:
        jsonschema_rs.meta.validate(schema)
        jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
    except (jsonschema_rs.ValidationError, ValueError) as refused:
        at = tuple(getattr(refused, "instance_path", ()))
        message = str(getattr(refused, "message", refused))
        meant = did_you_mean(_type_of(schema), _TYPES) if at == ("type",) else None
        hint = f", did you mean `{meant}`?" if meant else "."
        findings.add(
            "invalid_input_schema",
            f"The input {quoted(str(path[-1]))} is not a JSON Schema: {without_middle(message)}{hint}",
            (*path, *at),
            found=schema.get("type") if at == ("type",) else None,
            suggestion=meant,
        )
        return False
    return True


_TYPES = ("string", "integer", "number", "boolean", "array", "object", "null")


def _type_of(schema: dict[str, Any]) -> str:
    return schema["type"] if isinstance(schema.get("type"), str) else ""


def _check_default(schema: dict[str, Any], path: Path, findings: Findings) -> None:
    if "default" not in schema or next(templated_texts(schema["default"]), None) is not None:
        return
    for problem in SchemaChecker(schema).problems(schema["default"]):
        message = problem.message if problem.path else problem.message.replace("The config", "`default`", 1)
        findings.add("invalid_default", message, (*path, "default", *problem.path), found=problem.found)


def inputs_schema(pipeline: Pipeline) -> dict[str, Any]:
    """One JSON Schema of all inputs: makes the run form. An input without a default is required unless it may be
    null."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": copy.deepcopy(pipeline.inputs),
        "required": [name for name, schema in pipeline.inputs.items() if _is_required(schema)],
        "additionalProperties": False,
    }


def check_inputs(pipeline: Pipeline, given: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """The inputs with defaults filled in, in the order of the definition, and what is wrong with them.

    Expressions in defaults stay as they are, for the caller to render. Expressions in given values are plain text:
    who starts a pipeline does not write its definition.
    """
    try:
        values = plain_document(dict(given))
    except Refused as refused:
        return {}, [Problem(refused.code, refused.message.replace("The definition", "The inputs"), "inputs")]
    filled: dict[str, Any] = {}
    problems = [_unknown_input(name, pipeline) for name in values if name not in pipeline.inputs]
    for name, schema in pipeline.inputs.items():
        if name in values:
            filled[name] = values[name]
            problems += _value_problems(name, schema, values[name])
        elif "default" in schema:
            filled[name] = copy.deepcopy(schema["default"])
        elif _is_required(schema):
            problems.append(_missing_input(name, schema))
        else:
            filled[name] = None
    return filled, problems


def _is_required(schema: Mapping[str, Any]) -> bool:
    kind = schema.get("type")
    return "default" not in schema and kind != "null" and not (isinstance(kind, list) and "null" in kind)


def _value_problems(name: str, schema: Mapping[str, Any], value: Any) -> list[Problem]:
    return [
        Problem(
            "invalid_input",
            problem.message.replace("The config", f"The input `{name}`", 1),
            path_text(("inputs", name, *problem.path)),
            found=shown_value(problem.found),
            suggestion=problem.suggestion,
        )
        for problem in SchemaChecker(schema).strict_problems(value)
    ]


def _unknown_input(name: str, pipeline: Pipeline) -> Problem:
    meant = did_you_mean(name, pipeline.inputs)
    known = f" Known are {listed(pipeline.inputs)}." if pipeline.inputs else " It takes none."
    hint = f", did you mean {meant!r}?" if meant else "." + known
    return Problem(
        "unknown_input",
        f"The pipeline has no input {quoted(name)}{hint}",
        path_text(("inputs", name)),
        found=shown_value(name),
        suggestion=meant,
    )


def _missing_input(name: str, schema: Mapping[str, Any]) -> Problem:
    kind = schema.get("type")
    expects = f" ({kind})" if isinstance(kind, str) else ""
    return Problem("missing_input", f"The input {quoted(name)}{expects} is missing.", path_text(("inputs", name)))
