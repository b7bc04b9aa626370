"""An execution and its stage runs as records. A draft changes copies of them; the store writes what was changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from flexiroaster.engine.errors import StageError
from flexiroaster.engine.foreach import ItemGroup
from flexiroaster.engine.outcome import WaitsFor
from flexiroaster.engine.state import STAGE_FINAL, ExecutionStatus, Phase, StageStatus


class Key(NamedTuple):
    """A stage run within its execution: the stage's position in its version, and the foreach index."""

    position: int
    index: int = 0  # type: ignore[assignment]  # tuple.index is not missed


def stage_run_name(stage: str, index: int) -> str:
    """As errors call it."""
    return f"{stage}[{index}]" if index else stage


@dataclass(slots=True)
class StageRun:
    """One stage × foreach index of an execution.

    `attempt` is the fencing number: it rises with every claim, and only its holder may record an outcome. `spent`
    attempts do not count against the retry budget: those before a person's last retry, and those whose worker died.
    The `needs_*` counters hold how many needed stages have not ended, succeeded, and failed; the others were skipped.
    """

    key: Key
    status: StageStatus = StageStatus.PENDING
    attempt: int = 0
    spent: int = 0
    lost: int = 0
    needs_left: int = 0
    needs_ok: int = 0
    needs_failed: int = 0
    lease_owner: str | None = None
    lease_until: datetime | None = None
    due_at: datetime | None = None
    reason: str | None = None
    state: dict[str, Any] | None = None
    error: StageError | None = None
    rows: int | None = None
    bytes: int | None = None
    ready_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    reused_from: str | None = None
    """The execution that ran it, where a re-run took its result over."""
    waits_for: WaitsFor | None = None
    """Of an attempt that waited; kept until the attempt ends."""
    cached_from: str | None = None
    """The execution whose result it took from the cache."""
    iterations: int = 0
    """How often a repeated stage has run to its end, this time included once it has ended."""

    @property
    def final(self) -> bool:
        return self.status in STAGE_FINAL

    def copy(self) -> StageRun:
        """Written out: several times cheaper than `copy.copy`, and made for every change."""
        return StageRun(
            self.key,
            self.status,
            self.attempt,
            self.spent,
            self.lost,
            self.needs_left,
            self.needs_ok,
            self.needs_failed,
            self.lease_owner,
            self.lease_until,
            self.due_at,
            self.reason,
            self.state,
            self.error,
            self.rows,
            self.bytes,
            self.ready_at,
            self.started_at,
            self.ended_at,
            self.reused_from,
            self.waits_for,
            self.cached_from,
            self.iterations,
        )


@dataclass(slots=True)
class Execution:
    """What the planner reads and changes of an execution; its inputs and outputs are not its business."""

    id: str
    pipeline_id: str
    version: int
    number: int
    status: ExecutionStatus
    created_at: datetime
    priority: int = 0
    retries: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None
    idle_seconds: float = 0.0
    """Time between its ends and the retries that followed: no part of its duration."""
    timeout_at: datetime | None = None
    cancel_requested_at: datetime | None = None
    stopping_as: ExecutionStatus | None = None
    """The final state it will get, once that is known: while it is cancelling, and while handlers run."""
    phase: Phase = Phase.MAIN
    paused_at: datetime | None = None
    concurrency_key: str | None = None
    """It needs a place among the executions of its pipeline that have the same; None: it needs none."""
    waiting_since: datetime | None = None
    """For its place; None once it was admitted."""
    failed_stage: str | None = None
    error: StageError | None = None
    reason: str | None = None
    alone: bool = False
    """A re-run of one stage: nothing else runs, no handler either."""

    def copy(self) -> Execution:
        """As that of a stage run."""
        return Execution(
            self.id,
            self.pipeline_id,
            self.version,
            self.number,
            self.status,
            self.created_at,
            self.priority,
            self.retries,
            self.started_at,
            self.ended_at,
            self.idle_seconds,
            self.timeout_at,
            self.cancel_requested_at,
            self.stopping_as,
            self.phase,
            self.paused_at,
            self.concurrency_key,
            self.waiting_since,
            self.failed_stage,
            self.error,
            self.reason,
            self.alone,
        )

    def seconds_until(self, moment: datetime) -> float | None:
        """Its duration, if it ended then: the sum of its rounds; None before it started."""
        if self.started_at is None:
            return None
        return (moment - self.started_at).total_seconds() - self.idle_seconds


class EndedAttempt(NamedTuple):
    """An attempt that another one follows: kept in the history of its stage run."""

    key: Key
    attempt: int
    status: StageStatus
    worker: str | None
    started_at: datetime | None
    ended_at: datetime
    error: StageError | None


@dataclass(slots=True)
class ExecutionState:
    """An execution with its stage runs, as last committed.

    `seq` numbers its newest event; `open` counts its stages that are not final. Of the items of foreach stages only
    those handed out are among the runs; `groups` counts them all, by the position of their stage.
    """

    execution: Execution
    runs: dict[Key, StageRun] = field(default_factory=dict)
    seq: int = 0
    open: int = 0
    groups: dict[int, ItemGroup] = field(default_factory=dict)
