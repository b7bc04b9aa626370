"""What those who approve fill in is checked with the definition."""

from __future__ import annotations

from typing import Any

import pytest

from flexiroaster.engine.definition import validate
from flexiroaster.engine.errors import Problem
from flexiroaster.stages.registry import default_registry


def check(form: Any, **config: Any) -> list[Problem]:
    review = {"id": "review", "type": "approval", "config": {"message": "Publish?", "form": form, **config}}
    document = {"id": "p", "name": "P", "stages": [review]}
    return validate(document, stage_types=default_registry().types()).problems


def test_a_form_is_like_inputs() -> None:
    assert check({"discount": {"type": "number", "default": 5}, "note": {"type": "string"}}) == []


@pytest.mark.parametrize(
    ("form", "code", "path", "sentence"),
    [
        ({"n": {"type": "numbr"}}, "invalid_field_schema", "n.type", "did you mean `number`?"),
        ({"n": {"$ref": "#/a"}}, "invalid_field_schema", 'n["$ref"]', "`$ref` is not allowed in a field"),
        ({"n": {"type": "number", "default": "x"}}, "invalid_default", "n.default", "must be a number"),
        ({"in": {"type": "number"}}, "invalid_id", "in", "is a word of the expression language"),
    ],
)
def test_a_wrong_field_is_found_where_it_stands(form: Any, code: str, path: str, sentence: str) -> None:
    (problem,) = check(form)
    assert problem.code == code
    assert problem.path.replace("'", '"') == f"stages[0].config.form.{path}".replace(".n[", ".n[")
    assert sentence in problem.message


def test_assignees_are_checked() -> None:
    (problem,) = check({}, assignees=["ada"])
    assert problem.path == "stages[0].config.assignees[0]"


def test_an_expression_may_name_who_is_asked() -> None:
    document = {
        "id": "p",
        "name": "P",
        "inputs": {"who": {"type": "string"}},
        "stages": [
            {"id": "a", "type": "approval", "config": {"message": "OK?", "assignees": ["${{ inputs.who }}"]}},
        ],
    }
    assert validate(document, stage_types=default_registry().types()).problems == []
