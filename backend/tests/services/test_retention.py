"""What is removed when it is old, what stays because others need it, and that nothing is left behind."""

from __future__ import annotations

import itertools
import shutil
import tempfile
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from flexiroaster.engine.errors import ArtifactsUnavailable, NotFound
from flexiroaster.services.ai.maintenance import Maintenance
from flexiroaster.services.doctor import DatabaseDoctor
from flexiroaster.services.leftovers import LeftoverFiles
from flexiroaster.services.reruns import Asked
from flexiroaster.services.retention import Removed, Retention
from flexiroaster.store import retention as store
from flexiroaster.store.database import Database
from flexiroaster.store.shrinking import give_back
from flexiroaster.store.tables import executions, logs, pipeline_versions, pipelines, stage_cache, stage_runs
from tests.contracts.test_artifacts import s3_artifacts
from tests.history import NOON, History
from tests.runtime.engine import Gate, TestEngine, running
from tests.s3 import S3Server

DAY = timedelta(days=1)
LARGE = {"text": "x" * 100_000}


@pytest.fixture
def engine(database: Database, tmp_path: Path) -> Iterator[TestEngine]:
    with running(database, tmp_path) as started:
        yield started


def retention(
    engine: TestEngine, *, days: float = 31, keep: int | None = 30, keep_lines: int | None = None
) -> Retention:
    """As it sees things so many days later."""
    assert engine.artifacts is not None
    return Retention(
        engine.database,
        engine.artifacts,
        keep=None if keep is None else keep * DAY,
        keep_lines=None if keep_lines is None else keep_lines * DAY,
        clock=lambda: datetime.now(UTC) + days * DAY,
    )


def ended(engine: TestEngine, *, times: int = 1, **stages: Any) -> str:
    """An execution with an artifact and, where nothing else is asked for, one stage."""
    large = {"needs": [], "type": "act", "config": engine.act(lambda _: LARGE)}
    execution = engine.execute(stages or {"large": large})
    engine.wait_end(execution, times)
    engine.embedded.journal.flush()
    return execution


def ids(database: Database) -> set[str]:
    with database.read() as connection:
        return set(connection.scalars(sa.select(executions.c.id)))


def everything(database: Database, table: sa.Table) -> list[sa.RowMapping]:
    with database.read() as connection:
        return list(connection.execute(sa.select(table)).mappings())


def files(engine: TestEngine) -> set[str]:
    assert engine.artifacts is not None
    return {entry.key.partition("/")[0] for entry in engine.artifacts.entries()}


def unwell(engine: TestEngine) -> list[str]:
    assert engine.artifacts is not None
    found = DatabaseDoctor(engine.database, serving=True).look(100, engine.artifacts)
    return [finding.message for finding in found if finding.level != "ok"]


def test_what_is_old_goes_with_all_that_hangs_on_it(engine: TestEngine) -> None:
    old = ended(engine)
    gate = Gate()
    waits = engine.execute({"waits": {"needs": [], "type": "act", "config": engine.act(gate)}})
    gate.wait_entered()
    assert retention(engine, days=29).apply() == Removed()
    assert retention(engine).look() == Removed(executions=1, artifacts=1, bytes=engine.artifact_rows(old)[0]["bytes"])
    assert files(engine) == {old}
    assert retention(engine).apply().executions == 1
    assert ids(engine.database) == {waits}, "what runs is never removed"
    assert files(engine) == set()
    assert {row["execution_id"] for row in everything(engine.database, logs)} <= {waits}
    assert len(everything(engine.database, pipelines)) == len(everything(engine.database, pipeline_versions)) == 2
    with pytest.raises(NotFound):
        engine.executions.retry(old)
    gate.open.set()
    engine.wait_end(waits)
    assert unwell(engine) == []


def test_nothing_goes_where_all_is_kept_for_ever(engine: TestEngine) -> None:
    kept = ended(engine)
    forever = retention(engine, days=36_000, keep=None)
    assert forever.keeps_everything
    assert forever.apply() == Removed()
    assert ids(engine.database) == {kept}


