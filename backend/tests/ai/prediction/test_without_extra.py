from __future__ import annotations

import subprocess
import sys

CODE = """
import sys
sys.modules.update(dict.fromkeys(("numpy", "scipy", "sklearn", "threadpoolctl")))
from flexiroaster.ai import MissingExtra, Predictor, Run

def runs(count):
    return [
        Run(f"e{n}", "p", 100.0 * n, stage="s", ended_at=100.0 * n + 5, status="failed" if n % 5 == 0 else "success")
        for n in range(count)
    ]

predictor = Predictor().fit(runs(100))
answer = predictor.predict(Run("next", "p", 20_000.0, stage="s"))
print(answer.failure.model, round(answer.duration.p50))
try:
    predictor.fit(runs(600))
except MissingExtra as error:
    print(error)
"""


def test_counting_answers_without_the_extra_and_training_names_it() -> None:
    answer = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    first, second = answer.stdout.splitlines()
    assert first == "prior 5"
    assert second == (
        'The AI layer needs numpy, which is not installed: pip install "flexiroaster[ai]", then start again.'
    )
