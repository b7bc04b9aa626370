"""The one door through which executions change: load, decide, write in one transaction, then wake and announce."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import NamedTuple, Protocol, TypeVar

from flexiroaster.bus.port import Bus
from flexiroaster.dispatch.inprocess import InProcessDispatch
from flexiroaster.dispatch.port import Ready, Work
from flexiroaster.engine import planner
from flexiroaster.engine.draft import Draft
from flexiroaster.engine.errors import ArtifactsUnavailable, StageError
from flexiroaster.engine.events import Event, EventType
from flexiroaster.engine.expressions import ExpressionError
from flexiroaster.engine.runs import Execution, Key
from flexiroaster.engine.state import EXECUTION_FINAL, ExecutionStatus
from flexiroaster.engine.summary import summarise
from flexiroaster.services.handing_out import forget_ended, hand_out
from flexiroaster.services.item_progress import ItemProgress
from flexiroaster.services.journal import Journal
from flexiroaster.services.live import Live, LiveExecutions, Spilled, Version
from flexiroaster.services.others import NOBODY, Others
from flexiroaster.services.outputs import outputs_of
from flexiroaster.services.scope import ReadSpilled
from flexiroaster.store import progress
from flexiroaster.store.database import Database, Transaction
from flexiroaster.store.progress import Parent

T = TypeVar("T")

STALE_TRIES = 40
LONGEST_STALE_PAUSE = 0.05
"""Seconds before an operation is tried again that another server was faster than, once it has happened before."""
OUTPUTS_FAILED = (ExpressionError, progress.OutputsTooLarge, ArtifactsUnavailable)


class Timers(Protocol):
    """`callback` runs soon after `moment`, unless the process ends first: what is due is also in the database."""

    def at(self, moment: datetime, callback: Callable[[], None]) -> object: ...


Decide = Callable[[Live, Draft], None]


class Settled(NamedTuple):
    """A draft that is written."""

    version: Version
    draft: Draft
    timeout_is_new: bool


class Tally:
    """What an operation touched outside the database: undone when its transaction fails."""

    def __init__(self) -> None:
        self.executions: list[str] = []
        self.taken: list[Ready] = []
        self.settled: list[Settled] = []


class Changes:
    """Shared by everything that changes executions in this process."""

    def __init__(
        self,
        database: Database,
        bus: Bus,
        dispatch: InProcessDispatch,
        timers: Timers,
        *,
        read_spilled: ReadSpilled,
        default_timeout: timedelta | None = None,
        instant_types: frozenset[str] = frozenset(),
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.database = database
        self.bus = bus
        self.dispatch = dispatch
        self.timers = timers
        self.clock = clock
        self.live = LiveExecutions(default_timeout, instant_types)
        self.journal = Journal(database, bus)
        self.others: Others = NOBODY
        self._item_progress = ItemProgress(bus, timers)
        self._read_spilled = read_spilled
        self.on_place_free: Callable[[Transaction, Tally, Execution], None] = lambda tx, tally, execution: None
        """Called in the transaction that ended an execution which had, or waited for, a place among others."""
        self.on_slots_free: Callable[[Mapping[str, int]], None] = lambda freed: None
        """Called after the commit that gave so many slots of these pools back, with the writer held."""
        self.on_child_ended: Callable[[Parent, str], None] = lambda parent, child: None
        """Called after the commit that ended an execution which another one started, with the writer held."""
        self.on_child_left: Callable[[str], None] = lambda child: None
        """The same, where a stage run no longer waits for an execution that it started."""

    def change(self, execution_id: str, decide: Decide, *, durable: bool = False) -> None:
        """Let `decide` fill a draft of this execution, and write it. Raises NotFound and what `decide` raises."""
        tally = Tally()

        def operation(tx: Transaction) -> None:
            live = self.touch(tx, tally, execution_id)
            draft = self.draft(live)
            decide(live, draft)
            self.save(tx, tally, live, draft)

        self.write(operation, tally, durable=durable)

    def draft(self, live: Live) -> Draft:
        return Draft(live.version.plan, live.state, self.clock())

    def touch(self, tx: Transaction, tally: Tally, execution_id: str, *, trusting: bool = False) -> Live:
        """As it is committed. `trusting` takes what is in memory even where another server may have changed it: for
        who writes something in any case, which then fails and is decided anew.
        """
        tally.executions.append(execution_id)
        if self.others.present and not trusting:
            return self.live.current(tx, execution_id)
        return self.live.get(tx, execution_id)

    def write(self, operation: Callable[[Transaction], T], tally: Tally, *, durable: bool = False) -> T:
        """Run an operation; when it fails, memory is dropped so that the next one sees what is committed."""

        def on_failure() -> None:
            for execution_id in tally.executions:
                self.live.forget(execution_id)
            self.journal.put_back()
            self.dispatch.add(tally.taken)
            tally.executions.clear()
            tally.taken.clear()
            tally.settled.clear()

        for tries in range(STALE_TRIES):
            try:
                return self.database.write(operation, durable=durable, on_failure=on_failure)
            except progress.StaleState:  # another process was first; the next try sees what it did
                if tries:
                    time.sleep(random.uniform(0, LONGEST_STALE_PAUSE))  # noqa: S311  # so that one of both gets ahead
        return self.database.write(operation, durable=durable, on_failure=on_failure)

    def save(self, tx: Transaction, tally: Tally, live: Live, draft: Draft) -> None:
        """Write a draft and take it over into memory."""
        before = live.state.execution.status
        self.answer_outputs(live, draft)
        if draft.groups or draft.state.groups:
            hand_out(tx, live, draft)
        ended = draft.execution.status in EXECUTION_FINAL
        if draft.events or draft.runs or draft.ready:
            if ended and before not in EXECUTION_FINAL:
                self._close(tx, live, draft)
            progress.save(tx, draft)
            if draft.plan.gated and (freed := planner.slots_freed(draft)):
                tx.after_commit(partial(self.on_slots_free, freed))
            self.settle(tx, tally, live, draft)
        if ended:
            self.live.forget(draft.execution.id)
            if draft.execution.concurrency_key is not None and before not in EXECUTION_FINAL:
                self.on_place_free(tx, tally, draft.execution)
            if live.parent is not None:
                tx.after_commit(partial(self.on_child_ended, live.parent, draft.execution.id))

    def answer_outputs(self, live: Live, draft: Draft) -> None:
        """Whether an execution succeeds whose stages have. Before anything is claimed of what follows."""
        if not draft.asks_outputs:
            return
        try:
            progress.outputs_text(outputs_of(live, self._read_spilled))
            planner.answer_outputs(draft, None)
        except OUTPUTS_FAILED as failure:
            planner.answer_outputs(draft, _outputs_error(failure))

    def _close(self, tx: Transaction, live: Live, draft: Draft) -> None:
        """An execution that succeeds gets its outputs; one whose outputs cannot be had has failed."""
        wanted = live.version.outputs and not draft.execution.alone
        if draft.execution.status is ExecutionStatus.SUCCESS and wanted:
            try:
                outputs = outputs_of(live, self._read_spilled)
                progress.set_outputs(tx, draft.execution.id, outputs)
                draft.tell_more(EventType.EXECUTION_COMPLETED, outputs=summarise(outputs))
            except OUTPUTS_FAILED as failure:
                planner.fail_outputs(draft, _outputs_error(failure))
        results = {
            stage: None if isinstance(value, Spilled) else value
            for stage, value in live.results.items()
            if value is not None
        }
        if results:
            draft.tell_more(draft.events[-1].type, results=summarise(results))

    def settle(self, tx: Transaction, tally: Tally, live: Live, draft: Draft, *, is_new: bool = False) -> None:
        """Take a written draft over into memory, and say what is to happen after the commit."""
        timeout_is_new = is_new or draft.execution.timeout_at != live.state.execution.timeout_at
        draft.apply()
        if draft.groups:
            forget_ended(live, draft)
        if not tally.settled:
            tx.after_commit(partial(self._announce, tally.settled))
        tally.settled.append(Settled(live.version, draft, timeout_is_new))

    def _announce(self, settled: Sequence[Settled]) -> None:
        """All that an operation did, at once."""
        ready: list[Ready] = []
        events: list[Event] = []
        for version, draft, timeout_is_new in settled:
            execution_id = draft.execution.id
            if draft.ready:
                ready += [self.ready(version, draft, key) for key in draft.ready]
            if draft.to_stop:
                work = [Work(execution_id, key) for key in draft.to_stop]
                self.dispatch.stop(work)
                self.others.stop(work)
            for child in draft.left:
                self.on_child_left(child)
            for key, run in draft.runs.items():
                if run.due_at is not None:
                    self.timers.at(run.due_at, partial(self.wake, execution_id, key))
            timeout_at = draft.execution.timeout_at
            if timeout_at is not None and timeout_is_new:
                self.timers.at(timeout_at, partial(self.time_out, execution_id))
            events += draft.events
        if ready:
            self.dispatch.announce(ready)
        self.journal.add(events)
        self.bus.publish(events)
        for _, draft, _ in settled:
            if draft.groups:
                self._item_progress.changed(draft)

    def ready(self, version: Version, draft: Draft, key: Key) -> Ready:
        """How the queue is told of a stage run that may be claimed."""
        return Ready(
            Work(draft.execution.id, key),
            version.is_instant(key),
            self.priority(version, draft, key),
            version.outlook.tails[key.position],
            pool_of(version, key),
        )

    def priority(self, version: Version, draft: Draft, key: Key) -> int:
        """Higher ones go first."""
        return draft.execution.priority + version.plan.stages[key.position].priority

    def time_out(self, execution_id: str) -> None:
        """The execution's timeout has passed (nothing happens when it has ended, or was retried with a new one)."""

        def decide(live: Live, draft: Draft) -> None:
            due = live.state.execution.timeout_at
            if due is not None and due <= draft.now:
                planner.time_out(draft)

        self.change(execution_id, decide)

    def wake(self, execution_id: str, key: Key) -> None:
        """A retry or a wait may be due (nothing happens when it is not, any more or yet), or a queue timeout."""
        if self._is_old_news(execution_id, key):
            return

        def decide(live: Live, draft: Draft) -> None:
            run = draft.find(key)
            if run is not None and run.due_at is not None and run.due_at <= draft.now:
                planner.wake(draft, key)

        self.change(execution_id, decide)

    def _is_old_news(self, execution_id: str, key: Key) -> bool:
        """Whether nothing can be due there: most queue timeouts are forgotten so, without a transaction."""
        known = None if self.others.present else self.live.known(execution_id)
        if known is not None:
            run = known.state.runs.get(key)
            return run is None or run.due_at is None or run.due_at > self.clock()
        with self.database.read() as connection:
            return progress.has_ended(connection, execution_id)


def pool_of(version: Version, key: Key) -> str | None:
    """A foreach stage's own run needs none, its items do."""
    stage = version.plan.stages[key.position]
    return stage.pool if key.index else stage.own_pool


def _outputs_error(failure: Exception) -> StageError:
    return StageError(f"The outputs could not be made: {failure}", code="outputs_failed")
