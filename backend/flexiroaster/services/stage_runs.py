"""Stage runs in the hands of workers: claimed, recorded, handed back."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import structlog

from flexiroaster.engine import planner
from flexiroaster.engine.draft import Draft
from flexiroaster.engine.events import EventType
from flexiroaster.engine.outcome import Outcome
from flexiroaster.engine.runs import Key, StageRun
from flexiroaster.engine.state import StageStatus
from flexiroaster.engine.summary import summarise
from flexiroaster.services.changes import Changes, Tally
from flexiroaster.services.live import Live, Spilled, stage_id
from flexiroaster.services.narration import as_events
from flexiroaster.store import progress
from flexiroaster.store.database import Transaction
from flexiroaster.store.progress import KeptArtifact, LogEntry

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=30)
"""How long a worker that does not renew it keeps a stage run; renewed every third of it."""


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


class StageRuns:
    """`owner` is this process in the leases; `chance` spreads retries."""

    def __init__(self, changes: Changes, *, owner: str, chance: Callable[[], float] = random.random) -> None:
        self._changes = changes
        self._owner = owner
        self._chance = chance

    def claim_next(self) -> Claimed | None:
        """Take a ready stage run, None when there is none."""
        tally = Tally()
        return self._changes.write(lambda tx: self._claim_from_queue(tx, tally), tally)

    def record(self, claimed: Claimed, outcome: Outcome, produced: Produced, *, go_on: bool = True) -> Claimed | None:
        """Write how an attempt ended and what follows; answers the stage run to go on with.

        An answer that is no longer wanted (its lease went to another worker, the stage was timed out) changes nothing.
        """
        tally = Tally()

        def operation(tx: Transaction) -> Claimed | None:
            live = self._changes.touch(tx, tally, claimed.execution_id)
            if not planner.is_current(live.state, claimed.key, claimed.run.attempt, self._owner):
                log.info("stage_run.late_answer", execution=claimed.execution_id, attempt=claimed.run.attempt)
                self._changes.save(tx, live, self._changes.draft(live))
                return self._claim_from_queue(tx, tally) if go_on else None
            draft = self._changes.draft(live)
            planner.record(draft, claimed.key, outcome, self._chance())
            succeeded = draft.run(claimed.key).status is StageStatus.SUCCESS
            if succeeded:
                self._keep(tx, live, claimed, produced, draft)
            successor = self._claim_successor(live, draft) if go_on else None
            self._changes.save(tx, live, draft, produced.logs)
            if successor is not None or not go_on:
                return successor
            return self._claim_from_queue(tx, tally)

        return self._changes.write(operation, tally)

    def release(self, claimed: Claimed) -> None:
        """Hand a running stage run back, because this worker stops."""

        def decide(live: Live, draft: Draft) -> None:
            if planner.is_current(live.state, claimed.key, claimed.run.attempt, self._owner):
                planner.release(draft, claimed.key)

        self._changes.change(claimed.execution_id, decide)

    def renew_leases(self) -> None:
        """Say that this process is alive."""
        until = self._changes.clock() + LEASE
        self._changes.database.write(lambda tx: progress.renew_leases(tx, self._owner, until))

    def add_logs(self, entries: Sequence[LogEntry]) -> None:
        """Lines of stages that still run."""

        def operation(tx: Transaction) -> None:
            progress.insert_logs(tx, entries)
            tx.after_commit(lambda: self._changes.bus.publish(as_events(entries)))

        self._changes.database.write(operation)

    def _keep(self, tx: Transaction, live: Live, claimed: Claimed, produced: Produced, draft: Draft) -> None:
        name = stage_id(live.version, claimed.key)
        if produced.result_json is not None or produced.spilled_to is not None:
            progress.put_result(tx, claimed.execution_id, claimed.key, produced.result_json, produced.spilled_to)
            draft.tell_more(EventType.STAGE_COMPLETED, result=summarise(produced.result))
        if produced.spilled_to:
            spilled = live.results[name] = Spilled(produced.spilled_to, produced.result)
            tx.after_commit(lambda: setattr(spilled, "value", None))
        else:
            live.results[name] = produced.result
        if produced.artifacts:
            progress.insert_artifacts(tx, claimed.execution_id, produced.artifacts, draft.now)

    def _claim_successor(self, live: Live, draft: Draft) -> Claimed | None:
        """Go on with what this outcome made ready, unless others have waited longer."""
        if not draft.ready or self._changes.dispatch.waiting:
            return None
        return self._claim(live, draft, draft.ready.pop(0))

    def _claim(self, live: Live, draft: Draft, key: Key) -> Claimed | None:
        run = planner.claim(draft, key, self._owner, draft.now + LEASE)
        if run is None:
            return None
        return Claimed(live, key, run, live.version.plan.stages[key.position].timeout)

    def _claim_from_queue(self, tx: Transaction, tally: Tally) -> Claimed | None:
        while (work := self._changes.dispatch.take()) is not None:
            tally.taken.append(work)
            live = self._changes.touch(tx, tally, work.execution_id)
            draft = self._changes.draft(live)
            claimed = self._claim(live, draft, work.key)
            if claimed is not None:
                self._changes.save(tx, live, draft)
                return claimed
        return None