def test_what_a_rerun_reuses_stays_as_long_as_the_rerun(engine: TestEngine) -> None:
    broken = [True]

    def load(_: Any) -> str:
        if broken[0]:
            raise RuntimeError("not yet")
        return "done"

    large = {"needs": [], "type": "act", "config": engine.act(lambda _: LARGE)}
    first = ended(engine, large=large, load={"needs": ["large"], "type": "act", "config": engine.act(load)})
    broken[0] = False
    started, _ = engine.embedded.reruns.start(first, Asked(from_stage="load"))
    assert engine.wait_end(started) == "success"
    second = started.execution_id
    young = datetime.now(UTC) + 10 * DAY
    engine.database.write(lambda tx: tx.sa.execute(_of(second).values(created_at=young, ended_at=young)))
    found = retention(engine).apply()
    assert (found.executions, found.needed) == (0, 1)
    assert files(engine) == {first}
    engine.embedded.journal.flush()
    both = retention(engine, days=41)
    assert both.look().executions == 2
    assert both.apply().executions == 2
    assert (ids(engine.database), files(engine)) == (set(), set())


def _of(execution_id: str) -> sa.Update:
    return sa.update(executions).where(executions.c.id == execution_id)


def test_what_is_in_the_cache_stays_until_it_expires(engine: TestEngine) -> None:
    cached = {"needs": [], "type": "act", "config": engine.act(lambda _: LARGE), "cache": {"key": "all", "ttl": "90d"}}
    pipeline = engine.add({"large": cached})
    first = engine.executions.start(pipeline).execution_id
    engine.wait_end(first)
    engine.embedded.journal.flush()
    assert len(everything(engine.database, stage_cache)) == 1
    assert (found := retention(engine)).apply().executions == 0
    assert found.look().needed == 1
    assert retention(engine, days=91).apply().executions == 1
    assert everything(engine.database, stage_cache) == []


def test_what_took_a_result_from_the_cache_keeps_where_it_came_from(engine: TestEngine) -> None:
    cached = {"needs": [], "type": "act", "config": engine.act(lambda _: LARGE), "cache": {"key": "all", "ttl": "1d"}}
    pipeline = engine.add({"large": cached})
    first, second = (engine.executions.start(pipeline).execution_id for _ in "ab")
    for execution in (first, second):
        engine.wait_end(execution)
    third = engine.executions.start(pipeline).execution_id
    engine.wait_end(third)
    engine.embedded.journal.flush()
    (used,) = {row["cached_from"] for row in everything(engine.database, stage_runs)} - {None}
    young = datetime.now(UTC) + 10 * DAY
    engine.database.write(lambda tx: tx.sa.execute(_of(third).values(created_at=young, ended_at=young)))
    retention(engine).apply()
    assert {used, third} <= ids(engine.database)
    assert used in files(engine)


@pytest.mark.parametrize("cycle", [False, True])
def test_a_family_goes_together(history: History, database: Database, tmp_path: Path, cycle: bool) -> None:
    """Also where a child has taken a result that its parent made."""
    pipeline = history.pipeline("p")
    parent = history.execution(pipeline, 1)
    child = history.execution(pipeline, 2, parent_id=parent, parent_position=0, parent_idx=0)
    grandchild = history.execution(pipeline, 3, parent_id=child, parent_position=0, parent_idx=0)
    if cycle:
        history.stage_run(grandchild, 0, cached_from=parent)
    later = history.execution(pipeline, 4, created_at=NOON + 20 * DAY)
    history.stage_run(later, 0, reused_from=child)
    engine = TestEngine(database, tmp_path)
    sweep = _at(engine, NOON + 31 * DAY)
    # What the child handed on may be the grandchild's, who may have it from the parent.
    assert sweep.apply().executions == (0 if cycle else 1)
    expected = {child, grandchild, later} | ({parent} if cycle else set())
    assert ids(database) == expected
    assert _at(engine, NOON + 60 * DAY).apply().executions == len(expected)
    assert ids(database) == set()


def _at(engine: TestEngine, now: datetime) -> Retention:
    assert engine.artifacts is not None
    return Retention(engine.database, engine.artifacts, keep=30 * DAY, keep_lines=None, clock=lambda: now)


def test_what_a_running_execution_came_from_stays(history: History, database: Database, tmp_path: Path) -> None:
    pipeline = history.pipeline("p")
    parent, source = history.execution(pipeline, 1), history.execution(pipeline, 2)
    history.execution(pipeline, 3, status="running", seconds=None, parent_id=parent, parent_position=0, parent_idx=0)
    history.execution(pipeline, 4, status="running", seconds=None, rerun_of=source)
    sweep = _at(TestEngine(database, tmp_path), NOON + 100 * DAY)
    assert sweep.apply().executions == 0
    assert len(ids(database)) == 4
    database.write(lambda tx: tx.sa.execute(sa.update(executions).values(ended_at=NOON)))
    assert sweep.apply().executions == 4


