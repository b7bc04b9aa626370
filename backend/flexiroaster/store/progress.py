"""Writing what the planner decided, and reading an execution back: the hot path.

Statements are prepared and named (`dialects/*.sql`); the tuples below are in the order of their parameters.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa

from flexiroaster.engine.draft import Draft
from flexiroaster.engine.errors import StageError
from flexiroaster.engine.events import Event, EventType
from flexiroaster.engine.foreach import ItemGroup
from flexiroaster.engine.outcome import WaitsFor
from flexiroaster.engine.planner.foreach import runs_items
from flexiroaster.engine.runs import EndedAttempt, Execution, ExecutionState, Key, StageRun
from flexiroaster.engine.state import STAGE_FINAL, ExecutionStatus, Phase, StageStatus
from flexiroaster.store import items
from flexiroaster.store.database import Transaction
from flexiroaster.store.json import dumps
from flexiroaster.store.tables import events, executions, logs, results, stage_runs

S = StageStatus


class StaleState(Exception):
    """The execution was changed elsewhere since it was read: nothing was written, read it again."""


OUTPUTS_LIMIT = 1_000_000
"""Bytes: outputs are shown and sent with every reading of their execution."""


class OutputsTooLarge(Exception):
    """What an execution answers is larger than is kept."""


class Parent(NamedTuple):
    """The stage run that started an execution; `depth` counts the executions above it."""

    execution_id: str
    key: Key
    depth: int


NO_PARENT = (None, None, None, 0)


class NewExecution(NamedTuple):
    """What an execution is started with; its state comes from the draft."""

    id: str
    pipeline_id: str
    version: int
    number: int
    trigger: str
    actor: str | None
    inputs: dict[str, Any]
    data: Any
    idempotency_key: str | None
    idempotency_digest: str | None
    rerun_of: str | None
    from_stage: str | None
    logical_date: datetime
    parent: Parent | None = None
    use_cache: bool = True


@dataclass(frozen=True, slots=True)
class KeptArtifact:
    """An artifact of an attempt that succeeded; `key` is where the artifact store has it."""

    id: str
    stage: str
    index: int
    attempt: int
    name: str
    kind: str
    media_type: str
    key: str
    rows: int | None
    bytes: int
    columns: list[dict[str, str]] | None
    profile: dict[str, Any] | None


@dataclass(slots=True)
class LogEntry:
    at: datetime
    level: str
    message: str
    pipeline_id: str | None = None
    execution_id: str | None = None
    stage: str | None = None
    index: int | None = None
    attempt: int | None = None
    fields: dict[str, Any] | None = None
    seq: int | None = None
    """Of the event it tells; None for a stage's own line."""


def insert(tx: Transaction, new: NewExecution, draft: Draft) -> None:
    """A new execution with all its stage runs and first events."""
    execution = draft.execution
    tx.put(
        "insert_execution",
        [
            (
                new.id,
                new.pipeline_id,
                new.version,
                new.number,
                execution.status.value,
                new.trigger,
                new.actor,
                dumps(new.inputs),
                None if new.data is None else dumps(new.data),
                new.idempotency_key,
                new.rerun_of,
                new.from_stage,
                execution.alone,
                execution.priority,
                draft.plan.main,
                tx.moment(new.logical_date),
                tx.moment(execution.created_at),
                tx.moment(execution.timeout_at),
                *((new.parent.execution_id, *new.parent.key, new.parent.depth) if new.parent else NO_PARENT),
                new.use_cache,
                execution.concurrency_key,
                tx.moment(execution.waiting_since),
                execution.reason,
                new.idempotency_digest,
            )
        ],
    )
    _insert_runs(tx, draft, draft.runs.values())
    _insert_events(tx, draft, None)


def mark_trial(tx: Transaction, id: str) -> None:
    """Afterwards, not with all that is inserted of an execution: hardly any is one."""
    tx.sa.execute(executions.update().where(executions.c.id == id).values(trial=True))


