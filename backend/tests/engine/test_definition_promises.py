from __future__ import annotations

from typing import Any

import pytest

from flexiroaster.engine.definition import validate
from flexiroaster.stages.registry import default_registry


def problems(stage: dict[str, Any], **more: Any) -> list[tuple[str, str, str]]:
    document = {"id": "p", "name": "P", "stages": [{"id": "a", "type": "noop", **stage}], **more}
    report = validate(document, stage_types=default_registry().types())
    return [(problem.code, problem.severity, problem.path) for problem in report.problems]


def test_deadlines_and_caches_are_accepted() -> None:
    cache = {"key": "${{ execution.logical_date }}", "ttl": "7d"}
    assert (
        problems({"cache": cache, "deadline": {"by": "06:00"}}, deadline={"by": "07:00", "timezone": "Asia/Tokyo"})
        == []
    )


def test_nobody_is_notified_yet() -> None:
    by = {"by": "06:00", "notify": ["ops"]}
    assert problems({"deadline": by}, deadline=by) == [
        ("not_delivered_yet", "warning", "deadline.notify"),
        ("not_delivered_yet", "warning", "stages[0].deadline.notify"),
    ]


@pytest.mark.parametrize(
    ("type", "code"),
    [("approval", "never_cached"), ("wait", "never_cached"), ("stop", "invalid_value"), ("switch", "invalid_value")],
)
def test_what_is_to_happen_each_time_is_not_cached(type: str, code: str) -> None:
    found = problems({"type": type, "cache": {"key": "a", "ttl": "7d"}})
    assert [problem for problem in found if problem[2] == "stages[0].cache"] == [(code, "error", "stages[0].cache")]


def test_a_deadline_in_no_known_time_zone_is_refused() -> None:
    assert problems({"deadline": {"by": "06:00", "timezone": "Europe/Pariss"}}) == [
        ("invalid_timezone", "error", "stages[0].deadline.timezone")
    ]
