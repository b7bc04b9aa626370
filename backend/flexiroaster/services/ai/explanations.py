"""Why an execution failed, as far as the executions around it tell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from flexiroaster.engine.errors import Conflict, NotFound
from flexiroaster.services.ai.switch import Switch
from flexiroaster.store import executions as execution_store
from flexiroaster.store import pipelines as pipeline_store
from flexiroaster.store.database import Database
from flexiroaster.store.executions import FullExecutionRow

if TYPE_CHECKING:
    from flexiroaster.ai import Cause
    from flexiroaster.services.ai.history import RunHistory, Story

OWN = 150
"""Executions of the same pipeline that a failed one is compared with."""
ENOUGH_AROUND, MOST_AROUND = 100, 300
"""Executions of all pipelines around the failure that are looked at."""
LEAST = 8
"""Executions that passed, below which most causes cannot show."""
FAILED = ("failed", "timed_out")


@dataclass(frozen=True, slots=True)
class SeenBefore:
    """The same error in earlier executions of the pipeline, this one included."""

    count: int
    executions: list[str]
    first_at: datetime
    last_at: datetime


class Retry(NamedTuple):
    """Whether another try of the stage that failed is likely to succeed."""

    probability: float
    low: float
    high: float
    worth_it: bool
    words: str


class Explanation(NamedTuple):
    """`causes` are empty where `note` says why; the most probable one comes first, `unknown` may be among them."""

    execution_id: str
    pipeline_id: str
    stage: str | None
    causes: list[Cause]
    compared: int
    note: str | None
    seen_before: SeenBefore | None
    retry: Retry | None
    learns: bool = True
    """Whether anybody looked: learning may be switched off, on the server or for the pipeline's project."""
    failed_with: str | None = None
    """The execution that it waited for and failed with: to be explained in its place."""


class Explanations:
    def __init__(
        self, database: Database, switch: Switch, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._database = database
        self._switch = switch
        self._clock = clock

    def explain(self, execution_id: str) -> Explanation:
        """Raises NotFound, and Conflict for one that has not failed."""
        with self._database.read() as connection:
            row = execution_store.find(connection, execution_id)
            pipeline = None if row is None else pipeline_store.find(connection, row.pipeline_id)
        if row is None:
            raise NotFound("execution", execution_id)
        if row.status not in FAILED or row.ended_at is None:
            raise Conflict(f"Execution {execution_id!r} has not failed: it is {row.status}.", "not_failed")
        off = self._switch.why_not(pipeline.labels if pipeline else None)
        if off is not None:
            return Explanation(row.id, row.pipeline_id, row.failed_stage, [], 0, off, None, None, learns=False)
        return self._explained(row)

    def _explained(self, row: FullExecutionRow) -> Explanation:
        from flexiroaster.ai import Past, likely_causes
        from flexiroaster.services.ai.history import RunHistory, all_runs

        assert row.ended_at is not None
        history = RunHistory(self._database, self._switch)
        own = history.of_pipeline(row.pipeline_id, until=row.created_at, limit=OWN, also=row.id, afterwards=True)
        known = {story.seen.id for story in own}
        until, around = _around(history, row.ended_at)
        stories = own + [story for story in around if story.seen.id not in known]
        past = Past(all_runs(stories), now=min(self._clock(), until).timestamp())
        passed = sum(story.seen.status == "success" for story in own)
        note = None if passed >= LEAST else f"Not enough data yet ({passed} of {LEAST} executions that passed)."
        try:
            causes = likely_causes(row.id, past)
        except ValueError:
            child = self._failed_with(row)
            note = "No stage of it failed by itself: see its error."
            if child is not None:
                note = f"It failed with {child.pipeline_id} #{child.number}, which {row.failed_stage} waited for."
            with_it = None if child is None else child.id
            return Explanation(
                row.id, row.pipeline_id, row.failed_stage, [], passed, note, None, None, failed_with=with_it
            )
        before, retry = _seen_before(row, own), _retry(row, own)
        return Explanation(row.id, row.pipeline_id, row.failed_stage, causes, passed, note, before, retry)

    def _failed_with(self, row: FullExecutionRow) -> FullExecutionRow | None:
        """None where that execution was removed, or has been retried since."""
        from flexiroaster.services.ai.history import failed_child

        child = failed_child(row.error)
        if child is None:
            return None
        with self._database.read() as connection:
            found = execution_store.find(connection, child.execution_id)
        return found if found is not None and found.status in FAILED else None


def _around(history: RunHistory, ended_at: datetime) -> tuple[datetime, list[Story]]:
    """Executions of all pipelines around a moment, and until when: the fewer there are, the longer."""
    from flexiroaster.ai.insights.causes import AROUND_SECONDS

    for seconds in AROUND_SECONDS:
        apart = timedelta(seconds=seconds)
        found = history.between(ended_at - 2 * apart, ended_at + apart, MOST_AROUND, afterwards=True)
        if len(found) >= ENOUGH_AROUND:
            break
    return ended_at + apart, found


def _retry(row: FullExecutionRow, own: list[Story]) -> Retry | None:
    """From what became of retries in the executions of the pipeline; None where no stage can be tried again."""
    from flexiroaster.ai import Predictor
    from flexiroaster.services.ai.history import all_runs

    failed = [
        run
        for story in own
        if story.seen.id == row.id
        for run in story.attempts
        if run.failed and run.stage == (row.failed_stage or run.stage) and run.ended_at is not None
    ]
    if not failed:
        return None
    last = failed[-1]
    ended = last.ended_at or last.started_at
    # Of a fifth try where there never was one, the fourth tells most.
    seen = max(run.attempt for story in own for run in story.attempts)
    attempt = min(last.attempt + 1, max(seen, 2))
    again = replace(last, attempt=attempt, started_at=ended, ended_at=None, status="", error_class="")
    advice = Predictor(refit_every=None).replay(all_runs(own), noted=0).retry(again)
    return Retry(advice.probability, advice.low, advice.high, not advice.stop, advice.words)


def _seen_before(row: FullExecutionRow, own: list[Story]) -> SeenBefore | None:
    mine = {
        run.fingerprint
        for story in own
        if story.seen.id == row.id
        for run in story.attempts
        if run.failed and run.stage == (row.failed_stage or run.stage)
    }
    found: dict[str, float] = {}
    for story in own:
        for run in story.attempts:
            if run.failed and run.fingerprint in mine and run.ended_at is not None:
                found[story.seen.id] = max(found.get(story.seen.id, 0.0), run.ended_at)
    if not found:
        return None
    newest = sorted(found, key=lambda id: -found[id])
    return SeenBefore(
        len(found),
        newest[:20],
        datetime.fromtimestamp(min(found.values()), UTC),
        datetime.fromtimestamp(max(found.values()), UTC),
    )
