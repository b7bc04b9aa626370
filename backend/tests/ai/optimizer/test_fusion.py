"""Chains whose hand-overs take long are written as one, where nothing is lost by it."""

from __future__ import annotations

from typing import Any

import pytest

from flexiroaster.ai.optimizer.advise import advise
from flexiroaster.ai.optimizer.suggestion import Suggestion, apply
from flexiroaster.ai.runs import Run
from flexiroaster.engine.pipeline import Pipeline
from tests.ai.optimizer.histories import document

FILTER = {"op": "filter", "expr": "x > 0"}
SORT = {"op": "sort", "by": ["x"]}
LIMIT = {"op": "limit", "count": 5}


def chain(**changes: Any) -> dict[str, Any]:
    """load → a → b → c → show; `changes` are of b."""
    return document(
        {"id": "load", "type": "input"},
        {"id": "a", "type": "processing", "needs": ["load"], "config": {"operations": [FILTER]}},
        {"id": "b", "type": "processing", "needs": ["a"], "config": {"operations": [SORT]}, **changes},
        {"id": "c", "type": "processing", "needs": ["b"], "config": {"operations": [LIMIT]}},
        {"id": "show", "needs": ["c"], "config": {"rows": "${{ results.c.rows }}"}},
    )


def ran(gap: float) -> list[Run]:
    runs = []
    for number in range(30):
        begin = number * 1_000.0
        for stage in ("load", "a", "b", "c", "show"):
            runs.append(Run(f"e{number}", "p", begin, stage, ended_at=begin + 1, status="success"))
            begin += 1 + (gap if stage in ("a", "b") else 0.0)
    return runs


def fused(definition: dict[str, Any], gap: float = 1.0) -> list[Suggestion]:
    found = advise(definition, ran(gap))
    assert isinstance(found, list)
    return [one for one in found if one.kind == "fusion"]


def test_a_chain_becomes_its_last_stage() -> None:
    definition = chain()
    (one,) = fused(definition)
    assert one.stages == ("a", "b", "c")
    assert one.saving is not None
    assert one.saving.low == pytest.approx(2.0)
    assert one.confidence > 0.99
    changed = apply(definition, one.edits)
    pipeline = Pipeline.from_document(changed)
    assert [stage.id for stage in pipeline.stages] == ["load", "c", "show"]
    assert pipeline.stage("c").needs == ["load"]
    assert pipeline.stage("c").config == {"operations": [FILTER, SORT, LIMIT]}


def test_no_hand_over_worth_a_word_is_not_told() -> None:
    assert fused(chain(), gap=0.1) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"retry": {"max_attempts": 2}},
        {"pool": "gpu"},
        {"config": {"operations": [{"op": "group", "by": "x"}]}},
        {"config": {"operations": [{"op": "join", "with": "${{ results.a.data }}", "on": ["x"]}]}},
        {"config": {"data": "${{ results.load.data }}", "operations": [SORT]}},
        {"config": {"operations": [SORT], "engine": "spark"}},
    ],
    ids=["retries", "a pool", "groups", "joins itself", "another table", "another engine"],
)
def test_where_something_would_be_lost_it_is_advice(changes: dict[str, Any]) -> None:
    (one,) = fused(chain(**changes))
    assert one.edits == ()


def test_a_stage_that_others_read_stays() -> None:
    definition = chain() | {"outputs": {"kept": "${{ results.b.rows }}"}}
    (one,) = fused(definition)
    assert one.edits == ()


def test_the_table_of_the_first_is_that_of_all() -> None:
    definition = chain()
    definition["stages"][1]["config"]["data"] = "${{ results.load.data }}"
    definition["stages"][2]["config"]["data"] = "${{ results.a }}"
    definition["stages"][3]["config"]["data"] = "${{ results.b.data }}"
    (one,) = fused(definition)
    changed = Pipeline.from_document(apply(definition, one.edits))
    assert changed.stage("c").config["data"] == "${{ results.load.data }}"


@pytest.mark.parametrize("change", [{"when": "${{ true }}"}, {"join": "all_done"}])
def test_a_condition_ends_a_chain(change: dict[str, Any]) -> None:
    assert [one.stages for one in fused(chain(**change), gap=3.0)] == [("b", "c")]
