"""Numbers for the dashboard, counted from the executions themselves whenever they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

from flexiroaster.engine.plan import DEFAULT_POOL
from flexiroaster.services.shared_answers import NOT_SHARED, SharedAnswers
from flexiroaster.services.unserved import GRACE, reason
from flexiroaster.store import gates, load, workers
from flexiroaster.store import metrics as store
from flexiroaster.store.database import Database
from flexiroaster.store.load import QueueRow
from flexiroaster.store.metrics import BucketCount

Range = Literal["1h", "24h", "7d", "30d"]
DAY = timedelta(days=1)
BUCKETS: dict[Range, tuple[timedelta, int]] = {
    "1h": (timedelta(minutes=1), 60),
    "24h": (timedelta(minutes=15), 96),
    "7d": (timedelta(hours=2), 84),
    "30d": (timedelta(hours=6), 120),
}
"""Width and number of the buckets of a range."""
JUDGED = ("success", "failed", "timed_out")
"""What counts for a success rate or a duration: a person's cancel says nothing about the pipeline."""
ACTIVE = ("running", "paused", "cancelling")


class Numbers(NamedTuple):
    """`success_rate` is 0 to 100; None where nothing has ended."""

    executions: int
    failed: int
    success_rate: float | None
    avg_duration: float | None


class Current(NamedTuple):
    """`last` are the executions created in the last 24 hours, `previous` those of the 24 hours before."""

    total_pipelines: int
    enabled_pipelines: int
    active_executions: int
    queued_executions: int
    last: Numbers
    previous: Numbers
    p95_duration: float | None


class Bucket(NamedTuple):
    """`started` counts the executions created in it; the others say how those ended."""

    at: datetime
    started: int
    success: int
    failed: int
    cancelled: int
    timed_out: int
    avg_duration: float | None


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """Stages of a pool, or of none (`DEFAULT_POOL`). `waiting` are ready, and nobody runs them yet.

    `slots` None: no limit, or a pool that nobody defined. `workers` take them; where none does and some wait, `reason`
    says so.
    """

    pool: str
    slots: int | None
    waiting: int
    running: int
    oldest_wait_seconds: float | None
    workers: int
    reason: str | None


class RangeHistory(NamedTuple):
    range: Range
    bucket_seconds: int
    buckets: list[Bucket]


class Metrics:
    """`answers`: what is asked again and again by every dashboard, several servers compute once for all of them."""

    def __init__(
        self,
        database: Database,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        answers: SharedAnswers = NOT_SHARED,
    ) -> None:
        self._database = database
        self._clock = clock
        self._answers = answers

    def current(self) -> Current:
        return self._answers.of("metrics", Current, self._current)

    def history(self, wanted: Range) -> RangeHistory:
        """Buckets begin at whole multiples of their width in UTC; the last one holds this moment."""
        return self._answers.of(f"history:{wanted}", RangeHistory, lambda: self._history(wanted))

    def _current(self) -> Current:
        now = self._clock()
        start = (now - 2 * DAY).replace(microsecond=0)
        with self._database.read() as connection:
            total, enabled = store.pipeline_counts(connection)
            open_ = store.open_counts(connection)
            counts = store.buckets(connection, since=start, until=now, size=DAY)
            p95 = store.duration_percentile(connection, 95, since=start + DAY, until=now, statuses=JUDGED)
        return Current(
            total_pipelines=total,
            enabled_pipelines=enabled,
            active_executions=sum(open_.get(status, 0) for status in ACTIVE),
            queued_executions=open_.get("queued", 0),
            last=numbers(count for count in counts if count.bucket >= 1),
            previous=numbers(count for count in counts if count.bucket == 0),
            p95_duration=p95,
        )

    def queues(self) -> list[QueueDepth]:
        """What names no pool first, then every pool that is defined or used, in the order of their names."""
        now = self._clock()
        with self._database.read() as connection:
            queued = {row.pool: row for row in load.queues(connection)}
            slots: dict[str | None, int | None] = {pool.name: pool.slots for pool in gates.all_pools(connection)}
            cover = workers.cover(connection)
        served = cover.of_pools.keys() - {DEFAULT_POOL}
        names = sorted(name for name in {*queued, *slots, *served} if name is not None)
        depths = [_depth(name, slots.get(name), queued.get(name), now) for name in (None, *names)]
        return [self._covered(depth, cover.workers(depth.pool)) for depth in depths]

    def _covered(self, depth: QueueDepth, count: int) -> QueueDepth:
        waits = depth.oldest_wait_seconds is not None and depth.oldest_wait_seconds > GRACE.total_seconds()
        why = reason(depth.pool, self._database.dialect) if waits and not count else None
        return replace(depth, workers=count, reason=why)

    def open_executions(self) -> dict[str, int]:
        """Those that have not ended, by status."""
        with self._database.read() as connection:
            return store.open_counts(connection)

    def _history(self, wanted: Range) -> RangeHistory:
        width, count = BUCKETS[wanted]
        now = self._clock()
        seconds = int(width.total_seconds())
        end = datetime.fromtimestamp((int(now.timestamp()) // seconds + 1) * seconds, UTC)
        since = end - count * width
        with self._database.read() as connection:
            counts = store.buckets(connection, since=since, until=end, size=width)
        by_bucket: dict[int, list[BucketCount]] = {}
        for row in counts:
            by_bucket.setdefault(row.bucket, []).append(row)
        return RangeHistory(
            range=wanted,
            bucket_seconds=seconds,
            buckets=[_bucket(since + index * width, by_bucket.get(index, [])) for index in range(count)],
        )


def _depth(pool: str | None, slots: int | None, row: QueueRow | None, now: datetime) -> QueueDepth:
    waits = None if row is None or row.oldest is None else max(0.0, (now - row.oldest).total_seconds())
    waiting, running = (0, 0) if row is None else (row.waiting, row.running)
    return QueueDepth(DEFAULT_POOL if pool is None else pool, slots, waiting, running, waits, 0, None)


def numbers(counts: Iterable[BucketCount]) -> Numbers:
    rows = list(counts)
    judged = [row for row in rows if row.status in JUDGED]
    ended = sum(row.count for row in judged)
    succeeded = sum(row.count for row in judged if row.status == "success")
    return Numbers(
        executions=sum(row.count for row in rows),
        failed=ended - succeeded,
        success_rate=round(100 * succeeded / ended, 2) if ended else None,
        avg_duration=_average(judged),
    )


def _bucket(at: datetime, rows: list[BucketCount]) -> Bucket:
    by_status = {row.status: row.count for row in rows}
    return Bucket(
        at=at,
        started=sum(by_status.values()),
        success=by_status.get("success", 0),
        failed=by_status.get("failed", 0),
        cancelled=by_status.get("cancelled", 0),
        timed_out=by_status.get("timed_out", 0),
        avg_duration=_average([row for row in rows if row.status in JUDGED]),
    )


def _average(rows: list[BucketCount]) -> float | None:
    timed = sum(row.timed for row in rows)
    return round(sum(row.seconds for row in rows) / timed, 3) if timed else None
