"""Pipelines tried on a clock of their own: what a user's tests rely on."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from flexiroaster import Pipeline, StageContext, StageFailed
from flexiroaster.engine.errors import InvalidDefinition, InvalidInputs
from flexiroaster.testing import in_turn, run, trial
from flexiroaster.testing.trial import EndlessTrial

REVIEWED = """
id: reviewed
name: Reviewed
inputs: {day: {type: string, default: mon}}
stages:
  - id: fetch
    type: http
    config: {url: "https://example.com/${{ inputs.day }}"}
    retry: {max_attempts: 3, delay: 10m}
  - id: review
    type: approval
    needs: [fetch]
    when: ${{ results.fetch.rows > 2 }}
    config: {message: "${{ results.fetch.rows }} rows?", form: {price: {type: number}}, on_timeout: reject}
    timeout: 4h
  - {id: publish, type: noop, needs: [fetch, review]}
finally:
  - {id: tidy, type: noop}
outputs: {rows: "${{ results.fetch.rows }}"}
"""


def noop(*names: str, **more: Any) -> dict[str, Any]:
    return {"id": "p", "name": "P", "stages": [{"id": name, "type": "noop"} for name in names], **more}


def test_a_pipeline_runs_to_its_end() -> None:
    result = run(REVIEWED, {"day": "tue"}, mock={"fetch": [1, 2]})
    assert (result.status, result.ok, result.cause, result.at) == ("success", True, None, [])
    assert (result.inputs, result.outputs) == ({"day": "tue"}, {"rows": 2})
    assert {id: stage.status for id, stage in result.stages.items()} == {
        "fetch": "success",
        "review": "skipped",
        "publish": "success",
        "tidy": "success",
    }
    assert result.results == {"fetch": {"data": [1, 2], "rows": 2}}
    assert "execution #1 started" in result.logs
    assert "fetch: succeeded in 0.0 ms, 2 rows" in result.logs


@pytest.mark.parametrize(
    ("mock", "result"),
    [
        ({"rows": 7, "any": [1]}, {"rows": 7, "any": [1]}),
        ([1, 2], {"data": [1, 2], "rows": 2}),
        (lambda context: {"day": context.inputs["day"]}, {"day": "mon"}),
        (lambda _: [1, 2, 3], {"data": [1, 2, 3], "rows": 3}),
        ("text", "text"),
        (None, None),
    ],
)
def test_what_stands_in_for_a_stage_gives_its_result(mock: Any, result: Any) -> None:
    document = noop("a", inputs={"day": {"type": "string", "default": "mon"}})
    assert run(document, mock={"a": mock}).stages["a"].result == result


def test_a_file_stands_in_for_a_stage(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "rows.csv").write_text("n\n1\n2\n")
    pipeline = tmp_path / "p.yaml"
    pipeline.write_text(
        "id: p\nname: P\nstages:\n  - {id: a, type: noop}\n"
        "  - {id: b, type: processing, needs: [a], config: {operations: [{op: filter, expr: n > 1}]}}\n"
    )
    result = run(pipeline, mock={"a": Path("tests/rows.csv")})
    assert (result.status, result.stages["b"].rows) == ("success", 1), result.cause


def test_a_mocked_failure_is_a_failure() -> None:
    result = run(noop("a", "b"), mock={"a": StageFailed("no luck", code="luck")})
    assert (result.status, result.at, result.failed_stage, result.cause) == ("failed", ["a"], "a", "a: no luck")
    assert result.stages["b"].status == "skipped"
    broken = run(noop("a"), mock={"a": ValueError("odd")})
    assert broken.cause == "a: ValueError: odd"


def test_retries_take_no_time() -> None:
    busy = StageFailed("busy", kind="transient")
    began = time.perf_counter()
    result = run(REVIEWED, mock={"fetch": in_turn(busy, busy, [1])})
    assert (result.status, result.stages["fetch"].attempt) == ("success", 3)
    assert result.waited == timedelta(minutes=30)  # 10 and 20: the backoff is exponential
    assert time.perf_counter() - began < 60


def test_a_wait_takes_no_time_and_dates_stand_still() -> None:
    document = {
        "id": "p",
        "name": "P",
        "stages": [
            {"id": "w", "type": "wait", "config": {"duration": "30d"}},
            {"id": "a", "type": "noop", "needs": ["w"]},
        ],
        "outputs": {"day": "${{ date(execution.logical_date) }}"},
    }
    seen: list[datetime] = []
    start = datetime(2026, 3, 1, 12, tzinfo=UTC)
    result = run(document, mock={"a": lambda context: seen.append(context.now)}, now=start)
    assert (result.waited, seen) == (timedelta(days=30), [start + timedelta(days=30)])
    assert result.outputs == {"day": "2026-03-01"}


def test_it_stops_where_somebody_is_asked_and_goes_on_when_told() -> None:
    with trial(REVIEWED, mock={"fetch": [1, 2, 3]}) as execution:
        assert (execution.status, execution.at) == ("paused", ["review"])
        execution.approve("review", comment="fine", price=3)
        assert execution.status == "success"
        assert execution.result.results["review"]["values"] == {"price": 3}


def test_time_passes_at_a_question_only_when_it_is_let() -> None:
    with trial(REVIEWED, mock={"fetch": [1, 2, 3]}) as execution:
        assert execution.advance("3h").status == "paused"
        assert execution.advance(timedelta(hours=2)).status == "failed"
        assert execution.at == ["review"]


def test_a_rejection_fails_the_stage() -> None:
    with trial(REVIEWED, mock={"fetch": [1, 2, 3]}) as execution:
        assert execution.reject("review", comment="no").status == "failed"
        assert execution.result.stages["publish"].status == "skipped"


def test_an_event_is_told() -> None:
    document = {
        "id": "p",
        "name": "P",
        "stages": [{"id": "w", "type": "wait", "config": {"event": "paid"}}],
        "outputs": {"paid": "${{ results.w.data }}"},
    }
    with trial(document) as execution:
        assert (execution.status, execution.at) == ("paused", ["w"])
        assert execution.signal("paid", {"amount": 3}).outputs == {"paid": {"amount": 3}}


def test_a_failed_one_is_retried_and_a_waiting_one_cancelled() -> None:
    with trial(noop("a", "b"), mock={"b": in_turn(StageFailed("once"), {"n": 1})}) as execution:
        assert execution.status == "failed"
        assert execution.retry().status == "success"
        assert execution.result.stages["a"].attempt == 1
    with trial(REVIEWED, mock={"fetch": [1, 2, 3]}) as execution:
        assert execution.cancel().status == "cancelled"


def test_items_are_mocked_one_by_one() -> None:
    document = {
        "id": "p",
        "name": "P",
        "stages": [{"id": "each", "type": "noop", "foreach": {"items": [1, 2, 3], "on_error": "continue"}}],
        "outputs": {"ok": "${{ results.each.succeeded }}"},
    }
    calls: list[int] = []

    def answer(context: StageContext) -> Any:
        calls.append(context.index)
        return {"index": context.index}

    result = run(document, mock={"each": answer})
    assert (result.status, calls, result.outputs) == ("success", [1, 2, 3], {"ok": 3}), result.cause
    assert result.stages["each"].index == 0


def test_another_pipeline_is_run_along() -> None:
    child = noop("c", id="child", outputs={"n": 5})
    parent = {
        "id": "parent",
        "name": "P",
        "stages": [{"id": "call", "type": "pipeline", "config": {"pipeline": "child"}}],
        "outputs": {"n": "${{ results.call.outputs.n }}"},
    }
    result = run(parent, others=[child])
    assert (result.status, result.outputs) == ("success", {"n": 5}), result.cause


def test_a_pipeline_built_in_python_is_tried_too() -> None:
    p = Pipeline("built")
    first = p.input("first", data=[{"n": 1}])
    p.outputs(rows=first["rows"])
    assert run(p).outputs == {"rows": 1}


def test_a_code_stage_really_runs() -> None:
    document = {
        "id": "p",
        "name": "P",
        "stages": [{"id": "code", "type": "python", "config": {"code": "def run(context):\n    return 6 * 7\n"}}],
    }
    assert run(document).results == {"code": 42}
    refused = run(document, code_stages=False)
    assert refused.status == "failed"


def test_what_waits_for_ever_is_said() -> None:
    document = {
        "id": "p",
        "name": "P",
        "stages": [{"id": "poll", "type": "wait", "config": {"until": "${{ 1 > 2 }}", "every": "1s"}}],
    }
    with pytest.raises(EndlessTrial, match="it still waits at poll: mock that stage, or give it a timeout"):
        run(document)


def test_what_is_wrong_is_raised() -> None:
    with pytest.raises(InvalidDefinition):
        run("id: p\nstages: []\n")
    with pytest.raises(InvalidInputs):
        run(REVIEWED, {"day": 5})
