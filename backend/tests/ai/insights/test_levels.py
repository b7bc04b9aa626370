from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flexiroaster.ai.insights.budget import AlertBudget
from flexiroaster.ai.insights.levels import LevelMonitor, slow_runs


def durations(runs: int, *, spread: float = 0.02, seed: int = 1) -> list[float]:
    chance = random.Random(seed)
    return [100 * chance.lognormvariate(0, spread) for _ in range(runs)]


def alerts(values: list[float], **options: object) -> list[int]:
    monitor = LevelMonitor(**options)  # type: ignore[arg-type]
    return [run for run, value in enumerate(values) if (level := monitor.observe(value)) and level.alert]


def test_clean_runs_stay_within_the_budget() -> None:
    total = sum(len(alerts(durations(1_000, spread=0.03, seed=seed))) for seed in range(10))
    assert total <= 10


@pytest.mark.parametrize("factor", [1.10, 1.25, 2.0])
def test_slowdown_is_found_within_three_runs(factor: float) -> None:
    found = 0
    for seed in range(40):
        values = durations(140, seed=seed)
        slowed = values[:120] + [value * factor for value in values[120:]]
        found += any(120 <= run < 125 for run in alerts(slowed))
    assert found >= 38


def test_alert_says_usual_and_new_level() -> None:
    monitor = LevelMonitor()
    values = durations(120, spread=0.01) + [value * 1.5 for value in durations(10, spread=0.01, seed=9)]
    [level] = [level for value in values if (level := monitor.observe(value)) and level.alert]
    assert level.usual == pytest.approx(100, rel=0.02)
    assert level.ratio == pytest.approx(1.5, rel=0.05)
    assert level.score >= level.threshold


def test_one_wild_run_is_no_slowdown() -> None:
    values = durations(200)
    values[150] *= 20
    assert alerts(values) == []


def test_lasting_slowdown_is_told_once() -> None:
    values = durations(120) + [value * 1.4 for value in durations(200, seed=8)]
    assert len(alerts(values)) == 1


def test_faster_runs_alert_only_where_asked() -> None:
    values = durations(120) + [value * 0.5 for value in durations(20, seed=8)]
    assert alerts(values) == []
    assert len(alerts(values, direction="both")) == 1


def test_rows_that_vanish_are_found() -> None:
    values = [float(round(value)) for value in durations(100)] + [0.0] * 4
    assert [100 <= run <= 102 for run in alerts(values, direction="both", offset=1.0)] == [True]


def test_shift_too_small_to_matter_is_no_alert_however_steady_the_runs() -> None:
    assert alerts([100.0] * 120 + [100.8] * 40) == []


def test_nothing_is_said_of_few_runs() -> None:
    monitor = LevelMonitor()
    assert all(monitor.observe(10.0) is None for _ in range(22))
    assert monitor.observe(10.0) is not None


def test_value_without_a_logarithm_is_refused() -> None:
    with pytest.raises(ValueError, match=r"-1\.0 has no logarithm"):
        LevelMonitor().observe(-1.0)


@settings(max_examples=30, deadline=None)
@given(st.floats(1e-6, 1e6), st.integers(0, 50))
def test_unit_of_the_values_does_not_matter(unit: float, seed: int) -> None:
    values = durations(60, seed=seed) + [value * 1.6 for value in durations(10, seed=seed + 100)]
    assert alerts(values) == alerts([value * unit for value in values])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 1e12), max_size=120))
def test_any_numbers_are_borne(values: list[float]) -> None:
    assert all(score >= 0 for score in slow_runs(value + 1e-3 for value in values))


def test_noisy_history_raises_its_own_threshold() -> None:
    chance = random.Random(5)
    wild = [100 * chance.lognormvariate(0, 0.02) * (3 if chance.random() < 0.08 else 1) for _ in range(4_000)]
    budget = AlertBudget()
    found = alerts(wild, budget=budget)
    assert budget.threshold > 1
    assert len([run for run in found if run >= 2_000]) <= 8
