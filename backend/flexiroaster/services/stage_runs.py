"""Stage runs in the hands of workers: claimed, recorded, handed back."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import structlog

from flexiroaster.dispatch.port import Serves
from flexiroaster.dispatch.queue import TURN
from flexiroaster.engine import planner
from flexiroaster.engine.draft import Draft
from flexiroaster.engine.events import EventType
from flexiroaster.engine.outcome import Outcome, Succeeded, Waiting
from flexiroaster.engine.runs import Key, StageRun
from flexiroaster.engine.state import StageStatus
from flexiroaster.engine.summary import summarise
from flexiroaster.services import signals
from flexiroaster.services.cache import Entry, keep
from flexiroaster.services.changes import Changes, Tally, pool_of
from flexiroaster.services.children import Children, Order
from flexiroaster.services.gates import Gates, Room
from flexiroaster.services.handing_out import hand_out
from flexiroaster.services.live import Live, Spilled, Version, stage_id
from flexiroaster.store import leases, progress
from flexiroaster.store.database import Transaction
from flexiroaster.store.leases import Held, Renewed
from flexiroaster.store.progress import KeptArtifact, LogEntry
from flexiroaster.store.workers import aside

log = structlog.get_logger(__name__)

MOST_LOOKED_AT = 256
"""Ready stage runs that one transaction takes from the queue, those included that cannot start and say why."""
MOST_AT_ONCE = 32
"""Instant stage runs that one transaction claims: they share its commit, and are run again if the process dies."""
INLINE_BYTES = 64 * 1024
"""A result whose JSON is larger is kept as an artifact."""
LEASE = timedelta(seconds=30)
"""How long a worker that does not renew it keeps a stage run; renewed every third of it."""


@dataclass(slots=True)
class Claimed:
    """A stage run in the hands of a worker, since `at`. `item` is what a foreach item is for.

    `instant`: it takes microseconds, so that several may be claimed and recorded together.
    """

    execution_id: str
    live: Live
    key: Key
    run: StageRun
    at: datetime
    instant: bool
    item: Any = None

    @property
    def is_foreach(self) -> bool:
        """Whether this is a foreach stage's own run, which puts or gathers its items."""
        return not self.key.index and self.key.position in self.live.version.iterations

    @property
    def timeout(self) -> timedelta | None:
        """A foreach stage's timeout is for each of its items."""
        if self.is_foreach:
            return None
        return self.live.version.plan.stages[self.key.position].timeout


@dataclass(slots=True)
class Produced:
    """What an attempt leaves besides its outcome; kept only when it is still the current one.

    `result_json` is the result as JSON text, None for no result; `spilled_to` is the artifact that holds it instead.
    With `read`, which reads that artifact, `result` is only what events tell of it.
    """

    result: Any = None
    result_json: str | None = None
    spilled_to: str | None = None
    read: Callable[[], Any] | None = None
    artifacts: Sequence[KeptArtifact] = ()
    logs: Sequence[LogEntry] = ()
    cache_entry: Entry | None = None
    """Under which its result is to be found by others."""
    ordered: Order | None = None
    """An execution to be started with the record."""


class Ended(NamedTuple):
    """An attempt that is over, to be recorded."""

    claimed: Claimed
    outcome: Outcome
    produced: Produced


