from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from flexiroaster.store import pipelines
from flexiroaster.store.database import Database, Transaction
from flexiroaster.store.pipelines import NewVersion
from tests.history import NOON, History


def new(name: str = "Orders", **changes: object) -> NewVersion:
    values: dict[str, object] = {
        "name": name,
        "description": "",
        "labels": {},
        "document": {"id": "orders", "stages": [{"id": "a"}]},
        "source": "id: orders",
        "source_format": "yaml",
        "digest": "a" * 64,
        "note": "",
        "by": "ada@example.com",
    }
    return NewVersion(**values | changes)  # type: ignore[arg-type]


def test_page_goes_on_after_the_last_id_seen(history: History) -> None:
    for id in ("c", "a", "d", "b"):
        history.pipeline(id)
    with history.database.read() as connection:
        first = pipelines.page(connection, limit=3)
        rest = pipelines.page(connection, after=first[-1].id, limit=3)
    assert [row.id for row in first] == ["a", "b", "c"]
    assert [row.id for row in rest] == ["d"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"text": "ORD"}, ["orders", "returns"]),
        ({"text": "100%"}, ["stock"]),
        ({"text": "_"}, []),
        ({"labels": {"team": "sales"}}, ["orders"]),
        ({"labels": {"team": None}}, ["orders", "returns"]),
        ({"labels": {"team": "sales", "tier": "gold"}}, []),
        ({"labels": {"a.b/c": "x"}}, ["stock"]),
        ({"enabled": False}, ["stock"]),
        ({"enabled": True}, ["orders", "returns"]),
    ],
)
def test_page_filters(history: History, wanted: dict[str, object], found: list[str]) -> None:
    history.pipeline("orders", labels={"team": "sales"})
    history.pipeline("returns", name="Returned ORDers", labels={"team": "care"})
    history.pipeline("stock", description="100% of it", enabled=False, labels={"a.b/c": "x"})
    history.pipeline("gone", deleted_at=NOON, labels={"team": "sales"})
    with history.database.read() as connection:
        assert [row.id for row in pipelines.page(connection, limit=10, **wanted)] == found  # type: ignore[arg-type]


def test_summary_counts_the_stages_of_the_newest_version(history: History) -> None:
    history.pipeline("orders", stages=7)
    with history.database.read() as connection:
        row = pipelines.find(connection, "orders")
    assert row is not None
    assert (row.stages_total, row.enabled, row.created_at) == (7, True, NOON)


def test_latest_runs_reach_back_to_the_hundredth_ended_one(history: History) -> None:
    history.pipeline("busy")
    history.pipeline("new")
    history.pipeline("idle")
    for number in range(1, 131):
        open_one = number > 105
        history.execution("busy", number, status="queued" if open_one else "success", seconds=None if open_one else 1)
    history.execution("new", 1)
    with history.database.read() as connection:
        runs = pipelines.latest_runs(connection, ["busy", "new", "idle"])
    assert [run.number for run in runs if run.pipeline_id == "busy"] == list(range(6, 131))
    assert [run.number for run in runs if run.pipeline_id == "new"] == [1]


def test_a_version_is_added_and_becomes_the_newest(database: Database) -> None:
    later = NOON + timedelta(hours=1)

    def operation(tx: Transaction) -> None:
        pipelines.insert(tx.sa, "orders", new(), NOON)
        pipelines.add_version(tx.sa, "orders", 2, new("Orders 2", note="faster", digest="b" * 64), later)

    database.write(operation)
    with database.read() as connection:
        row = pipelines.find(connection, "orders")
        listed = pipelines.versions(connection, "orders", limit=10)
        older = pipelines.versions(connection, "orders", before=2, limit=10)
        first = pipelines.version(connection, "orders", 1)
    assert row is not None and first is not None
    assert (row.name, row.version, row.updated_at, row.created_at) == ("Orders 2", 2, later, NOON)
    assert [(entry.version, entry.note) for entry in listed] == [(2, "faster"), (1, "")]
    assert [entry.version for entry in older] == [1]
    assert (first.source, first.document["id"], first.stages_total) == ("id: orders", "orders", 1)


def test_an_id_is_taken_once(database: Database) -> None:
    database.write(lambda tx: pipelines.insert(tx.sa, "orders", new(), NOON))
    with pytest.raises(sa.exc.IntegrityError):
        database.write(lambda tx: pipelines.insert(tx.sa, "orders", new(), NOON))


def test_head_tells_a_writer_what_is_there(database: Database) -> None:
    def operation(tx: Transaction) -> pipelines.Head | None:
        pipelines.insert(tx.sa, "orders", new(), NOON)
        pipelines.mark_deleted(tx.sa, "orders", NOON)
        return pipelines.head(tx.sa, "orders")

    head = database.write(operation)
    assert head == pipelines.Head(1, 1, "a" * 64, NOON, "ada@example.com", NOON)
    assert database.write(lambda tx: pipelines.head(tx.sa, "nothing")) is None


def test_open_executions_are_those_that_have_not_ended(history: History) -> None:
    history.pipeline("orders")
    history.execution("orders", 1)
    history.execution("orders", 2, status="running", seconds=None)
    history.execution("orders", 3, status="queued", seconds=None)
    with history.database.read() as connection:
        assert pipelines.open_executions(connection, "orders") == 2
