"""Why an execution failed, as far as the runs around it tell: each cause with its evidence and its probability.

For every cause two probabilities are compared: that of the evidence if this was it, and if it was not. The quotients,
with what causes are common anywhere, share out the certainty; what none of them explains stays with `unknown`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from flexiroaster.ai.insights.chance import rate
from flexiroaster.ai.insights.finding import EXECUTIONS_SHOWN, CauseKind
from flexiroaster.ai.insights.past import NO_CONNECTOR, Past, StageOutcome
from flexiroaster.ai.runs import DAY, HOUR, Run
from flexiroaster.ai.wording import count, share, size, span

PRIORS: Mapping[CauseKind, float] = {
    "connector_outage": 0.15,
    "version": 0.15,
    "input": 0.12,
    "bad_rows": 0.12,
    "upstream_late": 0.06,
    "slow": 0.08,
    "flaky": 0.12,
    "unknown": 0.20,
}
AROUND_SECONDS = (0.5 * HOUR, 2 * HOUR, 8 * HOUR, DAY)
"""How far before and after a failure others on its connector are looked at, until there are `LEAST_OTHERS`."""
LEAST_OTHERS = 3
COMPARED_RUNS = 100
LEAST_COMPARED = 8
LEAST_TOLD = 0.05
MOST_DIGITS = 6.0
"""One kind of evidence never counts for more than this: all of it may be wrong in the same way."""
DOWN_RATE = 0.8
"""Share of runs that fail while a connector is down."""
BAD_ROWS = ("invalid_count", "invalid_rows", "bad_rows")
"""The attributes that count refused rows."""
UNUSUAL = 3.0
"""Spreads from the usual, from which a number speaks for itself."""
MAD_TO_DEVIATION = 1.4826
LEAST_SPREAD = 0.05


@dataclass(frozen=True, slots=True)
class Cause:
    kind: CauseKind
    probability: float
    text: str
    """The evidence in a sentence."""
    executions: tuple[str, ...] = ()
    """Other executions that are part of the evidence."""
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Evidence:
    digits: float
    """Decimal logarithm of how much more probable it is with this cause than without."""
    text: str
    executions: tuple[str, ...] = ()
    numbers: Mapping[str, float] = field(default_factory=dict)


def likely_causes(execution: str, past: Past) -> list[Cause]:
    """The causes of a failed execution worth telling, the most probable first; the last may be `unknown`.

    Raises ValueError when no stage of it failed by `past.now`.
    """
    failed = [run for run in past.in_execution(execution) if run.failed]
    if not failed:
        raise ValueError(f"The execution {execution!r} has no failed stage among these runs: nothing to explain.")
    run = failed[-1]
    outcomes = past.by_stage[run.pipeline, run.stage]
    passed = [one.last for one in outcomes if one.last.status == "success" and one.execution != execution]
    passed = passed[-COMPARED_RUNS:]
    found: dict[CauseKind, _Evidence | None] = {
        "connector_outage": _outage(run, past),
        "version": _version(run, outcomes),
        "input": _stronger(_input(run, passed), _value(run, outcomes)),
        "bad_rows": _bad_rows(run, passed),
        "upstream_late": _upstream(run, past),
        "slow": _slow(run, passed),
        "flaky": _flaky(run, outcomes),
    }
    return _weighed(found)


def _weighed(found: Mapping[CauseKind, _Evidence | None]) -> list[Cause]:
    weights: dict[CauseKind, float] = {"unknown": PRIORS["unknown"]}
    for kind, evidence in found.items():
        if evidence:
            weights[kind] = PRIORS[kind] * 10 ** min(evidence.digits, MOST_DIGITS)
    total = sum(weights.values())
    causes = []
    for kind, weight in sorted(weights.items(), key=lambda item: -item[1]):
        evidence = found.get(kind)
        if evidence and weight / total >= LEAST_TOLD:
            causes.append(Cause(kind, weight / total, evidence.text, evidence.executions, evidence.numbers))
        elif kind == "unknown" and weight / total >= LEAST_TOLD:
            causes.append(Cause(kind, weight / total, "Nothing in the runs around it explains the failure."))
    return causes


def _outage(run: Run, past: Past) -> _Evidence | None:
    if run.connector in NO_CONNECTOR:
        return None
    around, others = _others_on_connector(run, past)
    failures = [one.execution for one in others.values() if one.failed]
    if not failures:
        return None
    earlier = past.on_connector(run.connector, until=_end(run) - around)[-1_000:]
    usual = rate(sum(one.failed for one in earlier), len(earlier), prior=0.03, strength=50)
    passes = len(others) - len(failures)
    digits = len(failures) * math.log10(DOWN_RATE / usual) + passes * math.log10((1 - DOWN_RATE) / (1 - usual))
    pipelines = {one.pipeline for one in others.values() if one.failed}
    return _Evidence(
        digits,
        f"{len(failures)} of {len(others)} other executions on the connector {run.connector}, of "
        f"{len(pipelines)} pipelines, failed within {span(around)}; usually {share(usual)} do.",
        tuple(failures[:EXECUTIONS_SHOWN]),
        {"failed": len(failures), "executions": len(others), "usual": usual, "pipelines": len(pipelines)},
    )


def _others_on_connector(run: Run, past: Past) -> tuple[float, dict[str, Run]]:
    """Seconds before and after the failure, and by execution an attempt that failed then, or one that did not.

    Where pipelines run seldom it takes longer until others have felt it. Over that time, what fails in the pipeline
    itself says nothing of the connector.
    """
    end = _end(run)
    for around in AROUND_SECONDS:
        near = past.on_connector(run.connector, end - around, end + around)
        others: dict[str, Run] = {}
        for one in near:
            own = one.pipeline == run.pipeline and around > AROUND_SECONDS[0]
            if one.execution != run.execution and not own and (one.failed or one.execution not in others):
                others[one.execution] = one
        if len(others) >= LEAST_OTHERS:
            break
    return around, others


def _version(run: Run, outcomes: Sequence[StageOutcome]) -> _Evidence | None:
    since = [one for one in outcomes if one.last.version == run.version]
    start = since[0].attempts[0].started_at
    before = [one for one in outcomes if one.last.version != run.version and _end(one.last) <= start][-COMPARED_RUNS:]
    if len(before) < LEAST_COMPARED:
        return None
    failed, failed_before = sum(one.ever_failed for one in since), sum(one.ever_failed for one in before)
    if failed / len(since) <= failed_before / len(before):
        return None
    apart = _log_beta(failed, len(since)) + _log_beta(failed_before, len(before))
    together = _log_beta(failed + failed_before, len(since) + len(before))
    return _Evidence(
        (apart - together) / math.log(10),
        f"Since version {run.version} {_the(run)} failed in {failed} of {len(since)} executions; before in "
        f"{failed_before} of {len(before)}.",
        tuple(one.execution for one in since if one.ever_failed)[-EXECUTIONS_SHOWN:],
        {
            "failed": failed,
            "executions": len(since),
            "failed_before": failed_before,
            "executions_before": len(before),
        },
    )


def _log_beta(hits: int, trials: int) -> float:
    """Logarithm of the probability of these outcomes when nothing is known of their rate but that it is seldom high."""
    a, b = 0.5, 2.0
    prior = math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
    return math.lgamma(a + hits) + math.lgamma(b + trials - hits) - math.lgamma(a + b + trials) - prior


def _input(run: Run, passed: Sequence[Run]) -> _Evidence | None:
    """The number that lies furthest from those of the runs that passed."""
    numbers: dict[str, tuple[Callable[[Run], float | None], Callable[[float], str]]] = {
        "rows": (lambda one: one.input_rows, lambda value: f"{count(value)} rows"),
        "bytes": (lambda one: one.input_bytes, size),
    }
    for name in run.attributes:
        if name not in BAD_ROWS:
            numbers[name] = (lambda one, name=name: one.attributes.get(name), count)  # type: ignore[misc]
    found = [
        evidence
        for name, (read, write) in numbers.items()
        if (evidence := _unusual(name, run, passed, read, write)) is not None
    ]
    return max(found, key=lambda evidence: evidence.digits, default=None)


def _value(run: Run, outcomes: Sequence[StageOutcome]) -> _Evidence | None:
    """The text among its inputs with which executions fail, and not with others."""
    recent = outcomes[-COMPARED_RUNS:]
    best: _Evidence | None = None
    for name, value in run.categories.items():
        with_it = [one for one in recent if one.last.categories.get(name) == value]
        others = [one for one in recent if one.last.categories.get(name, value) != value]
        failed, elsewhere = sum(one.ever_failed for one in with_it), sum(one.ever_failed for one in others)
        # One failure says nothing of a text that never comes twice, such as a day.
        if failed < 2 or len(others) < LEAST_COMPARED or failed / len(with_it) <= elsewhere / len(others):
            continue
        apart = _log_beta(failed, len(with_it)) + _log_beta(elsewhere, len(others))
        together = _log_beta(failed + elsewhere, len(with_it) + len(others))
        evidence = _Evidence(
            (apart - together) / math.log(10) - math.log10(len(run.categories)),
            f"With {name} {value!r} {_the(run)} failed in {failed} of {len(with_it)} executions; with others in "
            f"{elsewhere} of {len(others)}.",
            tuple(one.execution for one in with_it if one.ever_failed)[-EXECUTIONS_SHOWN:],
            {
                "failed": failed,
                "executions": len(with_it),
                "failed_elsewhere": elsewhere,
                "executions_elsewhere": len(others),
            },
        )
        best = _stronger(best, evidence)
    return best


def _stronger(one: _Evidence | None, other: _Evidence | None) -> _Evidence | None:
    return max((found for found in (one, other) if found), key=lambda found: found.digits, default=None)


def _unusual(
    name: str,
    run: Run,
    passed: Sequence[Run],
    read: Callable[[Run], float | None],
    write: Callable[[float], str],
) -> _Evidence | None:
    value = read(run)
    usual = sorted(number for one in passed if (number := read(one)) is not None)
    if value is None or len(usual) < LEAST_COMPARED:
        return None
    distance = _spreads_from(value, usual)
    if distance < UNUSUAL:
        return None
    low, high = usual[len(usual) // 20], usual[-1 - len(usual) // 20]
    had = write(low) if write(low) == write(high) else f"{write(low)} to {write(high)}"
    return _Evidence(
        _digits_of(distance),
        f"It got {write(value)}{'' if name in ('rows', 'bytes') else f' as {name}'}; the {len(usual)} executions that "
        f"passed had {had}.",
        (),
        {"value": value, "usual_low": low, "usual_high": high, "compared": len(usual)},
    )


def _bad_rows(run: Run, passed: Sequence[Run]) -> _Evidence | None:
    name = next((name for name in BAD_ROWS if name in run.attributes), None)
    if name is None or run.attributes[name] <= 0:
        return None
    value = _bad_share(run, name)
    usual = sorted(_bad_share(one, name) for one in passed if name in one.attributes)
    if len(usual) < LEAST_COMPARED or value <= usual[-1]:
        return None
    distance = math.log((value + 1e-3) / (median(usual) + 1e-3)) / 0.3
    return _Evidence(
        _digits_of(max(distance, UNUSUAL)),
        f"{count(run.attributes[name])} of its rows were refused ({share(value)}); of the {len(usual)} executions that "
        f"passed none had more than {share(usual[-1])}.",
        (),
        {"refused": run.attributes[name], "share": value, "usual": median(usual), "most": usual[-1]},
    )


def _bad_share(run: Run, name: str) -> float:
    rows = run.input_rows or 0.0
    bad = run.attributes[name]
    return bad / rows if rows > 0 else float(bad > 0)


def _upstream(run: Run, past: Past) -> _Evidence | None:
    """The stage it waited for that took much longer than it usually does."""
    found: list[_Evidence] = []
    for before in past.in_execution(run.execution):
        if before.stage not in run.needs or before.seconds is None:
            continue
        others = past.by_stage[before.pipeline, before.stage]
        usual = sorted(
            one.last.seconds or 0.0 for one in others if one.last.status == "success" and one.execution != run.execution
        )[-COMPARED_RUNS:]
        if len(usual) < LEAST_COMPARED:
            continue
        distance = _spreads_from(before.seconds, usual)
        if distance < UNUSUAL or before.seconds <= usual[-1]:
            continue
        found.append(
            _Evidence(
                _digits_of(distance),
                f"The stage {before.stage} that it waited for took {span(before.seconds)}; usually "
                f"{span(median(usual))}, in {len(usual)} executions never more than {span(usual[-1])}.",
                (),
                {"seconds": before.seconds, "usual": median(usual), "most": usual[-1], "compared": len(usual)},
            )
        )
    return max(found, key=lambda evidence: evidence.digits, default=None)


def _slow(run: Run, passed: Sequence[Run]) -> _Evidence | None:
    """It ran into its time limit, or took longer than any that passed."""
    seconds = run.seconds or 0.0
    usual = sorted(one.seconds or 0.0 for one in passed)
    if len(usual) < LEAST_COMPARED or seconds <= usual[-1]:
        return None
    limit = run.status == "timed_out" or "timeout" in run.error_class.lower()
    distance = _spreads_from(seconds, usual)
    if distance < UNUSUAL:
        return None
    ended = "It was stopped after" if limit else "It failed after"
    return _Evidence(
        _digits_of(distance) if limit else _digits_of(distance) / 2,
        f"{ended} {span(seconds)}; the {len(usual)} executions that passed took {span(median(usual))}, never more than "
        f"{span(usual[-1])}.",
        (),
        {"seconds": seconds, "usual": median(usual), "most": usual[-1], "compared": len(usual)},
    )


def _flaky(run: Run, outcomes: Sequence[StageOutcome]) -> _Evidence | None:
    """The stage has failed now and then and passed by itself the next time."""
    recent = [one for one in outcomes if one.execution != run.execution][-COMPARED_RUNS:]
    flips = [one for one in recent if one.recovered]
    for earlier, later in pairwise(recent):
        if earlier.last.failed and not later.ever_failed and later.last.version == earlier.last.version:
            flips.append(earlier)
    if len(recent) < LEAST_COMPARED or len(flips) < 2:
        return None
    return _Evidence(
        math.log10(len(flips) / len(recent) / 0.01),
        f"T{_the(run)[1:]} failed in {len(flips)} of the last {len(recent)} executions and passed the next time "
        f"without a change.",
        tuple(one.execution for one in flips)[-EXECUTIONS_SHOWN:],
        {"flips": len(flips), "executions": len(recent)},
    )


def _the(run: Run) -> str:
    return f"the stage {run.stage}" if run.stage else "the pipeline"


def _spreads_from(value: float, usual: Sequence[float]) -> float:
    """How many spreads the value lies from the middle of the usual ones, by logarithms."""
    logs = sorted(math.log1p(max(number, 0.0)) for number in usual)
    middle = median(logs)
    distances = sorted(abs(log - middle) for log in logs)
    tail = distances[int(0.95 * (len(distances) - 1))] / 1.96
    spread = max(MAD_TO_DEVIATION * median(distances), tail, LEAST_SPREAD)
    return abs(math.log1p(max(value, 0.0)) - middle) / spread


def _digits_of(distance: float) -> float:
    """Evidence in a distance of so many spreads, less what is lost by having looked at several numbers."""
    return min(distance * distance / 2 / math.log(10), MOST_DIGITS) - 1.0


def _end(run: Run) -> float:
    assert run.ended_at is not None
    return run.ended_at
