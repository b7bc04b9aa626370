from __future__ import annotations

import random

import pytest

from flexiroaster.ai.insights.budget import HIGHEST, LOWEST, AlertBudget, Sensitivity, Verdict


def test_threshold_is_one_before_anything_is_known() -> None:
    assert AlertBudget().threshold == 1


def test_threshold_follows_the_own_scores() -> None:
    chance = random.Random(1)
    calm, wild = AlertBudget(), AlertBudget()
    for _ in range(5_000):
        calm.learn(chance.random() * 0.5)
        wild.learn(chance.random() * 1.4)
    assert calm.threshold < 1 < wild.threshold


def test_threshold_never_leaves_its_bounds() -> None:
    low, high = AlertBudget(), AlertBudget()
    for _ in range(50_000):
        low.learn(0.0)
        high.learn(100.0)
    assert low.threshold == pytest.approx(LOWEST, rel=0.05)
    assert high.threshold == HIGHEST


def test_noise_raises_and_useful_lowers() -> None:
    noise = [Verdict("slow_runs", "orders", "noise")]
    useful = [Verdict("slow_runs", "orders", "useful")]
    assert Sensitivity(useful).factor("slow_runs", "orders") < 1 < Sensitivity(noise).factor("slow_runs", "orders")
    assert Sensitivity(noise + useful).factor("slow_runs", "orders") > 1


def test_verdict_counts_most_for_its_own_subject() -> None:
    sensitivity = Sensitivity([Verdict("slow_runs", "orders", "noise")] * 2)
    own, other = sensitivity.factor("slow_runs", "orders"), sensitivity.factor("slow_runs", "billing")
    assert own > other > 1
    assert sensitivity.factor("flaky_stage", "orders") == 1


def test_noise_never_silences_for_good() -> None:
    assert Sensitivity([Verdict("slow_runs", "orders", "noise")] * 100).factor("slow_runs", "orders") == 3
    assert Sensitivity([Verdict("slow_runs", "orders", "useful")] * 100).factor("slow_runs", "orders") == 0.7


def test_factor_multiplies_what_was_learnt() -> None:
    assert AlertBudget(factor=2).threshold == 2