def save(tx: Transaction, draft: Draft) -> None:
    """Write what a draft changed. Raises StaleState when the present is no longer what the draft was based on.

    An event's number is its place in the execution's history: whoever finds it taken was not the first to decide.
    """
    before, after = draft.state.execution, draft.execution
    stale = StaleState(after.id)
    if after is not before:
        tx.put("update_execution", [(*_execution_values(tx, after), after.id, before.status.value)], stale)
    known = draft.state.runs
    moved, changed, new = [], [], []
    for key, run in draft.runs.items():
        old = known.get(key)
        if old is None:
            new.append(run)
            continue
        place = (after.id, *key, old.status.value, old.attempt)
        if _only_moves(old, run):
            moved.append((*_move_values(tx, run), *place))
        else:
            changed.append((*_run_values(tx, run), *place))
    tx.put("move_stage_run", moved, stale)
    tx.put("update_stage_run", changed, stale)
    for sweep in draft.sweeps:
        items.cancel_queued(tx, after.id, sweep, draft.now)
    if new:
        _insert_runs(tx, draft, new)
    if draft.attempts:
        tx.put("insert_attempt", [_attempt_values(tx, after.id, attempt) for attempt in draft.attempts])
    _insert_events(tx, draft, stale)


def put_result(tx: Transaction, execution_id: str, key: Key, value: str | None, artifact_id: str | None = None) -> None:
    """`value` is JSON text; a result that was spilled has its artifact's id instead."""
    tx.put("put_result", [(execution_id, *key, value, artifact_id)])


def set_outputs(tx: Transaction, execution_id: str, outputs: dict[str, Any]) -> None:
    """Raises OutputsTooLarge."""
    tx.put("set_outputs", [(outputs_text(outputs), execution_id)])


def outputs_text(outputs: dict[str, Any]) -> str:
    """As they are kept. Raises OutputsTooLarge."""
    text = dumps(outputs)
    if len(text) > OUTPUTS_LIMIT:
        raise OutputsTooLarge(
            f"they are larger than {OUTPUTS_LIMIT // 1_000_000} MB: name what is needed of a result, or write a file."
        )
    return text


def set_use_cache(tx: Transaction, execution_id: str, use_cache: bool) -> None:
    tx.sa.execute(sa.update(executions).where(executions.c.id == execution_id).values(use_cache=use_cache))


def insert_artifacts(tx: Transaction, execution_id: str, kept: Sequence[KeptArtifact], at: datetime) -> None:
    tx.put(
        "insert_artifact",
        [
            (
                artifact.id,
                execution_id,
                artifact.stage,
                artifact.index,
                artifact.attempt,
                artifact.name,
                artifact.kind,
                artifact.media_type,
                artifact.key,
                artifact.rows,
                artifact.bytes,
                _json(artifact.columns),
                _json(artifact.profile),
                tx.moment(at),
            )
            for artifact in kept
        ],
    )


def insert_logs(tx: Transaction, entries: Sequence[LogEntry]) -> None:
    tx.put(
        "insert_log",
        [
            (
                tx.moment(entry.at),
                entry.level,
                entry.pipeline_id,
                entry.execution_id,
                entry.stage,
                entry.index,
                entry.attempt,
                entry.seq,
                entry.message,
                _json(entry.fields),
            )
            for entry in entries
        ],
    )


def next_number(tx: Transaction, pipeline_id: str) -> tuple[int, bool, int] | None:
    """The number of the pipeline's next execution, whether the pipeline is enabled, and its newest version; None when
    there is no such pipeline (any more). Until the commit nobody else starts an execution of this pipeline.
    """
    found = tx.fetch("next_number", (pipeline_id,))
    return (int(found[0][0]), bool(found[0][1]), int(found[0][2])) if found else None


def started_before(tx: Transaction, pipeline_id: str, idempotency_key: str) -> tuple[str, int, str | None] | None:
    """Id and number of the execution that this key started, and the digest of what was asked for then."""
    found = tx.fetch("execution_of_key", (pipeline_id, idempotency_key))
    return (str(found[0][0]), int(found[0][1]), found[0][2]) if found else None


