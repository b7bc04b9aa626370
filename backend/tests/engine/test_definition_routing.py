"""What the validator says of `switch`, `stop` and `repeat`."""

from __future__ import annotations

from typing import Any

import pytest

from flexiroaster.engine.definition import Report
from tests.engine.definition_samples import TYPES, SampleType, check, document

ROUTING = {**TYPES, "switch": SampleType("switch"), "stop": SampleType("stop")}
REGION = "${{ inputs.region }}"


def routed(config: dict[str, Any], **keys: Any) -> Report:
    """A switch `route`, followed by `eu` and `us`; `other` does not need it."""
    return check(
        document(
            {"id": "route", "type": "switch", "needs": [], "config": config, **keys},
            {"id": "eu", "type": "noop", "needs": ["route"]},
            {"id": "us", "type": "noop", "needs": ["route"]},
            {"id": "other", "type": "noop", "needs": ["eu"]},
            inputs={"region": {"type": "string"}},
        ),
        stage_types=ROUTING,
        check_support=False,
    )


def found(report: Report) -> list[tuple[str, str, str | None]]:
    return [(problem.code, problem.path, problem.suggestion) for problem in report.problems]


@pytest.mark.parametrize(
    "config",
    [
        {"value": REGION, "cases": {"eu": "eu", "us": ["us", "eu"]}},
        {"value": REGION, "cases": {"eu": "eu"}, "default": ["us"]},
        {"cases": [{"when": "${{ inputs.region == 'eu' }}", "then": "eu"}], "default": "us"},
    ],
)
def test_switch_that_names_its_followers_is_accepted(config: dict[str, Any]) -> None:
    assert routed(config).problems == []


@pytest.mark.parametrize(
    ("config", "code", "path", "suggestion"),
    [
        ({"value": 1, "cases": {"a": "othr"}}, "unknown_stage", "cases.a", "other"),
        ({"value": 1, "cases": {"a": ["us", "nothing"]}}, "unknown_stage", "cases.a[1]", None),
        ({"value": 1, "cases": {"a": "other"}}, "not_a_follower", "cases.a", "needs: [eu, route]"),
        ({"value": 1, "cases": {"a": "route"}}, "not_a_follower", "cases.a", "needs: [route]"),
        ({"value": 1, "cases": {"a": "us"}, "default": "other"}, "not_a_follower", "default", "needs: [eu, route]"),
        ({"value": 1, "cases": {"a": REGION}}, "expression_not_here", "cases.a", None),
        (
            {"cases": [{"when": "${{ true }}", "then": ["eu", "other"]}]},
            "not_a_follower", "cases[0].then[1]", "needs: [eu, route]",
        ),
        ({"cases": {"a": "eu"}}, "missing_key", "", "value: ${{ inputs.… }}"),
        (
            {"cases": [{"when": "inputs.region == 'eu'", "then": "eu"}]},
            "not_an_expression", "cases[0].when", "when: ${{ inputs.region == 'eu' }}",
        ),
        ({"value": 1, "cases": [{"when": "${{ true }}", "then": "eu"}]}, "invalid_value", "value", None),
    ],
)  # fmt: skip
def test_switch_whose_cases_do_not_fit_is_refused(
    config: dict[str, Any], code: str, path: str, suggestion: str | None
) -> None:
    assert found(routed(config)) == [(code, f"stages[0].config{'.' if path else ''}{path}", suggestion)]


@pytest.mark.parametrize(
    "keys",
    [
        {"foreach": {"items": [1]}},
        {"repeat": {"until": "${{ true }}"}},
        {"compensate": {"type": "noop"}},
    ],
)
def test_what_only_decides_is_neither_repeated_nor_undone(keys: dict[str, Any]) -> None:
    (key,) = keys
    report = routed({"value": 1, "cases": {"a": "eu"}}, **keys)
    assert [(problem.code, problem.path) for problem in report.problems] == [("invalid_value", f"stages[0].{key}")]


@pytest.mark.parametrize("type", ["switch", "stop"])
def test_what_only_decides_is_never_cached(type: str) -> None:
    """A result from the cache would not say what was not chosen."""
    config = {"value": 1, "cases": {"a": "b"}} if type == "switch" else {}
    stages = [
        {"id": "a", "type": type, "config": config, "cache": {"key": "a", "ttl": "1d"}},
        {"id": "b", "type": "noop"},
    ]
    report = check(document(*stages), stage_types=ROUTING, check_support=False)
    assert [(problem.code, problem.path) for problem in report.problems] == [("invalid_value", "stages[0].cache")]


def test_stop_belongs_among_the_stages() -> None:
    report = check(document({"id": "a", "type": "stop"}, on_failure=[{"id": "b", "type": "stop"}]), stage_types=ROUTING)
    assert [(problem.code, problem.path) for problem in report.problems] == [("stop_in_handler", "on_failure[0].type")]


def test_switch_among_handlers_chooses_among_them() -> None:
    report = check(
        document(
            {"id": "a", "type": "noop"},
            **{
                "finally": [
                    {"id": "route", "type": "switch", "config": {"value": 1, "cases": {"1": "z", "2": "a"}}},
                    {"id": "z", "type": "noop"},
                ]
            },
        ),
        stage_types=ROUTING,
    )
    assert [(problem.code, problem.path) for problem in report.problems] == [
        ("unknown_stage", "finally[0].config.cases['2']")
    ]


@pytest.mark.parametrize("type", ["switch", "stop"])
def test_compensation_that_undoes_nothing_is_refused(type: str) -> None:
    report = check(document({"id": "a", "type": "noop", "compensate": {"type": type}}), stage_types=ROUTING)
    assert [(problem.code, problem.path) for problem in report.problems] == [
        ("invalid_value", "stages[0].compensate.type")
    ]


def test_until_may_read_the_result_of_its_own_stage_and_others_before() -> None:
    stages = [
        {"id": "a", "type": "noop"},
        {"id": "b", "type": "noop", "repeat": {"until": "${{ results.b.done && results.a.ok }}", "max": 3}},
    ]
    assert check(document(*stages)).problems == []


def test_until_is_a_condition() -> None:
    report = check(document({"id": "a", "type": "noop", "repeat": {"until": "results.a.done"}}))
    assert [(problem.code, problem.path) for problem in report.problems] == [
        ("not_an_expression", "stages[0].repeat.until")
    ]


def test_stage_is_not_repeated_per_item() -> None:
    keys = {"foreach": {"items": [1]}, "repeat": {"until": "${{ true }}"}}
    report = check(document({"id": "a", "type": "noop", **keys}), check_support=False)
    assert [(problem.code, problem.path) for problem in report.problems] == [("repeat_and_foreach", "stages[0].repeat")]
