"""What a stage may do without harm to others: raise anything, answer anything, say too much."""

from __future__ import annotations

import errno
import os
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from flexiroaster.engine.errors import Location, StageError, StageFailed
from flexiroaster.runtime.recordable import MESSAGE_LIMIT, TRACEBACK_LIMIT, recordable
from flexiroaster.services import integrity
from flexiroaster.stages.base import StageContext
from flexiroaster.store import progress
from flexiroaster.store.database import Database
from flexiroaster.store.tables import pipeline_versions, stage_runs
from tests.runtime.engine import TestEngine, running
from tests.runtime.test_executions import act


class Fault(BaseException):
    """What a library of native code raises."""


@pytest.mark.parametrize("error", [SystemExit(3), Fault("panicked"), KeyboardInterrupt(), RecursionError("deep")])
def test_nothing_that_is_raised_ends_a_worker(engine: TestEngine, error: BaseException) -> None:
    def fail(_: StageContext) -> None:
        raise error

    for _ in range(engine.concurrency + 1):
        assert engine.run({"a": act(engine.act(fail))}) == "failed"
    assert engine.run({"a": []}) == "success"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk_is_passing(engine: TestEngine, number: int) -> None:
    def write(context: StageContext) -> str:
        if context.attempt == 1:
            raise OSError(number, os.strerror(number))
        return "written"

    retry = {"max_attempts": 2, "delay": "1ms"}
    execution = engine.execute({"a": act(engine.act(write), retry=retry)})
    assert engine.wait_end(execution) == "success"
    assert any("No space is left on the disk." in message for message in engine.messages(execution))


@pytest.mark.parametrize("rows", [2**63, 2**64 - 1, -5, True, "many", 1.5])
def test_rows_that_are_no_count_are_not_taken_for_one(engine: TestEngine, rows: Any) -> None:
    execution = engine.execute({"a": act(engine.act(lambda _: {"rows": rows, "data": {"bytes": rows}}))})
    assert engine.wait_end(execution) == "success"
    stage = engine.stage(execution, "a")
    assert (stage["rows"], stage["bytes"]) == (None, None)
    assert engine.results(execution) == {0: {"rows": rows, "data": {"bytes": rows}}}


def test_text_that_is_no_unicode_is_kept_as_far_as_it_goes(engine: TestEngine) -> None:
    def fail(context: StageContext) -> None:
        context.log("info", "reading b\udcffd.csv")
        raise StageFailed(
            "b\udcffd.csv is broken", location=Location(file="b\udcffd.csv"), details={"file": "b\udcffd.csv"}
        )

    execution = engine.execute({"a": act(engine.act(fail))})
    assert engine.wait_end(execution) == "failed"
    assert engine.row(execution)["error"]["message"] == "b?d.csv is broken"
    assert "reading b?d.csv" in engine.messages(execution)


@pytest.mark.parametrize(
    ("result", "place"),
    [("x\0y", "result"), ({"rows": [{"a": 1}, {"b\0": 2}]}, "a key of result.rows[1]"), ({"t": ["\0"]}, "result.t[0]")],
)
def test_a_result_with_nul_is_refused_by_name(engine: TestEngine, result: Any, place: str) -> None:
    execution = engine.execute({"a": act(engine.act(lambda _: result))})
    assert engine.wait_end(execution) == "failed"
    error = engine.row(execution)["error"]
    assert error["message"] == f"The stage's result cannot be kept: {place} holds the character NUL."
    assert error["code"] == "result_not_json"


def test_how_nul_is_written_is_no_nul(engine: TestEngine) -> None:
    execution = engine.execute({"a": act(engine.act(lambda _: {"t": "\\u0000"}))})
    assert engine.wait_end(execution) == "success"
    assert engine.results(execution) == {0: {"t": "\\u0000"}}


def test_nul_in_a_log_line_fails_nothing(engine: TestEngine) -> None:
    execution = engine.execute({"a": act(engine.act(lambda context: context.log("info", "x\0y")))})
    assert engine.wait_end(execution) == "success"
    assert "x\ufffdy" in engine.messages(execution)


def test_text_that_postgresql_cannot_keep_is_no_part_of_an_error(engine: TestEngine) -> None:
    def fail(_: StageContext) -> None:
        raise StageFailed("a\0b is broken", suggestion="no \0", details={"\0": ["x\0y"]})

    execution = engine.execute({"a": act(engine.act(fail))})
    assert engine.wait_end(execution) == "failed"
    error = engine.row(execution)["error"]
    assert (error["message"], error["suggestion"]) == ("a\ufffdb is broken", "no \ufffd")
    assert error["details"] == {"\ufffd": ["x\ufffdy"]}


