"""The tests that stand in a definition: what they name is there, and each of them can fail."""

from __future__ import annotations

import pytest

from tests.engine.definition_samples import check, codes

HEAD = """
id: x
name: X
stages:
  - {id: read, type: input, config: {path: rows.csv}}
  - {id: load, type: noop, compensate: {type: noop}}
finally: [{id: tidy, type: noop}]
outputs: {rows: "${{ results.read.rows }}"}
tests:
"""
GOOD = """  - name: good
    inputs: {}
    mock: {read: {data: [1, 2]}, "load:compensate": {error: gone}, tidy: {file: rows.csv}}
    expect: {status: paused, at: load, stages: {tidy: skipped}, outputs: {rows: 2}}
"""


def test_a_test_may_name_stages_handlers_compensations_and_outputs() -> None:
    report = check(HEAD + GOOD)
    assert report.problems == []
    assert report.pipeline is not None
    assert [test.name for test in report.pipeline.tests] == ["good"]


@pytest.mark.parametrize(
    ("test", "code", "path", "suggestion"),
    [
        ("mock: {raed: {data: 1}}, expect: {status: success}", "unknown_stage", "tests[0].mock.raed", "read"),
        ("expect: {at: laod}", "unknown_stage", "tests[0].expect.at", "load"),
        ("expect: {stages: {lod: success}}", "unknown_stage", "tests[0].expect.stages.lod", "load"),
        ("expect: {outputs: {row: 2}}", "unknown_output", "tests[0].expect.outputs.row", "rows"),
        ("expect: {}", "invalid_value", "tests[0].expect", "status: success"),
        (
            "mock: {read: {data: 1, error: no}}, expect: {at: load}",
            "invalid_value",
            "tests[0].mock.read",
            "data: {rows: 3}",
        ),
    ],
)
def test_what_a_test_names_wrongly_is_said(test: str, code: str, path: str, suggestion: str) -> None:
    report = check(HEAD + f"  - {{name: t, {test}}}\n")
    assert codes(report) == [code]
    assert (report.problems[0].path, report.problems[0].suggestion) == (path, suggestion)


def test_a_result_of_null_stands_in_for_a_stage_too() -> None:
    report = check(HEAD + "  - {name: t, mock: {read: {data: null}}, expect: {status: success}}\n")
    assert report.ok
    assert report.document is not None
    assert check(report.document).ok


def test_two_tests_of_one_name_are_refused() -> None:
    report = check(HEAD + GOOD + GOOD)
    assert codes(report) == ["duplicate_id"]
    assert report.problems[0].path == "tests[1].name"
