"""The one door through which executions change: load, decide, write in one transaction, then wake and announce."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa
import structlog

from flexiroaster.bus.port import Bus
from flexiroaster.dispatch.inprocess import InProcessDispatch
from flexiroaster.dispatch.port import Work
from flexiroaster.engine import planner
from flexiroaster.engine.definition import check_inputs
from flexiroaster.engine.draft import Draft
from flexiroaster.engine.errors import Conflict, InvalidInputs, NotFound, StageError
from flexiroaster.engine.events import EventType
from flexiroaster.engine.expressions import ExpressionError, Template
from flexiroaster.engine.ids import time_ordered_id
from flexiroaster.engine.outcome import Failed, Outcome
from flexiroaster.engine.runs import Execution, ExecutionState, Key, StageRun
from flexiroaster.engine.state import EXECUTION_FINAL, RETRYABLE_EXECUTIONS, ExecutionStatus, StageStatus
from flexiroaster.engine.summary import summarise
from flexiroaster.services.live import Live, LiveExecutions, Spilled, Version, stage_id
from flexiroaster.services.narration import as_events, narrate
from flexiroaster.services.scope import ReadSpilled, scope
from flexiroaster.store import progress
from flexiroaster.store.database import Database, Transaction
from flexiroaster.store.progress import KeptArtifact, LogEntry, NewExecution
from flexiroaster.store.tables import pipelines

log = structlog.get_logger(__name__)

T = TypeVar("T")

LEASE = timedelta(seconds=30)
"""How long a worker that does not renew it keeps a stage run; renewed every third of it."""
STALE_TRIES = 3


class Timers(Protocol):
    """`callback` runs soon after `moment`, unless the process ends first: what is due is also in the database."""

    def at(self, moment: datetime, callback: Callable[[], None]) -> object: ...


@dataclass(frozen=True, slots=True)
class Started:
    """`replayed`: the idempotency key had started it before."""

    execution_id: str
    pipeline_id: str
    number: int
    replayed: bool


@dataclass(frozen=True, slots=True)
class Retried:
    """Stage ids whose results are kept, and those that run again."""

    reused: list[str]
    to_run: list[str]


@dataclass(frozen=True, slots=True)
class Claimed:
    """A stage run in the hands of a worker."""

    live: Live
    key: Key
    run: StageRun
    timeout: timedelta | None

    @property
    def execution_id(self) -> str:
        return self.live.state.execution.id


@dataclass(slots=True)
class Produced:
    """What an attempt leaves besides its outcome; kept only when it is still the current one.

    `result_json` is the result as JSON text, None for no result; `spilled_to` is the artifact that holds it instead.
    """

    result: Any = None
    result_json: str | None = None
    spilled_to: str | None = None
    artifacts: list[KeptArtifact] = field(default_factory=list)
    logs: list[LogEntry] = field(default_factory=list)


@dataclass(slots=True)
class _Tally:
    """What an operation touched outside the database: undone when its transaction fails."""

    executions: list[str] = field(default_factory=list)
    taken: list[Work] = field(default_factory=list)


class Executions:
    def __init__(
        self,
        database: Database,
        bus: Bus,
        dispatch: InProcessDispatch,
        timers: Timers,
        *,
        owner: str,
        read_spilled: ReadSpilled,
        default_timeout: timedelta | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._database = database
        self._bus = bus
        self._dispatch = dispatch
        self._timers = timers
        self._owner = owner
        self._read_spilled = read_spilled
        self._clock = clock
        self._chance = chance
        self._live = LiveExecutions(default_timeout)

    # ── starting ────────────────────────────────────────────────────────────────────────────────────────────────

    def start(
        self,
        pipeline_id: str,
        *,
        inputs: Mapping[str, Any] | None = None,
        data: Any = None,
        version: int | None = None,
        idempotency_key: str | None = None,
        trigger: str = "manual",
        actor: str | None = None,
        rerun_of: str | None = None,
    ) -> Started:
        """Accept an execution; once this returns it survives anything, a power cut included.

        Raises NotFound, or InvalidInputs with a problem per input.
        """
        number, compiled = self._version(pipeline_id, version)
        now = self._clock()
        execution_id = time_ordered_id(int(now.timestamp() * 1000), random.getrandbits(74))
        checked = self._checked_inputs(compiled, inputs or {}, now)
        tally = _Tally()

        def operation(tx: Transaction) -> Started:
            if idempotency_key is not None:
                before = progress.started_before(tx, pipeline_id, idempotency_key)
                if before is not None:
                    return Started(before[0], pipeline_id, before[1], replayed=True)
            count = progress.next_number(tx, pipeline_id)
            if count is None:
                raise NotFound("pipeline", pipeline_id)
            new = NewExecution(
                id=execution_id,
                pipeline_id=pipeline_id,
                version=number,
                number=count,
                trigger=trigger,
                actor=actor,
                inputs=checked,
                data=data,
                idempotency_key=idempotency_key,
                rerun_of=rerun_of,
                logical_date=now,
            )
            self._insert(tx, tally, new, compiled, now)
            return Started(execution_id, pipeline_id, count, replayed=False)

        return self._write(operation, tally, durable=True)

    def _insert(self, tx: Transaction, tally: _Tally, new: NewExecution, version: Version, now: datetime) -> None:
        plan = version.plan
        execution = Execution(
            id=new.id,
            pipeline_id=new.pipeline_id,
            version=new.version,
            number=new.number,
            status=ExecutionStatus.QUEUED,
            stages_left=len(plan.stages),
            created_at=now,
            timeout_at=now + plan.timeout if plan.timeout else None,
        )
        live = Live(ExecutionState(execution), version, new.inputs, new.data, new.trigger, new.actor, now)
        draft = Draft(plan, live.state, now)
        planner.start(draft)
        progress.insert(tx, new, draft)
        tally.executions.append(new.id)
        self._live.keep(live)
        self._settle(tx, live, draft, is_new=True)

    def _version(self, pipeline_id: str, number: int | None) -> tuple[int, Version]:
        with self._database.read() as connection:
            table = pipelines.c
            query = sa.select(table.version).where(table.id == pipeline_id, table.deleted_at.is_(None))
            newest = connection.scalar(query)
            if newest is None:
                raise NotFound("pipeline", pipeline_id)
            chosen = number or newest
            return chosen, self._live.version(connection, pipeline_id, chosen)

    def _checked_inputs(self, version: Version, given: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        filled, problems = check_inputs(version.pipeline, given)
        if problems:
            raise InvalidInputs(problems)
        visible = {"inputs": filled, "execution": {"logical_date": now}, "vars": {}}
        rendered: dict[str, Any] = Template.parse(filled).render(visible)
        return rendered

    # ── working ─────────────────────────────────────────────────────────────────────────────────────────────────

    def claim_next(self) -> Claimed | None:
        """Take a ready stage run, None when there is none."""
        tally = _Tally()
        return self._write(lambda tx: self._claim_from_queue(tx, tally), tally)

    def record(self, claimed: Claimed, outcome: Outcome, produced: Produced, *, go_on: bool = True) -> Claimed | None:
        """Write how an attempt ended and what follows; answers the stage run to go on with.

        An answer that is no longer wanted (its lease went to another worker, the stage was timed out) changes nothing.
        """
        tally = _Tally()

        def operation(tx: Transaction) -> Claimed | None:
            live = self._touch(tx, tally, claimed.execution_id)
            if not planner.is_current(live.state, claimed.key, claimed.run.attempt, self._owner):
                log.info("stage_run.late_answer", execution=claimed.execution_id, attempt=claimed.run.attempt)
                return self._claim_from_queue(tx, tally) if go_on else None
            draft = Draft(live.version.plan, live.state, self._clock())
            planner.record(draft, claimed.key, outcome, self._chance())
            succeeded = draft.run(claimed.key).status is StageStatus.SUCCESS
            if succeeded:
                self._keep(tx, live, claimed, produced, draft)
            successor = self._claim_successor(live, draft) if go_on else None
            self._save(tx, live, draft, produced.logs)
            if successor is not None or not go_on:
                return successor
            return self._claim_from_queue(tx, tally)

        return self._write(operation, tally)

    def time_out_stage(self, claimed: Claimed, error: StageError) -> None:
        """Record the timeout of a stage that does not stop by itself; its late answer will be refused."""
        self.record(claimed, Failed(error), Produced(), go_on=False)

    def release(self, claimed: Claimed) -> None:
        """Hand a running stage run back, because this worker stops."""

        def decide(live: Live, draft: Draft) -> None:
            if planner.is_current(live.state, claimed.key, claimed.run.attempt, self._owner):
                planner.release(draft, claimed.key)

        self._change(claimed.execution_id, decide)

    def renew_leases(self) -> None:
        """Say that this process is alive."""
        until = self._clock() + LEASE
        self._database.write(lambda tx: progress.renew_leases(tx, self._owner, until))

    def add_logs(self, entries: Sequence[LogEntry]) -> None:
        """Lines of stages that still run."""

        def operation(tx: Transaction) -> None:
            progress.insert_logs(tx, entries)
            tx.after_commit(lambda: self._bus.publish(as_events(entries)))

        self._database.write(operation)

    def _keep(self, tx: Transaction, live: Live, claimed: Claimed, produced: Produced, draft: Draft) -> None:
        name = stage_id(live.version, claimed.key)
        if produced.result_json is not None or produced.spilled_to is not None:
            progress.put_result(tx, claimed.execution_id, claimed.key, produced.result_json, produced.spilled_to)
            draft.tell_more(EventType.STAGE_COMPLETED, result=summarise(produced.result))
        live.results[name] = Spilled(produced.spilled_to) if produced.spilled_to else produced.result
        if produced.artifacts:
            progress.insert_artifacts(tx, claimed.execution_id, produced.artifacts, draft.now)

    def _claim_successor(self, live: Live, draft: Draft) -> Claimed | None:
        """Go on with what this outcome made ready, unless others have waited longer."""
        if not draft.ready or self._dispatch.waiting:
            return None
        return self._claim(live, draft, draft.ready.pop(0))

    def _claim(self, live: Live, draft: Draft, key: Key) -> Claimed | None:
        run = planner.claim(draft, key, self._owner, draft.now + LEASE)
        if run is None:
            return None
        return Claimed(live, key, run, live.version.plan.stages[key.position].timeout)

    def _claim_from_queue(self, tx: Transaction, tally: _Tally) -> Claimed | None:
        while (work := self._dispatch.take()) is not None:
            tally.taken.append(work)
            live = self._touch(tx, tally, work.execution_id)
            draft = Draft(live.version.plan, live.state, self._clock())
            claimed = self._claim(live, draft, work.key)
            if claimed is not None:
                self._save(tx, live, draft)
                return claimed
        return None

    # ── stopping and retrying ───────────────────────────────────────────────────────────────────────────────────

    def cancel(self, execution_id: str, actor: str | None = None) -> None:
        """Ask an execution to stop. Asking again does no harm; raises Conflict when it has ended otherwise."""
        reason = f"cancelled by {actor}" if actor else "cancelled"

        def decide(live: Live, draft: Draft) -> None:
            status = live.state.execution.status
            if status in EXECUTION_FINAL and status is not ExecutionStatus.CANCELLED:
                raise Conflict(f"Execution {execution_id} has already ended as {status.value}.", "already_ended")
            if status not in EXECUTION_FINAL:
                planner.cancel(draft, reason)

        self._change(execution_id, decide)

    def time_out(self, execution_id: str) -> None:
        """The execution's timeout has passed (nothing happens when it has ended, or was retried with a new one)."""

        def decide(live: Live, draft: Draft) -> None:
            due = live.state.execution.timeout_at
            if due is not None and due <= draft.now:
                planner.time_out(draft)

        self._change(execution_id, decide)

    def retry_plan(self, execution_id: str) -> Retried:
        """What `retry` would do. Raises Conflict when the execution is not one that can be retried."""
        with self._database.read() as connection:
            state = progress.load(connection, execution_id)
            if state is None:
                raise NotFound("execution", execution_id)
            version = self._live.version(connection, state.execution.pipeline_id, state.execution.version)
        _refuse_unless_retryable(state.execution)
        return _retried(version, state)

    def retry(self, execution_id: str, actor: str | None = None) -> Retried:
        """Run the failed stages and all that depends on them again, in the same execution."""
        found: list[Retried] = []

        def decide(live: Live, draft: Draft) -> None:
            _refuse_unless_retryable(live.state.execution)
            found[:] = [_retried(live.version, live.state)]
            planner.retry(draft)

        self._change(execution_id, decide, durable=True)
        log.info("execution.retried", execution=execution_id, actor=actor, to_run=len(found[0].to_run))
        return found[0]

    # ── recovering ──────────────────────────────────────────────────────────────────────────────────────────────

    def recover(self) -> int:
        """Take up every execution that has not ended: called once, before work starts, by the only server.

        What was running lost its worker with the process before this one. Answers how many were taken up.
        """
        with self._database.read() as connection:
            found = progress.open_executions(connection)
        for execution_id in found:
            self._recover(execution_id)
        return len(found)

    def _recover(self, execution_id: str) -> None:
        due: list[tuple[datetime, Callable[[], None]]] = []

        def decide(live: Live, draft: Draft) -> None:
            due.clear()
            if live.state.execution.timeout_at is not None:
                due.append((live.state.execution.timeout_at, partial(self.time_out, execution_id)))
            for key, run in live.state.runs.items():
                if run.due_at is not None:
                    due.append((run.due_at, partial(self._wake, execution_id, key)))
            _take_up(live, draft)

        self._change(execution_id, decide)
        for moment, callback in due:
            self._timers.at(moment, callback)

    # ── one transaction ─────────────────────────────────────────────────────────────────────────────────────────

    def _change(self, execution_id: str, decide: Callable[[Live, Draft], None], *, durable: bool = False) -> None:
        tally = _Tally()

        def operation(tx: Transaction) -> None:
            live = self._touch(tx, tally, execution_id)
            draft = Draft(live.version.plan, live.state, self._clock())
            decide(live, draft)
            self._save(tx, live, draft)

        self._write(operation, tally, durable=durable)

    def _touch(self, tx: Transaction, tally: _Tally, execution_id: str) -> Live:
        tally.executions.append(execution_id)
        return self._live.get(tx.sa, execution_id)

    def _write(self, operation: Callable[[Transaction], T], tally: _Tally, *, durable: bool = False) -> T:
        """Run an operation; when it fails, memory is dropped so that the next one sees what is committed."""

        def on_failure() -> None:
            for execution_id in tally.executions:
                self._live.forget(execution_id)
            self._dispatch.put_back(reversed(tally.taken))
            tally.executions.clear()
            tally.taken.clear()

        for _ in range(STALE_TRIES):
            try:
                return self._database.write(operation, durable=durable, on_failure=on_failure)
            except progress.StaleState:
                continue  # another process was first; memory is dropped, so the next try sees what it did
        return self._database.write(operation, durable=durable, on_failure=on_failure)

    def _save(self, tx: Transaction, live: Live, draft: Draft, logs: Sequence[LogEntry] = ()) -> None:
        ended = draft.execution.status in EXECUTION_FINAL and live.state.execution.status not in EXECUTION_FINAL
        if ended:
            self._close(tx, live, draft)
        progress.save(tx, draft)
        self._settle(tx, live, draft, logs)
        if ended:
            self._live.forget(draft.execution.id)

    def _close(self, tx: Transaction, live: Live, draft: Draft) -> None:
        """An execution that succeeds gets its outputs; one whose outputs cannot be had has failed."""
        if draft.execution.status is ExecutionStatus.SUCCESS and live.version.outputs is not None:
            try:
                outputs = live.version.outputs.render(scope(live, self._read_spilled))
                progress.set_outputs(tx, draft.execution.id, outputs)
                draft.tell_more(EventType.EXECUTION_COMPLETED, outputs=summarise(outputs))
            except ExpressionError as failure:
                error = StageError(f"The outputs could not be made: {failure}", code="outputs_failed")
                planner.fail_outputs(draft, error)
        results = {
            stage: None if isinstance(value, Spilled) else value
            for stage, value in live.results.items()
            if value is not None
        }
        if results:
            draft.tell_more(draft.events[-1].type, results=summarise(results))

    def _settle(
        self, tx: Transaction, live: Live, draft: Draft, logs: Sequence[LogEntry] = (), *, is_new: bool = False
    ) -> None:
        """Write the log lines, take the draft over into memory, and say what is to happen after the commit."""
        entries = [*logs, *narrate(draft.events, live.state.execution.number)]
        progress.insert_logs(tx, entries)
        timeout_is_new = is_new or draft.execution.timeout_at != live.state.execution.timeout_at
        draft.apply()
        tx.after_commit(lambda: self._announce(draft, entries, timeout_is_new))

    def _announce(self, draft: Draft, logs: Sequence[LogEntry], timeout_is_new: bool) -> None:
        execution_id = draft.execution.id
        if draft.ready:
            self._dispatch.announce([Work(execution_id, key) for key in draft.ready])
        if draft.to_stop:
            self._dispatch.stop([Work(execution_id, key) for key in draft.to_stop])
        for key, run in draft.runs.items():
            if run.due_at is not None:
                self._timers.at(run.due_at, partial(self._wake, execution_id, key))
        timeout_at = draft.execution.timeout_at
        if timeout_at is not None and timeout_is_new:
            self._timers.at(timeout_at, partial(self.time_out, execution_id))
        self._bus.publish([*draft.events, *as_events(logs)])

    def _wake(self, execution_id: str, key: Key) -> None:
        def decide(live: Live, draft: Draft) -> None:
            due = draft.run(key).due_at
            if due is not None and due <= draft.now:
                planner.wake(draft, key)

        self._change(execution_id, decide)


def _take_up(live: Live, draft: Draft) -> None:
    for key, run in live.state.runs.items():
        if run.status in (StageStatus.RUNNING, StageStatus.CANCELLING):
            planner.lose(draft, key)
        elif run.status is StageStatus.QUEUED:
            draft.ready.append(key)


def _refuse_unless_retryable(execution: Execution) -> None:
    if execution.status not in RETRYABLE_EXECUTIONS:
        state = execution.status.value
        raise Conflict(
            f"Execution {execution.id} is {state}: only a failed, cancelled or timed out one can be retried.",
            "not_retryable",
        )


def _retried(version: Version, state: ExecutionState) -> Retried:
    again = planner.needing_another_run(version.plan, state)
    stages = version.plan.stages
    return Retried(
        reused=[stage.id for stage in stages if stage.position not in again],
        to_run=[stage.id for stage in stages if stage.position in again],
    )
