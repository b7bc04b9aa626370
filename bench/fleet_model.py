"""A fleet in virtual time: workers that run stages, record them in one database, and tell each other.

It is a discrete-event simulation of what costs something, with costs that `scaling.py` measures on a real engine and a
real PostgreSQL. What it assumes:

- There is always something to run: executions are chains, and another begins when one has ended.
- A stage costs its process `engine` of processor time, of which a process has one core (Python's lock), and the
  database `database` of processor time, of which it has `cores`. Work itself runs elsewhere: in child processes, in
  services, or in libraries that let go of the lock. It takes an exponentially distributed time.
- A process has one writer. It takes all that waits, sends it as one transaction, and waits for the disk once.
- What a process has recorded is told to all others in one message, at most every `pause`; the database pays `tell` for
  the message and `hear` for each of those who listen.
- With Redis the database pays for no message. Redis has one core; where that is busy, news comes later, that is all.
- A process is heard of three times in a lease. The database pays `beat`, and `beat_row` for each of the others.

Not in it: a network that is slow, tables that grow, stages of one large execution that wait for each other's row locks
(executions are many and small), and brokers. What stages move through S3 does not pass the database.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

GROUP_LIMIT = 200
"""As the engine's writer has it."""
WARM_UP = 0.3
"""Of the stages: they are not counted."""


@dataclass(frozen=True)
class Costs:
    """Seconds."""

    engine: float
    database: float
    flush: float
    tell: float
    hear: float
    beat: float
    beat_row: float
    redis_tell: float
    redis_hear: float
    pause: float = 0.02
    lease: float = 30.0


@dataclass(frozen=True)
class Fleet:
    workers: int
    slots: int
    cores: int
    listeners: bool = True
    """Whether messages pass the database; with Redis they do not."""


@dataclass(frozen=True)
class Found:
    """`stages` a second; `cores` of the database that were busy; `latency` in seconds from the end of a stage's work
    until it is recorded."""

    stages: float
    cores: float
    latency: float


def bounds(costs: Costs, fleet: Fleet, work: float) -> dict[str, float]:
    """Stages a second that each resource allows by itself, whatever the others do: no fleet can have more."""
    beats = fleet.workers * 3 / costs.lease * (costs.beat + fleet.workers * costs.beat_row)
    left = max(fleet.cores - beats, 0.0)
    return {
        "slots": fleet.workers * fleet.slots / (work + costs.engine + costs.database + costs.flush),
        "engine": fleet.workers / costs.engine,
        "database": _with_messages(costs, fleet, left),
    }


def _with_messages(costs: Costs, fleet: Fleet, cores: float) -> float:
    """A message tells of all that its process has recorded meanwhile: where the database is slow they are fewer."""
    if not fleet.listeners or fleet.workers < 2:
        return cores / costs.database
    message = costs.tell + (fleet.workers - 1) * costs.hear
    most_told = fleet.slots * (1 + costs.pause / (costs.engine + costs.database + costs.flush))
    all_send = fleet.workers / costs.pause * message
    return max(cores / (costs.database + message / most_told), (cores - all_send) / costs.database)


def news_after(costs: Costs, fleet: Fleet, stages: float) -> float:
    """Seconds until the others know, through Redis, which has one core: a process sends the next message when the one
    before was taken, so that more of them only make it later.
    """
    message = costs.redis_tell + fleet.workers * costs.redis_hear
    wanted = min(stages, fleet.workers / costs.pause)
    return costs.pause if wanted * message < 1 else fleet.workers * message


def simulate(costs: Costs, fleet: Fleet, work: float, stages: int, seed: int = 1) -> Found:
    """Until so many stages were recorded."""
    return _Run(costs, fleet, work, stages, seed).found()


@dataclass
class _Worker:
    waiting: deque[float] = field(default_factory=deque)
    """For the engine: when each came."""
    recording: deque[float] = field(default_factory=deque)
    computing: bool = False
    writing: bool = False
    telling: bool = False


