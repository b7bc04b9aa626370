"""Suggestions on histories whose best change is known, and none where there is nothing to gain."""

from __future__ import annotations

from typing import Any

import pytest

from flexiroaster.ai.optimizer.advise import Effect, advise, effect
from flexiroaster.ai.optimizer.limits import sizes
from flexiroaster.ai.optimizer.schedules import contention
from flexiroaster.ai.optimizer.suggestion import Kind, NotEnough, Suggestion, apply
from flexiroaster.ai.runs import Run
from flexiroaster.ai.wording import span
from flexiroaster.engine.pipeline import Pipeline
from tests.ai.optimizer.histories import attempts, document, ran

SECONDS = {"load": 10.0, "rates": 20.0, "price": 5.0}


def unneeded_edge(**changes: Any) -> dict[str, Any]:
    """`rates` waits for `load` and reads nothing of it."""
    return document(
        {"id": "load", "timeout": "1m"},
        {"id": "rates", "needs": ["load"], "timeout": "2m", **changes},
        {
            "id": "price",
            "needs": ["load", "rates"],
            "timeout": "30s",
            "config": {"a": "${{ results.load.rows }}", "b": "${{ results.rates.rows }}"},
        },
    )


def suggested(kind: Kind, definition: dict[str, Any], runs: list[Run]) -> list[Suggestion]:
    found = advise(definition, runs, takes_data=lambda kind: False)
    assert isinstance(found, list)
    return [suggestion for suggestion in found if suggestion.kind == kind]


def test_a_stage_that_reads_nothing_of_what_it_waits_for_starts_without_it() -> None:
    definition = unneeded_edge()
    (found,) = suggested("parallel", definition, ran(definition, SECONDS))
    assert found.stages == ("rates",)
    assert found.saving is not None
    assert 9 < found.saving.low <= found.saving.median <= found.saving.high < 11  # load is no longer waited for
    changed = apply(definition, found.edits)
    assert Pipeline.from_document(changed).stage("rates").needs == []
    assert definition == unneeded_edge()
    # The change does what was promised: the same durations under it take that much less.
    took = [_took(ran(version, SECONDS)) for version in (definition, changed)]
    assert took[0] - took[1] == pytest.approx(found.saving.median, rel=0.1)


@pytest.mark.parametrize(
    "changes",
    [{"config": {"note": "${{ results.load.rows }}"}}, {"when": "${{ inputs.day != '' }}"}, {"join": "all_done"}],
    ids=["it reads it", "a condition", "a join rule"],
)
def test_an_edge_that_means_something_stays(changes: dict[str, Any]) -> None:
    definition = unneeded_edge(**changes)
    assert suggested("parallel", definition, ran(definition, SECONDS)) == []


def test_what_saves_nothing_is_not_suggested() -> None:
    definition = unneeded_edge()
    assert suggested("parallel", definition, ran(definition, SECONDS | {"load": 0.05})) == []


def test_an_approval_further_up_is_still_waited_for() -> None:
    definition = document(
        {"id": "ask", "type": "approval", "config": {"message": "Sure?"}},
        {"id": "load", "needs": ["ask"]},
        {"id": "rates", "needs": ["load"]},
    )
    runs = ran(definition, {"ask": 1.0, "load": 10.0, "rates": 20.0})
    (found,) = suggested("parallel", definition, runs)
    assert [(edit.stage, edit.value) for edit in found.edits] == [("rates", ["ask"])]


def test_too_few_executions_are_said() -> None:
    definition = unneeded_edge()
    found = advise(definition, ran(definition, SECONDS, executions=7))
    assert isinstance(found, NotEnough)
    assert found.text == "Not enough data yet (7 of 20 executions)."


@pytest.mark.parametrize(
    ("timeout", "wanted"),
    [(None, True), ("2s", True), ("10h", True), ("30s", False)],
    ids=["none", "short", "long", "fits"],
)
def test_a_timeout_fits_what_was_seen(timeout: str | None, wanted: bool) -> None:
    definition = document({"id": "load", **({"timeout": timeout} if timeout else {})})
    found = suggested("timeout", definition, ran(definition, {"load": 10.0}))
    assert len(found) == wanted
    for suggestion in found:
        assert 15 <= float(suggestion.edits[0].value.removesuffix("s")) <= 25  # 1.5 × a P99 of about 13 s
        Pipeline.from_document(apply(definition, suggestion.edits))


@pytest.mark.parametrize(
    ("outcomes", "now", "wanted"),
    [
        ([[False, False, False]] * 15 + [[True]] * 30, 3, 1),
        ([[False, True]] * 15 + [[True]] * 30, 3, None),
        ([[False, True]] * 9 + [[False, False]] * 11 + [[True]] * 30, 2, 3),
        ([[False]] * 15 + [[True]] * 30, 1, None),
    ],
    ids=["never helps", "helps", "the last one helps often", "never tried"],
)
def test_retries_are_as_many_as_were_worth_it(outcomes: list[list[bool]], now: int, wanted: int | None) -> None:
    definition = document({"id": "call", "retry": {"max_attempts": now, "delay": "2s"}})
    found = suggested("retry", definition, attempts("call", outcomes))
    assert [suggestion.edits[0].value for suggestion in found] == ([] if wanted is None else [wanted])
    for suggestion in found:
        assert "would have" in suggestion.text
        assert all(low > 0 for name, low in suggestion.numbers.items() if name.endswith("_low"))
        retry = apply(definition, suggestion.edits)["stages"][0]["retry"]
        assert retry == {"max_attempts": wanted, "delay": "2s"}


