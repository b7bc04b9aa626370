"""Positions, edges and paths of a version."""

from __future__ import annotations

from typing import Any

import pytest

from flexiroaster.engine.plan import Plan
from tests.engine.simulation import pipeline

DIAMOND: dict[str, Any] = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]}


@pytest.mark.parametrize(
    ("seconds", "tails"),
    [
        ({}, [3, 2, 2, 1]),
        ({"a": 1, "b": 5, "c": 2, "d": 4}, [10, 9, 6, 4]),
        ({"b": 6, "c": 2}, [14, 10, 6, 4]),  # without a past: the mean of the others, here 4
    ],
)
def test_tails_are_the_longest_remaining_paths(seconds: dict[str, float], tails: list[float]) -> None:
    assert Plan.of(pipeline(DIAMOND)).tails(seconds) == tails


def test_tails_do_not_depend_on_the_order_in_the_file() -> None:
    turned = dict(reversed(DIAMOND.items()))
    plan = Plan.of(pipeline(turned))
    tails = plan.tails({"a": 1, "b": 5, "c": 2, "d": 4})
    assert {stage.id: tails[stage.position] for stage in plan.stages} == {"a": 10, "b": 9, "c": 6, "d": 4}


def test_tails_of_a_chain_as_long_as_can_be() -> None:
    plan = Plan.of(pipeline({f"s{n}": [f"s{n - 1}"] if n else [] for n in range(10_000)}))
    assert plan.tails({})[0] == 10_000