def test_long_error_is_cut_before_it_is_kept(engine: TestEngine) -> None:
    def fail(_: StageContext) -> None:
        raise ValueError("x" * 1_000_000)

    execution = engine.execute({"a": act(engine.act(fail))})
    engine.wait_end(execution)
    error = engine.row(execution)["error"]
    assert error["message"].startswith("ValueError: xxx")
    assert error["message"].endswith("more characters)")
    assert len(error["message"]) < MESSAGE_LIMIT + 100
    assert len(error["traceback"]) < TRACEBACK_LIMIT + 100


def test_an_error_within_its_bounds_is_kept_as_it_is() -> None:
    error = StageError(
        "row 3: no number", "bad_row", "data", Location("a.csv", 4, 3, "amount", "x"), "mend it", details={"n": 1}
    )
    assert recordable(error) == error


def test_end_of_a_long_traceback_is_kept() -> None:
    kept = recordable(StageError("broken", traceback="a" * 100_000 + "ZeroDivisionError")).traceback
    assert kept is not None and kept.endswith("ZeroDivisionError")


def test_outputs_too_large_to_be_shown_fail_the_execution(engine: TestEngine) -> None:
    execution = engine.execute(
        {"a": act(engine.act(lambda _: {"text": "x" * 1_100_000}))}, outputs={"all": "${{ results.a }}"}
    )
    assert engine.wait_end(execution) == "failed"
    assert "larger than 1 MB" in engine.row(execution)["error"]["message"]


def test_spilled_result_is_read_by_those_who_name_it(engine: TestEngine) -> None:
    execution = engine.execute(
        {
            "large": act(engine.act(lambda _: {"text": "x" * 100_000, "n": 1})),
            "small": {"needs": ["large"], "type": "wait", "config": {"seconds": "${{ results.other.n - 2 }}"}},
            "other": act(engine.act(lambda _: {"n": 2})),
        },
        outputs={"n": "${{ results.large.n }}", "names": "${{ keys(results) }}"},
    )
    assert engine.wait_end(execution) == "success"
    assert engine.row(execution)["outputs"] == {"n": 1, "names": ["large", "other", "small"]}


def test_start_ends_what_this_release_cannot_read_and_runs_the_rest(database: Database, tmp_path: Any) -> None:
    dead = TestEngine(database, tmp_path)  # never started
    damaged, sound = dead.execute({"a": [], "b": ["a"]}), dead.execute({"a": []})
    of_damaged = pipeline_versions.c.pipeline_id == dead.row(damaged)["pipeline_id"]
    database.write(lambda tx: tx.sa.execute(sa.update(pipeline_versions).where(of_damaged).values(document={"id": 3})))
    with running(database, tmp_path) as engine:
        assert engine.wait_end(sound) == "success"
        row = engine.row(damaged)
        assert (row["status"], row["error"]["code"]) == ("failed", "unreadable")
        assert {engine.stage(damaged, name)["status"] for name in ("a", "b")} == {"cancelled"}
        history = engine.events(damaged)
        assert [event["seq"] for event in history] == list(range(1, len(history) + 1))
        assert history[-1]["type"] == "execution_failed"
        with database.read() as connection:
            assert integrity.differences(connection, damaged) == []


def test_the_events_of_an_ended_unreadable_execution_tell_of_its_stages(database: Database, tmp_path: Any) -> None:
    """Also of items: those that had begun one by one, the others by one event for all."""
    dead = TestEngine(database, tmp_path)
    each = {"needs": ["a"], "foreach": {"items": list(range(20)), "max_parallel": 3}}
    approval = {"needs": ["a"], "type": "approval", "config": {"message": "Go on?"}}
    damaged = dead.execute({"a": [], "each": each, "ask": approval, "after": ["each"]})
    for _ in range(3):
        dead.record_by_hand(dead.run_by_hand(dead.claim_by_hand()))
    dead.claim_by_hand()
    error = StageError("This release cannot read it.", code="unreadable", kind="internal")
    database.write(lambda tx: progress.end_as_failed(tx, damaged, error, datetime.now(UTC)))
    told = [row["type"] for row in dead.events(damaged)]
    assert told.count("stage_items_cancelled") == 1
    assert told.count("stage_cancelled") < 10
    assert {row["status"] for row in dead.rows(stage_runs, damaged)} == {"success", "cancelled"}
    with database.read() as connection:
        assert integrity.differences(connection, damaged) == []
