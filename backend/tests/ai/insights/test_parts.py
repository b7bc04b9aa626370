from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flexiroaster.ai.insights.adjusted import WorkAdjusted
from flexiroaster.ai.insights.chance import at_least, drawn_at_least
from flexiroaster.ai.insights.drift import DriftMonitor
from flexiroaster.ai.insights.rates import FailureMonitor
from flexiroaster.ai.insights.weekly import DAY_SECONDS, without_weekdays
from flexiroaster.ai.wording import count, share, size, span


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 60), st.integers(0, 60), st.floats(0.001, 0.999))
def test_binomial_tail_is_that_of_its_sum(trials: int, hits: int, probability: float) -> None:
    exact = math.fsum(
        math.comb(trials, k) * probability**k * (1 - probability) ** (trials - k) for k in range(hits, trials + 1)
    )
    assert at_least(hits, trials, probability) == pytest.approx(min(exact, 1.0), rel=1e-6, abs=1e-12)


def test_binomial_tail_at_its_ends() -> None:
    assert at_least(0, 5, 0.0) == 1
    assert at_least(1, 5, 0.0) == 0
    assert at_least(6, 5, 0.5) == 0
    assert at_least(5, 5, 1.0) == 1
    assert at_least(900, 1_000, 0.01) == pytest.approx(0.0, abs=1e-300)


def test_drawn_at_least_is_fishers() -> None:
    assert drawn_at_least(5, 5, 5, 10) == pytest.approx(1 / math.comb(10, 5))
    assert drawn_at_least(0, 5, 5, 10) == pytest.approx(1)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.04 s"), (12.4, "12 s"), (200, "3 min 20 s"), (180, "3 min"), (7_500, "2 h 5 min"), (273_600, "3 d 4 h")],
)
def test_spans(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_other_numbers() -> None:
    assert [share(part) for part in (0.0, 0.004, 0.12, 1.5)] == ["0 %", "0.4 %", "12 %", "150 %"]
    assert share(0.0002) == "less than 0.1 %"
    assert [count(number) for number in (12, 1_250, 3.4e6, 0.25)] == ["12", "1,250", "3.4 million", "0.25"]
    assert [size(number) for number in (900, 1_500, 2e9)] == ["900 B", "1.5 KB", "2 GB"]


def test_drift_is_found_and_noise_is_not() -> None:
    chance = random.Random(2)
    noise = DriftMonitor()
    assert not any(noise.observe(100 * chance.lognormvariate(0, 0.1)) for _ in range(2_000))
    creeping = DriftMonitor()
    found = [creeping.observe(100 * 1.001**run * chance.lognormvariate(0, 0.1)) for run in range(500)]
    drift = next(one for one in found if one)
    assert drift.now > 1.1 * drift.before


def test_failures_that_rise_are_told_once() -> None:
    monitor = FailureMonitor()
    outcomes = [False] * 100 + [True, True, False, True, True, True] + [False] * 50
    found = [(run, rise) for run, failed in enumerate(outcomes) if (rise := monitor.observe(failed=failed))]
    [(run, rise)] = found
    assert 101 <= run <= 105
    assert rise.usual == 0


def test_steady_failures_stay_within_the_budget() -> None:
    chance = random.Random(4)
    monitor = FailureMonitor()
    assert sum(bool(monitor.observe(failed=chance.random() < 0.05)) for _ in range(10_000)) <= 10


def test_growth_with_the_amount_is_learnt() -> None:
    chance = random.Random(5)
    adjusted = WorkAdjusted()
    for _ in range(300):
        rows = 1_000 * chance.lognormvariate(0, 0.5)
        seconds = adjusted.seconds(rows / 10 * chance.lognormvariate(0, 0.05), rows)
    assert adjusted.slope == pytest.approx(1, abs=0.1)
    assert adjusted.seconds(1_000, 10_000) == pytest.approx(seconds, rel=0.5)


def test_amounts_that_do_not_vary_change_nothing() -> None:
    adjusted = WorkAdjusted()
    assert [adjusted.seconds(7.0, 50) for _ in range(100)] == pytest.approx([7.0] * 100)
    assert adjusted.seconds(7.0, None) == 7.0


def test_weekdays_are_judged_by_earlier_weeks_alone() -> None:
    times = [day * DAY_SECONDS + hour * 3_600.0 for day in range(28) for hour in range(24)]
    logs = [(-1.0 if day % 7 >= 5 else 0.0) for day in range(28) for _ in range(24)]
    assert without_weekdays(times, logs, learning=True) == [0.0] * len(times)
    assert without_weekdays(times, logs, learning=False)[14 * 24 :] == [0.0] * (14 * 24)
    later = [log + (2.0 if at >= 21 * DAY_SECONDS else 0.0) for at, log in zip(times, logs, strict=True)]
    changed = without_weekdays(times, later, learning=True)
    assert changed == [0.0] * (21 * 24) + [2.0] * (7 * 24)


def test_one_unusual_day_is_no_habit() -> None:
    times = [day * DAY_SECONDS for day in range(28)]
    logs = [0.5 if day == 3 else 0.0 for day in range(28)]
    assert without_weekdays(times, logs, learning=False) == logs
    assert without_weekdays([], [], learning=True) == []
