"""Failures of many pipelines with one root: a connector that is down, or one error everywhere. One incident per root.

Failures are counted by execution, not by attempt: retries during an outage fail together and prove nothing more.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from flexiroaster.ai.insights.chance import at_least, rate, surprise
from flexiroaster.ai.insights.finding import Insight, newest
from flexiroaster.ai.insights.past import Past
from flexiroaster.ai.runs import Run
from flexiroaster.ai.wording import count, share, span

WINDOW_SECONDS = 1_800.0
WINDOW_RUNS = 40
LEAST_FAILURES = 3
LEAST_PIPELINES = 2
DIGITS = 4.0
PRIOR_RATE, PRIOR_STRENGTH = 0.02, 50.0
PRIOR_RATE_OF_ERROR = 0.01
LOOKS = 10.0
"""The window is looked at in several lengths and for several errors, which are no independent chances."""
OVER_AFTER_SUCCESSES = 3
OVER_AFTER_SECONDS = 2 * WINDOW_SECONDS
LEAST_PER_WINDOW = 0.01
"""How often an error that was never seen before is expected in a window."""

Root = tuple[str, str]
"""(`connector` or `error`, its name)"""


@dataclass(slots=True)
class Incident:
    """Grows while the outage lasts. `failures` are attempts, in the order of their ends."""

    root: Root
    failures: list[Run]
    usual: float
    """Share of failed runs of that connector before; for an error, how many fell into half an hour."""
    chance: float
    threshold: float
    runs: int
    """Runs in the window that gave it away."""
    over: bool = False
    successes: int = 0
    executions: dict[str, None] = field(default_factory=dict)

    @property
    def since(self) -> float:
        return _end(self.failures[0])

    @property
    def last_failure(self) -> float:
        return _end(self.failures[-1])

    @property
    def subject(self) -> str:
        return ":".join(self.root)


def incidents(past: Past, factor: Callable[[str], float] = lambda subject: 1.0) -> list[Incident]:
    """All outages in the order of their starts. `factor` multiplies the threshold of a subject."""
    found: list[Incident] = []
    for connector in past.connectors:
        root = ("connector", connector)
        found += _of_connector(root, past.on_connector(connector), factor(":".join(root)))
    explained = {(run.execution, run.stage) for incident in found for run in incident.failures}
    rest = [run for run in past.attempts if run.failed and (run.execution, run.stage) not in explained]
    by_error: dict[str, list[Run]] = defaultdict(list)
    for run in rest:
        if run.fingerprint:
            by_error[run.fingerprint].append(run)
    for name, runs in by_error.items():
        root = ("error", name)
        found += _of_error(root, runs, factor(":".join(root)), past)
    for incident in found:
        incident.over = incident.over or incident.last_failure < past.now - OVER_AFTER_SECONDS
        incident.executions = dict.fromkeys(run.execution for run in incident.failures)
    return sorted(found, key=lambda incident: (incident.since, incident.root))


def as_insight(incident: Incident) -> Insight:
    kind, name = incident.root
    pipelines = tuple(sorted({run.pipeline for run in incident.failures}))
    lasted = incident.last_failure - incident.since
    [(error, _)] = Counter(run.error_class or "an error" for run in incident.failures).most_common(1)
    what = f"The connector {name}" if kind == "connector" else f"The error {error}"
    usually = (
        f"usually {share(incident.usual)} of its runs fail like that"
        if kind == "connector"
        else f"usually it comes {count(incident.usual)} times in half an hour"
    )
    text = (
        f"{what} made {len(incident.executions)} executions of {len(pipelines)} pipelines fail within "
        f"{span(max(lasted, 1.0))}; {usually}."
    )
    if kind == "connector":
        text += f" Most of them with {error}."
    return Insight(
        rule="outage",
        subject=incident.subject,
        text=text,
        since=incident.since,
        until=incident.last_failure if incident.over else None,
        score=surprise(incident.chance) / DIGITS,
        threshold=incident.threshold,
        confidence=1 - min(incident.chance, 1.0),
        pipelines=pipelines,
        executions=newest(incident.executions),
        numbers={
            "executions": len(incident.executions),
            "pipelines": len(pipelines),
            "seconds": lasted,
            "usual": incident.usual,
            "runs_in_window": incident.runs,
        },
    )


def _of_connector(root: Root, runs: Sequence[Run], threshold: float) -> list[Incident]:
    found: list[Incident] = []
    window: deque[Run] = deque(maxlen=WINDOW_RUNS)
    hits: Counter[str] = Counter()
    trials = 0
    current: Incident | None = None
    for run in runs:
        if current is not None and _ends(current, run):
            current = None
            window.clear()
        if current is not None:
            _grow(current, run)
            continue
        window.append(run)
        while _end(window[0]) < _end(run) - WINDOW_SECONDS:
            left = window.popleft()
            trials += 1
            if left.failed:
                hits[left.error_class] += 1
        if not run.failed:
            continue
        usual = rate(hits.total(), trials, prior=PRIOR_RATE, strength=PRIOR_STRENGTH)
        of_error = rate(hits[run.error_class], trials, prior=PRIOR_RATE_OF_ERROR, strength=PRIOR_STRENGTH)
        found_now = [_certain(root, list(window), usual, threshold)]
        if run.error_class:
            found_now.append(_certain(root, list(window), of_error, threshold, run.error_class))
        current = min((one for one in found_now if one), key=lambda one: one.chance, default=None)
        if current is not None:
            found.append(current)
    return found


def _certain(root: Root, window: list[Run], usual: float, threshold: float, error: str = "") -> Incident | None:
    """An incident, when the failures in the window are too many for chance and not one pipeline's own.

    `error`: only failures with this one count; `usual` is then its share. An outage rarely begins with the window, so
    its newest parts are looked at as well.
    """
    best: Incident | None = None
    executions: dict[str, bool] = {}
    failed: list[Run] = []
    for run in reversed(window):
        counts = run.failed and (not error or run.error_class == error)
        executions[run.execution] = executions.get(run.execution, False) or counts
        if not counts:
            continue
        failed.insert(0, run)
        failures = sum(executions.values())
        if failures < LEAST_FAILURES or len({one.pipeline for one in failed}) < LEAST_PIPELINES:
            continue
        chance = min(LOOKS * at_least(failures, len(executions), usual), 1.0)
        if surprise(chance) >= DIGITS * threshold and (best is None or chance < best.chance):
            best = Incident(root, list(failed), usual, chance, threshold, runs=len(executions))
    return best


def _ends(incident: Incident, run: Run) -> bool:
    if incident.successes >= OVER_AFTER_SUCCESSES or _end(run) > incident.last_failure + OVER_AFTER_SECONDS:
        incident.over = True
    return incident.over


def _grow(incident: Incident, run: Run) -> None:
    if run.failed:
        incident.failures.append(run)
        incident.successes = 0
    elif run.started_at >= incident.since:
        incident.successes += 1


def _of_error(root: Root, runs: Sequence[Run], threshold: float, past: Past) -> list[Incident]:
    """`runs` all failed with this error."""
    found: list[Incident] = []
    first = _end(past.attempts[0])
    window: deque[Run] = deque()
    earlier = 0
    current: Incident | None = None
    for run in runs:
        if current is not None and _end(run) <= current.last_failure + OVER_AFTER_SECONDS:
            current.failures.append(run)
            continue
        current = None
        window.append(run)
        while _end(window[0]) < _end(run) - WINDOW_SECONDS:
            window.popleft()
            earlier += 1
        executions = {one.execution for one in window}
        if len(executions) < LEAST_FAILURES or len({one.pipeline for one in window}) < LEAST_PIPELINES:
            continue
        windows = max((_end(window[0]) - first) / WINDOW_SECONDS, 1.0)
        usual = earlier / windows
        chance = _poisson_at_least(len(executions), max(usual, LEAST_PER_WINDOW))
        if surprise(chance) >= DIGITS * threshold:
            current = Incident(root, list(window), usual, chance, threshold, runs=len(executions))
            found.append(current)
            earlier += len(window)
            window.clear()
    return found


def _poisson_at_least(events: int, mean: float) -> float:
    term = math.exp(-mean + events * math.log(mean) - math.lgamma(events + 1))
    total = 0.0
    for number in range(events, events + 200):
        total += term
        term *= mean / (number + 1)
    return min(total, 1.0)


def failures_in(found: Iterable[Incident]) -> set[tuple[str, str]]:
    """(execution, stage) of all failures that an outage explains."""
    return {(run.execution, run.stage) for incident in found for run in incident.failures}


def _end(run: Run) -> float:
    assert run.ended_at is not None
    return run.ended_at