class StageRuns:
    """`owner` is this process in the leases; `chance` spreads retries."""

    def __init__(
        self,
        changes: Changes,
        children: Children,
        gates: Gates,
        *,
        owner: str,
        lease: timedelta | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._lease = lease or LEASE
        self.clock_ahead = timedelta()
        """How far the database's clock, by which leases go, is ahead of ours."""
        self.held: Callable[[], Sequence[Held]] = lambda: ()
        """What runs here at this moment."""
        self.on_renewed: Callable[[Renewed], None] = lambda renewed: None
        self.serves: Serves | None = None
        """What this process runs; None: everything."""
        self._changes = changes
        self._children = children
        self._gates = gates
        self._owner = owner
        self._chance = chance

    def claim_next(self) -> list[Claimed]:
        """Take ready work: one stage run, or several that are instant; empty when there is none."""
        if not self._changes.dispatch.waiting:
            return []  # another thread went on with it: no transaction to find that out
        tally = Tally()

        def operation(tx: Transaction) -> list[Claimed]:
            batch = _Batch(self._changes, tx, tally)
            claimed: list[Claimed] = []
            self._claim_from_queue(batch, claimed)
            batch.save()
            return claimed

        return self._changes.write(operation, tally)

    def record(self, ended: Sequence[Ended], *, go_on: bool = True) -> list[Claimed]:
        """Write how attempts ended and what follows; answers the stage runs to go on with.

        An answer that is no longer wanted (its lease went to another worker, the stage was timed out) changes nothing.
        """
        tally = Tally()

        def operation(tx: Transaction) -> list[Claimed]:
            batch = _Batch(self._changes, tx, tally)
            for claimed, outcome, produced in ended:
                self._record(batch, claimed, outcome, produced)
            for live, draft in batch.drafts.values():
                self._changes.answer_outputs(live, draft)
                if draft.groups:
                    hand_out(tx, live, draft)
            foreign = self._set_aside(batch) if self.serves is not None else []
            following = self._claim_following(batch) if go_on else []
            for draft, keys in foreign:
                draft.ready += keys
            batch.save()
            return following

        return self._changes.write(operation, tally)

    def _record(self, batch: _Batch, claimed: Claimed, outcome: Outcome, produced: Produced) -> None:
        live, draft = batch.draft(claimed.execution_id)
        if not planner.is_current(draft, claimed.key, claimed.run.attempt, self._owner):
            log.info("stage_run.late_answer", execution=claimed.execution_id, attempt=claimed.run.attempt)
            return
        if produced.ordered is not None or isinstance(outcome, Waiting):
            outcome = self._settled(batch, draft, claimed, outcome, produced)
        planner.record(draft, claimed.key, outcome, self._chance())
        if isinstance(outcome, Succeeded):
            self._keep(batch.tx, live, claimed, produced, draft, remember=not outcome.again)
            if produced.cache_entry is not None and not outcome.again:
                self._cache(batch.tx, claimed, produced.cache_entry, draft)
        batch.lines += produced.logs

    def _settled(self, batch: _Batch, draft: Draft, claimed: Claimed, outcome: Outcome, produced: Produced) -> Outcome:
        """The outcome to record of a stage run that starts an execution, or begins to wait for something."""
        if isinstance(outcome, Waiting) and draft.run(claimed.key).status is StageStatus.CANCELLING:
            return outcome
        if produced.ordered is None or not isinstance(outcome, Waiting | Succeeded):
            outcome = signals.look(batch.tx, claimed.execution_id, outcome, draft.now)
            return self._children.look(batch.tx, outcome, draft.now)
        return self._children.begin(batch.tx, batch.tally, batch.draft, produced.ordered, outcome)

    def _cache(self, tx: Transaction, claimed: Claimed, entry: Entry, draft: Draft) -> None:
        execution, name = draft.execution, stage_id(claimed.live.version, claimed.key)
        keep(tx, execution.pipeline_id, name, entry, execution.id, claimed.key, claimed.run.attempt, draft.now)

    def release(self, claimed: Claimed, why: planner.HandedBack) -> None:
        """Hand a running stage run back: it is to run again."""

        def decide(live: Live, draft: Draft) -> None:
            if planner.is_current(draft, claimed.key, claimed.run.attempt, self._owner):
                planner.release(draft, claimed.key, why)

        self._changes.change(claimed.execution_id, decide)

    def renew_leases(self) -> None:
        """Say that what runs here is alive; hear of what is to stop."""
        held = self.held()
        database = self._changes.database
        self.on_renewed(aside(database, lambda connection: leases.renew(connection, self._owner, held, self._lease)))

    def write_logs(self, entries: Sequence[LogEntry]) -> None:
        """Lines of stages that still run, and whatever else waits to be told."""

        def operation(tx: Transaction) -> None:
            self._changes.journal.write(tx, entries)

        self._changes.database.write(operation, on_failure=self._changes.journal.put_back)

    def _keep(
        self, tx: Transaction, live: Live, claimed: Claimed, produced: Produced, draft: Draft, *, remember: bool
    ) -> None:
        """`remember`: it is done, so that other stages may see what it made."""
        has_result = produced.result_json is not None or produced.spilled_to is not None
        if has_result or claimed.run.attempt > 1:  # an earlier one, of before a retry, must not stay
            progress.put_result(tx, claimed.execution_id, claimed.key, produced.result_json, produced.spilled_to)
        if remember and not claimed.key.index:  # of an item, the result is read back when its stage gathers them
            self._remember(tx, live, claimed, produced, draft)
        if produced.artifacts:
            progress.insert_artifacts(tx, claimed.execution_id, produced.artifacts, draft.now)

    def _remember(self, tx: Transaction, live: Live, claimed: Claimed, produced: Produced, draft: Draft) -> None:
        """For the stages that come after, and for those who listen."""
        name = stage_id(live.version, claimed.key)
        if produced.result_json is not None or produced.spilled_to is not None:
            draft.tell_more(EventType.STAGE_COMPLETED, claimed.key, result=summarise(produced.result))
        if produced.spilled_to:
            value = produced.result if produced.read is None else None
            spilled = live.results[name] = Spilled(produced.spilled_to, value, produced.read)
            tx.after_commit(spilled.forget)
        else:
            live.results[name] = produced.result

    def _set_aside(self, batch: _Batch) -> list[tuple[Draft, list[Key]]]:
        """What is ready and not for this process: whoever it is for is told after the commit."""
        found: list[tuple[Draft, list[Key]]] = []
        for live, draft in batch.drafts.values():
            foreign = [key for key in draft.ready if not self.is_ours(live.version, key)]
            if foreign:
                found.append((draft, foreign))
                draft.ready[:] = [key for key in draft.ready if key not in foreign]
        return found

    def is_ours(self, version: Version, key: Key) -> bool:
        """Whether it is for this process to run."""
        return self.serves is None or self.serves(pool_of(version, key))

    def _claim_following(self, batch: _Batch) -> list[Claimed]:
        """Go on with what these outcomes made ready; where others wait, in the order of the queue.

        What is instant goes on all the same until its execution's turn is over: an execution that is done soon is out
        of the way, where many that take turns would all be under way for long.
        """
        found: list[Claimed] = []
        waiting = self._changes.dispatch.next_priority
        for live, draft in batch.drafts.values():
            if not draft.ready:
                continue
            if len(draft.ready) > 1:
                _sort(live.version, draft.ready)
            while draft.ready and self._goes_on(live, draft, draft.ready[0], found, waiting):
                claimed = self._claim(batch, live, draft, draft.ready.pop(0))
                if claimed is not None:
                    live.turn += 1
                    found.append(claimed)
                if len(found) == MOST_AT_ONCE:
                    return found
        if waiting is not None and (not found or found[0].instant):
            self._queue_up(batch)
            self._claim_from_queue(batch, found)
        return found

    def _goes_on(self, live: Live, draft: Draft, key: Key, found: list[Claimed], waiting: int | None) -> bool:
        """`waiting` is the priority of what is first in the queue."""
        instant = live.version.is_instant(key)
        if found and not (instant and found[0].instant):
            return False
        if waiting is None:
            return True
        return instant and live.turn < TURN and self._changes.priority(live.version, draft, key) >= waiting

    def _queue_up(self, batch: _Batch) -> None:
        """Before the commit, so that the next to go is chosen among all; if it fails these hints are wrong, no more."""
        for live, draft in batch.drafts.values():
            if draft.ready:
                self._changes.dispatch.add(self._changes.ready(live.version, draft, key) for key in draft.ready)
                draft.ready.clear()

    def _claim_from_queue(self, batch: _Batch, found: list[Claimed]) -> None:
        dispatch = self._changes.dispatch
        taken = batch.tally.taken
        while (
            len(found) < MOST_AT_ONCE
            and len(taken) < MOST_LOOKED_AT
            and (ready := dispatch.take(instant_only=bool(found))) is not None
        ):
            taken.append(ready)
            live, draft = batch.draft(ready.work.execution_id)
            claimed = self._claim(batch, live, draft, ready.work.key)
            if claimed is not None:
                live.turn = 1
                found.append(claimed)
                if not claimed.instant:
                    break

    def _claim(self, batch: _Batch, live: Live, draft: Draft, key: Key) -> Claimed | None:
        plan = draft.plan
        if plan.gated and planner.has_gate(plan, key) and not self._gates.open(batch.room, live, draft, key):
            return None
        run = planner.claim(draft, key, self._owner, draft.now + self._lease + self.clock_ahead)
        if run is None:
            return None
        item = live.items.get(key) if key.index else None
        return Claimed(draft.execution.id, live, key, run, draft.now, live.version.is_instant(key), item)


def _sort(version: Version, ready: list[Key]) -> None:
    """As the queue would have it."""
    if version.outlook.matters:
        stages, tails = version.plan.stages, version.outlook.tails
        is_instant = version.is_instant
        ready.sort(key=lambda key: (-stages[key.position].priority, not is_instant(key), -tails[key.position]))


class _Batch:
    """What one transaction does to several executions: each has one draft, written once."""

    __slots__ = ("_changes", "_room", "drafts", "lines", "tally", "tx")

    def __init__(self, changes: Changes, tx: Transaction, tally: Tally) -> None:
        self._changes = changes
        self.tx = tx
        self.tally = tally
        self.drafts: dict[str, tuple[Live, Draft]] = {}
        self.lines: list[LogEntry] = []
        self._room: Room | None = None

    @property
    def room(self) -> Room:
        """Made for the first stage that has a gate: most have none."""
        if self._room is None:
            self._room = Room(self.tx, self.drafts)
        return self._room

    def draft(self, execution_id: str) -> tuple[Live, Draft]:
        found = self.drafts.get(execution_id)
        if found is None:
            live = self._changes.touch(self.tx, self.tally, execution_id, trusting=True)
            found = self.drafts[execution_id] = live, self._changes.draft(live)
        return found

    def save(self) -> None:
        for live, draft in self.drafts.values():
            self._changes.save(self.tx, self.tally, live, draft)
        if self.lines:
            self._changes.journal.write(self.tx, self.lines)