def end_as_failed(tx: Transaction, execution_id: str, error: StageError, now: datetime) -> None:
    """End an execution without its plan: for one that cannot be loaded. Its events tell of it as of any other end."""
    table, run, what = executions.c, stage_runs.c, error.to_json()
    told = _Teller(execution_id, newest_seq(tx.sa, execution_id), now)
    of_execution = run.execution_id == execution_id
    waiting = of_execution & (run.idx > 0) & (run.status == S.QUEUED.value)
    for stage, count in tx.sa.execute(sa.select(run.stage, sa.func.count()).where(waiting).group_by(run.stage)):
        told.tell(EventType.STAGE_ITEMS_CANCELLED, stage, 0, count=count, reason=error.message)
    ended: dict[str, Any] = {"status": S.CANCELLED.value, "ended_at": now, **_NOTHING_LEFT}
    tx.sa.execute(sa.update(stage_runs).where(waiting).values(**ended, reason=error.message))
    still_open = of_execution & run.status.not_in([status.value for status in STAGE_FINAL])
    query = sa.select(run.stage, run.idx, run.attempt).where(still_open).order_by(run.position, run.idx)
    for stage, index, attempt in tx.sa.execute(query):
        told.tell(EventType.STAGE_CANCELLED, stage, index, attempt=attempt, status=S.CANCELLED.value, error=what)
    tx.sa.execute(sa.update(stage_runs).where(still_open).values(**ended, reason=None, error=what))
    failed = {"status": ExecutionStatus.FAILED.value, "error": what}
    failed_stage = tx.sa.scalar(sa.select(table.failed_stage).where(table.id == execution_id))
    told.tell(EventType.EXECUTION_FAILED, **failed, **({"failed_stage": failed_stage} if failed_stage else {}))
    tx.sa.execute(
        sa.update(executions)
        .where(table.id == execution_id)
        .values(**failed, ended_at=now, reason=None, stopping_as=None, paused_at=None, waiting_since=None)
    )
    tx.sa.execute(sa.insert(events), told.rows)


_NOTHING_LEFT: dict[str, Any] = {
    "due_at": None,
    "lease_owner": None,
    "lease_until": None,
    "state": None,
    "waits_for": None,
    "rows": None,
    "bytes": None,
}


@dataclass(slots=True)
class _Teller:
    """Events of one execution and moment, as rows."""

    execution_id: str
    seq: int
    at: datetime
    rows: list[dict[str, Any]] = field(default_factory=list)

    def tell(self, type: EventType, stage: str | None = None, index: int | None = None, /, **payload: Any) -> None:
        self.seq += 1
        row = {"execution_id": self.execution_id, "seq": self.seq, "at": self.at, "type": type.value}
        self.rows.append({**row, "stage": stage, "idx": index, "payload": payload})


_with_newest_seq = sa.select(
    executions,
    sa.select(sa.func.max(events.c.seq))
    .where(events.c.execution_id == executions.c.id)
    .scalar_subquery()
    .label("newest_seq"),
)

BEGUN = [status.value for status in (S.RUNNING, S.CANCELLING, S.RETRYING, S.WAITING)]
"""States in which an item of a foreach stage is in memory; queued ones are as they are handed out."""


class Loaded(NamedTuple):
    """`row` is of `executions`."""

    state: ExecutionState
    row: sa.RowMapping


def load(connection: sa.Connection, execution_id: str) -> Loaded | None:
    """With the stages and the items that have begun."""
    # The number before all else: who reads an older state with a newer number would not be found out when it writes.
    row = connection.execute(_with_newest_seq.where(executions.c.id == execution_id)).mappings().one_or_none()
    if row is None:
        return None
    table = stage_runs.c
    in_memory = (table.idx == 0) | table.status.in_(BEGUN)
    runs = connection.execute(sa.select(stage_runs).where(table.execution_id == execution_id, in_memory)).mappings()
    known = {run.key: run for run in map(_stage_run, runs)}
    still_open = sum(not run.final and not run.key.index for run in known.values())
    groups: dict[int, ItemGroup] = {}
    under_way = [run.key.position for run in known.values() if runs_items(run)]
    if under_way:
        found = items.counts(connection, execution_id)
        groups = {position: items.group_of(found.get(position, {})) for position in under_way}
    return Loaded(ExecutionState(_execution(row), known, row["newest_seq"] or 0, still_open, groups), row)


def load_run(connection: sa.Connection, execution_id: str, key: Key) -> StageRun | None:
    """One alone, such as an item that is not in memory."""
    table = stage_runs.c
    query = sa.select(stage_runs).where(
        table.execution_id == execution_id, table.position == key.position, table.idx == key.index
    )
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else _stage_run(row)


def newest_seq(connection: sa.Connection, execution_id: str) -> int:
    return connection.scalar(sa.select(sa.func.max(events.c.seq)).where(events.c.execution_id == execution_id)) or 0


NOT_TOLD_OF_ITEMS = frozenset({EventType.STAGE_STARTED, EventType.STAGE_COMPLETED, EventType.STAGE_SKIPPED})
"""Lines for what goes well with each of 100,000 items would bury those worth reading."""


