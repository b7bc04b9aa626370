"""Failure probability, event by event: fit on the first 70 % of the time, then predict, observe, predict, …"""

from __future__ import annotations

import csv
import gzip
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

from ai import Row
from flexiroaster.ai import Predictor, Run
from flexiroaster.ai.invented import history
from flexiroaster.ai.prediction.features import NAMES
from flexiroaster.ai.prediction.scores import Scores, scores

SEEDS = (11, 12)
"""Histories of our own that nothing was chosen on."""
SMALL_SEEDS = (31, 32, 33, 34)
TRUTH_OF_DATA = 0.914
"""AUC of the true probabilities of DATA/synthetic, which are kept apart."""
PRIOR = NAMES.index("prior")


class Retried(NamedTuple):
    """A retry: probabilities that it succeeds, by the predictor, by its number alone and in truth, and what it did."""

    predicted: float
    by_number: float
    truth: float | None
    succeeded: bool


def run(data: Path | None) -> list[Row]:
    rows: list[Row] = []
    retried: list[Retried] = []
    path = data / "synthetic" / "stage_runs.csv.gz" if data else None
    if path is not None and path.exists():
        rows += measure("ai_failure_synthetic", read(path), TRUTH_OF_DATA, None, retried)
    for seed in SEEDS:
        invented = history(seed, pipelines=30, days=75)
        first = int(0.7 * len(invented.runs))
        truth = scores(invented.truth[first:], [run.failed for run in invented.runs[first:]])
        rows += measure(f"ai_failure_invented_{seed}", invented.runs, truth.auc or 0.0, invented.truth, retried)
    return rows + retry_rows("ai_retry", retried, at_most=0.03) + small()


def small() -> list[Row]:
    """Three pipelines and some 2,000 runs: where learning is hard, it must not be worse than counting."""
    predicted: list[float] = []
    prior: list[float] = []
    failed: list[bool] = []
    for seed in SMALL_SEEDS:
        runs = history(seed, pipelines=3, days=60).runs[:2400]
        first = int(0.7 * len(runs))
        predictor = Predictor(refit_every=None).fit(runs[:first])
        for run in runs[first:]:
            answer = predictor.predict(run)
            predicted.append(answer.probability)
            prior.append(answer.failure.values[PRIOR])
            failed.append(run.failed)
            predictor.observe(run)
    learned, base = scores(predicted, failed), scores(prior, failed)
    workload, prior_auc = "ai_failure_small", base.auc or 0.0
    return [
        Row(workload, "auc", learned.auc or 0.0, "", {"prior": prior_auc}, at_least=prior_auc),
        Row(workload, "brier", learned.brier, "", {"prior": base.brier}, at_most=base.brier, better="lower"),
    ]


def read(path: Path) -> list[Run]:
    with gzip.open(path, "rt") as lines:
        return sorted(map(Run.of, csv.DictReader(lines)), key=lambda run: run.started_at)


def measure(
    workload: str, runs: list[Run], best_auc: float, truth: list[float] | None, retried: list[Retried]
) -> list[Row]:
    """Adds the retries among the runs to `retried`: one history has too few of them to tell how well calibrated."""
    first = int(0.7 * len(runs))
    predictor = Predictor(refit_every=None).fit(runs[:first])
    predicted: list[float] = []
    prior: list[float] = []
    previous: list[float] = []
    last: dict[tuple[str, str], tuple[float, bool]] = {}
    seconds: list[float] = []
    durations: list[tuple[float, float, float]] = []
    for run in runs[:first]:
        remember(last, run)
    for run in runs[first:]:
        began = time.perf_counter()
        answer = predictor.predict(run)
        seconds.append(time.perf_counter() - began)
        predicted.append(answer.probability)
        prior.append(answer.failure.values[PRIOR])
        ended, failed = last.get((run.pipeline, run.stage), (0.0, False))
        previous.append(float(failed and ended <= run.started_at))
        if not run.failed and run.seconds is not None:
            durations.append((run.seconds, answer.duration.p50, answer.duration.p90))
        predictor.observe(run)
        remember(last, run)
    failed = [run.failed for run in runs[first:]]
    learned, base, naive = scores(predicted, failed), scores(prior, failed), scores(previous, failed)
    error, named = off(durations), name_median(runs, first)
    own = retries(runs, first, predicted, truth)
    retried += own
    return [
        *failure_rows(workload, learned, base, naive, best_auc),
        *retry_rows(workload, own),
        Row(workload, "seconds_relative_error", error, "", named, at_most=named["name median"], better="lower"),
        Row(workload, "seconds_p90_share", covered(durations), at_least=0.88, at_most=0.92),
        Row(workload, "prediction", median(seconds) * 1000, "ms", at_most=20.0),
    ]


