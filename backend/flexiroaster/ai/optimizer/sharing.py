"""What executions wait for together: pools, places and moments, and what other sizes or times would save them."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from flexiroaster.ai.optimizer.advise import Advice
from flexiroaster.ai.optimizer.confidence import of_saving
from flexiroaster.ai.optimizer.fleet import UNDEFINED_POOL, Job, Limits, jobs_of, play
from flexiroaster.ai.optimizer.replay import Saving, interval
from flexiroaster.ai.optimizer.suggestion import EXECUTIONS_SHOWN, Call, Edit, Kind, NotEnough, Suggestion
from flexiroaster.ai.optimizer.times import later, only_schedule
from flexiroaster.ai.runs import DAY, HOUR, Run
from flexiroaster.ai.wording import span
from flexiroaster.engine.plurals import counted

NEWEST = 3_000
"""Executions that are played together."""
WANTED = 20
"""Executions that waited, before anything is said of what they waited for."""
LEAST_TOLD = 5
"""That waited, before it is said that more may show something."""
LEAST_PERIODS = 5
"""Hours, or days where there are ten of them, in which they did: a single crowded evening is no habit."""
MANY_DAYS = 10
LEAST_WAIT = 1.0
LEAST_SHARE = 0.05
"""Of the duration of those that wait."""
LARGER = (1, 2, 3, 4, 6, 8)
"""By how much a number of slots or places is raised."""
GOOD_ENOUGH = 0.8
"""The smallest is taken that saves so much of what the largest would."""
SHIFTS = (5, 10, 15, 20, 30, 45)
"""Minutes later."""
MOST_NAMED = 3
MOST_SCHEDULES = 12
"""That are tried at other times, those whose executions wait most."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What there is: `documents` are the newest definitions by pipeline, `slots` those of defined pools."""

    documents: Mapping[str, Mapping[str, Any]]
    slots: Mapping[str, int]
    workers: int | None = None


def sharing(runs: Iterable[Run | Mapping[str, Any]], scene: Scene) -> Advice:
    """The best of each kind first. `runs` are those of all pipelines: whole executions with their `places`, stage runs
    with their `pool`, and in place of a foreach stage its items."""
    known = [run for row in runs if (run := Run.of(row)).pipeline in scene.documents]
    jobs = jobs_of(known)
    if scene.workers is None or _peak(known) < scene.workers:
        scene = replace(scene, workers=None)
        jobs = [job for job in jobs if job.places or any(unit.pool for unit in job.units)]
    if not jobs:
        return Advice([], [])
    shared = _Shared(jobs[-NEWEST:], scene)
    return _together([*_pools(shared), *_concurrency(shared), *_schedules(shared)])


def _peak(runs: Iterable[Run]) -> int:
    """How many stages ran at once, at most: where there was always a worker free, each execution goes its own way."""
    moments = [(run.started_at, 1) for run in runs if run.stage and run.ended_at is not None]
    moments += [(run.ended_at, -1) for run in runs if run.stage and run.ended_at is not None]
    running = most = 0
    for _, change in sorted(moments):
        running += change
        most = max(most, running)
    return most


def _together(found: Sequence[Suggestion | NotEnough]) -> Advice:
    return Advice(
        [one for one in found if isinstance(one, Suggestion)], [one for one in found if isinstance(one, NotEnough)]
    )


