"""What validating a definition says of the types in its expressions."""

from __future__ import annotations

import pytest

from flexiroaster.engine.definition import Report, type_checks, validate
from flexiroaster.engine.expressions.types import Type, of_value
from tests.engine.definition_samples import LOOSE_TYPES, SampleType

TYPES = {**LOOSE_TYPES, "noop": SampleType("noop")}
HEAD = "id: x\nname: X\ninputs:\n  n: {type: integer}\n  s: {type: string}\nstages:\n"


def check(text: str) -> Report:
    return validate(text, stage_types=TYPES, check_support=False)


def test_a_wrong_type_is_found_with_its_place_its_types_and_the_cure() -> None:
    (problem,) = check(HEAD + "  - id: a\n    type: python\n    config: {x: \"day ${{ inputs.n + 'a' }}\"}\n").problems
    assert problem.code == "type_mismatch"
    assert problem.severity == "error"
    assert (problem.path, problem.line, problem.column) == ("stages[0].config.x", 9, 26)
    assert problem.message == (
        "In `inputs.n + 'a'`, `+` cannot take a number (`inputs.n`) and text (`'a'`): write `string(inputs.n) + 'a'`."
    )
    assert problem.suggestion == "string(inputs.n) + 'a'"


@pytest.mark.parametrize(
    ("stage", "code", "severity", "suggestion"),
    [
        ("when: '${{ inputs.n }}'", "not_a_condition", "error", "${{ inputs.n > 0 }}"),
        ("when: '${{ inputs.n + 1 }}'", "not_a_condition", "error", "${{ inputs.n + 1 > 0 }}"),
        ("when: \"${{ inputs.n > 0 ? 'a' : 'b' }}\"", "not_a_condition", "error",
         "${{ (inputs.n > 0 ? 'a' : 'b') != '' }}"),
        ("when: '${{ execution.logical_date }}'", "not_a_condition", "error", None),
        ("when: '${{ inputs.n && true }}'", "type_mismatch", "warning", "inputs.n > 0 && true"),
        ("when: \"${{ inputs.n == '3' }}\"", "never_equal", "warning", None),
        ("repeat: {until: '${{ size(results.a.l) }}'}", "not_a_condition", "error", "${{ size(results.a.l) > 0 }}"),
        ("repeat: {until: '${{ inputs.s + 1 }}'}", "type_mismatch", "error", "inputs.s + string(1)"),
        ("foreach: {items: '${{ inputs.s }}'}", "items_not_a_list", "error", "${{ split(inputs.s, ',') }}"),
        ("foreach: {items: '${{ inputs.n * 2 }}'}", "items_not_a_list", "error", None),
        ("foreach: {items: [1, 2], as: k}\n    config: {x: \"${{ k + 'a' }}\"}", "type_mismatch", "error",
         "string(k) + 'a'"),
        ("foreach: {items: [a]}\n    config: {x: \"${{ index + 'a' }}\"}", "type_mismatch", "error",
         "string(index) + 'a'"),
        ("cache: {key: '${{ execution.number + inputs.s }}', ttl: 1d}", "type_mismatch", "error",
         "string(execution.number) + inputs.s"),
    ],
)  # fmt: skip
def test_types_are_checked_wherever_expressions_stand(
    stage: str, code: str, severity: str, suggestion: str | None
) -> None:
    (problem,) = check(f"{HEAD}  - id: a\n    type: python\n    {stage}\n").problems
    assert (problem.code, problem.severity, problem.suggestion) == (code, severity, suggestion)


@pytest.mark.parametrize(
    "stage",
    [
        "when: '${{ inputs.n > 0 && execution.logical_date.getHours() > 3 }}'",
        "when: '${{ results.b }}'\n    needs: [b]",
        "when: '${{ execution.data }}'",
        "foreach: {items: '${{ results.b.files }}'}\n    needs: [b]\n    config: {x: \"${{ item + 'a' }}\"}",
        "foreach: {items: ['${{ inputs.s }}']}\n    config: {x: \"${{ item + 'a' }}\"}",
        "foreach: {items: [a, b], batch: 2}\n    config: {x: '${{ item.size() + index }}'}",
        "config: {x: 'number ${{ inputs.n }}'}",
    ],
)
def test_what_may_work_is_accepted(stage: str) -> None:
    report = check(f"{HEAD}  - {{id: b, type: python}}\n  - id: a\n    type: python\n    {stage}\n")
    assert report.problems == []


def test_many_items_are_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[object] = []

    def look(value: object) -> Type:
        looked.append(value)
        return of_value(value)

    monkeypatch.setattr(type_checks, "of_value", look)
    texts = ", ".join(f"'${{{{ item + {number} }}}}'" for number in range(50))
    report = check(f"{HEAD}  - id: a\n    type: python\n    foreach: {{items: [1, 2]}}\n    config: {{x: [{texts}]}}\n")
    assert report.problems == []
    assert looked == [1, 2]


def test_the_cases_of_a_switch_are_conditions() -> None:
    text = (
        "  - id: a\n    type: switch\n    config:\n"
        "      cases: [{when: '${{ inputs.n > 1 }}', then: b}, {when: '${{ inputs.s }}', then: b}]\n"
        "  - {id: b, type: noop, needs: [a]}\n"
    )
    report = validate(HEAD + text, stage_types={**TYPES, "switch": SampleType("switch")}, check_support=False)
    assert [(problem.code, problem.path) for problem in report.problems] == [
        ("not_a_condition", "stages[0].config.cases[1].when")
    ]


def test_an_input_is_what_its_default_gives_too() -> None:
    """A default that is an expression is not held against the schema."""
    text = (
        "id: x\nname: X\ninputs:\n  n: {type: integer, default: '${{ execution.logical_date }}'}\n"
        "stages:\n  - {id: a, type: noop, when: \"${{ inputs.n + 'a' == '' }}\"}\n"
    )
    assert check(text).problems == []


@pytest.mark.parametrize(
    ("given", "is_wrong"),
    [
        ("n: '${{ date(execution.logical_date) }}'", True),
        ("n: 'at ${{ execution.logical_date }}'", True),
        ("n: '${{ execution.logical_date.getHours() }}'", False),
        ("n: 3, s: '${{ execution.logical_date }}'", False),
        ("n: 3, s: '${{ trigger.id == trigger.type }}'", True),
    ],
)
def test_what_a_schedule_gives_must_fit_the_input(given: str, is_wrong: bool) -> None:
    inputs = "inputs: {n: {type: integer}, s: {type: string, default: ''}}\n"
    trigger = f"triggers:\n  - {{id: t, type: schedule, every: 1h, inputs: {{{given}}}}}\n"
    report = check("id: x\nname: X\n" + inputs + trigger + "stages:\n  - {id: a, type: noop}\n")
    assert [problem.code for problem in report.problems] == ["invalid_input"] * is_wrong


def test_a_schedule_that_comes_on_no_condition_is_refused() -> None:
    trigger = "triggers:\n  - {id: t, type: schedule, every: 1h, when: '${{ execution.logical_date.getHours() }}'}\n"
    (problem,) = check("id: x\nname: X\n" + trigger + "stages:\n  - {id: a, type: noop}\n").problems
    assert (problem.code, problem.path) == ("not_a_condition", "triggers[0].when")
    assert problem.suggestion == "${{ execution.logical_date.getHours() > 0 }}"
