"""Rows of one statement travel together: what several statements do to one row still happens in its order."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from flexiroaster.engine.draft import Draft
from flexiroaster.engine.errors import StageError
from flexiroaster.engine.plan import Plan
from flexiroaster.engine.runs import ExecutionState, Key
from flexiroaster.engine.state import StageStatus
from flexiroaster.store import places, progress
from flexiroaster.store.database import Database, Transaction
from flexiroaster.store.progress import StaleState
from flexiroaster.store.tables import events
from tests.engine.simulation import pipeline
from tests.history import NOON, History

S = StageStatus
PLAN = Plan.of(pipeline({"a": [], "b": []}))


@pytest.fixture
def execution_id(history: History) -> str:
    id = history.execution(history.pipeline("p"), 1, status="running", seconds=None)
    for position in (0, 1):
        history.stage_run(id, position, status="queued", attempt=0, started_at=None, ended_at=None)
    return id


def loaded(database: Database, execution_id: str) -> ExecutionState:
    with database.read() as connection:
        found = progress.load(connection, execution_id)
    assert found is not None
    return found.state


def change(tx: Transaction, state: ExecutionState, position: int, **values: Any) -> None:
    draft = Draft(PLAN, state, NOON)
    draft.change(draft.run(Key(position)), **values)
    progress.save(tx, draft)
    draft.apply()


def test_one_stage_run_changes_several_times_in_a_transaction(database: Database, execution_id: str) -> None:
    state = loaded(database, execution_id)
    broke = StageError("it broke", code="broke", kind="transient")

    def operation(tx: Transaction) -> None:
        change(tx, state, 0, status=S.RUNNING, attempt=1, started_at=NOON)
        change(tx, state, 1, status=S.RUNNING, attempt=1, started_at=NOON)
        change(tx, state, 0, status=S.RETRYING, error=broke, due_at=NOON + timedelta(seconds=5))
        change(tx, state, 0, status=S.QUEUED, ready_at=NOON + timedelta(seconds=5))
        change(tx, state, 0, status=S.RUNNING, attempt=2, error=None, due_at=None)

    database.write(operation)
    first, second = (loaded(database, execution_id).runs[Key(position)] for position in (0, 1))
    assert (first.status, first.attempt, first.error, first.due_at) == (S.RUNNING, 2, None, None)
    assert first.ready_at == NOON + timedelta(seconds=5)
    assert (second.status, second.attempt, second.started_at) == (S.RUNNING, 1, NOON)


@pytest.mark.parametrize("values", [{}, {"rows": 3}], ids=["moved", "changed"])
def test_one_of_many_that_was_changed_elsewhere_undoes_them_all(
    database: Database, execution_id: str, values: dict[str, Any]
) -> None:
    state, before = loaded(database, execution_id), loaded(database, execution_id)
    database.write(lambda tx: change(tx, state, 1, status=S.RUNNING, attempt=1))
    late = loaded(database, execution_id)
    late.runs[Key(1)] = before.runs[Key(1)]

    def operation(tx: Transaction) -> None:
        change(tx, late, 0, status=S.RUNNING, attempt=1, **values)
        change(tx, late, 1, status=S.CANCELLED, **values)

    with pytest.raises(StaleState):
        database.write(operation)
    found = loaded(database, execution_id)
    assert [found.runs[Key(position)].status for position in (0, 1)] == [S.QUEUED, S.RUNNING]


def events_of(execution_id: str, count: int, first: int = 1) -> list[tuple[Any, ...]]:
    return [(execution_id, first + n, f"stage_{n}") for n in range(count)]


def put_events(tx: Transaction, rows: list[tuple[Any, ...]], stale: Exception | None) -> None:
    at = tx.moment(NOON)
    tx.put(
        "insert_event", [(id, seq, at, "stage_started", stage, 0, f'{{"n":{seq}}}') for id, seq, stage in rows], stale
    )


def kept_events(database: Database, execution_id: str) -> list[tuple[Any, ...]]:
    query = sa.select(events.c.execution_id, events.c.seq, events.c.stage, events.c.payload, events.c.at)
    with database.read() as connection:
        found = connection.execute(query.where(events.c.execution_id == execution_id).order_by(events.c.seq)).all()
    assert all(row.payload == {"n": row.seq} and row.at == NOON for row in found)
    return [tuple(row)[:3] for row in found]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 15, 16, 21, 63, 64, 85, 300])
def test_however_many_rows_are_put_each_is_there_once(database: Database, execution_id: str, count: int) -> None:
    rows = events_of(execution_id, count)
    database.write(lambda tx: put_events(tx, rows, StaleState(execution_id)))
    assert kept_events(database, execution_id) == rows


@pytest.mark.parametrize("taken", [1, 5, 64, 70, 85])
def test_one_number_of_many_that_is_taken_undoes_them_all(database: Database, execution_id: str, taken: int) -> None:
    database.write(lambda tx: put_events(tx, events_of(execution_id, 1, taken), None))
    with pytest.raises(StaleState):
        database.write(lambda tx: put_events(tx, events_of(execution_id, 85), StaleState(execution_id)))
    assert kept_events(database, execution_id) == events_of(execution_id, 1, taken)


def test_a_statement_that_asks_sees_what_was_put(database: Database, execution_id: str) -> None:
    state = loaded(database, execution_id)

    def operation(tx: Transaction) -> str | None:
        change(tx, state, 0, status=S.RUNNING, attempt=1, lease_owner="me")
        assert places.lock_pipeline(tx, "p") is True, "which looks at nothing that was put"
        change(tx, state, 1, status=S.RUNNING, attempt=1, lease_owner="you")
        found = progress.load_run(tx.sa, execution_id, Key(1))
        return None if found is None else found.lease_owner

    assert database.write(operation) == "you"
    assert loaded(database, execution_id).runs[Key(0)].lease_owner == "me"