class _Shared:
    """The executions as they were played with the limits there are."""

    def __init__(self, jobs: Sequence[Job], scene: Scene) -> None:
        self.jobs = jobs
        self.scene = scene
        self.limits = Limits(scene.workers, scene.slots, _places(jobs, scene.documents))
        self.now = self._took(play(jobs, self.limits))
        self.off = [now - job.took for now, job in zip(self.now, jobs, strict=True)]

    def saved(self, limits: Limits | None = None, jobs: Sequence[Job] | None = None) -> list[float]:
        """Seconds of each execution. None saves more than it has really waited: whatever else a replay shows is its
        own doing."""
        moved = jobs or self.jobs
        ends = play(moved, limits or self.limits)
        return [min(now - (end - job.at), job.waited) for now, end, job in zip(self.now, ends, moved, strict=True)]

    def saving(self, saved: Sequence[float], touched: Sequence[int]) -> Saving | None:
        """Of those executions; None where chance may have brought it, or others lose what they gain."""
        if not touched or sum(saved) <= 0:
            return None
        own = [saved[place] for place in touched]
        low, high = interval(own, blocks=[self.period(place, touched) for place in touched])
        median = statistics.median(own)
        usual = statistics.median(self.now[place] for place in touched)
        sure = of_saving(own, [self.off[place] for place in touched])
        found = Saving(median, low, high, median / max(usual, 1e-9), len(own), sure)
        return found if found.is_worth(LEAST_SHARE) else None

    def enough(self, touched: Sequence[int]) -> bool:
        periods = {self.period(place, touched) for place in touched}
        return len(touched) >= WANTED and len(periods) >= LEAST_PERIODS

    def too_few(self, pipeline: str, touched: Sequence[int], kind: Kind, about: str) -> list[NotEnough]:
        """Those few are not worth a word yet; or there are enough, but all at the same times."""
        if len(touched) < LEAST_TOLD:
            return []
        return [NotEnough(pipeline, min(len(touched), WANTED - 1), WANTED, kind, about)]

    def period(self, place: int, touched: Sequence[int]) -> int:
        """What waits at the same time waits for one reason: such are one piece of evidence."""
        days = {self.jobs[one].at // DAY for one in touched}
        return int(self.jobs[place].at // (DAY if len(days) >= MANY_DAYS else HOUR))

    def shown(self, touched: Sequence[int]) -> tuple[str, ...]:
        return tuple(self.jobs[place].id for place in reversed(touched))[:EXECUTIONS_SHOWN]

    def _took(self, ends: Sequence[float]) -> list[float]:
        return [end - job.at for end, job in zip(ends, self.jobs, strict=True)]


def _places(jobs: Sequence[Job], documents: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    found = {}
    for job in jobs:
        policy = documents[job.pipeline].get("concurrency")
        if job.places and policy and policy.get("when_full", "queue") == "queue":
            found[job.places] = int(policy.get("limit", 1))
    return found


@dataclass(frozen=True, slots=True)
class _Size:
    """A larger number and what it saves whom."""

    number: int
    saved: list[float]


def _larger(shared: _Shared, now: int, widened: Callable[[int], Limits]) -> tuple[_Size, list[int], dict[str, float]]:
    """The smallest that is nearly as good as the largest, the executions that wait for want of it, and the mean of what
    each number saves them."""
    sizes = [_Size(now + more, shared.saved(widened(now + more))) for more in LARGER]
    best = max(sum(size.saved) for size in sizes)
    chosen = next(size for size in sizes if sum(size.saved) >= GOOD_ENOUGH * best)
    most = sizes[-1].saved
    touched = [place for place, seconds in enumerate(most) if seconds > LEAST_WAIT]
    means = {
        f"saving_{size.number}": statistics.fmean(size.saved[place] for place in touched) if touched else 0.0
        for size in sizes
    }
    return chosen, touched, means


# --- Pools ------------------------------------------------------------------------------------------------------------


def _pools(shared: _Shared) -> list[Suggestion | NotEnough]:
    found: list[Suggestion | NotEnough] = []
    for pool in sorted({unit.pool for job in shared.jobs for unit in job.units if unit.pool}):
        now = shared.scene.slots.get(pool, UNDEFINED_POOL)
        if now < 1:
            continue

        def widened(number: int, pool: str = pool) -> Limits:
            return replace(shared.limits, slots={**shared.limits.slots, pool: number})

        chosen, touched, means = _larger(shared, now, widened)
        if not touched:
            continue
        gaining = Counter(shared.jobs[place].pipeline for place in touched)
        pipeline = gaining.most_common(1)[0][0]
        if not shared.enough(touched):
            found += shared.too_few(pipeline, touched, "pool", pool)
        elif saving := shared.saving(chosen.saved, touched):
            found.append(_pool(shared, pool, now, chosen.number, saving, touched, gaining, means))
    return found


def _pool(
    shared: _Shared,
    pool: str,
    now: int,
    wanted: int,
    saving: Saving,
    touched: Sequence[int],
    gaining: Counter[str],
    means: Mapping[str, float],
) -> Suggestion:
    using = [job for job in shared.jobs if any(unit.pool == pool for unit in job.units)]
    pipeline = gaining.most_common(1)[0][0]
    stages = sorted(
        {unit.stage for job in using if job.pipeline == pipeline for unit in job.units if unit.pool == pool}
    )
    text = (
        f"Give pool {pool} {counted(wanted, 'slot')} instead of {now}: {len(touched)} of {len(using)} executions of "
        f"{_names(gaining)} waited for one. They would end {span(saving.median)} earlier ({saving.share:.0%}), "
        f"replayed with all that shared it. Check first that what it guards bears {wanted} at once."
    )
    call = Call("PUT", f"/api/pools/{pool}", {"slots": wanted})
    numbers = {**means, "slots": float(wanted), "now": float(now), "waited": float(len(touched))}
    return _of(shared, "pool", pipeline, tuple(stages), text, saving, (), touched, numbers, call)


# --- Places -----------------------------------------------------------------------------------------------------------


def _concurrency(shared: _Shared) -> list[Suggestion | NotEnough]:
    found: list[Suggestion | NotEnough] = []
    for pipeline in sorted({job.pipeline for job in shared.jobs if job.places in shared.limits.places}):
        groups = {job.places for job in shared.jobs if job.pipeline == pipeline} & shared.limits.places.keys()
        now = int(shared.scene.documents[pipeline]["concurrency"].get("limit", 1))

        def widened(number: int, groups: set[str] = groups) -> Limits:
            return replace(shared.limits, places={**shared.limits.places, **dict.fromkeys(groups, number)})

        chosen, touched, means = _larger(shared, now, widened)
        own = [place for place in touched if shared.jobs[place].pipeline == pipeline]
        if not own:
            continue
        if not shared.enough(own):
            found += shared.too_few(pipeline, own, "concurrency", pipeline)
        elif saving := shared.saving(chosen.saved, own):
            every = sum(job.pipeline == pipeline for job in shared.jobs)
            text = (
                f"Let {counted(chosen.number, 'execution')} of {pipeline} run at once instead of {now}: {len(own)} of "
                f"{every} waited for others to end. They would end {span(saving.median)} earlier "
                f"({saving.share:.0%}), replayed in their real order. Check first that they may run beside each other."
            )
            edits = (Edit("", ("concurrency", "limit"), chosen.number),)
            numbers = {**means, "limit": float(chosen.number), "now": float(now), "waited": float(len(own))}
            found.append(_of(shared, "concurrency", pipeline, (), text, saving, edits, own, numbers, None))
    return found


# --- Schedules --------------------------------------------------------------------------------------------------------


def _schedules(shared: _Shared) -> list[Suggestion | NotEnough]:
    """The one schedule whose other time spares all of them most: after that, they are looked at anew."""
    best: tuple[float, Suggestion] | None = None
    missing: list[NotEnough] = []
    waited: Counter[str] = Counter()
    for job in shared.jobs:
        if job.trigger == "schedule":
            waited[job.pipeline] += int(job.waited > LEAST_WAIT)
    for pipeline, _ in waited.most_common(MOST_SCHEDULES):
        trigger = only_schedule(shared.scene.documents[pipeline])
        if trigger is None:
            continue
        found = _moved(shared, pipeline, trigger)
        if isinstance(found, NotEnough):
            missing.append(found)
        elif found is not None and (best is None or found[0] > best[0]):
            best = found
    return [best[1]] if best is not None else list(missing)


def _moved(shared: _Shared, pipeline: str, trigger: Mapping[str, Any]) -> tuple[float, Suggestion] | NotEnough | None:
    tries = []
    for minutes in SHIFTS:
        cron = later(str(trigger["cron"]), minutes)
        if cron is not None:
            saved = shared.saved(jobs=[_shifted(job, pipeline, minutes) for job in shared.jobs])
            tries.append((minutes, cron, saved))
    best = max((sum(saved) for _, _, saved in tries), default=0.0)
    if best <= 0:
        return None
    minutes, cron, saved = next(one for one in tries if sum(one[2]) >= GOOD_ENOUGH * best)
    touched = [place for place, seconds in enumerate(saved) if abs(seconds) > LEAST_WAIT]
    if not shared.enough(touched):
        return next(iter(shared.too_few(pipeline, touched, "schedule", str(trigger["id"]))), None)
    saving = shared.saving(saved, touched)
    if saving is None:
        return None
    names = Counter(shared.jobs[place].pipeline for place in touched)
    text = (
        f"Start {pipeline} {minutes} minutes later: {len(touched)} executions of {_names(names)} waited for each "
        f"other. They would take {span(saving.median)} less ({saving.share:.0%}) from their start on, replayed with "
        f"all that ran then. {pipeline} itself would end later by what is left of the {minutes} minutes."
    )
    edits = (Edit("", ("triggers", str(trigger["id"]), "cron"), cron),)
    numbers = {"minutes": float(minutes), "waited": float(len(touched))}
    return sum(saved), _of(shared, "schedule", pipeline, (), text, saving, edits, touched, numbers, None)


def _shifted(job: Job, pipeline: str, minutes: int) -> Job:
    moved = job.pipeline == pipeline and job.trigger == "schedule"
    return replace(job, at=job.at + 60.0 * minutes) if moved else job


def _of(
    shared: _Shared,
    kind: Kind,
    pipeline: str,
    stages: tuple[str, ...],
    text: str,
    saving: Saving,
    edits: tuple[Edit, ...],
    touched: Sequence[int],
    numbers: Mapping[str, float],
    call: Call | None,
) -> Suggestion:
    more = {"saving_low": saving.low, "saving_high": saving.high}
    shown = shared.shown(touched)
    return Suggestion(
        kind, pipeline, stages, text, saving, edits, len(touched), {**numbers, **more}, saving.confidence, shown, call
    )


def _names(pipelines: Counter[str]) -> str:
    names = [name for name, _ in pipelines.most_common(MOST_NAMED)]
    if len(pipelines) > MOST_NAMED:
        names.append(counted(len(pipelines) - MOST_NAMED, "other"))
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
