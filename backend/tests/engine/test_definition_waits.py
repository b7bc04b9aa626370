"""What a stage that waits may refer to."""

from __future__ import annotations

from typing import Any

import pytest

from flexiroaster.engine.definition import validate
from flexiroaster.stages.registry import default_registry


def problems(until: str, **more: Any) -> list[tuple[str, str, str]]:
    stages = [
        {"id": "load", "type": "noop", "needs": []},
        {"id": "w", "type": "wait", "needs": [], "config": {"until": until}, **more},
        {"id": "after", "type": "noop", "needs": ["w"]},
    ]
    report = validate({"id": "p", "name": "P", "stages": stages}, stage_types=default_registry().types())
    return [(problem.code, problem.severity, problem.path) for problem in report.problems]


@pytest.mark.parametrize("until", ["${{ has(results.load) }}", "${{ has( results.load ) && results.load.rows > 0 }}"])
def test_a_wait_may_look_at_a_stage_beside_it(until: str) -> None:
    assert problems(until) == []


def test_a_stage_that_may_not_be_there_yet_wants_a_guard() -> None:
    assert problems("${{ results.load.rows > 0 }}") == [("may_not_be_there", "warning", "stages[1].config.until")]


@pytest.mark.parametrize("until", ["${{ has(results.after) }}", "${{ has(results.w) }}"])
def test_a_wait_cannot_wait_for_what_waits_for_it(until: str) -> None:
    assert problems(until) == [("not_upstream", "error", "stages[1].config.until")]


def test_other_keys_see_what_is_upstream_alone() -> None:
    assert ("not_upstream", "error", "stages[1].when") in problems("${{ true }}", when="${{ has(results.load) }}")
