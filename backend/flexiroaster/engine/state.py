"""Every state an execution and a stage run can be in, and every move allowed between them.

The tables below are the documentation: what is not listed cannot happen. Final states have no way out but one:
a person's retry takes an execution from `failed`, `timed_out` or `cancelled` back to `running`, or to `queued` where it
has to wait for a place, and with it the stage runs that are to run again back to `pending`.

An execution::

    queued ──> running ──> success | failed
       │         │ ↑ ╲
       │         ↓ │  ╰──> cancelling ──> cancelled | timed_out   (success | failed: of a `stop` stage;
       ╰──────> paused ───────↗                                    running: its handlers)

A stage run::

    pending ──> queued ──> running ──> success         (queued ──> timed_out: it could not start in time)
       │           │          ├──────> failed
       │           │          ├──────> timed_out
       │           │          ├──────> retrying ──> queued   (after the backoff)
       │           │          ├──────> waiting  ──> queued   (when it is due)
       │           │          ╰──────> cancelling ──> cancelled | success  (it finished first)
       ├──> skipped
       ╰───────────┴──> cancelled   (as do retrying and waiting)
"""

from __future__ import annotations

from flexiroaster.engine.named import Named


class ExecutionStatus(Named):
    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    CANCELLING = "cancelling"
    SUCCESS = "success"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"


class StageStatus(Named):
    PENDING = "pending"
    QUEUED = "queued"
    RUNNING = "running"
    RETRYING = "retrying"
    WAITING = "waiting"
    CANCELLING = "cancelling"
    SUCCESS = "success"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"


class Phase(Named):
    """What an execution is about. It passes them in this order and leaves out those that have nothing to do.

    How it will end is decided at the end of `main`, except that a success may still fail in the last two.
    """

    MAIN = "main"
    COMPENSATION = "compensation"
    """What succeeded is undone, the last first; of an execution that does not succeed."""
    ON_FAILURE = "on_failure"
    """Of one that failed or ran out of time."""
    ON_SUCCESS = "on_success"
    FINALLY = "finally"


E = ExecutionStatus
S = StageStatus

EXECUTION_MOVES: dict[ExecutionStatus, frozenset[ExecutionStatus]] = {
    E.QUEUED: frozenset({E.RUNNING, E.PAUSED, E.CANCELLING, E.CANCELLED, E.TIMED_OUT, E.SUCCESS, E.FAILED}),
    E.RUNNING: frozenset({E.SUCCESS, E.FAILED, E.CANCELLING, E.CANCELLED, E.TIMED_OUT, E.PAUSED}),
    E.PAUSED: frozenset({E.QUEUED, E.RUNNING, E.SUCCESS, E.FAILED, E.CANCELLING, E.CANCELLED, E.TIMED_OUT}),
    E.CANCELLING: frozenset({E.CANCELLED, E.TIMED_OUT, E.SUCCESS, E.FAILED, E.RUNNING, E.PAUSED}),
    E.SUCCESS: frozenset(),
    E.FAILED: frozenset({E.RUNNING, E.QUEUED}),
    E.CANCELLED: frozenset({E.RUNNING, E.QUEUED}),
    E.TIMED_OUT: frozenset({E.RUNNING, E.QUEUED}),
}

STAGE_MOVES: dict[StageStatus, frozenset[StageStatus]] = {
    S.PENDING: frozenset({S.QUEUED, S.SKIPPED, S.CANCELLED}),
    S.QUEUED: frozenset({S.RUNNING, S.SKIPPED, S.CANCELLED, S.TIMED_OUT}),
    S.RUNNING: frozenset(
        {S.SUCCESS, S.FAILED, S.SKIPPED, S.TIMED_OUT, S.RETRYING, S.WAITING, S.CANCELLING, S.CANCELLED, S.QUEUED}
    ),
    S.RETRYING: frozenset({S.QUEUED, S.CANCELLED}),
    S.WAITING: frozenset({S.QUEUED, S.CANCELLED}),
    S.CANCELLING: frozenset({S.CANCELLED, S.SUCCESS}),
    S.SUCCESS: frozenset({S.PENDING}),
    S.FAILED: frozenset({S.PENDING}),
    S.SKIPPED: frozenset({S.PENDING}),
    S.CANCELLED: frozenset({S.PENDING}),
    S.TIMED_OUT: frozenset({S.PENDING}),
}

EXECUTION_FINAL = frozenset({E.SUCCESS, E.FAILED, E.CANCELLED, E.TIMED_OUT})
STAGE_FINAL = frozenset({S.SUCCESS, S.FAILED, S.SKIPPED, S.CANCELLED, S.TIMED_OUT})
"""A success is undone only by an explicit re-run of that stage, never by a late answer."""

RETRYABLE_EXECUTIONS = frozenset({E.FAILED, E.CANCELLED, E.TIMED_OUT})