def failure_rows(workload: str, learned: Scores, base: Scores, naive: Scores, truth: float) -> list[Row]:
    auc, prior, previous = learned.auc or 0.0, base.auc or 0.0, naive.auc or 0.0
    precision = {"prior": base.average_precision or 0.0}
    return [
        Row(workload, "auc", auc, "", {"previous": previous, "prior": prior, "truth": truth}, at_least=0.85),
        Row(workload, "gap_closed", (auc - prior) / (truth - prior), "", {"prior": 0.0, "truth": 1.0}, at_least=0.45),
        Row(workload, "ece", learned.ece, "", {"prior": base.ece}, at_most=0.01, better="lower"),
        Row(workload, "brier", learned.brier, "", {"previous": naive.brier, "prior": base.brier}, better="lower"),
        Row(workload, "average_precision", learned.average_precision or 0.0, "", precision),
    ]


def retries(runs: list[Run], first: int, predicted: list[float], truth: list[float] | None) -> list[Retried]:
    """Those from `first` on; the shares by attempt number are those of the runs before."""
    known: dict[int, list[bool]] = {}
    for run in runs[:first]:
        known.setdefault(run.attempt, []).append(not run.failed)
    shares = {attempt: sum(values) / len(values) for attempt, values in known.items()}
    return [
        Retried(
            1.0 - value,
            shares.get(run.attempt, 0.5),
            None if truth is None else 1.0 - truth[first + number],
            not run.failed,
        )
        for number, (run, value) in enumerate(zip(runs[first:], predicted, strict=True))
        if run.attempt > 1
    ]


def retry_rows(workload: str, rows: list[Retried], at_most: float | None = None) -> list[Row]:
    """Of attempts after a failed one: whether they succeed, beside the share of their attempt number. Even true
    probabilities are off by something on few runs.
    """
    happened = [row.succeeded for row in rows]
    learned = scores([row.predicted for row in rows], happened)
    by_number = scores([row.by_number for row in rows], happened)
    errors = {"attempt number": by_number.ece}
    known = [row for row in rows if row.truth is not None]
    if known:
        errors["truth"] = scores([row.truth or 0.0 for row in known], [row.succeeded for row in known]).ece
    skill = 1.0 - learned.brier / by_number.brier
    return [
        Row(workload, "retry_ece", learned.ece, "", errors, at_most=at_most, better="lower"),
        Row(workload, "retry_brier_skill", skill, "", {"attempt number": 0.0}, at_least=0.15),
        Row(workload, "retry_auc", learned.auc or 0.0, "", {"attempt number": by_number.auc or 0.0}),
    ]


def remember(last: dict[tuple[str, str], tuple[float, bool]], run: Run) -> None:
    """The outcome of a stage's latest run, for the simplest of all predictors."""
    if run.ended_at is not None:
        last[run.pipeline, run.stage] = (run.ended_at, run.failed)


def covered(durations: list[tuple[float, float, float]]) -> float:
    return sum(seconds <= p90 for seconds, _, p90 in durations) / len(durations)


def off(durations: list[tuple[float, float, float]]) -> float:
    return median(abs(p50 - seconds) / max(seconds, 1.0) for seconds, p50, _ in durations)


def name_median(runs: list[Run], first: int) -> dict[str, float]:
    """The error of the median of the stage's earlier durations."""
    known: dict[tuple[str, str], list[float]] = {}
    for run in runs[:first]:
        if not run.failed:
            known.setdefault((run.pipeline, run.stage), []).append(run.seconds or 0.0)
    middles = {key: median(values) for key, values in known.items()}
    errors = [
        abs(middles[run.pipeline, run.stage] - (run.seconds or 0.0)) / max(run.seconds or 0.0, 1.0)
        for run in runs[first:]
        if not run.failed and (run.pipeline, run.stage) in middles
    ]
    return {"name median": median(errors)}
