"""Several workers on one database: whatever they, people and the clock do, and in whatever order, the record is right.

A worker may be thought dead while it is only slow, and answer when its work is somebody else's by now.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from flexiroaster.auth.identity import Caller
from flexiroaster.engine.errors import Conflict, StageError
from flexiroaster.engine.outcome import Cancelled, Failed, Outcome, Skipped, Succeeded, Waiting
from flexiroaster.engine.planner.foreach import ITEMS_RUN
from flexiroaster.engine.state import EXECUTION_FINAL, STAGE_FINAL
from flexiroaster.services.approvals import Answer
from flexiroaster.services.stage_runs import LEASE
from flexiroaster.store import leases
from flexiroaster.store import workers as rows
from flexiroaster.store.tables import (
    attempts,
    events,
    executions,
    foreach_items,
    metadata,
    results,
    stage_runs,
)
from tests.engine.test_planner_properties import graphs, handlers
from tests.faults.record import Record, check_ended, check_numbers, check_rebuilt
from tests.faults.workers import Hand, Worker, Workers, catalogue

T = TypeVar("T")
ADA = Caller("id-ada", "ada@example.com", "admin", "session", datetime.max.replace(tzinfo=UTC))
HELD = {"running", "cancelling"}
RECORD = (executions, stage_runs, events, attempts, results, foreach_items)
MOST_EXECUTIONS = 4
MOST_STEPS = 600


class ManyWorkers(RuleBasedStateMachine):
    workers: Workers

    def __init__(self, workers: Workers) -> None:
        super().__init__()
        self.workers = workers
        self.answered: list[Hand] = []
        self.pipelines: list[str] = []
        self.started: list[str] = []
        self.ended: dict[str, Any] = {}
        """What was said of executions when they had ended, each until somebody retries it."""

    # ── what happens ────────────────────────────────────────────────────────────────────────────────────────────

    @initialize(stages=graphs(), lists=handlers(), instant=st.booleans())
    def create(self, stages: dict[str, Any], lists: dict[str, Any], instant: bool) -> None:
        first = self.workers.born()
        self.workers.born()
        say = first.engine.act(lambda _: None)
        act = {} if instant else {"type": "act", "config": say}
        drawn = {name: {**act, **stage} for name, stage in stages.items()}
        self.pipelines = [first.engine.add(drawn, timeout="10m", **lists)]
        self.pipelines += [first.engine.add(**entry) for entry in catalogue(say).values()]
        first.engine.embedded.pools.set("p", 1)
        child = {"type": "pipeline", "config": {"pipeline": self.pipelines[0]}}
        self.pipelines.append(first.engine.add({"sub": child, "end": ["sub"]}))

    @precondition(lambda self: len(self.started) < MOST_EXECUTIONS)
    @rule(data=st.data())
    def execute(self, data: st.DataObject) -> None:
        pipeline = one_of(data, self.pipelines)
        self.started.append(self._any(data).engine.executions.start(pipeline).execution_id)

    @rule(data=st.data())
    def claim(self, data: st.DataObject) -> None:
        self._claim(self._any(data))

    @precondition(lambda self: self.workers.hands)
    @rule(data=st.data())
    def complete(self, data: st.DataObject) -> None:
        self._answer(one_of(data, self.workers.hands), Succeeded({"rows": 1}, rows=1))

    @precondition(lambda self: self.workers.hands)
    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        kind = data.draw(st.sampled_from(["permanent", "transient", "timeout"]))
        self._answer(one_of(data, self.workers.hands), Failed(StageError("it broke", kind=kind)))

    @precondition(lambda self: self.workers.hands)
    @rule(data=st.data())
    def answer_otherwise(self, data: st.DataObject) -> None:
        hand = one_of(data, self.workers.hands)
        waiting = Waiting(self.workers.now + timedelta(seconds=5), "waiting a little")
        self._answer(hand, data.draw(st.sampled_from([Skipped("when is false"), Cancelled(), waiting])))

    @precondition(lambda self: self.answered)
    @rule(data=st.data())
    def answer_twice(self, data: st.DataObject) -> None:
        """A message is delivered again, or a worker did not hear that it was heard."""
        self._answer(one_of(data, self.answered), Succeeded({"rows": 2}, rows=2))

    @rule(data=st.data())
    def heartbeat(self, data: st.DataObject) -> None:
        worker = self._any(data)
        current = [hand for hand in worker.hands if self._is_current(hand)]
        self.workers.beat(worker)
        for hand in current:
            assert self._find(hand)["lease_until"] == self.workers.now + LEASE

    @rule(seconds=st.sampled_from([1, 6, 20, 40, 400]))
    def time_passes(self, seconds: int) -> None:
        """After 30 s every lease that was not renewed has expired."""
        self.workers.advance(timedelta(seconds=seconds))

    @rule(data=st.data())
    def die(self, data: st.DataObject) -> None:
        """What it had is taken over once its leases have expired, by whoever looks; it may still answer."""
        self._any(data).alive = False
        self.workers.born()

    @rule(data=st.data())
    def rescue(self, data: st.DataObject) -> None:
        """Afterwards nothing is in hands that do not count, but for what this worker knows that it has itself."""
        worker = self._any(data)
        self.workers.look_around(worker)
        late = (stage_runs.c.lease_until < self.workers.now) & (stage_runs.c.lease_owner != worker.owner)
        assert self.workers.select(sa.select(stage_runs).where(late)) == []

    @rule(data=st.data())
    def seize(self, data: st.DataObject) -> None:
        """A server that believes to be alone takes everything for itself, whoever has it."""
        self._any(data).engine.take_up_by_hand()

    @precondition(lambda self: self.started)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        id = one_of(data, self.started)
        if self._asked(lambda: self._any(data).engine.executions.cancel(id, "ada")):
            row = self._row(id)
            assert row["status"] in {"cancelling", "cancelled"} or row["stopping_as"] is not None, row

    @precondition(lambda self: self.started)
    @rule(data=st.data())
    def pause(self, data: st.DataObject) -> None:
        id = one_of(data, self.started)
        if self._asked(lambda: self._any(data).engine.executions.pause(id, "ada")):
            assert self._row(id)["status"] == "paused"

    @precondition(lambda self: self.started)
    @rule(data=st.data())
    def resume(self, data: st.DataObject) -> None:
        id = one_of(data, self.started)
        if self._asked(lambda: self._any(data).engine.executions.resume(id, "ada")):
            assert self._row(id)["paused_at"] is None

    @precondition(lambda self: self.ended)
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        id = one_of(data, sorted(self.ended))
        before = self._row(id)["retries"]
        if self._asked(lambda: self._any(data).engine.executions.retry(id, "ada")):
            assert self._row(id)["retries"] == before + 1
            self.ended.pop(id)

    @precondition(lambda self: self._questions())
    @rule(data=st.data(), approved=st.booleans())
    def decide(self, data: st.DataObject, approved: bool) -> None:
        question = one_of(data, self._questions())
        self._decide(self._any(data), question, approved)

    # ── what holds after each of these ──────────────────────────────────────────────────────────────────────────

    @invariant()
    def executions_are_counted(self) -> None:
        """None is lost, none is made twice."""
        found = self.workers.select(sa.select(executions))
        assert set(self.started) <= {row["id"] for row in found}
        for pipeline in self.pipelines:
            numbers = sorted(row["number"] for row in found if row["pipeline_id"] == pipeline)
            assert numbers == list(range(1, len(numbers) + 1))
        self.started = [row["id"] for row in found]  # those that stages have started are as good as any

    @invariant()
    def records_are_right(self) -> None:
        for id in self.started:
            record = Record.of(self.workers.observer, id)
            check_numbers(record)
            self._check_leases(record)
            self._check_reasons(record)
            self._check_counters(record)
            told = record.replayed()
            assert told.status == record.row["status"]
            if record.row["status"] in EXECUTION_FINAL:
                check_ended(record)
                check_rebuilt(record)
                self._check_final(record)

    def _check_leases(self, record: Record) -> None:
        owners = {worker.owner for worker in self.workers.all}
        for run in record.runs:
            expands = run["state"] == ITEMS_RUN
            assert (run["lease_owner"] is not None) == (run["lease_until"] is not None)
            assert run["lease_owner"] is None or run["status"] in HELD, dict(run)
            assert run["lease_owner"] in owners or run["lease_owner"] is None
            assert run["lease_owner"] is not None or run["status"] not in HELD or expands, dict(run)

    def _check_reasons(self, record: Record) -> None:
        row = record.row
        if row["status"] == "paused" or row["waiting_since"] is not None:
            assert row["reason"], row["status"]
        for run in record.runs:
            if run["status"] == "waiting":
                assert run["reason"] and run["waits_for"], run["stage"]
            if run["status"] == "retrying":
                assert run["reason"] and run["due_at"] is not None, run["stage"]

    def _check_counters(self, record: Record) -> None:
        """What a stage run knows of those that it needs is how they are."""
        plan = self._plan(record)
        runs = {run["position"]: run for run in record.runs if run["idx"] == 0}
        for position, run in runs.items():
            needs = [runs[need] for need in plan.stages[position].needs]
            if run["status"] == "pending":
                assert run["needs_left"] == sum(need["status"] not in STAGE_FINAL for need in needs), run["stage"]
                assert run["needs_ok"] == sum(need["status"] == "success" for need in needs), run["stage"]

    def _check_final(self, record: Record) -> None:
        """Nothing of an execution that has ended changes, but by a retry."""
        id = record.row["id"]
        said = [[dict(row) for row in rows] for rows in (record.runs, record.events, record.attempts, record.results)]
        assert self.ended.setdefault(id, (dict(record.row), said)) == (dict(record.row), said)

    def teardown(self) -> None:
        """In the end everything ends."""
        if self.pipelines:
            self._finish()

    # ── details ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _any(self, data: st.DataObject) -> Worker:
        return one_of(data, self.workers.alive)

    def _asked(self, request: Callable[[], object]) -> bool:
        try:
            request()
        except Conflict:
            return False
        return True

    def _row(self, id: str) -> sa.RowMapping:
        return self.workers.select(sa.select(executions).where(executions.c.id == id))[0]

    def _plan(self, record: Record) -> Any:
        live = self.workers.alive[0].engine.embedded.executions._changes.live
        with self.workers.observer.read() as connection:
            return live.version(connection, record.row["pipeline_id"], record.row["version"]).plan

    def _claim(self, worker: Worker) -> None:
        """What is given to a worker is in no other hand with the same number."""
        for hand in self.workers.claim(worker):
            assert self._is_current(hand)
            for other in self.workers.hands:
                assert other is hand or other.held != hand.held, f"{hand} was given to {other.worker} too"

    def _find(self, hand: Hand) -> sa.RowMapping | None:
        execution_id, position, index = hand.place
        table = stage_runs.c
        at = (table.execution_id == execution_id, table.position == position, table.idx == index)
        return next(iter(self.workers.select(sa.select(stage_runs).where(*at))), None)

    def _is_current(self, hand: Hand) -> bool:
        row = self._find(hand)
        if row is None or row["status"] not in HELD:
            return False
        return (row["attempt"], row["lease_owner"]) == (hand.claimed.run.attempt, hand.worker.owner)

    def _answer(self, hand: Hand, outcome: Outcome) -> None:
        """It counts if it is still in this hand; otherwise nothing changes at all."""
        current = self._is_current(hand)
        before = None if current else self._everything()
        hand.answer(outcome)
        if current:
            assert not self._is_current(hand)
        else:
            assert self._everything() == before
        if hand in hand.worker.hands:
            hand.worker.hands.remove(hand)
            self.answered.append(hand)

    def _everything(self) -> Any:
        return [sorted(map(repr, self.workers.select(sa.select(table)))) for table in RECORD]

    def _questions(self) -> list[tuple[str, str, int]]:
        table = stage_runs.c
        asks = sa.select(table.execution_id, table.stage, table.idx, table.state).where(
            table.waits_for == "approval", table.status == "waiting"
        )
        found = [row for row in self.workers.select(asks) if "decision" not in row["state"]]
        return [(row["execution_id"], row["stage"], row["idx"]) for row in found]

    def _decide(self, worker: Worker, question: tuple[str, str, int], approved: bool) -> None:
        answer = Answer(approved, "")
        decision = worker.engine.embedded.approvals.decide(*question, answer, ADA)
        assert decision["approved"] is approved
        assert not self._asked(lambda: worker.engine.embedded.approvals.decide(*question, Answer(not approved), ADA))

    def _finish(self) -> None:
        for worker in self.workers.all:
            worker.alive = False
        last = self.workers.born()
        self.workers.advance(LEASE + timedelta(seconds=1))
        for _ in range(MOST_STEPS):
            open_ = [row["id"] for row in self.workers.select(sa.select(executions)) if row["ended_at"] is None]
            if not open_:
                self.records_are_right()
                return
            for id in open_:
                self._asked(lambda id=id: last.engine.executions.resume(id))  # type: ignore[misc]
            for question in self._questions():
                self._decide(last, question, approved=True)
            self.workers.beat(last)
            self.workers.look_around(last)
            self._claim(last)
            for hand in list(last.hands):
                self._answer(hand, Succeeded())
            self.workers.advance(timedelta(seconds=5))
        raise AssertionError([dict(row) for row in self.workers.select(sa.select(executions))])


def one_of(data: st.DataObject, found: Sequence[T]) -> T:
    """By its number: what these things are would fill the report of a failure."""
    return found[data.draw(st.integers(0, len(found) - 1))]


def explore(workers: Workers, empty: Callable[[], None], examples: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (leases, rows):  # leases go by the clock of the database
        monkeypatch.setattr(module, "now", lambda connection: workers.now)

    def begin() -> ManyWorkers:
        workers.forget()
        empty()
        return ManyWorkers(workers)

    run_state_machine_as_test(
        begin,
        settings=settings(
            max_examples=examples,
            stateful_step_count=40,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_several_workers_on_sqlite(
    sqlite_template: Path, sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(sqlite_url.removeprefix("sqlite:///"))

    def empty() -> None:
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        shutil.copyfile(sqlite_template, path)

    explore(Workers(sqlite_url, tmp_path, most=3), empty, 60, monkeypatch)


def test_several_workers_on_postgresql(postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workers = Workers(postgres_url, tmp_path, most=3)

    def empty() -> None:
        names = ", ".join(table.name for table in metadata.sorted_tables)
        workers.observer.write(lambda tx: tx.sa.execute(sa.text(f"TRUNCATE {names} CASCADE")))

    explore(workers, empty, 10, monkeypatch)
    workers.forget()
