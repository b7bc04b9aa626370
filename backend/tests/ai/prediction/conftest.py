"""One invented history and one predictor that learned from it, for all tests here."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from flexiroaster.ai import Prediction, Predictor, Run
from flexiroaster.ai.invented import Invented, history


class Followed(NamedTuple):
    run: Run
    prediction: Prediction
    truth: float


@pytest.fixture(scope="package")
def invented() -> Invented:
    return history(seed=3, pipelines=11, days=18)


@pytest.fixture(scope="package")
def learned(invented: Invented) -> Predictor:
    """Knows the first 70 % of the history; other tests have told it the rest or not."""
    return Predictor(refit_every=None).fit(invented.runs[: int(0.7 * len(invented.runs))])


@pytest.fixture(scope="package")
def followed(learned: Predictor, invented: Invented) -> list[Followed]:
    """The last 30 % of the history, predicted run by run."""
    first = int(0.7 * len(invented.runs))
    found = []
    for run, truth in zip(invented.runs[first:], invented.truth[first:], strict=True):
        found.append(Followed(run, learned.predict(run), truth))
        learned.observe(run)
    return found
