from __future__ import annotations

import pytest

from flexiroaster.ai.insights.causes import Cause, likely_causes
from flexiroaster.ai.insights.past import Past
from flexiroaster.ai.runs import Run

from .runs import BEGIN, DAY, HOUR, hourly, stage_run

NOW = BEGIN + 60 * DAY


def first(runs: list[Run], execution: str = "orders-100") -> Cause:
    causes = likely_causes(execution, Past(runs, now=NOW))
    assert sum(cause.probability for cause in causes) <= 1 + 1e-9
    return causes[0]


def test_connector_that_failed_for_others_too() -> None:
    runs = hourly(100, connector="warehouse")
    for name in ("billing", "stock", "mail"):
        runs += hourly(100, pipeline=name, connector="warehouse")
        runs.append(stage_run(100, pipeline=name, connector="warehouse", failed=True))
    cause = first([*runs, stage_run(100, connector="warehouse", failed=True)])
    assert cause.kind == "connector_outage"
    assert cause.probability > 0.9
    assert set(cause.executions) == {"billing-100", "stock-100", "mail-100"}
    assert "3 of 3 other executions on the connector warehouse, of 3 pipelines" in cause.text


def test_connector_whose_pipelines_run_hours_apart() -> None:
    runs = []
    for place, name in enumerate(("billing", "stock", "mail")):
        runs += [
            stage_run(
                number,
                pipeline=name,
                at=BEGIN + (12 * number + 2 * place) * HOUR,
                connector="warehouse",
                failed=number == 60,
            )
            for number in range(61)
        ]
    at = BEGIN + 12 * 60 * HOUR + 5 * HOUR
    cause = first([*runs, stage_run(100, at=at, connector="warehouse", failed=True)])
    assert cause.kind == "connector_outage"
    assert "3 of 3 other executions on the connector warehouse, of 3 pipelines, failed within 8 h" in cause.text


def test_failures_of_the_pipeline_itself_do_not_blame_a_connector_that_others_use_seldom() -> None:
    runs = [stage_run(number, connector="warehouse", failed=number >= 98) for number in range(100)]
    runs += [
        stage_run(number, pipeline="mail", at=BEGIN + 7 * number * HOUR, connector="warehouse") for number in range(20)
    ]
    causes = likely_causes(runs[99].execution, Past(runs, now=BEGIN + 200 * HOUR))
    assert "connector_outage" not in {cause.kind for cause in causes}


def test_new_version() -> None:
    runs = hourly(98, version="1") + [stage_run(number, version="2", failed=True) for number in range(98, 101)]
    cause = first(runs)
    assert cause.kind == "version"
    assert cause.text == "Since version 2 the stage load failed in 3 of 3 executions; before in 0 of 98."


def test_input_unlike_any_that_passed() -> None:
    runs = [stage_run(number, input_rows=10_000 + number * 10) for number in range(100)]
    cause = first([*runs, stage_run(100, input_rows=0, failed=True)])
    assert cause.kind == "input"
    assert "It got 0 rows; the 100 executions that passed had 10,050 to 10,940 rows." in cause.text.replace(
        " rows to", " to"
    )


def test_input_that_was_the_same_in_all_that_passed() -> None:
    runs = [stage_run(number, input_rows=1_000) for number in range(100)]
    cause = first([*runs, stage_run(100, input_rows=0, failed=True)])
    assert cause.text == "It got 0 rows; the 100 executions that passed had 1,000 rows."


def test_other_numbers_of_the_input_count_as_well() -> None:
    runs = [stage_run(number, attributes={"files": 12 + number % 3}) for number in range(100)]
    cause = first([*runs, stage_run(100, attributes={"files": 900}, failed=True)])
    assert cause.kind == "input"
    assert "900 as files" in cause.text


def test_text_of_the_input_with_which_it_fails() -> None:
    runs = [stage_run(number, categories={"source": f"eu-{number % 4}"}) for number in range(90)]
    runs += [stage_run(number, categories={"source": "eu-9"}, failed=number % 3 == 1) for number in range(92, 100)]
    cause = first([*runs, stage_run(100, categories={"source": "eu-9"}, failed=True)])
    assert cause.kind == "input"
    assert "With source 'eu-9' the stage load failed in 3 of 9 executions; with others in 0 of 90." in cause.text
    assert set(cause.executions) == {"orders-100", *(one.execution for one in runs if one.failed)}


def test_a_text_that_never_comes_twice_is_no_cause() -> None:
    runs = [stage_run(number, categories={"day": f"day {number}"}) for number in range(100)]
    assert first([*runs, stage_run(100, categories={"day": "day 100"}, failed=True)]).kind == "unknown"


def test_rows_that_were_refused() -> None:
    runs = [stage_run(number, input_rows=1_000, attributes={"invalid_count": number % 4}) for number in range(100)]
    cause = first([*runs, stage_run(100, input_rows=1_000, attributes={"invalid_count": 400}, failed=True)])
    assert cause.kind == "bad_rows"
    assert "400 of its rows were refused (40 %)" in cause.text


def test_stage_before_it_that_was_late() -> None:
    runs = [run for number in range(100) for run in chain(number, 60 + number % 5)]
    cause = first([*runs, *chain(100, 4_000, failed=True)])
    assert cause.kind == "upstream_late"
    assert "extract that it waited for took 1 h 7 min" in cause.text


def chain(number: int, seconds: float, *, failed: bool = False) -> list[Run]:
    return [
        stage_run(number, stage="extract", seconds=seconds),
        stage_run(number, at=BEGIN + number * HOUR + seconds, needs=("extract",), failed=failed),
    ]


def test_time_limit_after_a_slow_run() -> None:
    runs = [stage_run(number, seconds=60 + number % 7) for number in range(100)]
    slow = stage_run(100, seconds=1_200, status="timed_out", error_class="StageTimeout")
    cause = first([*runs, slow])
    assert cause.kind == "slow"
    assert "It was stopped after 20 min" in cause.text


def test_flaky_stage() -> None:
    cause = first(hourly(130, failing=range(4, 130, 8)), "orders-100")
    assert cause.kind == "flaky"


def test_unknown_when_nothing_speaks_for_a_cause() -> None:
    cause = first([*hourly(100), stage_run(100, failed=True)])
    assert cause.kind == "unknown"


def test_few_runs_say_nothing() -> None:
    assert first([*hourly(3, input_rows=5), stage_run(100, input_rows=900, failed=True)]).kind == "unknown"


def test_execution_that_did_not_fail_cannot_be_explained() -> None:
    with pytest.raises(ValueError, match="'orders-5' has no failed stage"):
        likely_causes("orders-5", Past(hourly(10), now=NOW))
