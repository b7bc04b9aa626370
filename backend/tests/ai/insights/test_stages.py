from __future__ import annotations

from typing import Any

from flexiroaster.ai.insights.past import Past
from flexiroaster.ai.insights.stages import bad_versions, flaky_stages
from flexiroaster.ai.runs import Run

from .runs import BEGIN, DAY, hourly, stage_run

NOW = BEGIN + 60 * DAY


def usual(subject: str) -> float:
    return 1.0


def flaky(runs: list[Run], explained: set[tuple[str, str]] | None = None) -> list[str]:
    return [one.subject for one in flaky_stages(Past(runs, now=NOW), explained or set(), usual)]


def retried(number: int, **more: Any) -> list[Run]:
    """Failed, then passed in the same execution."""
    at = more.pop("at", stage_run(number).started_at)
    return [
        stage_run(number, failed=True, attempt=1, at=at, **more),
        stage_run(number, attempt=2, at=at + 120, **more),
    ]


def test_stage_that_passes_on_retry_again_and_again_is_flaky() -> None:
    runs = [run for number in range(100) for run in (retried(number) if number % 8 == 0 else [stage_run(number)])]
    [one] = flaky_stages(Past(runs, now=NOW), set(), usual)
    assert one.subject == "orders/load"
    assert one.numbers["flips"] == 13
    assert one.numbers["recovered"] == 13
    assert "13 of its last 100 executions" in one.text
    assert one.until is None


def test_stage_that_passes_in_the_next_execution_is_flaky_too() -> None:
    assert flaky(hourly(100, failing=range(0, 100, 8))) == ["orders/load"]


def test_failures_in_a_row_are_not_flaky() -> None:
    assert flaky(hourly(100, failing=range(40, 60))) == []


def test_failures_of_one_hour_are_not_flaky() -> None:
    runs = hourly(100)
    for number in range(100, 120):
        runs += retried(number, at=BEGIN + 100 * 3_600 + (number - 100) * 100)
    assert flaky(runs) == []


def test_failures_that_an_outage_explains_do_not_count() -> None:
    failing = range(0, 100, 8)
    explained = {(f"orders-{number}", "load") for number in failing}
    assert flaky(hourly(100, failing=failing), explained) == []


def test_flaky_stage_that_was_mended_has_an_end() -> None:
    runs = hourly(150, failing=range(0, 60, 6))
    [one] = flaky_stages(Past(runs, now=NOW), set(), usual)
    assert one.until is not None


def versions(broken: range, counts: tuple[int, ...] = (80, 10, 20)) -> list[Run]:
    runs, start = [], 0
    for version, count in enumerate(counts, 1):
        runs += hourly(count, failing=broken, start=start, version=str(version))
        start += count
    return runs


def test_version_that_fails_is_found_with_its_counts() -> None:
    [one] = bad_versions(Past(versions(range(80, 90)), now=NOW), set(), usual)
    assert one.subject == "orders"
    assert one.stage == "load"
    assert one.text == "Since version 2 of orders, stage load failed in 10 of 10 executions; before in 0 of 80."
    assert one.since == BEGIN + 80 * 3_600
    assert one.until is not None


def test_version_after_a_bad_one_is_compared_with_the_good_ones() -> None:
    found = bad_versions(Past(versions(range(80, 110)), now=NOW), set(), usual)
    assert {one.numbers["failed_before"] for one in found} == {0}
    assert len(found) == 2


def test_stage_that_always_failed_is_not_blamed_on_a_version() -> None:
    runs = [
        *hourly(60, failing=range(0, 60, 5), version="1"),
        *hourly(60, failing=range(60, 120, 5), start=60, version="2"),
    ]
    assert bad_versions(Past(runs, now=NOW), set(), usual) == []


def test_failures_in_the_middle_of_a_version_are_not_its_fault() -> None:
    assert bad_versions(Past(hourly(100, failing=range(50, 60)), now=NOW), set(), usual) == []
