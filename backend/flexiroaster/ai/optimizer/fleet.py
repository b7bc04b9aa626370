"""Executions of several pipelines run again in simulated time, sharing workers, pools and places as they did."""

from __future__ import annotations

import heapq
import itertools
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from flexiroaster.ai.runs import Run

UNDEFINED_POOL = 1
"""Slots of a pool that nobody defined."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A stage run, or one item of a foreach stage, as it was recorded. Seconds."""

    stage: str
    needs: tuple[int, ...]
    """Places of other units of the job."""
    seconds: float
    """For which it holds a worker, in all attempts."""
    lag: float
    """From the end of what it needs until it is ready, whoever made it wait so long."""
    pause: float
    """Between its attempts, when it holds nothing."""
    pool: str


@dataclass(frozen=True, slots=True)
class Job:
    """One execution. `at` is when it was asked for, seconds since 1970."""

    id: str
    pipeline: str
    at: float
    trigger: str
    places: str
    """Executions with the same share places; empty where any number may run."""
    units: tuple[Unit, ...]
    took: float
    """From then to its last end."""
    waited: float
    """Of that, for a place, a slot or a worker."""


@dataclass(frozen=True, slots=True)
class Limits:
    """`workers` None: there is always one free. `slots` by pool, `places` by the name of a job's places."""

    workers: int | None = None
    slots: Mapping[str, int] = field(default_factory=dict)
    places: Mapping[str, int] = field(default_factory=dict)


def jobs_of(runs: Iterable[Run]) -> list[Job]:
    """Of executions that have ended, in the order in which they were asked for; of those asked for at one moment, in
    the order in which they began: replayed in another, each would wait for the other. Runs of whole executions tell
    when they were asked for; without one, the first stage that was ready does.
    """
    wholes: dict[str, Run] = {}
    stages: dict[str, list[Run]] = defaultdict(list)
    needs: dict[str, dict[str, tuple[str, ...]]] = defaultdict(dict)
    for run in runs:
        if run.stage:
            stages[run.execution].append(run)
            needs[run.pipeline][run.stage] = run.needs
        else:
            wholes[run.execution] = run
    began = {id: min(run.started_at for run in own) for id, own in stages.items()}
    found = [
        _job(own, wholes.get(id), {**needs[own[0].pipeline], **{run.stage: run.needs for run in own}})
        for id, own in stages.items()
        if all(run.ended_at is not None for run in own)
    ]
    return sorted(found, key=lambda job: (job.at, began[job.id], job.id))


