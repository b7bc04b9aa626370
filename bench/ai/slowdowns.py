"""Slowdowns put into real run durations (DATA/azure_vm_noise) and into invented ones, at one false alert per 1,000.

The threshold of a baseline is the one that gives one false alert per 1,000 clean runs of the very same series; ours is
the one that the monitor learns by itself, and its false alerts are a row of their own.
"""

from __future__ import annotations

import csv
import gzip
import math
import random
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import median

from ai import Row
from ai.simple_detectors import cusum_log, ewma, robust_log
from flexiroaster.ai import slow_runs

FACTORS = {1.25: 0.99, 1.10: 0.94, 1.05: None}
PATIENCE = 10
"""Runs after the slowdown within which it must be found."""
QUIET_RUNS = 20
LEARNT_RUNS, LEARNT_SIMPLE = 1_500, 400
"""Runs before a slowdown that the monitor and the simple detectors are shown: more than they look back."""
INJECTED_EVERY = 997
BUDGET = 1 / 1_000
LEAST_RUNS = 1_000

Detect = Callable[[Sequence[float]], Iterable[float]]


def run(data: Path | None) -> list[Row]:
    folder = data / "azure_vm_noise" if data else None
    rows = measure("ai_slowdown", real(folder)) if folder is not None and folder.is_dir() else []
    return rows + measure("ai_slowdown_invented", invented())


def real(folder: Path) -> list[list[float]]:
    """The durations of each test on each machine, in order of time."""
    found: dict[tuple[str, str], list[tuple[str, float]]] = defaultdict(list)
    for path in sorted(folder.glob("*.csv.gz")):
        with gzip.open(path, "rt") as lines:
            for row in csv.DictReader(lines):
                if row["runtime"] and float(row["runtime"]) > 0:
                    found[path.name, row["VM_id"]].append((row["starttime"], float(row["runtime"])))
    series = [[seconds for _, seconds in sorted(runs)] for runs in found.values()]
    return [durations for durations in series if len(durations) >= LEAST_RUNS]


def invented(seed: int = 5) -> list[list[float]]:
    """Steady, noisy, spiky, drifting and daily durations."""
    chance = random.Random(seed)
    found = []
    for spread, spikes, drift in ((0.004, 0.0, 0.0), (0.02, 0.01, 0.0), (0.03, 0.0, 1e-5), (0.035, 0.02, 0.0)):
        logs = (chance.gauss(drift * run, spread) + 1.0 * (chance.random() < spikes) for run in range(4_000))
        found.append([60 * math.exp(log) for log in logs])
    return found


def measure(workload: str, series: list[list[float]]) -> list[Row]:
    baselines: dict[str, Detect] = {
        "EWMA z": lambda values: told_once(ewma(map(math.log, values))),
        "robust log": lambda values: told_once(robust_log(values)),
        "CUSUM": lambda values: told_once(cusum_log(values)),
    }
    thresholds = {name: budgeted(detect, series) for name, detect in baselines.items()}
    rows = []
    for factor, least in FACTORS.items():
        others = {
            name: recall(detect, series, factor, thresholds[name], LEARNT_SIMPLE)[0]
            for name, detect in baselines.items()
        }
        found, delay = recall(slow_runs, series, factor, 1.0, LEARNT_RUNS)
        rows.append(Row(workload, f"recall_x{factor:.2f}", found, "", others, at_least=least))
        rows.append(
            Row(workload, f"delay_x{factor:.2f}", delay, "runs", at_most=None if least is None else 3.0, better="lower")
        )
    alarms = sum(score >= 1.0 for durations in series for score in slow_runs(durations))
    runs = sum(map(len, series))
    rows.append(Row(workload, "false_per_1000", 1_000 * alarms / runs, "", at_most=1.0, better="lower"))
    return rows


def told_once(scores: Iterable[float]) -> Iterable[float]:
    """A score counts where it beats those of the last runs; the same for all."""
    recent: deque[float] = deque(maxlen=QUIET_RUNS)
    for score in scores:
        yield score if all(score > other for other in recent) else 0.0
        recent.append(score)


def budgeted(detect: Detect, series: list[list[float]]) -> float:
    scores = sorted((score for durations in series for score in detect(durations)), reverse=True)
    return scores[int(BUDGET * len(scores))]


def recall(
    detect: Detect, series: list[list[float]], factor: float, threshold: float, learnt: int
) -> tuple[float, float]:
    """(share of slowdowns found, median runs until then), each series counting the same."""
    shares, delays = [], []
    for durations in series:
        found = []
        for begin in range(LEARNT_SIMPLE, len(durations) - PATIENCE, INJECTED_EVERY):
            shown = durations[max(begin - learnt, 0) : begin]
            slowed = [seconds * factor for seconds in durations[begin : begin + PATIENCE]]
            scores = list(detect(shown + slowed))[-PATIENCE:]
            place = next((place for place, score in enumerate(scores, 1) if score >= threshold), None)
            found.append(place is not None)
            delays += [] if place is None else [place]
        shares.append(sum(found) / len(found))
    return sum(shares) / len(shares), median(delays) if delays else math.inf