def test_a_long_chain_of_reruns_goes_when_its_last_one_is_old(
    history: History, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Although one page of executions shows only a part of it."""
    monkeypatch.setattr("flexiroaster.services.retention.PAGE", 3)
    pipeline = history.pipeline("p")
    chain = [history.execution(pipeline, number) for number in range(1, 11)]
    for earlier, later in itertools.pairwise(chain):
        history.stage_run(later, 0, reused_from=earlier)
    young = history.execution(pipeline, 11, created_at=NOON + 20 * DAY)
    history.stage_run(young, 0, reused_from=chain[-1])
    sweep = _at(TestEngine(database, tmp_path), NOON + 31 * DAY)
    assert (sweep.apply(), sweep.look()) == (Removed(needed=10), Removed(needed=10))
    old = _at(TestEngine(database, tmp_path), NOON + 51 * DAY)
    assert old.look().executions == 11
    assert old.apply().executions == 11


def test_large_executions_go_one_by_one(
    history: History, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flexiroaster.services.retention.EVENTS_AT_ONCE", 3)
    pipeline = history.pipeline("p")
    for number in (1, 2, 3, 4):
        execution = history.execution(pipeline, number)
        for seq in range(1, 4 if number < 3 else 2):
            history.event(execution, seq)
    transactions: list[int] = []

    def pause() -> bool:
        transactions.append(len(ids(database)))
        return True

    assert _at(TestEngine(database, tmp_path), NOON + 31 * DAY).apply(pause).executions == 4
    assert transactions == [4, 3, 2]


def test_it_stops_between_two_transactions(history: History, database: Database, tmp_path: Path) -> None:
    history.execution(history.pipeline("p"), 1)
    assert _at(TestEngine(database, tmp_path), NOON + 31 * DAY).apply(lambda: False) == Removed()
    assert len(ids(database)) == 1


def test_several_at_once_remove_each_execution_once(history: History, database: Database, tmp_path: Path) -> None:
    pipeline = history.pipeline("p")
    for number in range(1, 61):
        history.execution(pipeline, number)
    engine, found, together = TestEngine(database, tmp_path), [], threading.Barrier(3)

    def remove() -> None:
        together.wait()
        found.append(_at(engine, NOON + 31 * DAY).apply().executions)

    threads = [threading.Thread(target=remove) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(found) == 60
    assert ids(database) == set()


def test_what_somebody_takes_over_at_this_moment_stays(postgres_url: str, tmp_path: Path) -> None:
    """A re-run holds its source until it is accepted."""
    database = Database.open(postgres_url)
    history = History(database)
    source = history.execution(history.pipeline("p"), 1)
    sweep = _at(TestEngine(database, tmp_path), NOON + 31 * DAY)
    from flexiroaster.store import reruns

    with database.engine.begin() as connection:
        assert reruns.hold(connection, source)
        assert sweep.apply().executions == 0
    assert sweep.apply().executions == 1
    with database.engine.begin() as connection:
        assert not reruns.hold(connection, source)
    database.close()


def test_log_lines_go_by_their_own_age(history: History, database: Database, tmp_path: Path) -> None:
    pipeline = history.pipeline("p")
    done = history.execution(pipeline, 1)
    runs = history.execution(pipeline, 2, status="running", seconds=None)
    history.log("server", at=NOON)
    history.log("of done", at=NOON, execution_id=done, seq=1)
    history.log("of what runs", at=NOON, execution_id=runs)
    history.log("young", at=NOON + 10 * DAY, execution_id=done, seq=2)
    engine = TestEngine(database, tmp_path)

    def sweep(days: int) -> Retention:
        assert engine.artifacts is not None
        return Retention(database, engine.artifacts, keep=None, keep_lines=7 * DAY, clock=lambda: NOON + days * DAY)

    def said() -> list[str]:
        return [row["message"] for row in everything(database, logs)]

    assert sweep(6).apply().lines == 0
    assert sweep(8).look().lines == 2
    assert sweep(8).apply().lines == 2
    assert said() == ["of what runs", "young"]
    assert sweep(50).apply().lines == 0, "the newest one says how far the log has got"
    assert ids(database) == {done, runs}


class Away:
    """A store that cannot delete."""

    def __init__(self, kept: Any) -> None:
        self._kept = kept

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kept, name)

    def delete(self, prefix: str) -> None:
        raise ArtifactsUnavailable("It is away.")


@pytest.fixture(params=["disk", "s3"])
def kept_there(request: pytest.FixtureRequest, sqlite_url: str, tmp_path: Path) -> Iterator[TestEngine]:
    database, store = Database.open(sqlite_url), None
    if request.param == "s3":
        s3: S3Server = request.getfixturevalue("s3")
        store = s3_artifacts(s3.bucket(), tmp_path / "artifacts")
    with running(database, tmp_path, artifacts=store) as engine:
        yield engine
    database.close()


def leftovers(engine: TestEngine, *, later: timedelta = 2 * DAY) -> LeftoverFiles:
    assert engine.artifacts is not None
    return LeftoverFiles(engine.database, engine.artifacts, clock=lambda: datetime.now(UTC) + later)


def test_files_that_a_crash_left_are_found_and_deleted(kept_there: TestEngine) -> None:
    """On disk and in S3: the database has decided, its files were still to go."""
    engine = kept_there
    removed, stays = ended(engine), ended(engine)
    engine.database.write(lambda tx: tx.sa.execute(_of(stays).values(ended_at=datetime.now(UTC) + 20 * DAY)))
    sweep = Retention(
        engine.database,
        Away(engine.artifacts),
        keep=30 * DAY,
        keep_lines=None,
        clock=lambda: datetime.now(UTC) + 31 * DAY,
    )
    assert sweep.apply().executions == 1
    assert files(engine) == {removed, stays}
    assert leftovers(engine, later=timedelta(0)).find().files == [], "what is young may be about to be recorded"
    assert len(leftovers(engine).find().files) == 1
    deleted = leftovers(engine).delete()
    assert (deleted.files, deleted.doubtful) == (1, False)
    assert deleted.bytes > 100_000
    assert files(engine) == {stays}
    assert leftovers(engine).delete().files == 0


def test_files_of_failed_attempts_go_when_their_execution_has_ended(kept_there: TestEngine) -> None:
    engine, gate = kept_there, Gate()

    def fails(context: Any) -> None:
        with context.artifact("half.txt", kind="file", media_type="text/plain") as draft:
            draft.path.write_text("of an attempt that fails")
        raise RuntimeError("no")

    def doing(act: Any, *needs: str, **more: Any) -> dict[str, Any]:
        return {"needs": list(needs), "type": "act", "config": engine.act(act), **more}

    execution = engine.execute(
        {"fails": doing(fails), "then": doing(gate, "fails", join="always"), "large": doing(lambda _: LARGE)}
    )
    gate.wait_entered()
    assert leftovers(engine).find().files == [], "it has not ended"
    gate.open.set()
    assert engine.wait_end(execution) == "failed"
    (left,) = leftovers(engine).find().unrecorded
    assert left.key == f"{execution}/fails/0/1/half.txt"
    assert leftovers(engine).delete().files == 1
    assert engine.artifacts is not None
    (row,) = engine.artifact_rows(execution)
    assert {entry.key for entry in engine.artifacts.entries()} == {row["key"]}
    assert unwell(engine) == []


def test_artifacts_of_another_database_are_not_deleted(database: Database, tmp_path: Path) -> None:
    engine = TestEngine(database, tmp_path)
    assert engine.artifacts is not None
    for number in range(20):
        with engine.artifacts.write(f"00000000-0000-4000-8000-{number:012}/s/0/1/data.txt") as path:
            path.write_text("somebody's")
    with engine.artifacts.write("readme.txt") as path:
        path.write_text("not ours")
    assert leftovers(engine).delete().doubtful
    assert len(files(engine)) == 21
    found = DatabaseDoctor(database, serving=True, now=datetime.now(UTC) + DAY).look(0, engine.artifacts)
    said = [finding.message for finding in found if finding.level != "ok"]
    assert said[0].startswith("20 executions that have files here are unknown to this database, and 0 are known")
    assert said[1].startswith("1 file (0.000 GB) that FlexiRoaster has not made, such as ")
    deleted = leftovers(engine).delete(doubtful_too=True)
    assert (deleted.files, deleted.doubtful) == (20, False)
    assert files(engine) == {"readme.txt"}


def test_the_database_file_gets_shorter(sqlite_url: str, tmp_path: Path) -> None:
    database = Database.open(sqlite_url)
    history = History(database)
    pipeline = history.pipeline("p")
    for number in range(1, 60):
        history.result(history.execution(pipeline, number), 0, {"text": "x" * 60_000})
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    checkpoint(database)
    full = path.stat().st_size
    engine = TestEngine(database, tmp_path)
    assert give_back(database, lambda: True) == 0
    assert _at(engine, NOON + 31 * DAY).apply().executions == 59
    assert give_back(database, lambda: False) == 0, "it stops when it is told"
    freed = give_back(database, lambda: True)
    assert freed > 3_000_000
    assert path.stat().st_size <= full - freed
    assert not any(finding.level == "error" for finding in DatabaseDoctor(database, serving=True).look(9, Nothing()))
    database.close()


class Nothing:
    """A store that holds nothing."""

    def trouble(self) -> None:
        return None

    def entries(self) -> list[Any]:
        return []


def checkpoint(database: Database) -> None:
    with database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").all()


NODES = 9
Graph = list[tuple[int, bool, list[int], int | None]]


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Of each execution its age in days, whether it runs, what it reuses of earlier ones, and its parent."""
    earlier = st.integers(0, NODES)
    drawn = []
    for number in range(draw(st.integers(1, NODES))):
        uses = [other for other in draw(st.lists(earlier, max_size=2)) if other < number]
        parent = draw(st.none() | earlier)
        drawn.append((draw(st.integers(0, 60)), draw(st.integers(0, 5)) == 0, uses, parent))
    return [(age, runs, uses, parent if parent is None or parent < n else None) for n, (age, runs, uses, parent) in
            enumerate(drawn)]  # fmt: skip


@settings(max_examples=40)
@given(graphs(), st.integers(1, 4))
def test_what_stays_is_what_is_young_and_what_it_needs(sqlite_template: Path, graph: Graph, page: int) -> None:
    """Whatever refers to what: nothing that is needed goes, and nothing else stays."""
    folder = Path(tempfile.mkdtemp())
    shutil.copyfile(sqlite_template, folder / "x.db")
    database = Database.open(f"sqlite:///{folder}/x.db")
    try:
        history = History(database)
        pipeline, now = history.pipeline("p"), NOON + 100 * DAY
        for number, (age, runs, uses, parent) in enumerate(graph):
            history.execution(
                pipeline,
                number,
                created_at=now - age * DAY,
                seconds=None if runs else 1.0,
                parent_id=None if parent is None else f"p-{parent}",
            )
            for position, used in enumerate(uses):
                history.stage_run(f"p-{number}", position, reused_from=f"p-{used}")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("flexiroaster.services.retention.PAGE", page)
            engine = TestEngine(database, folder)
            would = _at(engine, now).look()
            did = _at(engine, now).apply()
        assert (would.executions, would.needed) == (did.executions, did.needed)
        assert {int(id.removeprefix("p-")) for id in ids(database)} == _needed(graph)
        assert _at(engine, now).apply().executions == 0
    finally:
        database.close()
        shutil.rmtree(folder)


def _needed(graph: Graph) -> set[int]:
    needed = {number for number, (age, runs, _, _) in enumerate(graph) if runs or age <= 30}
    while True:
        more = {used for number in needed for used in graph[number][2]}
        more |= {number for number, (_, _, _, parent) in enumerate(graph) if parent in needed}
        more |= {parent for _, runs, _, parent in graph if runs and parent is not None}
        if more <= needed:
            return needed
        needed |= more


def test_a_chore_is_taken_by_one(database: Database) -> None:
    def take(minutes: int) -> bool:
        at = NOON + timedelta(minutes=minutes)
        return database.write(lambda tx: store.take_chore(tx.sa, "sweep", at, at + timedelta(hours=1)))

    assert [take(minutes) for minutes in (0, 0, 59, 60, 61)] == [True, False, False, True, False]


def test_times_of_maintenance_go_when_they_have_been_over_for_as_long(engine: TestEngine) -> None:
    windows, now = Maintenance(engine.database), datetime.now(UTC)
    windows.plan(now - 5 * DAY, now - DAY, None)
    lasting = windows.plan(now - 5 * DAY, now + 5 * DAY, None, reason="The warehouse is moved.")
    assert retention(engine, days=36_000, keep=None).look().windows == 0
    assert retention(engine, days=28).apply() == Removed()
    assert retention(engine, days=30).look() == Removed(windows=1)
    assert retention(engine, days=30).apply() == Removed(windows=1)
    assert [window.id for window in windows.all()] == [lasting.id]
