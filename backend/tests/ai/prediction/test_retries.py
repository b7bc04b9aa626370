from __future__ import annotations

import random

from flexiroaster.ai import Predictor, Run
from flexiroaster.ai.prediction.retries import Retries
from flexiroaster.ai.prediction.scores import scores


def retry(pipeline: str = "p", attempt: int = 2, failed: bool = False) -> Run:
    status = "failed" if failed else "success"
    return Run("e", pipeline, 0.0, stage="s", attempt=attempt, ended_at=1.0, status=status)


def test_error_classes_have_chances_of_their_own() -> None:
    retries = Retries()
    for _ in range(40):
        retries.add(retry(), "ConnectionError")
        retries.add(retry(failed=True), "TypeError")
    assert retries.success(retry("new"), "ConnectionError") > 0.85
    assert retries.success(retry("new"), "TypeError") < 0.15
    assert 0.3 < retries.success(retry("new"), "NeverSeen") < 0.7


def test_stop_is_advised_only_when_even_the_hope_is_small() -> None:
    retries = Retries()
    assert not retries.advise(retry(), "TypeError").stop
    for _ in range(60):
        retries.add(retry(failed=True), "TypeError")
    advice = retries.advise(retry(), "TypeError")
    assert advice.stop
    assert advice.high < 0.15
    assert advice.words == (
        "0 of 60 attempts number 2 after TypeError succeeded, 0 of 60 of this stage; another try is not worth it."
    )
    assert not retries.advise(retry(), "TypeError", worth=0.001).stop


def test_chances_of_retries_are_calibrated() -> None:
    chance = random.Random(2)
    usual = {(error, attempt): chance.random() for error in "ABCDEF" for attempt in (2, 3, 4)}
    retries, predicted, happened = Retries(), [], []
    for number in range(6000):
        error, attempt = chance.choice(list(usual))
        run = retry(f"p{chance.randrange(30)}", attempt, failed=chance.random() > usual[error, attempt])
        if number > 2000:
            predicted.append(retries.success(run, error))
            happened.append(not run.failed)
        retries.add(run, error)
    assert scores(predicted, happened).ece < 0.03


def test_advice_for_a_live_run_knows_the_error_before() -> None:
    predictor = Predictor()
    for number in range(30):
        at = 1000.0 * number
        first = Run(f"e{number}", "p", at, stage="s", ended_at=at + 1, status="failed", error_class="TypeError")
        again = Run(f"e{number}", "p", at + 9, stage="s", attempt=2, ended_at=at + 10, status="failed")
        for run in (first, again):
            predictor.predict(run)
            predictor.observe(run)
    first = Run("new", "p", 50_000.0, stage="s", ended_at=50_001.0, status="failed", error_class="TypeError")
    predictor.observe(first)
    advice = predictor.retry(Run("new", "p", 50_010.0, stage="s", attempt=2))
    assert advice.probability < 0.15
    assert "0 of 30 attempts number 2 after TypeError" in advice.words
