from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from flexiroaster.engine.errors import Conflict, NotFound
from flexiroaster.services.history import RESULT_BYTES
from flexiroaster.services.history import History as Reader
from flexiroaster.store.executions import ExecutionFilter
from tests.history import NOON, History

EVERYTHING = ExecutionFilter()


@dataclass
class Plan:
    reused: list[str] = field(default_factory=lambda: ["s0"])
    to_run: list[str] = field(default_factory=lambda: ["s1"])


class Files:
    """Artifacts in memory, by key."""

    def __init__(self, **files: bytes) -> None:
        self.files = files

    def read(self, key: str, chunk_bytes: int = 1 << 20) -> Iterator[bytes]:
        content = self.files[key]
        for start in range(0, len(content), chunk_bytes):
            yield content[start : start + chunk_bytes]

    def local_path(self, key: str) -> Path:
        raise NotFound("artifact", key)

    @contextmanager
    def write(self, key: str) -> Iterator[Path]:
        raise AssertionError(f"reading writes nothing, but {key} was to be written")
        yield Path(key)

    def uri(self, key: str) -> str:
        return key

    def key(self, uri: str) -> str | None:
        return uri

    def size(self, key: str) -> int:
        return len(self.files[key])

    def delete(self, prefix: str) -> None:
        raise AssertionError(f"reading deletes nothing, but {prefix} was to be deleted")


def reader(history: History, plan: Callable[[str], Plan] = lambda id: Plan(), **files: bytes) -> Reader:
    return Reader(history.database, Files(**files), plan, lambda: NOON)


def test_a_page_of_fifty_takes_three_queries(history: History, statements: list[str]) -> None:
    history.pipeline("orders")
    for number in range(1, 61):
        history.execution("orders", number)
        history.stage_run(f"orders-{number}", 0)
    statements.clear()
    page = reader(history).executions(EVERYTHING, limit=50)
    assert len(statements) == 3
    assert [entry.row.number for entry in page.items] == list(range(60, 10, -1))
    rest = reader(history).executions(EVERYTHING, limit=50, cursor=page.next_cursor)
    assert [entry.row.number for entry in rest.items] == list(range(10, 0, -1))
    assert rest.next_cursor is None
    assert page.items[0].counts == {"success": 1}


def test_a_list_says_what_the_first_waiting_stage_waits_for(history: History, statements: list[str]) -> None:
    history.pipeline("orders", stages=4)
    for number in range(1, 31):
        running = history.execution("orders", number, status="running", seconds=None)
        history.stage_run(running, 0)
        history.stage_run(running, 2, status="waiting", reason="waiting for approval", ended_at=None)
        history.stage_run(running, 1, status="queued", reason="waiting for pool cpu 4/4", ended_at=None)
        history.stage_run(running, 3, status="waiting", reason="waiting for a@example.com", ended_at=None)
    one = history.execution("orders", 31, status="running", seconds=None)
    history.stage_run(one, 0, status="waiting", reason="waiting for approval", ended_at=None)
    history.stage_run(one, 1, status="queued", ended_at=None)
    statements.clear()
    first, *others = reader(history).executions(EVERYTHING, limit=50).items
    assert len(statements) <= 9
    assert first.row.reason == "s0: waiting for approval"
    assert {entry.row.reason for entry in others} == {"s1: waiting for pool cpu 4/4 (2 more stages wait)"}


def test_a_list_keeps_what_an_execution_says_itself(history: History) -> None:
    history.pipeline("orders")
    paused = history.execution("orders", 1, status="paused", seconds=None, paused_at=NOON, reason="paused by ada")
    busy = history.execution("orders", 2, status="running", seconds=None)
    ended = history.execution("orders", 3, status="cancelled", reason="cancelled by ada")
    for id in (paused, ended):
        history.stage_run(id, 0, status="waiting", reason="waiting for approval")
    history.stage_run(busy, 0, status="queued", ended_at=None)
    reasons = [entry.row.reason for entry in reader(history).executions(EVERYTHING, limit=9).items]
    assert reasons == ["cancelled by ada", None, "paused by ada"]


