"""A definition's own tests: what they name is there, and each of them can fail."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

from flexiroaster.engine.definition.findings import Findings
from flexiroaster.engine.definition.nodes import Path
from flexiroaster.engine.definition.stage_view import StageView
from flexiroaster.engine.pipeline import compensation_id
from flexiroaster.engine.quoting import quoted

MOCK_KEYS = ("data", "file", "error")


def check_tests(document: dict[str, Any], views: Iterable[StageView], findings: Findings) -> None:
    tests = document.get("tests")
    if not isinstance(tests, list):
        return
    stages = {name for view in views for name in _names(view)}
    outputs = document.get("outputs")
    seen: set[str] = set()
    for index, test in enumerate(tests):
        if isinstance(test, dict):
            path: Path = ("tests", index)
            _check_name(test.get("name"), path, seen, findings)
            _check_mocks(_mapping(test.get("mock")), (*path, "mock"), stages, findings)
            _check_expectation(test.get("expect"), (*path, "expect"), stages, _mapping(outputs), findings)


def _names(view: StageView) -> Iterator[str]:
    yield view.id
    if view.raw.get("compensate") is not None:
        yield compensation_id(view.id)


def _check_name(name: object, path: Path, seen: set[str], findings: Findings) -> None:
    if isinstance(name, str):
        if name in seen:
            findings.add("duplicate_id", f"There is a test {quoted(name)} already.", (*path, "name"), found=name)
        seen.add(name)


def _check_mocks(mocks: dict[str, Any], path: Path, stages: Collection[str], findings: Findings) -> None:
    for stage, mock in mocks.items():
        _check_stage(stage, (*path, stage), stages, findings, at_key=True)
        if isinstance(mock, dict) and sum(key in mock for key in MOCK_KEYS) > 1:
            findings.add(
                "invalid_value",
                "What stands in for a stage is one of `data`, `file` and `error`, not several.",
                (*path, stage),
                suggestion="data: {rows: 3}",
            )


def _check_expectation(
    expected: object, path: Path, stages: Collection[str], outputs: Collection[str], findings: Findings
) -> None:
    if not isinstance(expected, dict):
        return
    if not any(expected.values()):
        findings.add(
            "invalid_value", "This test expects nothing, so it cannot fail.", path, suggestion="status: success"
        )
    if isinstance(expected.get("at"), str):
        _check_stage(expected["at"], (*path, "at"), stages, findings)
    for stage in _mapping(expected.get("stages")):
        _check_stage(stage, (*path, "stages", stage), stages, findings, at_key=True)
    for name in _mapping(expected.get("outputs")):
        if name not in outputs:
            findings.add(
                "unknown_output",
                f"The pipeline has no output {quoted(name)}.",
                (*path, "outputs", name),
                found=name,
                suggestion=findings.closest(name, outputs),
                at_key=True,
            )


def _check_stage(name: str, path: Path, stages: Collection[str], findings: Findings, *, at_key: bool = False) -> None:
    if name not in stages:
        findings.add(
            "unknown_stage",
            f"There is no stage {quoted(name)}.",
            path,
            found=name,
            suggestion=findings.closest(name, stages),
            at_key=at_key,
        )


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
