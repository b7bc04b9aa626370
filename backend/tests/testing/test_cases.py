"""The tests that stand in a definition."""

from __future__ import annotations

from pathlib import Path

import pytest

from flexiroaster.engine.errors import InvalidDefinition
from flexiroaster.testing import cases
from flexiroaster.testing.cases import Case

EXAMPLES = Path(__file__).parents[2] / "pipelines"

HEAD = """
id: p
name: P
inputs: {day: {type: string, default: mon}}
stages:
  - {id: read, type: noop}
  - {id: ask, type: approval, when: "${{ results.read.rows > 2 }}", config: {message: "Go on?"}}
  - {id: load, type: noop}
outputs: {rows: "${{ results.read.rows }}", table: {n: [1, {a: "${{ inputs.day }}"}]}}
tests:
"""


def case(test: str) -> Case:
    (found,) = cases(HEAD + f"  - {{name: t, {test}}}\n")
    return found


@pytest.mark.parametrize(
    "test",
    [
        "mock: {read: {data: {rows: 1}}}, expect: {status: success}",
        "mock: {read: {data: {rows: 3}}}, expect: {status: paused, at: ask}",
        "mock: {read: {data: [1, 2, 3]}}, expect: {at: ask, stages: {read: success}}",
        "mock: {read: {error: no luck}}, expect: {status: failed, at: read, stages: {ask: skipped, load: skipped}}",
        "inputs: {day: tue}, mock: {read: {data: {rows: 1}}}, "
        "expect: {stages: {ask: skipped}, outputs: {rows: 1, table: {n: [1.0, {a: tue}]}}}",
    ],
)
def test_what_is_expected_passes(test: str) -> None:
    assert case(test).check().status


@pytest.mark.parametrize(
    ("test", "lines"),
    [
        (
            "mock: {read: {data: {rows: 3}}}, expect: {status: success, outputs: {rows: 3}}",
            [
                "status: expected success, got paused (it waits at ask)",
                "outputs.rows: expected 3, got nothing",
            ],
        ),
        (
            "mock: {read: {error: no luck}}, expect: {status: paused, at: ask, stages: {read: success, load: failed}}",
            [
                "status: expected paused, got failed (read: no luck)",
                "at: expected ask, got read",
                "stages.read: expected success, got failed (no luck)",
                "stages.load: expected failed, got skipped (needs ask, which did not run)",
            ],
        ),
        (
            "mock: {read: {data: {rows: 1}}}, expect: {outputs: {rows: true, table: {n: [1, {a: tue, b: 1}]}}}",
            [
                "outputs.rows: expected True, got 1",
                "outputs.table.n[1].a: expected tue, got mon",
                "outputs.table.n[1].b: expected 1, got nothing",
            ],
        ),
        ("inputs: {day: 5}, expect: {status: success}", ["The input `day` must be text, not 5."]),
    ],
)
def test_what_differs_is_told(test: str, lines: list[str]) -> None:
    verdict = case(test).run()
    assert (verdict.ok, verdict.lines()) == (False, lines)
    with pytest.raises(AssertionError, match="p: t"):
        case(test).check()


def test_a_wrong_definition_is_raised() -> None:
    with pytest.raises(InvalidDefinition):
        cases("id: p\nstages: []\n")


@pytest.mark.parametrize(
    "case",
    [found for path in sorted(EXAMPLES.glob("*.yaml")) for found in cases(path)],
    ids=lambda found: f"{found.pipeline_id}: {found}",
)
def test_the_examples_pass_their_own_tests(case: Case) -> None:
    case.check()


def test_every_example_has_tests() -> None:
    for path in EXAMPLES.glob("*.yaml"):
        assert cases(path), path.name