def test_a_page_stays_put_when_new_executions_come(history: History) -> None:
    history.pipeline("orders")
    for number in range(1, 5):
        history.execution("orders", number)
    first = reader(history).executions(EVERYTHING, limit=2)
    history.execution("orders", 5)
    second = reader(history).executions(EVERYTHING, limit=2, cursor=first.next_cursor)
    assert [entry.row.number for entry in first.items + second.items] == [4, 3, 2, 1]


def test_executions_of_a_deleted_pipeline_are_listed(history: History) -> None:
    history.pipeline("orders", deleted_at=NOON)
    assert reader(history).of_pipeline("orders", limit=5).items == []
    history.execution("orders", 1)
    assert len(reader(history).of_pipeline("orders", limit=5).items) == 1
    with pytest.raises(NotFound):
        reader(history).of_pipeline("nothing", limit=5)


def test_a_picture_puts_everything_together(history: History) -> None:
    history.pipeline("orders")
    for number in (1, 2, 3):
        history.execution("orders", number, seconds=number)
        history.stage_run(f"orders-{number}", 0, seconds=number / 10)
    id = history.execution("orders", 4, status="failed", failed_stage="s1", error={"message": "no"})
    history.stage_run(id, 0)
    history.stage_run(id, 1, status="failed")
    history.artifact("table", id)
    picture = reader(history).execution(id)
    assert picture.counts == {"success": 1, "failed": 1}
    assert picture.usual_seconds == pytest.approx(2)
    assert [(entry.row.stage, entry.usual_seconds) for entry in picture.stages] == [
        ("s0", pytest.approx(0.2)),
        ("s1", None),
    ]
    assert [[kept.id for kept in entry.artifacts] for entry in picture.stages] == [["table"], []]
    assert picture.retry == Plan()


def test_the_queries_of_a_picture_do_not_grow(history: History, statements: list[str]) -> None:
    history.pipeline("orders", stages=60)
    small, large = history.execution("orders", 1), history.execution("orders", 2)
    history.stage_run(small, 0)
    for position in range(60):
        history.stage_run(large, position)
        history.artifact(f"a{position}", large, stage=f"s{position}")
    statements.clear()
    reader(history).execution(small)
    few = len(statements)
    assert len(reader(history).execution(large).stages) == 60
    assert len(statements) == 2 * few


def test_only_what_can_be_retried_has_a_plan(history: History) -> None:
    history.pipeline("orders")
    history.execution("orders", 1)
    history.execution("orders", 2, status="running", seconds=None)
    history.execution("orders", 3, status="failed")

    def refuse(id: str) -> Plan:
        raise Conflict(f"{id} runs again.")

    assert [reader(history).execution(f"orders-{number}").retry for number in (1, 2)] == [None, None]
    assert reader(history, refuse).execution("orders-3").retry is None


def test_stage_runs_come_in_pages(history: History) -> None:
    history.pipeline("orders", stages=3)
    id = history.execution("orders", 1)
    for position in range(3):
        for index in range(2):
            history.stage_run(id, position, idx=index, status="failed" if position == 1 else "success")
    first = reader(history).stages(id, limit=2)
    second = reader(history).stages(id, limit=2, cursor=first.next_cursor)
    failed = reader(history).stages(id, statuses=["failed"], limit=4)
    places = [(entry.row.position, entry.row.index) for entry in first.items + second.items]
    assert places == [(0, 0), (1, 0), (2, 0)]  # without the items
    assert [entry.row.position for entry in failed.items] == [1]


