"""How an execution is read into memory: a worker that hears of one waits for that before it begins."""

from __future__ import annotations

from flexiroaster.services.live import LiveExecutions
from flexiroaster.store.database import Database
from flexiroaster.store.progress import Parent, load
from flexiroaster.store.tables import pipeline_versions
from tests.history import History


def execution(history: History, done: int) -> str:
    history.pipeline("orders", stages=2)
    stages = [{"id": f"s{n}", "type": "noop", "needs": []} for n in range(2)]
    document = {"id": "orders", "name": "Orders", "stages": stages}
    history.database.write(lambda tx: tx.sa.execute(pipeline_versions.update().values(document=document)))
    id = history.execution("orders", 1, status="running", seconds=None, inputs={"day": "mon"}, use_cache=False)
    for position in range(2):
        ended = {} if position < done else {"status": "queued", "started_at": None, "ended_at": None}
        history.stage_run(id, position, **ended)
    history.event(id, 1)
    history.event(id, 2)
    return id


def test_number_of_the_newest_event_comes_with_the_state(history: History, database: Database) -> None:
    id = execution(history, 1)
    with database.read() as connection:
        found = load(connection, id)
        assert load(connection, "nothing") is None
    assert found is not None
    assert (found.state.seq, found.state.open, found.row["inputs"]) == (2, 1, {"day": "mon"})


def test_execution_without_results_is_read_by_two_statements(
    history: History, database: Database, statements: list[str]
) -> None:
    id = execution(history, 0)
    live = LiveExecutions(None, frozenset())
    with database.read() as connection:
        live.version(connection, "orders", 1)
    statements.clear()
    read = database.write(lambda tx: live.get(tx, id))
    assert len(statements) == 2
    assert (read.inputs, read.use_cache, read.parent, read.results) == ({"day": "mon"}, False, None, {})


def test_results_are_read_with_those_stages_that_have_some(history: History, database: Database) -> None:
    id = execution(history, 1)
    history.result(id, 0, {"rows": 7})
    live = LiveExecutions(None, frozenset())
    assert database.write(lambda tx: live.get(tx, id)).results == {"s0": {"rows": 7}}


def test_parent_is_known(history: History, database: Database) -> None:
    above = execution(history, 0)
    id = history.execution(
        "orders", 2, status="running", seconds=None, parent_id=above, parent_position=1, parent_idx=3, depth=2
    )
    found = database.write(lambda tx: LiveExecutions(None, frozenset()).get(tx, id)).parent
    assert found == Parent(above, (1, 3), 2)  # type: ignore[arg-type]
