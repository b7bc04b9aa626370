"""Failures of many pipelines with one root: a connector that is down, or one error everywhere. One incident per root.

Failures are counted by execution, not by attempt: retries during an outage fail together and prove nothing more.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from flexiroaster.ai.insights.chance import at_least, rate, surprise
from flexiroaster.ai.insights.finding import Insight, newest
from flexiroaster.ai.insights.past import Past
from flexiroaster.ai.runs import DAY, Run
from flexiroaster.ai.wording import count, share, span

WINDOW_SECONDS = 1_800.0
"""So close together, failures of several pipelines are hardly chance."""
LONGEST_SECONDS = 3 * DAY
"""Where pipelines run seldom, it takes as long until several of them have felt it."""
WINDOW_RUNS = 40
MOST = 0.5
"""Share of executions that fail in an outage. Where fewer do, pipelines are told of one by one."""
LEAST_FAILURES = 3
LEAST_PIPELINES = 2
DIGITS = 4.0
PRIOR_RATE, PRIOR_STRENGTH = 0.02, 50.0
PRIOR_RATE_OF_ERROR = 0.01
LOOKS = 10.0
"""The window is looked at in several lengths and for several errors, which are no independent chances."""
OVER_AFTER_EXECUTIONS = 3
"""That pass, one after the other."""
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
    """Executions in the part of the window that gave it away."""
    patience: float
    """Seconds without a failure after which it is over."""
    over: bool = False
    passed: set[str] = field(default_factory=set)
    """Executions that have passed since the last failure."""
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


@dataclass(frozen=True, slots=True)
class Part:
    """The newest runs of a window, from a failure on, in which several pipelines failed."""

    failures: list[Run]
    seconds: float
    executions: int
    hits: int
    """Executions that failed, and `trials` all; in a part that is long, without those of the worst pipeline."""
    trials: int
    gap: float
    """The longest between two runs of the window, in seconds."""

    def incident(self, root: Root, usual: float, chance: float, threshold: float) -> Incident:
        patience = max(self.seconds, 2 * self.gap, OVER_AFTER_SECONDS)
        return Incident(root, list(self.failures), usual, chance, threshold, self.executions, patience)


class Window:
    """The newest runs, in which an outage may have begun. `seconds`: older ones leave it."""

    def __init__(self, seconds: float) -> None:
        self.runs: deque[Run] = deque()
        self._seconds = seconds

    def add(self, run: Run) -> list[Run]:
        """Those that left it."""
        self.runs.append(run)
        left = []
        while len(self.runs) > WINDOW_RUNS or _end(self.runs[0]) < _end(run) - self._seconds:
            left.append(self.runs.popleft())
        return left

    def clear(self) -> None:
        self.runs.clear()

    def parts(self, error: str = "") -> Iterator[Part]:
        """An outage rarely begins with the window. `error`: only failures with this one count.

        Most executions must have failed. Within half an hour, several pipelines hardly do so by chance; over longer,
        the pipeline that failed most may have a fault of its own, and the others alone must show it.
        """
        outcomes: dict[str, dict[str, bool]] = defaultdict(dict)
        failures: list[Run] = []
        gap = max((_end(later) - _end(run) for run, later in pairwise(self.runs)), default=0.0)
        for run in reversed(self.runs):
            failed = run.failed and (not error or run.error_class == error)
            own = outcomes[run.pipeline]
            own[run.execution] = own.get(run.execution, False) or failed
            if not failed:
                continue
            failures.insert(0, run)
            seconds = _end(self.runs[-1]) - _end(run)
            hits = {pipeline: sum(own.values()) for pipeline, own in outcomes.items()}
            if sum(hits.values()) < LEAST_FAILURES or sum(map(bool, hits.values())) < LEAST_PIPELINES:
                continue
            executions = sum(map(len, outcomes.values()))
            left_out = max(hits, key=hits.__getitem__) if seconds > WINDOW_SECONDS else None
            count = sum(hits.values()) - hits.get(left_out or "", 0)
            trials = executions - (len(outcomes[left_out]) if left_out else 0)
            if count >= trials * MOST:
                yield Part(failures, seconds, executions, count, trials, gap)


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
        incident.over = incident.over or incident.last_failure < past.now - incident.patience
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
    window = Window(LONGEST_SECONDS)
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
        left = window.add(run)
        trials += len(left)
        hits.update(one.error_class for one in left if one.failed)
        if not run.failed:
            continue
        usual = rate(hits.total(), trials, prior=PRIOR_RATE, strength=PRIOR_STRENGTH)
        found_now = [_unlikely(root, window.parts(), usual, _so_large_a_share, threshold)]
        if run.error_class:
            of_error = rate(hits[run.error_class], trials, prior=PRIOR_RATE_OF_ERROR, strength=PRIOR_STRENGTH)
            found_now.append(_unlikely(root, window.parts(run.error_class), of_error, _so_large_a_share, threshold))
        current = min((one for one in found_now if one), key=lambda one: one.chance, default=None)
        if current is not None:
            found.append(current)
    return found


def _unlikely(
    root: Root, parts: Iterable[Part], usual: float, chance_of: Callable[[Part, float], float], threshold: float
) -> Incident | None:
    """The part with the most failures beyond chance, if they are enough."""
    best: Incident | None = None
    for part in parts:
        chance = chance_of(part, usual)
        if surprise(chance) >= DIGITS * threshold and (best is None or chance < best.chance):
            best = part.incident(root, usual, chance, threshold)
    return best


def _so_large_a_share(part: Part, usual: float) -> float:
    return min(LOOKS * at_least(part.hits, part.trials, usual), 1.0)


def _so_many(part: Part, usual: float) -> float:
    return _poisson_at_least(part.hits, max(usual, LEAST_PER_WINDOW))


def _ends(incident: Incident, run: Run) -> bool:
    if len(incident.passed) >= OVER_AFTER_EXECUTIONS or _end(run) > incident.last_failure + incident.patience:
        incident.over = True
    return incident.over


def _grow(incident: Incident, run: Run) -> None:
    if run.failed:
        incident.failures.append(run)
        incident.passed.clear()
    elif run.started_at >= incident.since:
        incident.passed.add(run.execution)


def _of_error(root: Root, runs: Sequence[Run], threshold: float, past: Past) -> list[Incident]:
    """`runs` all failed with this error. Over longer than half an hour that proves nothing: two pipelines with a fault
    of their own may well fail with the same one, and there is no telling who was spared.
    """
    found: list[Incident] = []
    first = _end(past.attempts[0])
    window = Window(WINDOW_SECONDS)
    earlier = 0
    current: Incident | None = None
    for run in runs:
        if current is not None and _end(run) <= current.last_failure + current.patience:
            current.failures.append(run)
            continue
        current = None
        earlier += len(window.add(run))
        half_hours = max((_end(window.runs[0]) - first) / WINDOW_SECONDS, 1.0)
        usual = earlier / half_hours
        current = _unlikely(root, window.parts(), usual, _so_many, threshold)
        if current is not None:
            found.append(current)
            earlier += len(window.runs)
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
