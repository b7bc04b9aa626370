"""Handlers and compensations in the real engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flexiroaster.engine.errors import StageFailed
from flexiroaster.stages.base import StageContext
from flexiroaster.store.database import Database
from flexiroaster.store.tables import stage_runs
from tests.runtime.engine import Gate, TestEngine, running


def act(config: dict[str, Any], needs: list[str] | None = None, **rest: Any) -> dict[str, Any]:
    return {"type": "act", "needs": needs or [], "config": config, **rest}


def handler(id: str, config: dict[str, Any], **rest: Any) -> dict[str, Any]:
    return {"id": id, "type": "act", "needs": [], "config": config, **rest}


def fail(_: StageContext) -> None:
    raise StageFailed("the shop is closed\nand will be for a while", kind="permanent")


def say(value: Any) -> dict[str, Any]:
    """The config of a stage whose result is this value, or that of this expression."""
    return {"act": "say", "value": value}


def stages(engine: TestEngine, execution: str) -> dict[int, str]:
    return {row["position"]: row["stage"] for row in engine.rows(stage_runs, execution)}


def values(engine: TestEngine, execution: str) -> dict[str, Any]:
    names = stages(engine, execution)
    return {names[position]: value for position, value in engine.results(execution).items()}


def statuses(engine: TestEngine, execution: str) -> dict[str, str]:
    return {row["stage"]: row["status"] for row in engine.rows(stage_runs, execution)}


def die_in(dead: TestEngine, stage: str) -> None:
    """Work by hand until a worker of an engine that was never started holds this stage."""
    for _ in range(100):
        claimed = dead.claim_by_hand()
        if stage in [one.live.version.plan.stages[one.key.position].id for one in claimed]:
            return
        dead.record_by_hand(dead.run_by_hand(claimed))
    raise AssertionError(f"{stage} is never claimed")


def test_failure_is_told_by_its_handler(engine: TestEngine) -> None:
    execution = engine.execute(
        {"good": act(say({"rows": 7})), "bad": act(engine.act(fail), ["good"])},
        on_failure=[
            handler(
                "tell",
                say(
                    "${{ execution.status }}: ${{ execution.failed_stage }}: ${{ execution.error.summary }} "
                    "(${{ results.good.rows }} rows)"
                ),
            )
        ],
        **{"finally": [handler("tidy", say("${{ execution.status }}"))]},
    )
    assert engine.wait_end(execution) == "failed"
    assert values(engine, execution) == {
        "good": {"rows": 7},
        "tell": "failed: bad: the shop is closed (7 rows)",
        "tidy": "failed",
    }
    assert engine.row(execution)["phase"] == "finally"


def test_handler_that_always_runs_may_name_an_error_that_is_not_there(engine: TestEngine) -> None:
    execution = engine.execute(
        {"a": []},
        **{"finally": [handler("tidy", say("[${{ execution.failed_stage }}${{ execution.error.summary }}]"))]},
    )
    assert engine.wait_end(execution) == "success"
    assert values(engine, execution) == {"tidy": "[]"}


def test_handler_has_when_retry_and_needs(engine: TestEngine) -> None:
    tries: list[int] = []

    def second_time(context: StageContext) -> str:
        tries.append(context.attempt)
        if len(tries) < 2:
            raise StageFailed("not yet", kind="transient")
        return "told"

    execution = engine.execute(
        {"a": []},
        on_success=[
            handler("never", say(1), when="${{ execution.status != 'success' }}"),
            handler("tell", engine.act(second_time), retry={"max_attempts": 2, "delay": "1ms"}),
            {**handler("after", say("${{ results.tell }}")), "needs": ["tell"]},
        ],
    )
    assert engine.wait_end(execution) == "success"
    assert values(engine, execution) == {"tell": "told", "after": "told"}
    assert engine.stage(execution, "never")["status"] == "skipped"


def test_compensation_reads_what_it_undoes(engine: TestEngine) -> None:
    def undo(expression: str) -> dict[str, Any]:
        return {"compensate": {"type": "act", "config": say(expression)}}

    execution = engine.execute(
        {
            "flight": act(say({"id": "F1"}), **undo("${{ results.flight.id }} given back")),
            "hotel": act(say({"id": "H1"}), ["flight"], **undo("${{ results.hotel.id }} of ${{ results.flight.id }}")),
            "pay": act(engine.act(fail), ["hotel"]),
        }
    )
    assert engine.wait_end(execution) == "failed"
    undone = {name: value for name, value in values(engine, execution).items() if name.endswith(":compensate")}
    assert undone == {"flight:compensate": "F1 given back", "hotel:compensate": "H1 of F1"}
    begun = [row["stage"] for row in engine.events(execution) if row["type"] == "stage_started"]
    assert begun == ["flight", "hotel", "pay", "hotel:compensate", "flight:compensate"]


def test_what_is_done_again_after_it_was_undone_has_a_key_of_its_own(engine: TestEngine) -> None:
    """A service that deduplicates must not take the second booking for the first one, which was given back."""
    keys: dict[str, list[str]] = {"book": [], "give_back": []}

    def note(which: str) -> dict[str, str]:
        return engine.act(lambda context: keys[which].append(context.idempotency_key.partition(":")[2]))

    execution = engine.execute(
        {
            "book": act(note("book"), compensate={"type": "act", "config": note("give_back")}),
            "pay": act(engine.act(fail), ["book"]),
        }
    )
    engine.wait_end(execution)
    engine.executions.retry(execution)
    engine.wait_end(execution, times=2)
    assert keys == {
        "book": ["book:0", "book:0:1"],
        "give_back": ["book:compensate:0:1", "book:compensate:0:2"],
    }


def test_log_tells_the_phases(engine: TestEngine) -> None:
    execution = engine.execute({"a": act(engine.act(fail))}, on_failure=[{"id": "tell", "type": "noop"}])
    engine.wait_end(execution)
    assert "running what is to run on failure (1 stage)" in engine.messages(execution)


def test_cancel_runs_finally_before_it_is_confirmed(engine: TestEngine) -> None:
    gate, tidying = Gate(), Gate()
    execution = engine.execute({"a": act(engine.act(gate))}, **{"finally": [handler("tidy", engine.act(tidying))]})
    gate.wait_entered()
    engine.executions.cancel(execution)
    tidying.wait_entered()
    assert (engine.row(execution)["status"], engine.row(execution)["phase"]) == ("cancelling", "finally")
    tidying.open.set()
    assert engine.wait_end(execution) == "cancelled"
    assert engine.stage(execution, "tidy")["status"] == "success"


def test_retry_runs_handlers_of_the_new_round(engine: TestEngine) -> None:
    good = {"now": False}

    def work(_: StageContext) -> None:
        if not good["now"]:
            raise StageFailed("no")

    execution = engine.execute(
        {"a": act(engine.act(work))},
        on_failure=[{"id": "tell", "type": "noop"}],
        **{"finally": [{"id": "tidy", "type": "noop"}]},
    )
    assert engine.wait_end(execution) == "failed"
    good["now"] = True
    assert engine.executions.retry(execution).to_run == ["a"]
    assert engine.wait_end(execution, times=2) == "success"
    assert engine.stage(execution, "tidy")["attempt"] == 2
    assert engine.stage(execution, "tell")["attempt"] == 1


def test_failed_handler_alone_is_retried(engine: TestEngine) -> None:
    good = {"now": False}

    def work(_: StageContext) -> None:
        if not good["now"]:
            raise StageFailed("no")

    execution = engine.execute({"a": []}, on_success=[handler("publish", engine.act(work))])
    assert engine.wait_end(execution) == "failed"
    good["now"] = True
    plan = engine.executions.retry_plan(execution)
    assert (plan.reused, plan.to_run) == (["a"], ["publish"])
    engine.executions.retry(execution)
    assert engine.wait_end(execution, times=2) == "success"


@pytest.mark.parametrize("dies_in", ["work", "bad", "work:compensate", "tidy"])
def test_process_that_dies_in_any_phase_is_taken_over(dies_in: str, database: Database, tmp_path: Path) -> None:
    dead = TestEngine(database, tmp_path)
    execution = dead.execute(
        {
            "work": {"type": "noop", "needs": [], "compensate": {"type": "noop"}},
            "bad": act(dead.act(fail), ["work"]),
        },
        **{"finally": [{"id": "tidy", "type": "noop"}]},
    )
    die_in(dead, dies_in)
    with running(database, tmp_path) as engine:
        assert engine.wait_end(execution) == "failed"
        ended = statuses(engine, execution)
    assert ended == {"work": "success", "bad": "failed", "work:compensate": "success", "tidy": "success"}


def test_outputs_that_cannot_be_made_are_a_failure_for_the_handlers(engine: TestEngine) -> None:
    execution = engine.execute(
        {"a": act(say({"n": 1}))},
        outputs={"x": "${{ results.a.m }}"},
        on_success=[handler("cheer", say(1))],
        on_failure=[handler("tell", say("${{ execution.error.code }}"))],
        **{"finally": [handler("tidy", say("${{ execution.status }}"))]},
    )
    assert engine.wait_end(execution) == "failed"
    assert values(engine, execution) == {"a": {"n": 1}, "tell": "outputs_failed", "tidy": "failed"}
    assert engine.row(execution)["outputs"] is None


def test_outputs_too_large_are_one_too(engine: TestEngine) -> None:
    execution = engine.execute(
        {"a": act(say("x" * 1_100_000))},
        outputs={"x": "${{ results.a }}"},
        on_success=[handler("cheer", say(1))],
    )
    assert engine.wait_end(execution) == "failed"
    assert "larger than 1 MB" in engine.row(execution)["error"]["message"]
    assert statuses(engine, execution) == {"a": "success"}


def test_outputs_of_a_success_are_kept_when_its_handlers_have_run(engine: TestEngine) -> None:
    outputs = {"x": "${{ results.a.n }}"}
    execution = engine.execute({"a": act(say({"n": 1}))}, outputs=outputs, on_success=[handler("cheer", say(1))])
    assert engine.wait_end(execution) == "success"
    assert engine.row(execution)["outputs"] == {"x": 1}


def test_what_came_from_the_cache_is_not_undone(engine: TestEngine) -> None:
    fails = iter([False, True])

    def last(_context: StageContext) -> None:
        if next(fails):
            raise StageFailed("it broke")

    cached = {"cache": {"key": "k", "ttl": "1h"}}
    undo = {"compensate": {"type": "act", "config": say("undone")}}
    pipeline = engine.add(
        {"a": act(say(1), **cached, **undo), "b": act(say(2), **undo), "c": act(engine.act(last), ["a", "b"])}
    )
    assert engine.wait_end(engine.executions.start(pipeline)) == "success"
    second = engine.executions.start(pipeline).execution_id
    assert engine.wait_end(second) == "failed"
    assert values(engine, second) == {"a": 1, "b": 2, "b:compensate": "undone"}