def _job(runs: Sequence[Run], whole: Run | None, needs: Mapping[str, tuple[str, ...]]) -> Job:
    by_item: dict[str, dict[str, list[Run]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        by_item[run.stage][run.item].append(run)
    for items in by_item.values():
        if len(items) > 1:  # they work; the stage itself only waits for them
            items.pop("", None)
    admitted = min(_ready(run) for run in runs)
    asked = admitted if whole is None or whole.queued_at is None else min(whole.queued_at, admitted)
    places: dict[str, list[int]] = {}
    units: list[Unit] = []
    ends: list[float] = []
    waited = admitted - asked
    for stage in _ordered(by_item, needs):
        before = [place for need in _present(stage, by_item, needs) for place in places.get(need, ())]
        places[stage] = []
        for attempts in by_item[stage].values():
            first = min(attempts, key=lambda run: run.started_at)
            ready, end = _ready(first), max(run.ended_at or run.started_at for run in attempts)
            busy = sum(run.seconds or 0.0 for run in attempts)
            free = max((ends[place] for place in before), default=admitted)
            waited += first.started_at - ready
            places[stage].append(len(units))
            units.append(
                Unit(
                    stage,
                    tuple(before),
                    busy,
                    max(ready - free, 0.0),
                    max(end - first.started_at - busy, 0.0),
                    first.pool,
                )
            )
            ends.append(end)
    one = runs[0]
    group = "" if whole is None else whole.places
    trigger = one.trigger if whole is None else whole.trigger
    return Job(one.execution, one.pipeline, asked, trigger, group, tuple(units), max(ends) - asked, waited)


def _ready(run: Run) -> float:
    return run.started_at if run.queued_at is None else min(run.queued_at, run.started_at)


def _present(stage: str, ran: Mapping[str, object], needs: Mapping[str, tuple[str, ...]]) -> set[str]:
    """What it waited for among those that ran: for one that did not, what that waited for."""
    found: set[str] = set()
    seen: set[str] = set()
    waiting = list(needs.get(stage, ()))
    while waiting:
        need = waiting.pop()
        if need in seen:
            continue
        seen.add(need)
        if need in ran:
            found.add(need)
        else:
            waiting += needs.get(need, ())
    return found


def _ordered(ran: Mapping[str, object], needs: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Each stage after those it waited for."""
    found: dict[str, None] = {}
    left = {stage: _present(stage, ran, needs) - {stage} for stage in ran}
    while left:
        ready = [stage for stage, before in left.items() if before <= found.keys()]
        for stage in ready or list(left):  # versions that disagree about their order are played as they come
            found[stage] = None
            del left[stage]
    return list(found)


def play(jobs: Sequence[Job], limits: Limits) -> list[float]:
    """When each job would have ended."""
    return _Play(jobs, limits).ends()


class _Play:
    """First come, first served: for places, for the slots of each pool, and for workers."""

    def __init__(self, jobs: Sequence[Job], limits: Limits) -> None:
        self._jobs = jobs
        self._free = limits.workers
        self._slots = dict(limits.slots)
        self._places = dict(limits.places)
        self._queues: dict[str, deque[tuple[int, int, int]]] = defaultdict(deque)
        """By pool, with the number of arrival first."""
        self._waiting: dict[str, deque[int]] = defaultdict(deque)
        self._arrivals = itertools.count()
        self._events: list[tuple[float, int, int, int, str]] = []
        self._left = [[len(unit.needs) for unit in job.units] for job in jobs]
        self._open = [len(job.units) for job in jobs]
        self._ends = [job.at for job in jobs]
        self._known_followers: dict[int, list[list[int]]] = {}

    def ends(self) -> list[float]:
        for number, job in enumerate(self._jobs):
            self._at(job.at, number, -1, "asked")
        while self._events:
            now = self._events[0][0]
            while self._events and self._events[0][0] <= now:
                _, _, number, unit, what = heapq.heappop(self._events)
                self._happened(now, number, unit, what)
            self._start(now)
        return self._ends

    def _at(self, moment: float, number: int, unit: int, what: str) -> None:
        heapq.heappush(self._events, (moment, next(self._arrivals), number, unit, what))

    def _happened(self, now: float, number: int, unit: int, what: str) -> None:
        if what == "asked":
            self._ask(now, number)
        elif what == "ready":
            pool = self._jobs[number].units[unit].pool
            self._queues[pool].append((next(self._arrivals), number, unit))
        elif what == "freed":
            self._give_back(now, number, unit)
        else:
            self._over(now, number, unit)

    def _ask(self, now: float, number: int) -> None:
        group = self._jobs[number].places
        if group in self._places:
            if self._places[group] <= 0:
                self._waiting[group].append(number)
                return
            self._places[group] -= 1
        self._admit(now, number)

    def _admit(self, now: float, number: int) -> None:
        units = self._jobs[number].units
        for place, unit in enumerate(units):
            if not unit.needs:
                self._at(now + unit.lag, number, place, "ready")

    def _start(self, now: float) -> None:
        while self._free is None or self._free > 0:
            heads = [(queue[0], pool) for pool, queue in self._queues.items() if queue and self._has_slot(pool)]
            if not heads:
                return
            (_, number, unit), pool = min(heads)
            self._queues[pool].popleft()
            if self._free is not None:
                self._free -= 1
            if pool:
                self._slots[pool] = self._slots.get(pool, UNDEFINED_POOL) - 1
            self._at(now + self._jobs[number].units[unit].seconds, number, unit, "freed")

    def _has_slot(self, pool: str) -> bool:
        return not pool or self._slots.get(pool, UNDEFINED_POOL) > 0

    def _give_back(self, now: float, number: int, unit: int) -> None:
        ran = self._jobs[number].units[unit]
        if self._free is not None:
            self._free += 1
        if ran.pool:
            self._slots[ran.pool] += 1
        if ran.pause:
            self._at(now + ran.pause, number, unit, "over")
        else:
            self._over(now, number, unit)

    def _over(self, now: float, number: int, unit: int) -> None:
        job = self._jobs[number]
        for place in self._followers(number)[unit]:
            self._left[number][place] -= 1
            if not self._left[number][place]:
                self._at(now + job.units[place].lag, number, place, "ready")
        self._open[number] -= 1
        if not self._open[number]:
            self._ends[number] = now
            self._leave(now, job.places)

    def _leave(self, now: float, group: str) -> None:
        if group not in self._places:
            return
        if self._waiting[group]:
            self._admit(now, self._waiting[group].popleft())
        else:
            self._places[group] += 1

    def _followers(self, number: int) -> list[list[int]]:
        if number not in self._known_followers:
            units = self._jobs[number].units
            found: list[list[int]] = [[] for _ in units]
            for place, unit in enumerate(units):
                for need in unit.needs:
                    found[need].append(place)
            self._known_followers[number] = found
        return self._known_followers[number]
