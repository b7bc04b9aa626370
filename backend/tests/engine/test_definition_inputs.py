from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest

from flexiroaster.engine.definition import check_inputs, inputs_schema
from flexiroaster.engine.pipeline import Pipeline
from tests.engine.definition_samples import document

PIPELINE = Pipeline.from_document(
    document(
        inputs={
            "day": {"type": "string", "format": "date", "default": "${{ date(execution.logical_date) }}"},
            "region": {"type": "string", "enum": ["all", "eu", "us"], "default": "all"},
            "limit": {"type": "integer", "minimum": 1},
            "note": {"type": ["string", "null"]},
        }
    )
)


def test_defaults_are_filled_in_and_expressions_left_for_the_caller() -> None:
    filled, problems = check_inputs(PIPELINE, {"limit": 3})
    assert problems == []
    assert filled == {"day": "${{ date(execution.logical_date) }}", "region": "all", "limit": 3, "note": None}
    assert list(filled) == ["day", "region", "limit", "note"]


@pytest.mark.parametrize(
    ("given", "code", "path", "suggestion"),
    [
        ({}, "missing_input", "inputs.limit", None),
        ({"limit": 0}, "invalid_input", "inputs.limit", None),
        ({"limit": "3"}, "invalid_input", "inputs.limit", None),
        ({"limit": True}, "invalid_input", "inputs.limit", None),
        ({"limit": 1, "regoin": "eu"}, "unknown_input", "inputs.regoin", "region"),
        ({"limit": 1, "region": "es"}, "invalid_input", "inputs.region", "us"),
        ({"limit": 1, "day": "2026-13-01"}, "invalid_input", "inputs.day", None),
        ({"limit": 1, "day": "${{ secrets.x }}"}, "invalid_input", "inputs.day", None),
        ({"limit": float("nan")}, "not_finite", "inputs", None),
        ({"limit": 1, "note": "\x00"}, "invalid_text", "inputs", None),
    ],
)
def test_what_does_not_fit_is_named(given: dict[str, Any], code: str, path: str, suggestion: str | None) -> None:
    _, problems = check_inputs(PIPELINE, given)
    assert [(problem.code, problem.path) for problem in problems] == [(code, path)]
    if suggestion != "us":
        assert problems[0].suggestion == suggestion


def test_the_schema_of_all_inputs_makes_a_form() -> None:
    schema = inputs_schema(PIPELINE)
    assert schema["required"] == ["limit"]
    assert jsonschema_rs.is_valid(schema, {"limit": 1, "region": "eu"})
    assert not jsonschema_rs.is_valid(schema, {"limit": 1, "other": 2})
    schema["properties"]["limit"]["minimum"] = 5
    assert PIPELINE.inputs["limit"]["minimum"] == 1


def test_defaults_are_not_shared_between_executions() -> None:
    pipeline = Pipeline.from_document(document(inputs={"tags": {"type": "array", "default": []}}))
    check_inputs(pipeline, {})[0]["tags"].append("x")
    assert check_inputs(pipeline, {})[0] == {"tags": []}
