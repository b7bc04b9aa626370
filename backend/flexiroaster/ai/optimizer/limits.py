"""Timeouts and retries that fit what happened, and how many workers or slots would be enough."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from flexiroaster.ai.optimizer.confidence import PRIOR_SUCCESS, PRIOR_TRIES, of_next, of_share_above
from flexiroaster.ai.optimizer.graph import Graph
from flexiroaster.ai.optimizer.replay import Arrival, waits
from flexiroaster.ai.optimizer.suggestion import EXECUTIONS_SHOWN, Edit, Suggestion
from flexiroaster.ai.runs import Run
from flexiroaster.ai.wording import span
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
    """For stages whose timeout is none, too short, or much too long: 1.5 times the 99th percentile."""
    found = []
    for id, seconds in _seconds_of_successes(runs).items():
        node = graph.nodes.get(id)
        if node is None or len(seconds) < LEAST_RUNS:
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
        text = (
            f"Give {id} a timeout of {span(fitting)}: 99 of 100 runs took at most {span(p99)} "
            f"({len(seconds)} runs). {why}"
        )
        edits = (Edit(id, ("timeout",), f"{fitting:g}s"),)
        numbers = {"p99": p99, "timeout": fitting, "now": now or 0.0}
        sure = of_next(sum(took <= fitting for took in seconds), len(seconds))
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
        worth = of_share_above(seen - failed, seen, WORTH)
        sure = worth if wanted > now else 1 - worth
        shown_by = _shown(run for run in runs if run.stage == id and run.attempt == shown)
        found.append(Suggestion("retry", graph.pipeline, (id,), text, None, edits, seen, numbers, sure, shown_by))
    return found


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
