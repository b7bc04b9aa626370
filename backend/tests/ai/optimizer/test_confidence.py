"""Confidence rises with evidence, and stays between 0 and 1."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexiroaster.ai.optimizer.advise import advise
from flexiroaster.ai.optimizer.confidence import of_next, of_saving, of_share_above, share_between
from tests.ai.optimizer.histories import attempts, document, ran


@given(st.integers(0, 200), st.integers(0, 200), st.floats(0.01, 0.99))
def test_more_successes_never_make_a_try_look_worse(succeeded: int, failed: int, share: float) -> None:
    tries = succeeded + failed
    now = of_share_above(succeeded, tries, share)
    assert 0 <= now <= of_share_above(succeeded + 1, tries + 1, share) + 1e-9 <= 1 + 1e-9


def test_the_posterior_is_that_of_draws() -> None:
    chance = random.Random(5)
    draws = sorted(chance.betavariate(1 + 3, 3 + 9) for _ in range(20_000))
    low, high = share_between(3, 12)
    assert (low, high) == pytest.approx((draws[1_000], draws[19_000]), abs=0.01)
    assert abs(of_share_above(3, 12, 0.15) - sum(draw > 0.15 for draw in draws) / len(draws)) < 0.01


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=60), st.floats(-100, 100))
def test_what_every_replay_is_off_by_alike_does_not_count(saved: list[float], off: float) -> None:
    assert of_saving(saved, [off] * len(saved)) == of_saving(saved, [0.0] * len(saved))


def test_a_saving_in_the_noise_of_the_replay_is_not_sure() -> None:
    chance = random.Random(2)
    noise = [chance.gauss(0, 10) for _ in range(40)]
    assert of_saving([1.0] * 40, noise) < 0.5
    assert of_saving([30.0] * 40, noise) > 0.999


@given(st.integers(0, 1_000))
def test_what_always_held_is_surer_the_longer_it_did(seen: int) -> None:
    assert of_next(seen, seen) < of_next(seen + 1, seen + 1) < 1


def test_every_suggestion_carries_its_executions_and_confidence() -> None:
    definition = document({"id": "load"}, {"id": "rates", "needs": ["load"], "retry": {"max_attempts": 3}})
    runs = ran(definition, {"load": 10.0, "rates": 20.0}) + attempts("rates", [[False] * 3] * 15)
    found = advise(definition, runs, takes_data=lambda kind: False)
    assert isinstance(found, list)
    assert {one.kind for one in found} == {"parallel", "timeout", "retry", "critical_path"}
    known = {run.execution for run in runs}
    for one in found:
        assert 0.5 < one.confidence <= 1, one.text
        assert one.shown, one.text
        assert set(one.shown) <= known
