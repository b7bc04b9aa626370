"""Anomalies in metrics: DATA/nab with the benchmark's own rule, thresholds chosen on one half and used on the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

from ai import Row
from ai.nab_rule import Scored, Series, read
from ai.simple_detectors import cusum, ewma, rolling_mad
from flexiroaster.ai import detector

BASELINES: dict[str, Callable[[Series], Iterable[float]]] = {
    "EWMA z": lambda series: ewma(series.values),
    "rolling MAD": lambda series: rolling_mad(series.values),
    "CUSUM": lambda series: cusum(series.values),
}
ALERT = 1.0
"""The product's own threshold."""


def run(data: Path | None) -> list[Row]:
    if data is None or not (data / "nab" / "labels").is_dir():
        return []
    corpus = read(data / "nab")
    began = time.process_time()
    for series in corpus:
        for _ in detector(zip(series.times, series.values, strict=True)):
            pass
    seconds = time.process_time() - began
    ours = Scored(corpus, lambda series: detector(zip(series.times, series.values, strict=True)))
    others = {name: Scored(corpus, detect) for name, detect in BASELINES.items()}
    rows = []
    for profile, least in (("standard", 55.0), ("low_fp", 40.0), ("low_fn", None)):
        best = {name: other.best(profile)[0] for name, other in others.items()}
        carried = {name: other.carried_over(profile) for name, other in others.items()}
        rows.append(Row("ai_nab", profile, ours.at(ALERT, profile), "", best, at_least=least))
        rows.append(Row("ai_nab", f"{profile}_other_half", ours.carried_over(profile), "", carried, at_least=least))
    count = sum(len(series.values) for series in corpus)
    rows.append(Row("ai_nab", "time", 1e6 * seconds / count, "µs/row", at_most=50.0, better="lower"))
    return rows
