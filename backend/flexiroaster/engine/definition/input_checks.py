"""The inputs of a pipeline and the forms of its approvals: valid JSON Schemas, fitting defaults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flexiroaster.engine.definition.config_schema import SchemaChecker
from flexiroaster.engine.definition.fields import Fields, schema_fault
from flexiroaster.engine.definition.findings import Findings
from flexiroaster.engine.definition.nodes import Path
from flexiroaster.engine.definition.stage_view import StageView
from flexiroaster.engine.errors import Problem
from flexiroaster.engine.expressions.template import templated_texts
from flexiroaster.engine.pipeline import Pipeline
from flexiroaster.engine.quoting import quoted

_RESERVED = frozenset({"in", "true", "false", "null"})


def check_input_schemas(document: dict[str, Any], findings: Findings) -> None:
    _check_fields(document.get("inputs"), ("inputs",), "input", findings)


def check_forms(views: Sequence[StageView], findings: Findings) -> None:
    """What those who approve fill in."""
    for view in views:
        if view.type == "approval":
            _check_fields(view.config.get("form"), (*view.path, "config", "form"), "field", findings)


def _check_fields(schemas: Any, above: Path, one: str, findings: Findings) -> None:
    for name, schema in (schemas if isinstance(schemas, dict) else {}).items():
        if findings.enough():
            return
        if not isinstance(schema, dict):
            continue
        path: Path = (*above, name)
        if name in _RESERVED:
            sentence = f"{quoted(name)} is a word of the expression language."
            findings.add("invalid_id", sentence, path, found=name, at_key=True)
        fault = schema_fault(name, schema, one)
        if fault is None:
            _check_default(schema, path, findings)
        else:
            findings.add(
                f"invalid_{one}_schema",
                fault.message,
                (*path, *fault.path),
                found=fault.found,
                suggestion=fault.suggestion,
                at_key=fault.at_key,
            )


def _check_default(schema: dict[str, Any], path: Path, findings: Findings) -> None:
    if "default" not in schema or next(templated_texts(schema["default"]), None) is not None:
        return
    for problem in SchemaChecker(schema).problems(schema["default"]):
        message = problem.message if problem.path else problem.message.replace("The config", "`default`", 1)
        findings.add("invalid_default", message, (*path, "default", *problem.path), found=problem.found)


def inputs_schema(pipeline: Pipeline) -> dict[str, Any]:
    """One JSON Schema of all inputs: makes the run form."""
    return Fields(pipeline.inputs).schema


def check_inputs(pipeline: Pipeline, given: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """The inputs with defaults filled in, in the order of the definition, and what is wrong with them.

    Expressions in defaults stay as they are, for the caller to render. Expressions in given values are plain text:
    who starts a pipeline does not write its definition.
    """
    return Fields(pipeline.inputs).check(given)
