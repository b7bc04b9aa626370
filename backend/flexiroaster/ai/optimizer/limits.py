"""Timeouts and retries that fit what happened, and how many workers or slots would be enough."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from flexiroaster.ai.optimizer.confidence import PRIOR_SUCCESS, PRIOR_TRIES, of_next, of_share_above, share_between
from flexiroaster.ai.optimizer.graph import Graph
from flexiroaster.ai.optimizer.replay import Arrival, interval, waits
from flexiroaster.ai.optimizer.suggestion import EXECUTIONS_SHOWN, Edit, Suggestion
from flexiroaster.ai.runs import Run
from flexiroaster.ai.wording import span
from flexiroaster.engine.pipeline import WAITING_TYPES
from flexiroaster.engine.plurals import counted

LEAST_RUNS = 20
HEADROOM = 1.5
"""A timeout is this many times the 99th percentile."""
LEAST_TIMEOUT = 10.0
FAR_OFF = 4.0
"""A timeout this many times longer than needed is worth a word; one without any is always."""
LEAST_FAILURES = 10
WORTH = 0.15
"""The least chance of success that another try is worth."""
MOST_ATTEMPTS = 5
NEVER = (0, 0)


def timeouts(graph: Graph, runs: Sequence[Run]) -> list[Suggestion]:
    """For stages whose timeout is none, too short, or much too long: 1.5 times the 99th percentile. Not for those that
    wait: what they wait for has its own.
    """
    found = []
    for id, seconds in _seconds_of_successes(runs).items():
        node = graph.nodes.get(id)
        if node is None or node.kind in WAITING_TYPES or len(seconds) < LEAST_RUNS:
            continue
        p99 = statistics.quantiles(seconds, n=100)[98]
        fitting = max(_rounded(p99 * HEADROOM), LEAST_TIMEOUT)
        now = None if node.timeout is None else node.timeout.total_seconds()
        if now is not None and p99 <= now <= fitting * FAR_OFF:
            continue
        if now is None:
            why = "It has no timeout of its own, so a run that hangs is noticed late."
        elif now < p99:
            why = f"Its timeout of {span(now)} stops runs that would end well."
        else:
            why = f"Its timeout of {span(now)} notices a run that hangs late."
        hung = [
            took - fitting for run in runs if run.stage == id and run.failed and (took := run.seconds or 0) > fitting
        ]
        stopped = sum(took > fitting for took in seconds)
        text = (
            f"Give {id} a timeout of {span(fitting)}: 99 of 100 runs took at most {span(p99)} "
            f"({len(seconds)} runs). {why} {_replayed(stopped, hung)}"
        )
        edits = (Edit(id, ("timeout",), f"{fitting:g}s"),)
        numbers = {"p99": p99, "timeout": fitting, "now": now or 0.0, "stopped": stopped, "hung": len(hung)}
        sure = of_next(len(seconds) - stopped, len(seconds))
        found.append(
            Suggestion(
                "timeout",
                graph.pipeline,
                (id,),
                text,
                None,
                edits,
                len(seconds),
                numbers,
                sure,
                _shown(run for run in runs if run.stage == id and run.status == "success"),
            )
        )
    return found


def _replayed(stopped: int, hung: Sequence[float]) -> str:
    """What it would have meant for the runs there were."""
    good = f"have stopped {counted(stopped, 'good run')}" if stopped else "have stopped no good run"
    if not hung:
        return f"Replayed, it would {good}."
    ended = "have ended one that failed" if len(hung) == 1 else f"have ended {len(hung)} that failed"
    return f"Replayed, it would {ended} {span(statistics.median(hung))} earlier, and {good}."


def retries(graph: Graph, runs: Sequence[Run]) -> list[Suggestion]:
    """For stages that fail: one attempt fewer than the first that was not worth it, or one more than there are where
    that has helped (when people retried, or as the last attempt so far).
    """
    found = []
    for id, tries in _tries(runs).items():
        node = graph.nodes.get(id)
        failures = sum(failed for _, failed in tries.values())
        if node is None or failures < LEAST_FAILURES:
            continue
        now = node.max_attempts
        wanted, shown = _attempts(tries, now)
        if wanted == now:
            continue
        seen, failed = tries[shown]
        text = (
            f"Let {id} try {counted(wanted, 'time')} instead of {now}: attempt {shown} succeeded {seen - failed} of "
            f"{counted(seen, 'time')}."
        )
        edits = (Edit(id, ("retry", "max_attempts"), wanted),)
        numbers = {"attempts": float(wanted), "now": float(now), "seen": float(seen), "failed": float(failed)}
        more, told = _spared(id, runs, wanted) if wanted < now else _rescued(tries, now, shown)
        if more is None:
            continue
        text, numbers = f"{text} {told}", numbers | more
        worth = of_share_above(seen - failed, seen, WORTH)
        sure = worth if wanted > now else 1 - worth
        shown_by = _shown(run for run in runs if run.stage == id and run.attempt == shown)
        found.append(Suggestion("retry", graph.pipeline, (id,), text, None, edits, seen, numbers, sure, shown_by))
    return found


def _spared(id: str, runs: Sequence[Run], wanted: int) -> tuple[dict[str, float] | None, str]:
    """Of fewer attempts: the executions played again without those that are left out. None where the time they spare is
    as likely none."""
    ends: dict[str, dict[int, Run]] = defaultdict(dict)
    for run in runs:
        if run.stage == id and run.ended_at is not None:
            ends[run.execution][run.attempt] = run
    cut = [own for own in ends.values() if max(own) > wanted and wanted in own and own[wanted].failed]
    spared = [(own[max(own)].ended_at or 0.0) - (own[wanted].ended_at or 0.0) for own in cut if own[max(own)].failed]
    lost = len(cut) - len(spared)
    if not spared:
        return None, ""
    low, high = interval(spared)
    if low <= 0:
        return None, ""
    numbers = {"spared": statistics.median(spared), "spared_low": low, "spared_high": high, "lost": float(lost)}
    also = f"; {counted(lost, 'execution')} that passed would have failed" if lost else ""
    told = (
        f"Replayed, {counted(len(spared), 'execution')} that failed anyway would have ended "
        f"{span(numbers['spared'])} earlier ({span(low)} to {span(high)}){also}."
    )
    return numbers, told


def _rescued(tries: Mapping[int, tuple[int, int]], now: int, shown: int) -> tuple[dict[str, float] | None, str]:
    """Of one more attempt: how many of the executions that failed at the last one it would have rescued."""
    seen, failed = tries[shown]
    lost = tries[now][1]
    low, high = share_between(seen - failed, seen)
    numbers = {"rescued": lost * (seen - failed) / seen, "rescued_low": lost * low, "rescued_high": lost * high}
    told = (
        f"Of {counted(lost, 'execution')} that failed at attempt {now}, {numbers['rescued']:.0f} would have passed "
        f"({numbers['rescued_low']:.0f} to {numbers['rescued_high']:.0f} nine times in ten)."
    )
    return (numbers, told) if round(numbers["rescued_low"]) > 0 else (None, "")


def _attempts(tries: Mapping[int, tuple[int, int]], now: int) -> tuple[int, int]:
    """How many there should be, and the attempt that shows it."""
    for attempt in range(2, now + 1):
        if tries.get(attempt, NEVER)[0] >= LEAST_FAILURES and _chance(tries[attempt]) < WORTH:
            return attempt - 1, attempt
    for shown in (now + 1, now):
        seen, _ = tries.get(shown, NEVER)
        enough = shown > 1 and seen >= LEAST_FAILURES and _chance(tries[shown]) >= WORTH
        if enough and now < MOST_ATTEMPTS and tries.get(now, NEVER)[1] >= LEAST_FAILURES:
            return now + 1, shown
    return now, now


def _chance(tried: tuple[int, int]) -> float:
    seen, failed = tried
    return (seen - failed + PRIOR_SUCCESS) / (seen + PRIOR_TRIES)


@dataclass(frozen=True, slots=True)
class Size:
    """How long work would wait for one of so many workers."""

    workers: int
    median_wait: float
    p95_wait: float


def sizes(runs: Iterable[Run], candidates: Iterable[int]) -> list[Size]:
    """What other numbers of workers (or slots of a pool) would have meant for these runs, in their real order."""
    arrivals = [
        Arrival(run.queued_at if run.queued_at is not None else run.started_at, run.seconds)
        for run in runs
        if run.stage and run.seconds is not None
    ]
    found = []
    for workers in candidates:
        waited = sorted(waits(arrivals, workers))
        if waited:
            found.append(Size(workers, waited[len(waited) // 2], waited[int(len(waited) * 0.95)]))
    return found


def _shown(runs: Iterable[Run]) -> tuple[str, ...]:
    latest = sorted(runs, key=lambda run: run.started_at, reverse=True)
    return tuple(dict.fromkeys(run.execution for run in latest))[:EXECUTIONS_SHOWN]


def _seconds_of_successes(runs: Iterable[Run]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = defaultdict(list)
    for run in runs:
        if run.stage and run.status == "success" and run.seconds is not None:
            found[run.stage].append(run.seconds)
    return found


def _tries(runs: Iterable[Run]) -> dict[str, dict[int, tuple[int, int]]]:
    """By stage and attempt: how many ended, and how many of them failed."""
    found: dict[str, dict[int, tuple[int, int]]] = defaultdict(dict)
    for run in runs:
        if run.stage and run.status in ("success", "failed", "timed_out"):
            seen, failed = found[run.stage].get(run.attempt, (0, 0))
            found[run.stage][run.attempt] = seen + 1, failed + run.failed
    return found


def _rounded(seconds: float) -> float:
    """Up, to what a person would write."""
    for step, below in ((1.0, 30.0), (5.0, 120.0), (30.0, 900.0), (60.0, 7_200.0)):
        if seconds < below:
            return -(-seconds // step) * step
    return -(-seconds // 600.0) * 600.0
