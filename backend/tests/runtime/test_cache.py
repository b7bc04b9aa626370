"""Results taken from an earlier execution instead of being made again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from flexiroaster.engine.errors import StageFailed
from flexiroaster.services.reruns import Asked
from flexiroaster.stages.base import StageContext
from flexiroaster.store.tables import executions, results, stage_cache
from tests.runtime.engine import TestEngine


class Counting:
    """Answers how often it ran."""

    def __init__(self) -> None:
        self.ran = 0

    def __call__(self, context: StageContext) -> Any:
        self.ran += 1
        return {"n": self.ran}


def cached(
    engine: TestEngine, doing: Any, key: str = "${{ inputs.day }}", ttl: str = "7d", **more: Any
) -> dict[str, Any]:
    return {"type": "act", "config": engine.act(doing), "cache": {"key": key, "ttl": ttl}, **more}


DAY = {"inputs": {"day": {"type": "string", "default": "monday"}}}


def run(engine: TestEngine, pipeline: str, **more: Any) -> str:
    started = engine.executions.start(pipeline, **more)
    assert engine.wait_end(started) == "success"
    return started.execution_id


def test_the_same_key_takes_the_result_of_before(engine: TestEngine) -> None:
    doing = Counting()
    pipeline = engine.add({"a": cached(engine, doing)}, outputs={"n": "${{ results.a.n }}"}, **DAY)
    first = run(engine, pipeline)
    second = run(engine, pipeline)
    assert doing.ran == 1
    assert engine.row(second)["outputs"] == {"n": 1}
    stage = engine.stage(second, "a")
    assert (stage["status"], stage["cached_from"], stage["reason"]) == (
        "success",
        first,
        "taken from execution #1, 0 s old",
    )
    assert "taken from execution #1, 0 s old" in engine.messages(second)
    (told,) = [row["payload"] for row in engine.events(second) if row["type"] == "stage_completed"]
    assert told["cached_from"] == first
    assert engine.stage(first, "a")["cached_from"] is None


def test_another_key_runs(engine: TestEngine) -> None:
    doing = Counting()
    pipeline = engine.add({"a": cached(engine, doing)}, **DAY)
    run(engine, pipeline)
    run(engine, pipeline, inputs={"day": "tuesday"})
    assert doing.ran == 2


def test_null_is_no_key(engine: TestEngine) -> None:
    doing = Counting()
    pipeline = engine.add({"a": cached(engine, doing, key="${{ null }}")})
    run(engine, pipeline)
    run(engine, pipeline)
    assert doing.ran == 2


def test_what_has_expired_runs_again(engine: TestEngine) -> None:
    doing = Counting()
    pipeline = engine.add({"a": cached(engine, doing)}, **DAY)
    run(engine, pipeline)
    past = datetime.now(UTC) - timedelta(seconds=1)
    engine.database.write(lambda tx: tx.sa.execute(sa.update(stage_cache).values(expires_at=past)))
    run(engine, pipeline)
    assert doing.ran == 2
    with engine.database.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(stage_cache)) == 1


def test_a_bypass_runs_and_refreshes(engine: TestEngine) -> None:
    doing = Counting()
    pipeline = engine.add({"a": cached(engine, doing)}, **DAY)
    run(engine, pipeline)
    second = run(engine, pipeline, use_cache=False)
    third = run(engine, pipeline)
    assert doing.ran == 2
    assert engine.stage(third, "a")["cached_from"] == second


@pytest.mark.parametrize(("use_cache", "ran"), [(None, 1), (True, 1), (False, 2)])
def test_a_retry_may_bypass_what_is_kept(engine: TestEngine, use_cache: bool | None, ran: int) -> None:
    doing, opens = Counting(), [StageFailed("it broke"), None, None]

    def gate(_context: StageContext) -> None:
        failure = opens.pop(0)
        if failure is not None:
            raise failure

    stages = {"gate": {"needs": [], "type": "act", "config": engine.act(gate)}, "a": cached(engine, doing)}
    pipeline = engine.add({**stages, "a": {**stages["a"], "needs": ["gate"]}}, **DAY)
    first = engine.executions.start(pipeline).execution_id
    assert engine.wait_end(first) == "failed"
    run(engine, pipeline)
    engine.executions.retry(first, use_cache=use_cache)
    assert engine.wait_end(first, 2) == "success"
    assert doing.ran == ran
    assert engine.row(first)["use_cache"] is (use_cache is not False)


def test_a_stage_that_does_something_else_is_not_the_same(engine: TestEngine) -> None:
    """A new version of the pipeline with another config for the stage: the key alone would not notice."""
    from flexiroaster.store import pipelines as rows
    from tests.engine.simulation import pipeline as definition

    first, second = Counting(), Counting()
    pipeline = engine.add({"a": cached(engine, first)}, **DAY)
    run(engine, pipeline)
    document = definition({"a": cached(engine, second)}, **DAY).to_document() | {"id": pipeline}
    new = rows.NewVersion(
        name="P",
        description="",
        labels={},
        document=document,
        source="",
        source_format="json",
        digest="x",
        note="",
        by=None,
    )
    engine.database.write(lambda tx: rows.add_version(tx.sa, pipeline, 2, new, datetime.now(UTC)))
    run(engine, pipeline)
    assert (first.ran, second.ran) == (1, 1)


def test_a_failure_is_not_kept(engine: TestEngine) -> None:
    fails = iter([True, False])

    def doing(_: StageContext) -> Any:
        if next(fails):
            raise RuntimeError("it broke")
        return {"n": 1}

    pipeline = engine.add({"a": cached(engine, doing)}, **DAY)
    assert engine.wait_end(engine.executions.start(pipeline)) == "failed"
    run(engine, pipeline)


def test_items_are_cached_each_for_itself(engine: TestEngine) -> None:
    doing = Counting()
    stage = cached(engine, doing, key="same", foreach={"items": ["x", "y"], "max_parallel": 1})
    pipeline = engine.add({"a": stage})
    first = run(engine, pipeline)
    second = run(engine, pipeline)
    assert doing.ran == 2
    answers = [
        next(row["value"]["items"] for row in engine.rows(results, execution) if row["idx"] == 0)
        for execution in (first, second)
    ]
    assert answers[0] == answers[1] == [{"n": 1}, {"n": 2}]


def test_a_large_result_is_taken_too(engine: TestEngine) -> None:
    text = "x" * 200_000
    doing = Counting()

    def large(context: StageContext) -> Any:
        doing(context)
        return {"text": text}

    pipeline = engine.add({"a": cached(engine, large)}, outputs={"size": "${{ size(results.a.text) }}"}, **DAY)
    run(engine, pipeline)
    second = run(engine, pipeline)
    assert doing.ran == 1
    assert engine.row(second)["outputs"] == {"size": 200_000}


def table(doing: Counting) -> Any:
    """A stage that leaves an artifact which its result refers to."""

    def act(context: StageContext) -> Any:
        doing(context)
        with context.artifact("data.csv", kind="table", media_type="text/csv") as draft:
            draft.path.write_text("a\n1\n")
        return {"data": {"uri": draft.uri}}

    return act


def test_a_result_whose_artifact_is_gone_is_made_again(engine: TestEngine) -> None:
    doing = Counting()
    pipeline = engine.add({"a": cached(engine, table(doing))}, **DAY)
    first = run(engine, pipeline)
    run(engine, pipeline)
    assert doing.ran == 1
    engine.artifacts.delete(first)
    third = run(engine, pipeline)
    assert doing.ran == 2
    assert engine.stage(third, "a")["cached_from"] is None


def test_a_result_whose_execution_is_gone_is_made_again(engine: TestEngine) -> None:
    doing = Counting()
    pipeline = engine.add({"a": cached(engine, doing)}, **DAY)
    first = run(engine, pipeline)
    engine.messages(first)  # its lines are written
    engine.database.write(lambda tx: tx.sa.execute(sa.delete(executions).where(executions.c.id == first)))
    run(engine, pipeline)
    assert doing.ran == 2


def test_a_re_run_of_a_stage_really_runs_it(engine: TestEngine) -> None:
    doing = Counting()
    pipeline = engine.add({"a": cached(engine, doing), "b": ["a"]}, **DAY)
    first = run(engine, pipeline)
    started, _ = engine.embedded.reruns.start(first, Asked(from_stage="a"))
    assert engine.wait_end(started) == "success"
    assert doing.ran == 2
    again, _ = engine.embedded.reruns.start(first, Asked())
    assert engine.wait_end(again) == "success"
    assert doing.ran == 2


def test_a_child_bypasses_the_cache_with_its_parent(engine: TestEngine) -> None:
    doing = Counting()
    child = engine.add({"a": cached(engine, doing)}, **DAY)
    pipeline = engine.add({"sub": {"type": "pipeline", "config": {"pipeline": child}}})
    run(engine, pipeline)
    run(engine, pipeline)
    assert doing.ran == 1
    run(engine, pipeline, use_cache=False)
    assert doing.ran == 2


@pytest.mark.parametrize("key", ["${{ inputs.nope }}", "${{ results.a }}"])
def test_a_broken_key_fails_the_stage_with_a_sentence(engine: TestEngine, key: str) -> None:
    execution = engine.execute({"a": cached(engine, Counting(), key=key)})
    assert engine.wait_end(execution) == "failed"
    assert engine.row(execution)["error"]["message"].startswith("In the expression")
