from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest

from flexiroaster.ai import Predictor
from flexiroaster.ai.invented import Invented
from flexiroaster.ai.prediction.duration import DurationPrediction
from flexiroaster.ai.prediction.outlook import Ahead, outlook
from flexiroaster.ai.prediction.predictor import Coming


def lasts(seconds: float, spread: float = 1.1) -> DurationPrediction:
    return DurationPrediction(seconds / spread, seconds, seconds * spread, "line", 50)


def test_the_longest_path_gives_the_end() -> None:
    stages = [
        Ahead("read", lasts(10)),
        Ahead("slow", lasts(100), needs=("read",)),
        Ahead("fast", lasts(5), needs=("read",)),
        Ahead("write", lasts(20), needs=("slow", "fast")),
    ]
    answer = outlook(stages)
    assert answer.p10 < answer.p50 < answer.p90
    assert answer.p50 == pytest.approx(130, rel=0.05)
    assert answer.critical == ("read", "slow", "write")
    assert answer.shares["fast"] == 0.0
    assert outlook(stages) == answer


def test_what_has_run_shortens_what_is_left() -> None:
    begun = outlook([Ahead("s", lasts(100, 1.3), elapsed=60.0)])
    assert 30 < begun.p50 < 50
    late = outlook([Ahead("s", lasts(100, 1.3), elapsed=1000.0)])
    assert late.p50 > 100


def test_retries_lengthen_the_end_and_lower_the_risk() -> None:
    once = outlook([Ahead("s", lasts(10), failure=0.5)])
    again = outlook([Ahead("s", lasts(10), failure=0.5, retries=(0.4, 0.3), delay=30.0)])
    assert once.failure == pytest.approx(0.5)
    assert again.failure == pytest.approx(0.5 * 0.4 * 0.3)
    assert again.p90 > 30 + once.p90


def test_risks_of_stages_add_up_and_fall_as_stages_end() -> None:
    stages = [Ahead("a", lasts(1), failure=0.1), Ahead("b", lasts(1), failure=0.2, needs=("a",))]
    assert outlook(stages).failure == pytest.approx(0.28)
    assert outlook(stages[1:]).failure == pytest.approx(0.2)
    assert outlook([]).failure == 0.0


def test_stages_in_a_circle_are_refused() -> None:
    with pytest.raises(ValueError, match="circle"):
        outlook([Ahead("a", lasts(1), needs=("b",)), Ahead("b", lasts(1), needs=("a",))])


def test_the_interval_holds_eight_of_ten_ends() -> None:
    chance = random.Random(4)
    stages = [Ahead(f"s{i}", lasts(20, 1.6), needs=(f"s{i - 1}",) if i else ()) for i in range(5)]
    answer = outlook(stages)
    spread = math.log(1.6) / 1.2816
    ends = [sum(20 * math.exp(chance.gauss(0, spread)) for _ in range(5)) for _ in range(2000)]
    inside = sum(answer.p10 <= end <= answer.p90 for end in ends) / len(ends)
    assert 0.72 < inside < 0.88


def test_a_predictor_says_what_is_left_of_an_execution(learned: Predictor, invented: Invented) -> None:
    execution = next(run.execution for run in reversed(invented.runs) if len(run.needs) > 1)
    runs = [run for run in invented.runs if run.execution == execution and run.attempt == 1]
    now = max(run.ended_at or 0.0 for run in invented.runs) + 60.0
    plan = [Coming(replace(run, execution="new", ended_at=None, status=""), max_attempts=3, delay=30.0) for run in runs]
    whole = learned.outlook(now, plan)
    middles = [learned.level(runs[0]).foresee(replace(run, started_at=now)).duration.p50 for run in runs]
    assert max(middles) * 0.8 < whole.p50 < sum(middles) * 1.3
    begun = replace(plan[1].run, started_at=now - middles[1] / 2)
    later = learned.outlook(now, [Coming(begun, running=True, max_attempts=3, delay=30.0), *plan[2:]])
    assert later.p50 < whole.p50
    assert 0.0 < later.failure < whole.failure < 1.0