def untold(connection: sa.Connection, delay: timedelta) -> list[Event]:
    """The newest events that no log line tells, as far back as `delay` before the newest line that tells one."""
    lines = sa.select(logs.c.at).where(logs.c.seq.is_not(None))
    newest = connection.execute(lines.order_by(logs.c.id.desc()).limit(1)).first()
    since = datetime.min.replace(tzinfo=UTC) if newest is None else newest.at - delay
    return untold_between(connection, since, datetime.max.replace(tzinfo=UTC))


def told(connection: sa.Connection, execution_ids: Iterable[str]) -> set[tuple[str, int]]:
    """Execution and number of their events that a log line tells."""
    query = sa.select(logs.c.execution_id, logs.c.seq).where(
        logs.c.execution_id.in_(sorted(execution_ids)), logs.c.seq.is_not(None)
    )
    return {(row.execution_id, row.seq) for row in connection.execute(query)}


def event_of(row: sa.Row[Any]) -> Event:
    """From a row of `events` with the execution's pipeline."""
    return Event(
        EventType(row.type),
        row.execution_id,
        row.pipeline_id,
        row.seq,
        row.at,
        row.stage,
        row.idx,
        row.payload or {},
    )


def untold_between(connection: sa.Connection, since: datetime, until: datetime) -> list[Event]:
    """Events of that time which no log line tells."""
    lines = sa.select(logs.c.execution_id, logs.c.seq).where(logs.c.seq.is_not(None), logs.c.at >= since)
    known = {(row.execution_id, row.seq) for row in connection.execute(lines)}
    query = (
        sa.select(events, executions.c.pipeline_id)
        .join(executions, executions.c.id == events.c.execution_id)
        .where(
            executions.c.ended_at.is_(None) | (executions.c.ended_at >= since),
            events.c.at >= since,
            events.c.at <= until,
            (sa.func.coalesce(events.c.idx, 0) == 0) | events.c.type.not_in(sorted(NOT_TOLD_OF_ITEMS)),
        )
        .order_by(events.c.at, events.c.execution_id, events.c.seq)
    )
    return [event_of(row) for row in connection.execute(query) if (row.execution_id, row.seq) not in known]


def open_executions(connection: sa.Connection) -> list[str]:
    """Ids of the executions that were admitted and have not ended, oldest first."""
    under_way = executions.c.ended_at.is_(None) & executions.c.waiting_since.is_(None)
    query = sa.select(executions.c.id).where(under_way).order_by(executions.c.created_at)
    return list(connection.scalars(query))


def has_ended(connection: sa.Connection, execution_id: str) -> bool:
    """Also of one that is not there."""
    query = sa.select(executions.c.id).where(executions.c.id == execution_id, executions.c.ended_at.is_(None))
    return connection.scalar(query) is None


def load_results(connection: sa.Connection, execution_id: str) -> dict[Key, tuple[Any, str | None]]:
    """Results by stage: the inline value, and the artifact's id where it was spilled."""
    query = sa.select(results).where(results.c.execution_id == execution_id, results.c.idx == 0)
    return {Key(row.position, row.idx): (row.value, row.artifact_id) for row in connection.execute(query)}


def _insert_events(tx: Transaction, draft: Draft, stale: StaleState | None) -> None:
    tx.put(
        "insert_event",
        [
            (
                event.execution_id,
                event.seq,
                tx.moment(event.at),
                event.type.value,
                event.stage,
                event.index,
                dumps(event.payload) if event.payload else None,
            )
            for event in draft.events
        ],
        stale,
    )


def _insert_runs(tx: Transaction, draft: Draft, runs: Iterable[StageRun]) -> None:
    new, others = [], []
    for run in runs:
        stage = draft.plan.stages[run.key.position]
        place = (draft.execution.id, *run.key, stage.id, stage.type, stage.own_pool)
        if _is_new(run):
            new.append((*place, *_new_values(tx, run)))
        else:
            others.append((*place, *_run_values(tx, run), run.reused_from))
    tx.put("insert_new_stage_run", new)
    tx.put("insert_stage_run", others)


def _is_new(run: StageRun) -> bool:
    """Whether it has what nearly every stage run begins with: more than half the columns are left out so."""
    return run.attempt == 0 and run.ended_at is None and run.due_at is None and run.reason is None and run.state is None