def test_items_come_in_pages_with_what_they_are_for(history: History) -> None:
    history.pipeline("orders", stages=2, foreach="s1")
    id = history.execution("orders", 1)
    history.stage_run(id, 0)
    history.stage_run(id, 1)
    for index in range(1, 6):
        history.item(id, 1, index, {"name": f"r{index}"}, status="failed" if index == 4 else "success")
    first = reader(history).items(id, "s1", limit=3)
    second = reader(history).items(id, "s1", limit=3, cursor=first.next_cursor)
    assert [(entry.row.index, entry.value["name"]) for entry in first.items + second.items] == [
        (index, f"r{index}") for index in range(1, 6)
    ]
    assert second.next_cursor is None
    (failed,) = reader(history).items(id, "s1", statuses=["failed"], limit=3).items
    assert failed.row.index == 4
    assert reader(history).items(id, "s0", limit=3).items == []
    assert reader(history).stage(id, "s1", 4).item == {"name": "r4"}
    with pytest.raises(NotFound):
        reader(history).items(id, "s7", limit=3)


def test_a_foreach_stage_counts_its_items_by_state(history: History) -> None:
    history.pipeline("orders", stages=2, foreach="s1")
    id = history.execution("orders", 1)
    history.stage_run(id, 0)
    history.stage_run(id, 1)
    for index in range(1, 6):
        history.item(id, 1, index, index, status="failed" if index == 4 else "success")
    picture = reader(history).execution(id)
    assert [entry.items for entry in picture.stages] == [None, {"success": 4, "failed": 1}]
    assert picture.counts == {"success": 2}
    assert reader(history).stage(id, "s1", 4).entry.items is None


def test_a_large_item_is_cut_where_items_are_listed(history: History) -> None:
    history.pipeline("orders", stages=1, foreach="s0")
    id = history.execution("orders", 1)
    history.stage_run(id, 0)
    history.item(id, 0, 1, "x" * 50_000)
    assert len(reader(history).items(id, "s0", limit=3).items[0].value) < 1_100
    assert reader(history).stage(id, "s0", 1).item == "x" * 50_000


def test_many_items_of_earlier_executions_cost_nothing(history: History, statements: list[str]) -> None:
    """Stages are found by their place: going through all items for those with the index 0 takes seconds."""
    history.pipeline("orders", stages=2)
    for number in (1, 2):
        history.stage_run(history.execution("orders", number), 0)
    reader(history).execution("orders-2")
    assert any("stage_runs.position IN" in statement and "PARTITION BY" in statement for statement in statements)


def test_a_stage_run_has_its_result_and_attempts(history: History) -> None:
    history.pipeline("orders")
    id = history.execution("orders", 1)
    history.stage_run(id, 0, attempt=2)
    history.attempt(id, 0, 1)
    history.result(id, 0, {"rows": 3})
    picture = reader(history).stage(id, "s0", 0)
    assert (picture.result, picture.result_truncated) == ({"rows": 3}, False)
    assert [row.attempt for row in picture.attempts] == [1]
    with pytest.raises(NotFound, match=r"s0\[3\]"):
        reader(history).stage(id, "s0", 3)


def test_a_large_result_is_cut(history: History) -> None:
    history.pipeline("orders")
    id = history.execution("orders", 1)
    history.stage_run(id, 0)
    history.artifact("large", id, kind="result", key="large")
    history.result(id, 0, None, artifact_id="large")
    content = ("[" + "ä" * RESULT_BYTES + "]").encode()
    picture = reader(history, large=content).stage(id, "s0", 0)
    assert picture.result_truncated
    assert picture.result.startswith("[ää")
    assert len(picture.result.encode()) in (RESULT_BYTES - 1, RESULT_BYTES)


def test_no_execution_is_not_found(history: History) -> None:
    read = reader(history)
    for ask in (
        lambda: read.execution("nothing"),
        lambda: read.entry("nothing"),
        lambda: read.stages("nothing", limit=1),
        lambda: read.stage("nothing", "a", 0),
        lambda: read.events("nothing", after=0, limit=1),
    ):
        with pytest.raises(NotFound, match="no execution 'nothing'"):
            ask()
