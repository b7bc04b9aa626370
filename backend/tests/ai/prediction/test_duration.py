from __future__ import annotations

import math
import random
from dataclasses import replace
from statistics import median
from typing import Any

import pytest

from flexiroaster.ai import Predictor, Run
from flexiroaster.ai.prediction.accuracy import Errors, conformal
from flexiroaster.ai.prediction.pace import RECENT, Paces, seconds_from


def run(number: int, seconds: float, **values: object) -> Run:
    at = 100_000.0 * number
    given = {"execution": f"e{number}", "pipeline": "p", "stage": "load", "kind": "sql", "started_at": at}
    return Run.of(given | {"ended_at": at + seconds, "status": "success"} | values)


def test_a_first_run_gets_a_wide_interval() -> None:
    answer = Predictor().predict(run(0, 1)).duration
    assert answer.p10 < answer.p50 < answer.p90
    assert answer.p90 / answer.p50 > 5
    assert answer.runs == 0


def test_the_median_of_a_steady_stage_is_found_after_few_runs() -> None:
    chance = random.Random(0)
    predictor = Predictor()
    for number in range(40):
        row = run(number, 60 * math.exp(chance.gauss(0, 0.1)))
        predictor.predict(row)
        predictor.observe(row)
    answer = predictor.predict(run(41, 1)).duration
    assert 54 < answer.p50 < 66
    assert 62 < answer.p90 < 80
    assert answer.runs == 40


def test_durations_follow_the_size_of_the_input() -> None:
    chance = random.Random(0)
    predictor = Predictor()
    for number in range(60):
        rows = math.exp(chance.uniform(5, 12))
        row = run(number, 0.01 * rows * math.exp(chance.gauss(0, 0.05)), input_rows=rows)
        predictor.predict(row)
        predictor.observe(row)
    small, large = (predictor.predict(run(61, 1, input_rows=rows)).duration for rows in (1_000, 100_000))
    assert small.p50 == pytest.approx(10, rel=0.25)
    assert large.p50 == pytest.approx(1_000, rel=0.25)


def test_a_stage_that_never_ran_is_expected_to_take_what_its_namesakes_take() -> None:
    predictor = Predictor()
    for number in range(30):
        for stage, seconds in (("load", 40.0), ("report", 900.0), (f"own{number}", 2.0)):
            predictor.observe(run(number, seconds, pipeline=f"p{number % 3}", stage=stage))
    plain, named, in_part, new = (
        predictor.predict(run(31, 1, pipeline="new", stage=stage)).duration.p50
        for stage in ("load", "report", "orders.report", "other")
    )
    assert named == in_part
    assert 300 < named < 900
    assert 30 < plain < 50
    assert new < named / 5


@pytest.mark.parametrize(
    ("values", "guessed"),
    [
        ({}, False),
        ({"pipeline": "q", "kind": "http"}, False),
        ({"stage": "new"}, False),
        ({"pipeline": "q", "stage": "part.load", "kind": "http"}, False),
        ({"stage": "new", "kind": "http"}, True),
    ],
    ids=["itself", "its name", "its type", "its name in a part", "nothing"],
)
def test_it_says_where_nothing_alike_has_run(values: dict[str, str], guessed: bool) -> None:
    predictor = Predictor()
    assert predictor.predict(run(0, 1, **values)).duration.guessed
    predictor.observe(run(0, 40.0))
    assert predictor.predict(run(2, 1, **values)).duration.guessed is guessed


def test_namesakes_tell_how_durations_follow_the_size_of_the_input() -> None:
    chance = random.Random(0)
    predictor = Predictor()
    for number in range(90):
        size = math.exp(chance.uniform(5, 12))
        took = 0.01 * size * math.exp(chance.gauss(0, 0.05))
        predictor.observe(run(number, took, pipeline=f"p{number % 3}", input_bytes=size))
        predictor.observe(run(number, 5.0, stage="check", input_bytes=size))
    small, large = (
        predictor.predict(run(91, 1, pipeline="new", input_bytes=size)).duration.p50 for size in (1_000, 100_000)
    )
    assert large > 20 * small


def test_a_size_far_beyond_all_others_is_no_reason_to_expect_hours() -> None:
    chance = random.Random(0)
    predictor = Predictor()
    for number in range(40):
        predictor.observe(run(number, 10 * math.exp(chance.gauss(0, 0.05)), input_bytes=1_000 + number))
    assert predictor.predict(run(41, 1, input_bytes=5e9)).duration.p50 < 15


def test_the_latest_duration_is_that_of_the_execution_not_of_its_slowest_item() -> None:
    paces = Paces()
    for number in range(4):
        for seconds in range(1, 101):
            paces.add(run(number, seconds), None)
    assert seconds_from(paces.features(run(5, 1))[RECENT]) == pytest.approx(37, rel=0.1)


def test_another_candidate_than_the_line_needs_more_than_a_few_executions() -> None:
    few, many = Errors(), Errors()
    for errors, executions in ((few, 2), (many, 30)):
        for number in range(executions):
            for _ in range(100):
                errors.add({"line": 0.5, "median": 0.4}, f"e{number}")
    assert few.best(("line", "median"), None) == "line"
    assert many.best(("line", "median"), None) == "median"


def test_sizes_that_are_no_longer_told_do_no_harm() -> None:
    predictor = Predictor()
    for number in range(20):
        predictor.observe(run(number, 60, input_bytes=1_000.0 + 100 * number))
    for number in range(20, 150):
        predictor.observe(run(number, 60))
    assert predictor.predict(run(151, 1, input_bytes=2_000.0)).duration.p50 == pytest.approx(60, rel=0.2)


def test_failed_runs_say_nothing_about_durations() -> None:
    predictor, other = Predictor(), Predictor()
    for number in range(30):
        for one in (predictor, other):
            one.predict(run(number, 60))
            one.observe(run(number, 60))
        failed = replace(run(number, 5, execution=f"f{number}"), started_at=100_000.0 * number + 70, status="failed")
        other.observe(replace(failed, ended_at=failed.started_at + 5))
    assert predictor.predict(run(31, 1)).duration.p50 == pytest.approx(other.predict(run(31, 1)).duration.p50)


def test_nine_of_ten_runs_end_within_the_90th_percentile(followed: list[Any]) -> None:
    rows = [(prediction.duration, run.seconds) for run, prediction, _ in followed if not run.failed]
    assert 0.85 < sum(seconds <= answer.p90 for answer, seconds in rows) / len(rows) < 0.95
    assert 0.05 < sum(seconds <= answer.p10 for answer, seconds in rows) / len(rows) < 0.15
    assert median(abs(answer.p50 - seconds) / seconds for answer, seconds in rows) < 0.17


def test_conformal_quantiles_are_on_the_safe_side() -> None:
    assert conformal(list(range(1, 10)), 0.9) == 9
    assert conformal(list(range(1, 20)), 0.9) == 18
    assert conformal(list(range(1, 20)), 0.1) == 2
    assert conformal([5.0], 0.9) == 5.0
