from __future__ import annotations

import random
from dataclasses import replace

import pytest

from flexiroaster.ai.insights.budget import Verdict
from flexiroaster.ai.insights.causes import likely_causes
from flexiroaster.ai.insights.find import find
from flexiroaster.ai.insights.past import Past
from flexiroaster.ai.insights.planted import CAUSES, fleet, score
from flexiroaster.ai.insights.signatures import ErrorSeen
from flexiroaster.ai.runs import Run

from .runs import BEGIN, DAY, HOUR, hourly, stage_run

NOW = BEGIN + 40 * DAY


def noisy(count: int, *, slower_from: int = 10**9, factor: float = 1.5, **more: object) -> list[Run]:
    chance = random.Random(7)
    return [
        stage_run(
            number, seconds=60 * chance.lognormvariate(0, 0.05) * (factor if number >= slower_from else 1), **more
        )  # type: ignore[arg-type]
        for number in range(count)
    ]


def test_nothing_is_said_of_steady_runs() -> None:
    assert find(noisy(600), now=NOW) == []


def test_nothing_is_said_without_runs() -> None:
    assert find([], now=NOW) == []


def test_slow_stage_is_told_with_its_numbers() -> None:
    [one] = find(noisy(300, slower_from=200), now=NOW)
    assert one.rule == "slow_runs"
    assert one.subject == "orders/load"
    assert one.since == BEGIN + 200 * HOUR
    assert one.until is None
    assert one.numbers["usual"] == pytest.approx(60, rel=0.05)
    assert one.numbers["now"] == pytest.approx(90, rel=0.05)
    assert one.text.startswith("Stage load of orders takes 1 min 29 s, 49 % more: in the 60 runs before")
    assert one.score >= one.threshold
    assert one.confidence > 0.99
    assert one.executions[0] == "orders-299"
    assert len(one.executions) == 50


def test_slow_stage_is_told_in_its_first_week() -> None:
    [one] = find(noisy(100, slower_from=60), now=NOW)
    assert (one.rule, one.since) == ("slow_runs", BEGIN + 60 * HOUR)


def test_insight_keeps_its_id_as_time_goes_by() -> None:
    invented = fleet(7, pipelines=14, days=30)
    before = {one.id: one for one in find(invented.runs, now=BEGIN + 25 * DAY)}
    after = {one.id for one in find(invented.runs, now=BEGIN + 30 * DAY)}
    assert len(before) >= 5
    assert {one.rule for id, one in before.items() if id not in after} <= {"new_error"}


def test_slowness_that_passed_has_an_end() -> None:
    runs = [*noisy(300, slower_from=200)[:240], *noisy(400)[240:]]
    [one] = find(runs, now=NOW)
    assert one.until == BEGIN + 240 * HOUR


def test_more_rows_are_told_and_not_the_time_that_they_take() -> None:
    chance = random.Random(3)
    runs = []
    for number in range(600):
        rows = 1_000 * chance.lognormvariate(0, 0.3) * (4 if number >= 400 else 1)
        runs.append(stage_run(number, seconds=rows / 20 * chance.lognormvariate(0, 0.05), input_rows=rows))
    assert {one.rule for one in find(runs, now=NOW)} == {"rows_changed"}


def test_weekends_are_no_event() -> None:
    runs = []
    for number in range(24 * 35):
        weekend = number // 24 % 7 >= 5
        runs.append(stage_run(number, input_rows=(300 if weekend else 1_000) + number % 17))
    assert find(runs, now=NOW) == []


def test_rows_that_all_but_vanish_are_told_in_the_first_week() -> None:
    runs = [stage_run(number, input_rows=(10 if number >= 80 else 1_000) + number % 7) for number in range(100)]
    [one] = find(runs, now=NOW)
    assert one.rule == "rows_changed"
    assert one.since == BEGIN + 80 * HOUR
    assert "99 % less" in one.text


def test_rising_failures_are_told_once_and_not_beside_their_cause() -> None:
    rising = find(hourly(200, failing={*range(150, 160), 162, 163, 165}), now=NOW)
    assert [one.rule for one in rising] == ["failure_rate"]
    caused = find([*hourly(150, version="1"), *hourly(20, start=150, version="2", failing=range(150, 170))], now=NOW)
    assert [one.rule for one in caused] == ["bad_version"]


def test_verdicts_move_thresholds() -> None:
    runs = noisy(300, slower_from=200, factor=1.3)
    [one] = find(runs, now=NOW)
    noise = [Verdict(one.rule, one.subject, "noise")] * 6
    assert find(runs, now=NOW, verdicts=noise) == []
    [again] = find(runs, now=NOW, verdicts=[Verdict(one.rule, one.subject, "useful")])
    assert again.threshold < one.threshold
    assert again.id == one.id


def test_future_does_not_change_what_was_known() -> None:
    runs = noisy(300, slower_from=200)
    now = BEGIN + 250 * HOUR
    turned = [
        run if run.started_at < now else replace(run, status="failed", ended_at=run.started_at + 9e5) for run in runs
    ]
    assert find(runs, now=now) == find(turned, now=now)


def test_order_of_the_rows_does_not_matter() -> None:
    invented = fleet(5, pipelines=14, days=8)
    shuffled = list(invented.runs)
    random.Random(1).shuffle(shuffled)
    assert find(shuffled, now=invented.now) == find(invented.runs, now=invented.now)


def test_rows_may_be_mappings() -> None:
    rows = [
        {"run_id": run.execution, "pipeline": run.pipeline, "stage": run.stage, "status": run.status}
        | {"started_at": run.started_at, "ended_at": run.ended_at}
        for run in noisy(300, slower_from=200)
    ]
    assert [one.rule for one in find(rows, now=NOW)] == ["slow_runs"]


def test_new_error_is_told_and_an_old_one_is_not() -> None:
    new = [ErrorSeen(f"orders-{number}", "orders", NOW - 600, f"no key k{number}", "KeyError") for number in range(4)]
    [one] = find([], now=NOW, errors=new)
    assert one.rule == "new_error"
    assert "A new error came 4 times within a day" in one.text
    old = [replace(error, at=NOW - 9 * DAY) for error in new]
    assert find([], now=NOW, errors=[*new, *old]) == []


def test_planted_faults_are_found_and_little_else() -> None:
    invented = fleet(101, pipelines=18, days=30)
    precision, recall = score(find(invented.runs, now=invented.now), invented.plants)
    assert precision >= 0.8
    assert recall >= 0.8


def test_causes_of_planted_failures_are_named() -> None:
    invented = fleet(103, pipelines=14, days=15)
    past = Past(invented.runs, now=invented.now)
    known = [(execution, plant) for execution, plant in invented.failures.items() if plant]
    right = [likely_causes(execution, past)[0].kind == CAUSES[plant.rule] for execution, plant in known]
    assert sum(right) / len(right) >= 0.8


def test_executions_without_their_stages_are_watched_as_a_whole() -> None:
    slow = [replace(run, stage="") for run in noisy(300, slower_from=200)]
    [one] = find(slow, now=NOW)
    assert one.subject == "orders"
    assert one.text.startswith("Pipeline orders takes")
    broken = [replace(run, stage="") for run in hourly(150, version="1")]
    broken += [replace(run, stage="") for run in hourly(20, start=150, version="2", failing=range(150, 170))]
    [one] = find(broken, now=NOW)
    assert one.text == "Since version 2 of orders, it failed in 20 of 20 executions; before in 0 of 150."
    [cause] = likely_causes("orders-160", Past(broken, now=NOW))
    assert cause.text.startswith("Since version 2 the pipeline failed")
