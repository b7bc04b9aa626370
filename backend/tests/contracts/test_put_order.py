"""Rows of one statement travel together: what several statements do to one row still happens in its order."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from flexiroaster.engine.draft import Draft
from flexiroaster.engine.errors import StageError
from flexiroaster.engine.plan import Plan
from flexiroaster.engine.runs import ExecutionState, Key
from flexiroaster.engine.state import StageStatus
from flexiroaster.store import places, progress
from flexiroaster.store.database import Database, Transaction
from flexiroaster.store.progress import StaleState
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
