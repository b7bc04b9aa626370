"""Stages that wait for a clock, an event or another execution: what is learned and told of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from flexiroaster.ai.insights.finding import Insight
from flexiroaster.services.ai.following import Following
from flexiroaster.services.ai.history import RunHistory, Story
from flexiroaster.services.ai.study import Findings, Study
from flexiroaster.services.ai.switch import Switch
from flexiroaster.store.database import Database, Transaction
from flexiroaster.store.tables import executions, pipeline_versions, pipelines, stage_runs

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
END = BEGIN + timedelta(days=60)
WAIT = {"id": "night", "type": "wait", "needs": [], "config": {"event": "closed"}}
WORK = {"id": "work", "type": "noop", "needs": ["night"], "config": {}}
CALL = {"id": "call", "type": "pipeline", "needs": [], "config": {"pipeline": "child"}}
LOAD = {"id": "load", "type": "http", "needs": [], "config": {"url": "https://shop.example/rows"}}


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    opened = Database.open(sqlite_url)
    yield opened
    opened.close()


def failed(code: str, message: str, **details: Any) -> dict[str, Any]:
    return {"code": code, "kind": "transient", "message": message, "details": details}


CHILD = failed("child_failed", "child #7 failed at load: no answer", pipeline_id="child", execution_id="c")


def make(database: Database, id: str, *stages: dict[str, Any], **labels: str) -> None:
    def operation(tx: Transaction) -> None:
        row = {"id": id, "name": id, "labels": labels, "version": 1, "created_at": BEGIN, "updated_at": BEGIN}
        tx.sa.execute(pipelines.insert().values(row))
        document = {"id": id, "name": id, "stages": list(stages)}
        version = {"document": document, "source": "{}", "source_format": "json", "digest": "0" * 64}
        times = {"created_at": BEGIN, "published_at": BEGIN}
        tx.sa.execute(pipeline_versions.insert().values(pipeline_id=id, version=1, **version, **times))

    database.write(operation)


def ran(
    database: Database,
    pipeline: str,
    number: int,
    stages: dict[str, tuple[str, float]],
    *,
    error: dict[str, Any] | None = None,
    **last: Any,
) -> str:
    """One after the other, each so many seconds, the first of each day at noon; `error` is of the last."""
    id, at = f"{pipeline}-{number}", BEGIN + timedelta(hours=12 * number)
    status, rows, began = ("failed" if error else "success"), [], at
    for position, (stage, (type, seconds)) in enumerate(stages.items()):
        rows.append(
            {"execution_id": id, "position": position, "idx": 0, "stage": stage, "type": type, "attempt": 1}
            | {"status": "success", "started_at": began, "ended_at": began + timedelta(seconds=seconds), "error": None}
            | {"waits_for": None, "needs_left": 0, "needs_ok": 0, "needs_failed": 0}
        )
        began += timedelta(seconds=seconds)
    rows[-1] |= {"status": status, "error": error} | last
    row = {"id": id, "pipeline_id": pipeline, "version": 1, "number": number, "status": status, "trigger": "manual"}
    row |= {"inputs": {}, "stages_total": len(rows), "logical_date": at, "created_at": at, "started_at": at}
    row |= {"ended_at": rows[-1]["ended_at"], "error": error}

    def operation(tx: Transaction) -> None:
        tx.sa.execute(executions.insert().values(row))
        tx.sa.execute(stage_runs.insert(), rows)

    database.write(operation)
    return id


def look(database: Database) -> Findings:
    return Study(database, Switch(), lambda kind: True, lambda: END).look()


def about(found: list[Insight], pipeline: str) -> list[str]:
    return [one.rule for one in found if pipeline in one.pipelines]


@pytest.mark.parametrize("stages", [("night",), ("night", "work")])
def test_a_longer_wait_is_no_slow_run(database: Database, stages: tuple[str, ...]) -> None:
    make(database, "a", WAIT, WORK)
    for number in range(100):
        took = {"night": ("wait", 600.0 if number < 70 else 7_200.0), "work": ("noop", 5.0 + number % 3)}
        ran(database, "a", number, {stage: took[stage] for stage in stages})
    assert about(look(database).insights, "a") == []


def test_no_timeout_is_made_from_how_long_a_stage_waited(database: Database) -> None:
    make(database, "a", WAIT, WORK)
    make(database, "b", CALL)
    for number in range(40):
        ran(database, "a", number, {"night": ("wait", 600.0), "work": ("noop", 60.0 + number % 3)})
        ran(database, "b", number, {"call": ("pipeline", 600.0 + number)})
    found = look(database).suggestions
    assert [one.stages for one in found["a"] if one.kind == "timeout"] == [("work",)]
    assert [one for one in found["b"] if one.kind == "timeout"] == []


def test_a_wait_that_was_in_vain_is_told_but_blamed_on_no_connector(database: Database) -> None:
    late = failed("wait_timeout", "What it waits for did not happen in time.")
    for id in ("a", "b", "c"):
        make(database, id, WAIT, LOAD | {"needs": ["night"]})
        for number in range(60):
            stages = {"night": ("wait", 600.0), "load": ("http", 5.0)}
            if number < 50:
                ran(database, id, number, stages)
            else:
                ran(database, id, number, {"night": ("wait", 600.0)}, error=late)
    found = look(database).insights
    assert {one.rule for one in found} >= {"failure_rate"}
    assert [one.subject for one in found if one.rule == "outage"] == []


def family(database: Database, slow: bool, **labels: str) -> None:
    """A child that fails, or becomes slow, and two that wait for it."""
    make(database, "child", LOAD, **labels)
    for id in ("one", "two"):
        make(database, id, CALL)
    for number in range(100):
        worse = number >= 80
        took = 300.0 if worse and slow else 10.0 + number % 3
        bad = worse and not slow
        ran(database, "child", number, {"load": ("http", took)}, error=failed("http", "no answer") if bad else None)
        for id in ("one", "two"):
            ran(database, id, number, {"call": ("pipeline", took + 1)}, error=CHILD if bad else None)


@pytest.mark.parametrize("slow", [True, False])
def test_what_befalls_a_child_is_told_once(database: Database, slow: bool) -> None:
    family(database, slow)
    found = look(database).insights
    assert about(found, "child") != []
    assert about(found, "one") == about(found, "two") == []


def test_it_is_told_of_the_parent_where_the_child_is_kept_out(database: Database) -> None:
    family(database, slow=False, ai="off")
    found = look(database).insights
    assert about(found, "child") == []
    assert "failure_rate" in about(found, "one")


def test_a_stage_that_cannot_start_its_child_fails_by_itself(database: Database) -> None:
    make(database, "one", CALL)
    gone = failed("not_found", "There is no pipeline 'child'.")
    for number in range(100):
        ran(database, "one", number, {"call": ("pipeline", 5.0)}, error=gone if number >= 80 else None)
    assert "failure_rate" in about(look(database).insights, "one")


def stories(database: Database, *, afterwards: bool) -> list[Story]:
    return RunHistory(database, Switch()).newest(100, afterwards=afterwards)


def test_predictions_know_how_long_a_child_takes_but_no_wait(database: Database) -> None:
    make(database, "one", CALL)
    make(database, "a", WAIT, WORK)
    ran(database, "one", 1, {"call": ("pipeline", 600.0)}, error=CHILD)
    ran(database, "a", 1, {"night": ("wait", 600.0), "work": ("noop", 5.0)})
    before = stories(database, afterwards=False)
    assert {run.stage for story in before for run in story.attempts} == {"call", "work"}
    assert {story.whole.status for story in before if story.whole} == {"success", "failed"}


def test_a_child_that_runs_is_under_way_in_the_outlook(database: Database) -> None:
    make(database, "one", CALL)
    for number in range(30):
        ran(database, "one", number, {"call": ("pipeline", 600.0 + number % 3)})
    under_way = ran(
        database, "one", 30, {"call": ("pipeline", 0.0)}, status="waiting", ended_at=None, waits_for="execution"
    )
    still = {"status": "running", "ended_at": None}
    database.write(lambda tx: tx.sa.execute(executions.update().where(executions.c.id == under_way).values(still)))
    (story,) = RunHistory(database, Switch()).named([under_way])
    assert [(run.stage, run.ended_at) for run in story.attempts] == [("call", None)]
    following = Following(database, Switch(), None, bytes(32), lambda: BEGIN + timedelta(hours=12 * 30, minutes=5))
    pipeline, left = following.begin().outlooks[under_way]
    assert left is not None
    assert (pipeline, left["critical"]) == ("one", ["call"])
