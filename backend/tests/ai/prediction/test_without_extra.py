"""What works without the extra `ai`, and what the rest says. Each in a process that cannot import the libraries."""

from __future__ import annotations

import subprocess
import sys

import pytest

from flexiroaster import ai

RUNS = """
def runs(count):
    return [
        Run(f"e{n}", "p", 100.0 * n, stage="s", ended_at=100.0 * n + 5, status="failed" if n % 5 == 0 else "success")
        for n in range(count)
    ]
"""
ANSWERS = """
from flexiroaster.ai import MissingExtra, Predictor, Run
predictor = Predictor().fit(runs(100))
answer = predictor.predict(Run("next", "p", 20_000.0, stage="s"))
print(answer.failure.model, round(answer.duration.p50))
again = Run("next", "p", 20_010.0, stage="s", attempt=2)
print(predictor.retry(again).words)
"""
TRAINS = """
from flexiroaster.ai import MissingExtra, Predictor, Run
try:
    Predictor().fit(runs(600))
except MissingExtra as error:
    print(error.code, error)
"""
FINDS = """
from flexiroaster.ai import (
    ErrorSeen, Past, Run, advise, cluster, detector, find_insights, likely_causes, metric_anomalies, policy, signatures,
    slow_runs,
)
from flexiroaster.ai.optimizer.graph import Graph
known = runs(100)
print(len(find_insights(known, now=10_100.0)) >= 0, len(list(detector((60.0 * n, 1.0) for n in range(50)))))
print(cluster(["a 1", "a 2"]), likely_causes("e95", Past(known, now=10_100.0))[0].kind)
definition = {"id": "p", "name": "P", "stages": [{"id": "s", "type": "noop", "needs": []}]}
print(len(advise(definition, known)), policy(Graph.of(definition), {"s": 1.0}))
"""
LOADS = """
from pathlib import Path
from flexiroaster.ai import ModelRecord, Predictor, Run
from flexiroaster.ai.prediction.features import NAMES
from flexiroaster.ai.prediction.models import Calibration, Trees
from flexiroaster.ai.prediction.training import Trained
trees = Trees((0.0,) * len(NAMES), 0.0, (((-1, 1.0, 0, 0, False),),))
card = {"baselines": {"prior": {"brier": 0.2}, "trees": {"brier": 0.1}}}
trained = Trained(NAMES, "trees", {"trees": (trees, Calibration())}, card)
file = ModelRecord.of("stages-failures", NAMES, 1.0, trained.to_document()).to_file(b"k" * 32)
predictor = Predictor().replay(runs(100))
predictor.load(ModelRecord.from_file(file, b"k" * 32))
answer = predictor.predict(Run("next", "p", 20_000.0, stage="s"))
print(answer.failure.model, f"{answer.probability:.3f}")
"""


def said(code: str, *missing: str) -> list[str]:
    blocked = f"import sys\nsys.modules.update(dict.fromkeys({missing!r}))\n"
    answer = subprocess.run(
        [sys.executable, "-c", blocked + RUNS + code], capture_output=True, text=True, check=False, timeout=120
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.splitlines()


ALL = ("numpy", "scipy", "sklearn", "threadpoolctl")


def test_counting_answers() -> None:
    assert said(ANSWERS, *ALL) == [
        "prior 5",
        "No attempt 2 after an error was seen yet: what else is known says 84%.",
    ]


@pytest.mark.parametrize(
    ("missing", "package"),
    [(ALL, "numpy"), (("sklearn",), "scikit-learn"), (("threadpoolctl",), "scikit-learn")],
    ids=["nothing installed", "no scikit-learn", "no threadpoolctl"],
)
def test_training_names_what_is_missing_and_the_cure(missing: tuple[str, ...], package: str) -> None:
    assert said(TRAINS, *missing) == [
        f'ai_not_installed The AI layer needs {package}, which is not installed: pip install "flexiroaster[ai]", then '
        "start again."
    ]


def test_what_is_abnormal_and_what_to_change_is_found() -> None:
    assert said(FINDS, *ALL) == ["True 50", "[0, 0] flaky", "2 {'s': 1.0}"]


def test_a_stored_model_answers() -> None:
    assert said(LOADS, *ALL) == ["trees 0.731"]


def test_every_public_name_can_be_imported() -> None:
    code = f"import flexiroaster.ai as ai\nfor name in {sorted(ai.__all__)!r}:\n    getattr(ai, name)\nprint('all')"
    assert said(code, *ALL) == ["all"]
