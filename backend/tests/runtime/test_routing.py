"""Stages that choose, stop and repeat, in the real engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flexiroaster.stages.base import StageContext
from flexiroaster.store.database import Database
from flexiroaster.store.tables import attempts, stage_runs
from tests.runtime.engine import Gate, TestEngine, running


def act(config: dict[str, Any], needs: list[str] | None = None, **rest: Any) -> dict[str, Any]:
    return {"type": "act", "needs": needs or [], "config": config, **rest}


def statuses(engine: TestEngine, execution: str) -> dict[str, str]:
    return {row["stage"]: row["status"] for row in engine.rows(stage_runs, execution)}


@pytest.mark.parametrize(("rows", "runs"), [(0, "nothing"), (5, "load"), (5_000, "in_bulk")])
def test_switch_chooses_by_conditions(engine: TestEngine, rows: int, runs: str) -> None:
    cases = [
        {"when": "${{ results.read.rows == 0 }}", "then": "nothing"},
        {"when": "${{ results.read.rows > 1000 }}", "then": "in_bulk"},
    ]
    execution = engine.execute(
        {
            "read": act({"act": "say", "value": {"rows": rows}}),
            "route": {"type": "switch", "needs": ["read"], "config": {"cases": cases, "default": "load"}},
            **{name: {"needs": ["route"]} for name in ("nothing", "load", "in_bulk")},
            "end": {"needs": ["nothing", "load", "in_bulk"]},
        },
        outputs={"chosen": "${{ results.route.chosen }}"},
    )
    assert engine.wait_end(execution) == "success"
    ran = {name for name, status in statuses(engine, execution).items() if status == "success"}
    assert ran == {"read", "route", "end", runs}
    assert engine.row(execution)["outputs"] == {"chosen": [runs]}


def test_stop_ends_what_runs_and_says_why(engine: TestEngine) -> None:
    gate = Gate()
    execution = engine.execute(
        {
            "slow": act(engine.act(gate)),
            "read": act(engine.act(lambda _: gate.wait_entered() or {"rows": 0})),
            "end": {
                "type": "stop",
                "needs": ["read"],
                "when": "${{ results.read.rows == 0 }}",
                "config": {"message": "no orders on ${{ inputs.day }}"},
            },
            "load": {"needs": ["end"]},
        },
        inputs={"day": {"type": "string", "default": "2026-01-05"}},
        outputs={"rows": "${{ results.load.rows }}", "read": "${{ results.read.rows }}"},
    )
    assert engine.wait_end(execution) == "success"
    assert engine.row(execution)["reason"] == "no orders on 2026-01-05"
    assert statuses(engine, execution) == {
        "slow": "success",  # the gate answers when it is cancelled: it finished first
        "read": "success",
        "end": "success",
        "load": "skipped",
    }
    assert engine.row(execution)["outputs"] == {"rows": None, "read": 0}


def test_stop_as_failed_is_told_as_the_cause(engine: TestEngine) -> None:
    execution = engine.execute({"end": {"type": "stop", "needs": [], "config": {"status": "failed", "message": "no"}}})
    assert engine.wait_end(execution) == "failed"
    row = engine.row(execution)
    assert (row["failed_stage"], row["error"]["message"]) == ("end", "no")


def poll(answers: list[str]) -> Any:
    """A stage that answers one after the other."""
    left = list(answers)
    return lambda _: {"state": left.pop(0)}


UNTIL = "${{ results.poll.state == 'ready' }}"


def test_repeat_goes_on_until_its_condition_holds(engine: TestEngine) -> None:
    execution = engine.execute(
        {
            "poll": act(
                engine.act(poll(["building", "building", "ready"])),
                repeat={"until": UNTIL, "max": 5, "delay": "1ms"},
            ),
            "use": act({"act": "say", "value": "${{ results.poll.state }}"}, ["poll"]),
        }
    )
    assert engine.wait_end(execution) == "success"
    assert engine.results(execution) == {0: {"state": "ready"}, 1: "ready"}
    row = engine.stage(execution, "poll")
    assert (row["iterations"], row["attempt"]) == (3, 3)
    assert [kept["status"] for kept in engine.rows(attempts, execution)] == ["success", "success"]
    assert "run 2 of at most 5: its `until` does not hold yet, again in 0.0 s" in engine.messages(execution)


def test_each_repetition_has_an_idempotency_key_of_its_own(engine: TestEngine) -> None:
    keys: list[str] = []

    def send(context: StageContext) -> dict[str, int]:
        keys.append(context.idempotency_key.partition(":")[2])
        return {"sent": len(keys)}

    execution = engine.execute(
        {"send": act(engine.act(send), repeat={"until": "${{ results.send.sent == 3 }}", "max": 3})}
    )
    assert engine.wait_end(execution) == "success"
    assert keys == ["send:0", "send:0:2", "send:0:3"]


def test_repeat_in_vain_fails_and_shows_the_last_result(engine: TestEngine) -> None:
    execution = engine.execute(
        {"poll": act(engine.act(poll(["a", "b"])), repeat={"until": UNTIL, "max": 2})},
    )
    assert engine.wait_end(execution) == "failed"
    row = engine.stage(execution, "poll")
    assert row["error"]["code"] == "repeated_in_vain"
    assert row["error"]["details"] == {"last_result": {"state": "b"}}


def test_condition_that_cannot_be_evaluated_fails_the_stage(engine: TestEngine) -> None:
    execution = engine.execute(
        {"poll": act({"act": "say", "value": {}}, repeat={"until": "${{ results.poll.stat }}", "max": 2})},
    )
    assert engine.wait_end(execution) == "failed"
    assert engine.stage(execution, "poll")["error"]["code"] == "expression"


def test_process_that_dies_between_two_times_counts_on(database: Database, tmp_path: Path) -> None:
    seen: list[int] = []

    def work(context: StageContext) -> dict[str, int]:
        seen.append(context.attempt)
        return {"n": len(seen)}

    dead = TestEngine(database, tmp_path)
    execution = dead.execute(
        {"poll": act(dead.act(work), repeat={"until": "${{ results.poll.n == 3 }}", "max": 3, "delay": "1ms"})}
    )
    dead.record_by_hand(dead.run_by_hand(dead.claim_by_hand()))
    with running(database, tmp_path) as engine:
        assert engine.wait_end(execution) == "success"
        assert engine.stage(execution, "poll")["iterations"] == 3
    assert seen == [1, 2, 3]