def test_a_timeout_says_what_it_would_have_meant() -> None:
    definition = document({"id": "load"})
    runs = ran(definition, {"load": 10.0})
    hung = [Run(f"h{n}", "p", 1e7 + n, "load", ended_at=1e7 + n + 3_600, status="failed") for n in range(3)]
    (found,) = suggested("timeout", definition, [*runs, *hung])
    assert (found.numbers["hung"], found.numbers["stopped"]) == (3, 0)
    assert "have ended 3 that failed 59 min" in found.text


def test_fewer_attempts_say_what_they_would_have_lost() -> None:
    definition = document({"id": "call", "retry": {"max_attempts": 2}})
    outcomes = [[False, False]] * 40 + [[False, True]] + [[True]] * 30
    (found,) = suggested("retry", definition, attempts("call", outcomes))
    assert (found.edits[0].value, found.numbers["lost"]) == (1, 1)
    assert found.numbers["spared"] == pytest.approx(1.0)
    assert "1 execution that passed would have failed" in found.text


def test_the_stage_that_decides_is_named() -> None:
    definition = unneeded_edge()
    first, *_ = suggested("critical_path", definition, ran(definition, SECONDS))
    assert first.stages == ("rates",)
    assert first.saving is not None
    assert first.saving.median == pytest.approx(10, rel=0.1)
    assert first.edits == ()


def test_what_takes_no_time_is_not_worth_a_change() -> None:
    definition = unneeded_edge()
    quick = ran(definition, {stage: seconds / 1_000 for stage, seconds in SECONDS.items()})
    assert suggested("parallel", definition, quick) == suggested("critical_path", definition, quick) == []


def test_hand_over_that_takes_long_is_told() -> None:
    definition = document({"id": "a", "type": "processing"}, {"id": "b", "type": "processing", "needs": ["a"]})
    runs = [
        Run(f"e{n}", "p", n * 100.0 + begin, stage, ended_at=n * 100.0 + begin + 1, status="success")
        for n in range(30)
        for stage, begin in (("a", 0.0), ("b", 1.5))
    ]
    (found,) = suggested("fusion", definition, runs)
    assert found.stages == ("a", "b")
    assert found.numbers["gap_seconds"] == pytest.approx(0.5)


def test_more_workers_wait_less() -> None:
    runs = [Run(f"e{n}", "p", 0.0, "s", queued_at=0.0, ended_at=10.0, status="success") for n in range(8)]
    found = sizes(runs, (1, 4, 8))
    assert [size.p95_wait for size in found] == [70, 10, 0]


def test_schedules_that_meet_are_moved_apart() -> None:
    runs = [
        Run(
            f"{name}{day}-{n}",
            name,
            day * 86_400.0,
            "s",
            queued_at=day * 86_400.0,
            ended_at=day * 86_400.0 + 120,
            trigger="schedule",
        )
        for day in range(10)
        for name in ("early", "late")
        for n in range(2)
    ]
    first, *_ = contention(runs, workers=2)
    assert (first.minutes, first.wait_then) == (5, 0)
    assert first.wait_now == pytest.approx(60)


@pytest.mark.parametrize(
    ("factor", "word"), [(0.5, "saves"), (1.0, "No difference"), (2.0, "costs")], ids=["faster", "the same", "slower"]
)
def test_the_effect_of_a_change_is_judged(factor: float, word: str) -> None:
    definition = document({"id": "a"})
    before = [run.seconds or 0.0 for run in ran(definition, {"a": 10.0}, seed=1)]
    after = [run.seconds or 0.0 for run in ran(definition, {"a": 10.0 * factor}, seed=2)]
    found = effect(before, after)
    assert isinstance(found, Effect)
    assert word in found.text
    assert isinstance(effect(before, after[:5]), NotEnough)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.352, "0.35 s"), (12.3, "12 s"), (185, "3 min 5 s"), (180, "3 min"), (7800, "2 h 10 min")]
)
def test_times_as_a_person_writes_them(seconds: float, text: str) -> None:
    assert span(seconds) == text


def _took(runs: list[Run]) -> float:
    """Median over the executions."""
    ends: dict[str, float] = {}
    begins: dict[str, float] = {}
    for run in runs:
        ends[run.execution] = max(ends.get(run.execution, 0.0), run.ended_at or 0.0)
        begins[run.execution] = min(begins.get(run.execution, run.started_at), run.started_at)
    took = sorted(ends[id] - begins[id] for id in ends)
    return took[len(took) // 2]
