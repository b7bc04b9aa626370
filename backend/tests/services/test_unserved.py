"""What waits for a worker that is not there says so; it says nothing any more as soon as one comes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flexiroaster.artifacts.disk import DiskArtifacts
from flexiroaster.services.doctor import DatabaseDoctor, Finding
from flexiroaster.services.history import History as Reader
from flexiroaster.services.metrics import Metrics
from flexiroaster.services.unserved import GRACE, reason
from flexiroaster.store import workers
from flexiroaster.store.executions import ExecutionFilter
from flexiroaster.store.workers import Me
from tests.history import History

WORKER = Me(id="w", host="node", pid=1, version="1", concurrency=4, kind="worker")
LEASE = timedelta(minutes=5)
GPU = "waiting for a worker: none takes stages of pool gpu; start one with `flexiroaster worker --pool gpu`"
NO_POOL = "waiting for a worker: none takes stages that name no pool; start one with `flexiroaster worker`"
Come = Callable[[Me], None]


@pytest.fixture
def come(history: History) -> Come:
    return lambda me: history.database.write(lambda tx: workers.register(tx.sa, me, LEASE))


@pytest.fixture
def said(history: History) -> dict[str | None, str]:
    """What is said of stages of pool gpu, and of none: on SQLite there is no worker to start."""
    if history.database.dialect == "postgresql":
        return {"gpu": GPU, None: NO_POOL}
    return dict.fromkeys(("gpu", None), reason(None, "sqlite"))


@pytest.fixture
def reader(history: History, tmp_path: Path) -> Reader:
    def no_retry(_: str) -> None:
        raise AssertionError("nothing has ended")

    return Reader(history.database, DiskArtifacts(tmp_path), no_retry)  # type: ignore[arg-type]


def ready(history: History, number: int, *, ago: timedelta = 2 * GRACE, **changes: object) -> str:
    """An execution with one stage that is ready, in pool gpu."""
    if number == 1:
        history.pipeline("orders", stages=1)
    created = datetime.now(UTC) - ago
    id = history.execution("orders", number, status="running", created_at=created, seconds=None)
    what = {"status": "queued", "pool": "gpu", "ready_at": created, "started_at": None, "ended_at": None}
    history.stage_run(id, 0, **(what | changes))  # type: ignore[arg-type]
    return id


def reasons(reader: Reader, id: str) -> tuple[str | None, str | None]:
    """Of the execution and of its stage; in the list it is the same."""
    picture = reader.execution(id)
    listed = {entry.row.id: entry.row.reason for entry in reader.executions(ExecutionFilter(), limit=10).items}
    assert listed[id] == picture.row.reason == reader.entry(id).row.reason
    (stage,) = picture.stages
    assert reader.stage(id, "s0", 0).entry.row.reason == stage.row.reason
    assert [entry.row.reason for entry in reader.stages(id, limit=10).items] == [stage.row.reason]
    return picture.row.reason, stage.row.reason


@pytest.mark.parametrize("pool", ["gpu", None])
def test_stage_that_nobody_takes_says_so_until_somebody_comes(
    history: History, reader: Reader, come: Come, said: dict[str | None, str], pool: str | None
) -> None:
    id = ready(history, 1, pool=pool)
    assert reasons(reader, id) == (said[pool], said[pool])
    come(replace(WORKER, id="other", pools=("cpu",)))
    come(replace(WORKER, id="scheduler", concurrency=0))
    assert reasons(reader, id) == (said[pool], said[pool])
    come(replace(WORKER, pools=("gpu", "default")))
    assert reasons(reader, id) == (None, None)


def test_worker_that_takes_everything_takes_every_pool(history: History, reader: Reader, come: Come) -> None:
    id = ready(history, 1)
    come(WORKER)
    assert reasons(reader, id) == (None, None)


@pytest.mark.parametrize("gone", ["draining", "dead"])
def test_worker_that_takes_no_more_work_does_not_count(
    history: History, reader: Reader, come: Come, said: dict[str | None, str], gone: str
) -> None:
    id = ready(history, 1)
    if gone == "draining":
        come(WORKER)
        history.database.write(lambda tx: workers.stop(tx.sa, "w", datetime.now(UTC)))
    else:
        history.database.write(lambda tx: workers.register(tx.sa, WORKER, -LEASE))
    assert reasons(reader, id) == (said["gpu"], said["gpu"])


def test_stage_that_has_just_become_ready_is_given_time(history: History, reader: Reader) -> None:
    assert reasons(reader, ready(history, 1, ago=GRACE / 2)) == (None, None)


def test_paused_execution_waits_for_nobody(history: History, reader: Reader) -> None:
    history.pipeline("orders", stages=1)
    then = datetime.now(UTC) - 2 * GRACE
    id = history.execution("orders", 1, status="paused", seconds=None, paused_at=then, reason="paused by ada")
    history.stage_run(id, 0, status="queued", pool="gpu", ready_at=then, started_at=None, ended_at=None)
    assert reasons(reader, id) == ("paused by ada", None)


def test_items_that_nobody_takes_are_told_of_with_their_stage(
    history: History, reader: Reader, come: Come, said: dict[str | None, str]
) -> None:
    id = ready(history, 1, status="running", pool=None)
    then = datetime.now(UTC) - 2 * GRACE
    item = {"pool": "gpu", "ready_at": then, "started_at": then, "ended_at": None}
    history.item(id, 0, 1, "a", status="running", **item)
    history.item(id, 0, 2, "b", status="queued", **item)
    come(replace(WORKER, pools=("default",)))
    why = reason("gpu", history.database.dialect)
    assert reader.execution(id).stages[0].row.reason == why
    assert [entry.row.reason for entry in reader.items(id, "s0", limit=10).items] == [None, why]


def test_workers_are_not_asked_for_where_nothing_is_open(
    history: History, reader: Reader, statements: list[str]
) -> None:
    history.pipeline("orders", stages=1)
    history.execution("orders", 1)
    statements.clear()
    reader.executions(ExecutionFilter(), limit=10)
    assert not [statement for statement in statements if "workers" in statement]


def test_queues_say_how_many_workers_take_them(history: History, come: Come, said: dict[str | None, str]) -> None:
    ready(history, 1)
    ready(history, 2, pool=None)
    come(replace(WORKER, pools=("cpu", "default")))
    come(replace(WORKER, id="second", pools=("cpu",)))
    found = {one.pool: (one.workers, one.reason) for one in Metrics(history.database).queues()}
    assert found == {"default": (1, None), "cpu": (2, None), "gpu": (0, said["gpu"])}


def test_doctor_names_what_no_worker_takes(history: History, come: Come, tmp_path: Path) -> None:
    def look(**changes: datetime) -> list[Finding]:
        doctor = DatabaseDoctor(history.database, serving=True, **changes)
        return [found for found in doctor.look(0, DiskArtifacts(tmp_path)) if found.check == "queues"]

    for number in (1, 2):
        ready(history, number)
    ready(history, 3, pool=None)
    come(replace(WORKER, pools=("default",)))
    (finding,) = look()
    assert finding.level == "warning"
    assert finding.message == "2 stages of pool gpu wait, and no worker takes them."
    if history.database.dialect == "postgresql":
        assert finding.cure == "Start one: `flexiroaster worker --pool gpu`."
    assert [found.level for found in look(now=datetime.now(UTC) + timedelta(minutes=3))] == ["error"]
    come(replace(WORKER, id="second", pools=("gpu",)))
    assert [found.message for found in look()] == ["Whatever waits has a worker that takes it."]
