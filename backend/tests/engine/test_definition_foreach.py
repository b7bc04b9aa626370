"""`foreach` in a definition: what is refused, and what its expressions may name."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.definition_samples import check, codes, document


def found(foreach: dict[str, Any], **keys: Any) -> list[str]:
    return codes(check(document({"id": "a", "type": "noop", "foreach": foreach, **keys})))


@pytest.mark.parametrize(
    "foreach",
    [
        {"items": [1, 2]},
        {"items": []},
        {"items": "${{ inputs.list }}", "as": "region", "max_parallel": 4, "on_error": "continue"},
        {"items": [1, 2], "min_success": "50%"},
        {"items": [1, 2], "min_success": 2},
        {"items": [1, 2, 3], "batch": 2, "min_success": 2},
    ],
)
def test_these_are_right(foreach: dict[str, Any]) -> None:
    source = document({"id": "a", "type": "noop", "foreach": foreach}, inputs={"list": {"type": "array"}})
    assert check(source).problems == []


@pytest.mark.parametrize("name", ["inputs", "results", "index", "true", "int", "in"])
def test_the_item_cannot_take_a_name_that_means_something_else(name: str) -> None:
    report = check(document({"id": "a", "type": "noop", "foreach": {"items": [1], "as": name}}))
    (problem,) = report.problems
    assert (problem.code, problem.path) == ("name_taken", "stages[0].foreach.as")
    assert problem.message == f"Expressions know `{name}` already: give the item another name."
    assert problem.suggestion == f"one_{name}"


def test_more_cannot_succeed_than_there_are() -> None:
    report = check(document({"id": "a", "type": "noop", "foreach": {"items": [1], "min_success": 2}}))
    (problem,) = report.problems
    assert problem.message == "At least 2 must succeed, but there is only 1 item."
    assert found({"items": [1, 2, 3], "batch": 2, "min_success": 3}) == ["too_few_items"]


@pytest.mark.parametrize(
    ("foreach", "code"),
    [
        ({}, "missing_key"),
        ({"items": 3}, "invalid_value"),
        ({"items": "eu, us"}, "invalid_value"),
        ({"items": [1], "min_success": "120%"}, "invalid_value"),
        ({"items": [1], "max_parallel": 0}, "invalid_value"),
        ({"items": [1], "on_error": "ignore"}, "invalid_value"),
    ],
)
def test_these_are_wrong(foreach: dict[str, Any], code: str) -> None:
    assert found(foreach) == [code]


def test_item_and_index_are_known_in_the_stage_alone() -> None:
    config = {"x": "${{ region }} ${{ item }} ${{ index }}"}
    each = {"id": "a", "type": "any", "foreach": {"items": ["eu"], "as": "region"}, "config": config}
    when = {"when": "${{ region != '' && index > 1 }}"}
    assert codes(check(document({**each, **when}), check_support=False, stage_types=_any())) == []
    other = {"id": "b", "type": "any", "config": config}
    report = check(document(each, other), check_support=False, stage_types=_any())
    assert {problem.path for problem in report.problems} == {"stages[1].config.x"}
    assert codes(report) == ["unknown_name"] * 3


def test_the_list_of_items_cannot_name_an_item() -> None:
    report = check(document({"id": "a", "type": "noop", "foreach": {"items": "${{ item }}"}}))
    assert [(problem.code, problem.path) for problem in report.problems] == [
        ("unknown_name", "stages[0].foreach.items")
    ]


def _any() -> dict[str, Any]:
    from tests.engine.definition_samples import TYPES, SampleType

    return {**TYPES, "any": SampleType("any")}
