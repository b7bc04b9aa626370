"""Two things that happen at once to the same execution or pipeline: one of them comes first, and both know which."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
import sqlalchemy as sa

from flexiroaster.bus.local import LocalBus
from flexiroaster.engine.errors import Conflict, NotFound
from flexiroaster.engine.outcome import Succeeded
from flexiroaster.services import pipelines as pipeline_service
from flexiroaster.services.pipelines import Author, Pipelines, Source
from flexiroaster.services.stage_runs import LEASE
from flexiroaster.stages.registry import BUILT_IN, StageRegistry
from flexiroaster.store import leases
from flexiroaster.store import workers as worker_rows
from flexiroaster.store.database import Database
from flexiroaster.store.tables import executions, stage_runs
from tests.faults.record import Record, check_ended, check_numbers, check_rebuilt
from tests.faults.workers import Workers
from tests.runtime.engine import PATIENCE, Gate, TestEngine, running

ADA = Author("ada@example.com", "admin")
ROUNDS = 10


def check(engine: TestEngine, execution: str) -> Record:
    record = Record.of(engine.database, execution)
    check_numbers(record)
    check_ended(record)
    check_rebuilt(record)
    return record


def at_once(*calls: Callable[[], object]) -> list[BaseException | None]:
    """Each in a thread of its own, all let go together; answers what they raised."""
    together = threading.Barrier(len(calls))
    raised: list[BaseException | None] = [None] * len(calls)

    def call(number: int) -> None:
        together.wait(PATIENCE)
        try:
            calls[number]()
        except Exception as error:
            raised[number] = error

    threads = [threading.Thread(target=call, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    return raised


# ── cancel and finish ───────────────────────────────────────────────────────────────────────────────────────────────


def test_cancel_while_the_last_stage_finishes(database: Database, tmp_path: Path) -> None:
    """Who cancelled in time sees it cancelled, who came too late is told so."""
    with running(database, tmp_path) as engine:
        for _ in range(ROUNDS):
            gate = Gate()
            execution = engine.execute({"a": {"type": "act", "config": engine.act(gate)}})
            gate.wait_entered()
            _, refused = at_once(gate.open.set, lambda id=execution: engine.executions.cancel(id, "ada"))  # type: ignore[misc]
            status = engine.wait_end(execution)
            assert isinstance(refused, Conflict) == (status == "success")
            assert refused is not None or status == "cancelled"
            check(engine, execution)


def test_cancel_from_everywhere_at_once(database: Database, tmp_path: Path) -> None:
    with running(database, tmp_path) as engine:
        for _ in range(ROUNDS):
            gate = Gate()
            execution = engine.execute({"a": {"type": "act", "config": engine.act(gate)}, "b": ["a"]})
            gate.wait_entered()
            cancel = [lambda id=execution: engine.executions.cancel(id, "ada")] * 4  # type: ignore[misc]
            assert at_once(*cancel) == [None] * 4
            assert engine.wait_end(execution) == "cancelled"
            told = [row["type"] for row in check(engine, execution).events]
            assert told.count("execution_cancelling") + told.count("execution_cancelled") <= 2
            assert told.count("execution_cancelled") == 1


@pytest.fixture
def workers(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workers:
    """Two servers, each with a memory of its own."""
    found = Workers(database_url, tmp_path, most=2)
    for module in (leases, worker_rows):
        monkeypatch.setattr(module, "now", lambda connection: found.now)
    return found


@pytest.mark.parametrize("cancel_first", [True, False])
def test_cancel_through_one_server_while_another_records_the_end(workers: Workers, cancel_first: bool) -> None:
    runs, cancels = workers.born(), workers.born()
    execution = runs.engine.execute({"a": {"type": "act", "config": runs.engine.act(lambda _: None)}})
    cancels.engine.row(execution)
    (hand,) = workers.claim(runs)
    if cancel_first:
        cancels.engine.executions.cancel(execution, "ada")
        hand.answer(Succeeded())
    else:
        hand.answer(Succeeded())
        with pytest.raises(Conflict, match="already ended as success"):
            cancels.engine.executions.cancel(execution, "ada")
    record = check(runs.engine, execution)
    assert record.row["status"] == ("cancelled" if cancel_first else "success")
    assert record.runs[0]["status"] == "success"  # the work was done, and is not denied
    workers.forget()


# ── killed between claim and first heartbeat ────────────────────────────────────────────────────────────────────────


def test_death_between_claim_and_first_heartbeat(workers: Workers) -> None:
    dies, lives = workers.born(), workers.born()
    execution = dies.engine.execute({"a": {"type": "act", "config": dies.engine.act(lambda _: None)}})
    (hand,) = workers.claim(dies)
    dies.alive = False
    workers.advance(LEASE)
    workers.look_around(lives)
    assert lives.engine.stage(execution, "a")["lease_owner"] == dies.owner, "its lease has not run out"
    workers.advance(timedelta(seconds=1))
    workers.look_around(lives)
    row = lives.engine.stage(execution, "a")
    assert (row["status"], row["lease_owner"], row["lost"]) == ("queued", None, 1)
    (again,) = workers.claim(lives)
    hand.answer(Succeeded({"late": True}))
    assert lives.engine.stage(execution, "a")["status"] == "running"
    again.answer(Succeeded())
    record = check(lives.engine, execution)
    assert (record.row["status"], record.runs[0]["attempt"]) == ("success", 2)
    workers.forget()


# ── edit and delete ─────────────────────────────────────────────────────────────────────────────────────────────────


def pipelines_of(database: Database) -> Pipelines:
    registry = StageRegistry({**BUILT_IN, "act": "tests.runtime.engine:ActStage"})
    return Pipelines(database, registry.types, LocalBus())


def source(*stages: dict[str, Any]) -> Source:
    return Source(orjson.dumps({"id": "orders", "name": "Orders", "stages": stages}).decode(), "json")


def stage(id: str, config: dict[str, Any], *needs: str) -> dict[str, Any]:
    return {"id": id, "type": "act", "config": config, "needs": list(needs)}


def say(value: Any) -> dict[str, Any]:
    return {"act": "say", "value": value}


def test_pipeline_is_edited_and_not_deleted_while_it_runs(database: Database, tmp_path: Path) -> None:
    """What runs goes on as it began; what starts afterwards is the new version."""
    with running(database, tmp_path) as engine:
        pipelines, gate = pipelines_of(database), Gate()
        first = stage("a", engine.act(gate))
        pipelines.create(source(first, stage("b", say("old"), "a")), ADA)
        old = engine.executions.start("orders").execution_id
        gate.wait_entered()
        pipelines.update("orders", source(first, stage("c", say("new"), "a")), ADA)
        with pytest.raises(Conflict, match="not ended yet"):
            pipelines.delete("orders", ADA.email)
        gate.open.set()
        assert engine.wait_end(old) == "success"
        new = engine.executions.start("orders").execution_id
        assert engine.wait_end(new) == "success"
        for execution, version, stages, value in ((old, 1, ["a", "b"], "old"), (new, 2, ["a", "c"], "new")):
            record = check(engine, execution)
            assert (record.row["version"], [run["stage"] for run in record.runs]) == (version, stages)
            assert engine.results(execution)[1] == value
        pipelines.delete("orders", ADA.email)
        with pytest.raises(NotFound):
            engine.executions.start("orders")
        assert check(engine, old).row["status"] == "success"


def test_server_dies_while_an_edited_pipeline_runs(database: Database, tmp_path: Path) -> None:
    """Who takes up the execution goes on with the version that it began with."""
    dead = TestEngine(database, tmp_path)
    pipelines = pipelines_of(database)
    pipelines.create(source(stage("a", say(1)), stage("b", say("old"), "a")), ADA)
    execution = dead.executions.start("orders").execution_id
    dead.record_by_hand(dead.run_by_hand(dead.claim_by_hand()))
    pipelines.update("orders", source(stage("c", say("new"))), ADA)
    with running(database, tmp_path) as engine:
        assert engine.wait_end(execution) == "success"
        assert engine.results(execution) == {0: 1, 1: "old"}
        check(engine, execution)


def test_delete_while_another_server_starts_it(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The start comes before, and it is not deleted, or after, and there is nothing to start."""
    here, there = Database.open(postgres_url), Database.open(postgres_url)
    pipelines = pipelines_of(here)
    pipelines.create(source(stage("a", say(1))), ADA)
    engine = TestEngine(there, tmp_path)
    engine.executions.start("orders")  # its version is in memory
    engine.work_by_hand()
    refused: list[Exception] = []
    count = pipeline_service.store.open_executions

    def start() -> None:
        try:
            engine.executions.start("orders")
        except NotFound as error:
            refused.append(error)

    starter = threading.Thread(target=start)

    def counted(connection: sa.Connection, id: str) -> int:
        """None is open; now one starts, as far as it gets."""
        found = count(connection, id)
        starter.start()
        while starter.is_alive() and not waits_for_lock(postgres_url):
            starter.join(0.01)
        return found

    monkeypatch.setattr(pipeline_service.store, "open_executions", counted)
    pipelines.delete("orders", ADA.email)
    starter.join(PATIENCE)
    assert len(refused) == 1
    with here.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(executions)) == 1
        assert set(connection.scalars(sa.select(stage_runs.c.status))) == {"success"}
    for database in (here, there):
        database.close()


def waits_for_lock(url: str) -> bool:
    database = Database.open(url)
    try:
        with database.read() as connection:
            return bool(connection.scalar(sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")))
    finally:
        database.close()