def _new_values(tx: Transaction, run: StageRun) -> tuple[Any, ...]:
    return (
        run.status.value,
        run.attempt,
        run.needs_left,
        run.needs_ok,
        run.needs_failed,
        tx.moment(run.ready_at),
    )


def _only_moves(old: StageRun, run: StageRun) -> bool:
    """Whether nothing changes but what nearly every change of a stage run does: half the columns need no writing."""
    return (
        run.due_at is old.due_at
        and run.state is old.state
        and run.error is old.error
        and run.waits_for is old.waits_for
        and run.rows == old.rows
        and run.bytes == old.bytes
        and run.spent == old.spent
        and run.lost == old.lost
        and run.iterations == old.iterations
        and run.cached_from == old.cached_from
    )


def _move_values(tx: Transaction, run: StageRun) -> tuple[Any, ...]:
    return (
        run.status.value,
        run.attempt,
        run.needs_left,
        run.needs_ok,
        run.needs_failed,
        run.lease_owner,
        tx.moment(run.lease_until),
        run.reason,
        tx.moment(run.ready_at),
        tx.moment(run.started_at),
        tx.moment(run.ended_at),
    )


def _run_values(tx: Transaction, run: StageRun) -> tuple[Any, ...]:
    return (
        run.status.value,
        run.attempt,
        run.spent,
        run.lost,
        run.needs_left,
        run.needs_ok,
        run.needs_failed,
        run.lease_owner,
        tx.moment(run.lease_until),
        tx.moment(run.due_at),
        run.reason,
        _json(run.state),
        _error(run.error),
        run.rows,
        run.bytes,
        tx.moment(run.ready_at),
        tx.moment(run.started_at),
        tx.moment(run.ended_at),
        run.waits_for,
        run.cached_from,
        run.iterations,
    )


def _execution_values(tx: Transaction, execution: Execution) -> tuple[Any, ...]:
    return (
        execution.status.value,
        execution.retries,
        tx.moment(execution.started_at),
        tx.moment(execution.ended_at),
        execution.idle_seconds,
        tx.moment(execution.timeout_at),
        tx.moment(execution.cancel_requested_at),
        execution.stopping_as and execution.stopping_as.value,
        execution.failed_stage,
        _error(execution.error),
        execution.reason,
        execution.phase.value,
        tx.moment(execution.paused_at),
        tx.moment(execution.waiting_since),
    )


def _attempt_values(tx: Transaction, execution_id: str, attempt: EndedAttempt) -> tuple[Any, ...]:
    return (
        execution_id,
        *attempt.key,
        attempt.attempt,
        attempt.status.value,
        attempt.worker,
        tx.moment(attempt.started_at),
        tx.moment(attempt.ended_at),
        _error(attempt.error),
    )


def _json(value: Any) -> str | None:
    return None if value is None else dumps(value)


def _error(error: StageError | None) -> str | None:
    return None if error is None else dumps(error.to_json())


def _execution(row: sa.RowMapping) -> Execution:
    stopping_as = row["stopping_as"]
    return Execution(
        id=row["id"],
        pipeline_id=row["pipeline_id"],
        version=row["version"],
        number=row["number"],
        status=ExecutionStatus(row["status"]),
        created_at=row["created_at"],
        priority=row["priority"],
        retries=row["retries"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        idle_seconds=row["idle_seconds"],
        timeout_at=row["timeout_at"],
        cancel_requested_at=row["cancel_requested_at"],
        stopping_as=ExecutionStatus(stopping_as) if stopping_as else None,
        failed_stage=row["failed_stage"],
        error=StageError.from_json(row["error"]) if row["error"] else None,
        reason=row["reason"],
        alone=row["alone"],
        phase=Phase(row["phase"]),
        paused_at=row["paused_at"],
        concurrency_key=row["concurrency_key"],
        waiting_since=row["waiting_since"],
    )


def _stage_run(row: sa.RowMapping) -> StageRun:
    return StageRun(
        key=Key(row["position"], row["idx"]),
        status=StageStatus(row["status"]),
        error=StageError.from_json(row["error"]) if row["error"] else None,
        waits_for=WaitsFor(row["waits_for"]) if row["waits_for"] else None,
        **{name: row[name] for name in _PLAIN_COLUMNS},
    )


_PLAIN_COLUMNS = tuple(name for name in StageRun.__slots__ if name not in ("key", "status", "error", "waits_for"))