class _Run:
    def __init__(self, costs: Costs, fleet: Fleet, work: float, stages: int, seed: int) -> None:
        self._costs, self._fleet, self._work, self._wanted = costs, fleet, work, stages
        self._random = random.Random(seed)
        self._now = 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._workers = [_Worker() for _ in range(fleet.workers)]
        self._free_cores = fleet.cores
        self._asked: deque[tuple[float, Callable[[], None]]] = deque()
        self._recorded = 0
        self._counted_from = (0.0, 0, 0.0)
        self._busy = 0.0
        self._latencies = 0.0

    def found(self) -> Found:
        for worker in self._workers:
            for _ in range(self._fleet.slots):
                self._begin_work(worker)
            self._after(self._random.uniform(0, self._costs.lease / 3), self._beat)
        while self._recorded < self._wanted:
            self._now, _, event = heapq.heappop(self._events)
            event()
        since, before, busy = self._counted_from
        seconds, stages = self._now - since, self._recorded - before
        return Found(stages / seconds, (self._busy - busy) / seconds, self._latencies / stages)

    def _after(self, seconds: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self._now + seconds, next(self._order), event))

    # ── a stage ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _begin_work(self, worker: _Worker) -> None:
        seconds = self._random.expovariate(1 / self._work) if self._work else 0.0
        self._after(seconds, lambda: self._come(worker))

    def _come(self, worker: _Worker) -> None:
        worker.waiting.append(self._now)
        self._compute(worker)

    def _compute(self, worker: _Worker) -> None:
        """The engine's part, one stage after the other."""
        if worker.computing or not worker.waiting:
            return
        worker.computing = True
        came = worker.waiting.popleft()

        def done() -> None:
            worker.computing = False
            worker.recording.append(came)
            self._write(worker)
            self._compute(worker)

        self._after(self._costs.engine, done)

    def _write(self, worker: _Worker) -> None:
        if worker.writing or not worker.recording:
            return
        worker.writing = True
        group = [worker.recording.popleft() for _ in range(min(len(worker.recording), GROUP_LIMIT))]

        def flushed() -> None:
            worker.writing = False
            for came in group:
                self._record(came)
                self._begin_work(worker)
            self._tell_soon(worker)
            self._write(worker)

        self._ask(len(group) * self._costs.database, lambda: self._after(self._costs.flush, flushed))

    def _record(self, came: float) -> None:
        self._recorded += 1
        self._latencies += self._now - came
        if self._recorded == int(self._wanted * WARM_UP):
            self._counted_from = (self._now, self._recorded, self._busy)
            self._latencies = 0.0

    # ── the database ────────────────────────────────────────────────────────────────────────────────────────────

    def _ask(self, seconds: float, done: Callable[[], None]) -> None:
        if self._free_cores:
            self._serve(seconds, done)
        else:
            self._asked.append((seconds, done))

    def _serve(self, seconds: float, done: Callable[[], None]) -> None:
        self._free_cores -= 1
        self._busy += seconds

        def ended() -> None:
            self._free_cores += 1
            if self._asked:
                self._serve(*self._asked.popleft())
            done()

        self._after(seconds, ended)

    def _tell_soon(self, worker: _Worker) -> None:
        if worker.telling or not self._fleet.listeners or self._fleet.workers < 2:
            return
        worker.telling = True

        def tell() -> None:
            worker.telling = False
            self._ask(self._costs.tell, lambda: None)
            for _ in range(min(self._fleet.cores, self._fleet.workers - 1)):  # listeners are woken side by side
                share = (self._fleet.workers - 1) / min(self._fleet.cores, self._fleet.workers - 1)
                self._ask(share * self._costs.hear, lambda: None)

        self._after(self._costs.pause, tell)

    def _beat(self) -> None:
        self._ask(self._costs.beat + self._fleet.workers * self._costs.beat_row, lambda: None)
        self._after(self._costs.lease / 3, self._beat)
