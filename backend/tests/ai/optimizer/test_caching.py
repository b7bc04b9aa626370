"""Results that would have been right each time they had been taken, and none that would have been out of date."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flexiroaster.ai.optimizer.advise import look
from flexiroaster.ai.optimizer.caching import CAUTION, Made, _longest, keys
from flexiroaster.ai.optimizer.suggestion import Suggestion, apply
from flexiroaster.ai.runs import Run
from flexiroaster.engine.duration import parse_duration
from flexiroaster.engine.pipeline import Pipeline
from tests.ai.optimizer.histories import document, ran

DAY = 86_400.0


def features(**changes: Any) -> dict[str, Any]:
    """`profile` takes most of the time."""
    stage = {"id": "profile", "type": "http", "config": {"url": "https://x/p?of=${{ inputs.shop }}"}, **changes}
    report = {"id": "report", "needs": ["profile"], "config": {"a": "${{ results.profile.rows }}"}}
    return document(stage, report)


def made(runs: list[Run], *, stage: str = "profile", changing: int = 0, inputs: int = 1) -> list[Made]:
    """Each result as the one before, or another one after every `changing` of them; inputs take turns."""
    own = [run for run in runs if run.stage == stage]
    return [
        Made(run.execution, stage, run.started_at, f"k{n % inputs}", f"r{n // changing if changing else 0}")
        for n, run in enumerate(own)
    ]


def cached(definition: dict[str, Any], runs: list[Run], seen: list[Made]) -> list[Suggestion]:
    advice = look(definition, runs, takes_data=lambda kind: False, made=seen)
    return [one for one in advice.suggestions if one.kind == "cache"]


def test_a_stage_that_makes_the_same_of_the_same_is_kept() -> None:
    definition = features()
    runs = ran(definition, {"profile": 60.0, "report": 5.0})
    (found,) = cached(definition, runs, made(runs))
    assert found.saving is not None
    assert 50 < found.saving.low <= found.saving.median < 65
    assert found.confidence > 0.9
    assert len(found.shown) > 20
    stage = Pipeline.from_document(apply(definition, found.edits)).stage("profile")
    assert stage.cache is not None
    assert stage.cache.key == "${{ [inputs.shop] }}"
    assert stage.cache.ttl == parse_duration("7d")  # of 39 days for which it stayed the same
    assert "would be noticed" in found.text


@pytest.mark.parametrize("changing", [1, 2, 5, 25], ids="changes after {}".format)
def test_results_that_change_are_not_kept(changing: int) -> None:
    definition = features()
    runs = ran(definition, {"profile": 60.0, "report": 5.0})
    assert cached(definition, runs, made(runs, changing=changing)) == []


def test_what_is_asked_for_anew_each_time_saves_nothing() -> None:
    definition = features()
    runs = ran(definition, {"profile": 60.0, "report": 5.0})
    assert cached(definition, runs, made(runs, inputs=40)) == []


def test_a_short_stage_is_not_worth_it() -> None:
    definition = features()
    runs = ran(definition, {"profile": 0.2, "report": 50.0})
    assert cached(definition, runs, made(runs)) == []


def test_too_few_say_how_many_are_missing() -> None:
    definition = features()
    runs = ran(definition, {"profile": 60.0, "report": 5.0})
    few = runs[: 2 * 21]
    advice = look(definition, few, takes_data=lambda kind: False, made=made(few))
    assert [one for one in advice.suggestions if one.kind == "cache"] == []
    assert [one.text for one in advice.missing] == [
        "Keeping the results of profile may help: it needs 6 more executions to be sure."
    ]


@pytest.mark.parametrize(
    ("stage", "key"),
    [
        ({"type": "http", "config": {"url": "https://x/rates"}}, "${{ [] }}"),
        ({"type": "http", "config": {"url": "https://x", "method": "post"}}, None),
        ({"type": "http", "config": {"url": "https://x/${{ execution.id }}"}}, None),
        ({"type": "http", "config": {"url": "https://x/${{ inputs }}"}}, None),
        ({"type": "python", "config": {"code": "result = 1"}}, "${{ [execution.data, inputs, results.first] }}"),
        ({"type": "processing", "config": {"operations": []}}, "${{ [results.first] }}"),
        ({"type": "output", "config": {"path": "x.csv"}}, None),
        ({"type": "http", "config": {"url": "https://x"}, "cache": {"key": "${{ 1 }}", "ttl": "1h"}}, None),
        ({"type": "http", "config": {"url": "https://x"}, "repeat": {"until": "${{ true }}"}}, None),
    ],
    ids=["a look", "a change", "another each time", "all inputs", "code", "a table", "writes", "cached", "repeated"],
)
def test_what_a_result_is_made_of(stage: dict[str, Any], key: str | None) -> None:
    definition = document({"id": "first"}, {"id": "second", "needs": ["first"], **stage})
    assert keys(definition, takes_data=lambda kind: kind == "processing").get("second") == key


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(60, 90_000), st.integers(0, 2), st.integers(0, 3)), min_size=2, max_size=60))
def test_no_result_that_would_be_taken_is_out_of_date(rows: list[tuple[int, int, int]]) -> None:
    """Whatever the history: within the time that is suggested, a cache would never have answered wrongly."""
    now, seen = 0.0, []
    for number, (gap, key, result) in enumerate(rows):
        now += gap
        seen.append(Made(f"e{number}", "s", now, f"k{key}", f"r{result}"))
    trial = _longest(seen)
    if trial is None:
        return
    kept: dict[str, Made] = {}
    taken = set()
    for one in seen:
        known = kept.get(one.key)
        if known is not None and one.at < known.at + trial.ttl:
            assert known.result == one.result
            taken.add(one.execution)
        else:
            kept[one.key] = one
    assert taken == trial.hits
    assert trial.ttl <= trial.stayed / CAUTION <= now / CAUTION
