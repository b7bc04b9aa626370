"""Events on their way to the log: told as lines and written in bulk a moment after their transaction.

The events are the truth and are committed with what they announce; their lines can be made again. So they need not
cost a stage anything: they wait here until a fifth of a second has passed, a stage's own lines are written, or
somebody reads the log. What a killed process still had is told at the next start.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from flexiroaster.bus.port import Bus
from flexiroaster.engine.events import Event
from flexiroaster.services.narration import as_events, is_told, narrate
from flexiroaster.store import progress
from flexiroaster.store.database import Database, Transaction
from flexiroaster.store.progress import LogEntry

LONGEST_DELAY = timedelta(seconds=10)
"""How long before the newest line an event may have happened that was not told: a busy moment, generously."""


class Journal:
    """Changed only by the holder of the writer: in operations, and in what runs after their commits."""

    def __init__(self, database: Database, bus: Bus) -> None:
        self._database = database
        self._bus = bus
        self._untold: list[Event] = []
        self._being_written: list[Event] = []
        self._unsure = False
        """Whether what waits may have been told: a write that failed may be committed though its answer was lost, and
        what has waited for long others take for theirs to tell."""
        self.on_waiting: Callable[[], None] = lambda: None
        """Called when there is something to write; whoever listens calls `flush` a moment later."""

    def add(self, events: Sequence[Event]) -> None:
        """After the commit of the events."""
        if not self._untold:
            self.on_waiting()
        self._untold.extend(events)

    def write(self, tx: Transaction, lines: Sequence[LogEntry] = ()) -> None:
        """What waits, then these lines, in this transaction. Call `put_back` when it fails."""
        if self._unsure:
            self._leave_out_told(tx)
        self._being_written += self._untold
        told = [*narrate(self._untold), *lines]
        self._untold = []
        if told:
            progress.insert_logs(tx, told)
            tx.after_commit(lambda: self._written(told))

    def put_back(self) -> None:
        """The transaction that was to write failed."""
        if self._being_written:
            self._unsure = True
        self._untold = self._being_written + self._untold
        self._being_written = []

    def flush(self) -> None:
        """Everything that happened before this call can be read in the log after it."""
        if self._untold or self._being_written:
            self._database.write(self.write, on_failure=self.put_back)

    def catch_up(self) -> None:
        """Tell what an earlier process did not come to tell; called before anything else happens."""
        with self._database.read() as connection:
            self._untold = [event for event in progress.untold(connection, LONGEST_DELAY) if is_told(event)]
        self.flush()

    def tell_late(self, tx: Transaction, since: datetime, until: datetime) -> None:
        """What happened between two moments and no line tells: its server died, or never heard of its own commit.

        Until the commit nobody else tells such.
        """
        tx.fetch("lock_gate", ("journal",))
        known = {(event.execution_id, event.seq) for event in self._untold}
        found = progress.untold_between(tx.sa, since, until)
        late = [event for event in found if is_told(event) and (event.execution_id, event.seq) not in known]
        self._untold = late + self._untold
        self.write(tx)

    def _leave_out_told(self, tx: Transaction) -> None:
        """Until the commit nobody else tells what happened long ago."""
        tx.fetch("lock_gate", ("journal",))
        told = progress.told(tx.sa, {event.execution_id for event in self._untold})
        self._untold = [event for event in self._untold if (event.execution_id, event.seq) not in told]

    def _written(self, lines: Sequence[LogEntry]) -> None:
        self._being_written = []
        self._unsure = False
        self._bus.publish(as_events(lines))
