"""What people say of insights moves thresholds, and the budget of false alarms holds however they say it."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from flexiroaster.ai.insights.budget import FALSE_PER_RUN, NOISE_STEP, SHARED_WEIGHT, Verdict
from flexiroaster.ai.insights.find import find
from flexiroaster.ai.runs import HOUR, Run

BEGIN = 1_700_000_000.0
PIPELINES, RUNS = 20, 400


def clean(seed: int, *, spread: float = 0.15) -> Iterator[Run]:
    """Pipelines with nothing wrong: their durations, rows and waits vary as they always do, one run in 40 fails."""
    chance = random.Random(seed)
    for pipeline in range(PIPELINES):
        usual = chance.uniform(5, 300)
        for number in range(RUNS):
            asked = BEGIN + number * HOUR + pipeline
            start = asked + chance.expovariate(1 / 3)
            yield Run(
                f"{pipeline}-{number}",
                f"p{pipeline}",
                start,
                "load",
                queued_at=asked,
                ended_at=start + usual * chance.lognormvariate(0, spread),
                status="failed" if chance.random() < 1 / 40 else "success",
                output_rows=float(round(1_000 * chance.lognormvariate(0, 0.1))),
            )


@pytest.mark.parametrize(
    "verdicts",
    [[], [Verdict(rule, f"p{n}/load", "useful") for rule in ("slow_runs", "slow_drift") for n in range(100)]],
    ids=["nothing said", "always useful"],
)
def test_the_budget_of_false_alarms_holds(verdicts: list[Verdict]) -> None:
    for seed in (1, 2):
        found = find(clean(seed), now=BEGIN + (RUNS + 1) * HOUR, verdicts=verdicts)
        assert len(found) <= FALSE_PER_RUN * PIPELINES * RUNS, [one.text for one in found]


def slower(factor: float, *, pipeline: str = "orders") -> list[Run]:
    chance = random.Random(pipeline)
    return [
        Run(
            f"{pipeline}{n}",
            pipeline,
            BEGIN + n * HOUR,
            "load",
            ended_at=BEGIN + n * HOUR + 60 * chance.lognormvariate(0, 0.05) * (factor if n >= 200 else 1),
            status="success",
        )
        for n in range(260)
    ]


def test_a_verdict_moves_its_own_threshold_most_and_others_of_its_rule_a_little() -> None:
    runs, now = [*slower(1.5), *slower(1.5, pipeline="stock")], BEGIN + 261 * HOUR
    before = {one.subject: one for one in find(runs, now=now) if one.rule == "slow_runs"}
    said = [Verdict("slow_runs", "orders/load", "noise")]
    after = {one.subject: one for one in find(runs, now=now, verdicts=said) if one.rule == "slow_runs"}
    raised = {subject: after[subject].threshold / one.threshold for subject, one in before.items()}
    assert raised["orders/load"] == pytest.approx(NOISE_STEP)
    assert raised["stock/load"] == pytest.approx(NOISE_STEP**SHARED_WEIGHT)


def test_what_was_called_noise_again_and_again_is_told_later_but_never_not_at_all() -> None:
    now = BEGIN + 261 * HOUR
    score = next(one.score for one in find(slower(1.3), now=now) if one.rule == "slow_runs")
    said = [Verdict("slow_runs", "orders/load", "noise")] * 50
    assert [one for one in find(slower(1.3), now=now, verdicts=said) if one.rule == "slow_runs"] == []
    assert score > 0
    assert [one.rule for one in find(slower(4.0), now=now, verdicts=said)] == ["slow_runs"]
