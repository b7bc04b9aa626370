from __future__ import annotations

import math
import random
from dataclasses import replace
from typing import Any

import pytest

from flexiroaster.ai import ModelRecord, Predictor, Run
from flexiroaster.ai.invented import Invented, history
from flexiroaster.ai.prediction.features import NAMES
from flexiroaster.ai.prediction.history import History, replay
from flexiroaster.ai.prediction.models import log_odds
from flexiroaster.ai.prediction.prior import Prior, interval
from flexiroaster.ai.prediction.scores import auc, scores
from flexiroaster.ai.prediction.training import Sample, train


def run(number: int, failed: bool = False, **values: object) -> Run:
    given = {"execution": f"e{number}", "pipeline": "p", "stage": "load", "kind": "sql", "started_at": 1000.0 * number}
    given |= {"ended_at": 1000.0 * number + 60, "status": "failed" if failed else "success"} | values
    return Run.of(given)


def same(one: list[float], other: list[float]) -> bool:
    return all(a == b or (math.isnan(a) and math.isnan(b)) for a, b in zip(one, other, strict=True))


# --- Nothing of the future ------------------------------------------------------------------------------------------


def test_what_is_known_at_a_start_does_not_change_with_what_ends_later(invented: Invented) -> None:
    runs = invented.runs[:3000]
    now = runs[2000].started_at
    chance = random.Random(0)
    outcomes = [run.status for run in runs]
    chance.shuffle(outcomes)
    other = [
        replace(run, status=status, error_class="X" if status == "failed" else "", output_rows=chance.random())
        if run.ended_at is not None and run.ended_at > now
        else run
        for run, status in zip(runs, outcomes, strict=True)
    ]
    assert other != runs
    seen = [values for run, values in replay(History(), runs) if run.started_at <= now]
    again = [values for run, values in replay(History(), other) if run.started_at <= now]
    assert len(seen) > 1900
    assert all(same(a, b) for a, b in zip(seen, again, strict=True))


def test_an_outcome_told_early_counts_from_its_end_only() -> None:
    told, untold = History(), History()
    told.ended(run(1, failed=True))
    middle = run(2, started_at=1030.0)
    assert same(told.features(middle), untold.features(middle))
    assert not same(told.features(run(3)), untold.features(run(3)))


def test_outcome_and_end_of_the_run_itself_are_no_feature() -> None:
    history = History()
    assert same(history.features(run(1, failed=True)), history.features(run(1, ended_at=None, status="")))


def test_attributes_are_numbers_categories_or_unknown() -> None:
    history = History(("files", "team", "never"))
    told = run(1, attributes={"files": 3, "other": 1.0}, categories={"team": "red"})
    files, team, never = history.features(told)[-3:]
    assert files == 3.0
    assert 0 <= team <= 1
    assert math.isnan(never)
    assert history.features(run(1, categories={"team": "blue"}))[-2] != team


# --- The prior -------------------------------------------------------------------------------------------------------


def test_more_recent_failures_never_lower_the_prior() -> None:
    chance = random.Random(1)
    for _ in range(200):
        outcomes = [chance.random() < 0.3 for _ in range(chance.randint(1, 30))]
        flipped = list(outcomes)
        flipped[chance.randrange(len(outcomes))] = True
        values = []
        for case in (outcomes, flipped, [*outcomes, True]):
            prior = Prior()
            for number, failed in enumerate(case):
                prior.add(run(number, failed))
            values.append(prior.probability(run(99)))
        assert values[1] >= values[0] - 1e-12
        assert values[2] >= values[0]


def test_a_stage_that_never_ran_is_judged_by_its_pipeline_with_a_wide_interval() -> None:
    prior = Prior()
    for number in range(40):
        prior.add(run(number, failed=number % 2 == 0))
    new = run(99, stage="other")
    low, high = interval(prior.probability(new), prior.weight(new))
    assert 0.3 < prior.probability(new) < 0.65
    assert high - low > 0.4
    assert "never ran before" in prior.words(new)
    assert prior.words(run(99)) == "8 of the last 16 runs failed, 48% of its pipeline's latest."


def test_too_little_data_says_so() -> None:
    predictor = Predictor().fit([run(number, failed=number == 3) for number in range(20)])
    prediction = predictor.predict(run(21, ended_at=None, status="", stage="new"))
    assert prediction.failure.model == "prior"
    assert "20 of 500 runs and 1 of 50 failures" in prediction.failure.words
    assert prediction.failure.high - prediction.failure.low > 0.1


# --- Learned models --------------------------------------------------------------------------------------------------


def test_learned_answers_are_far_better_than_the_prior(followed: list[Any]) -> None:
    failed = [run.failed for run, _, _ in followed]
    predicted = [prediction.probability for _, prediction, _ in followed]
    prior = [prediction.failure.values[NAMES.index("prior")] for _, prediction, _ in followed]
    learned, base, best = (auc(values, failed) or 0.0 for values in (predicted, prior, [row.truth for row in followed]))
    # On a history as short as this; the benchmark asks more of a long one.
    assert learned > base + 0.25 * (best - base)
    assert scores(predicted, failed).brier < scores(prior, failed).brier
    assert scores(predicted, failed).ece < 0.03


def test_the_trees_answer_as_scikit_learn_does() -> None:
    import numpy as np
    from sklearn.ensemble import HistGradientBoostingClassifier

    from flexiroaster.ai.prediction.learning import answers, medians_of, trees_from

    chance = np.random.default_rng(0)
    x = chance.normal(size=(800, 6))
    x[chance.random(x.shape) < 0.2] = np.nan
    y = (np.nan_to_num(x[:, 0]) + np.nan_to_num(x[:, 1]) ** 2 + chance.normal(size=800) > 1) | np.isnan(x[:, 2])
    fitted = HistGradientBoostingClassifier(max_iter=40, random_state=0).fit(x, y)
    model = trees_from(fitted, medians_of(x))
    expected = fitted.decision_function(x)
    assert np.allclose([model.answer(row) for row in x.tolist()], expected, atol=1e-9)
    assert np.allclose(answers(model, x), expected, atol=1e-9)


def test_training_gives_the_same_models_for_the_same_runs(learned: Predictor, invented: Invented) -> None:
    samples = list(learned.level(invented.runs[0]).failures.samples)[:1500]
    assert sum(sample.failed for sample in samples) >= 50
    first, again = train(samples, NAMES, seed=1), train(list(reversed(samples)), NAMES, seed=1)
    assert first is not None
    assert again is not None
    assert first.to_document() == again.to_document()


def test_a_column_without_any_value_does_no_harm() -> None:
    chance = random.Random(0)
    samples = []
    for number in range(900):
        values = [chance.random() if index < 5 else math.nan for index in range(len(NAMES))]
        samples.append(Sample(number, number + 0.5, values, chance.random() < values[0] / 2))
    trained = train(samples, NAMES)
    assert trained is not None
    assert all(0 <= trained.probability(name, [math.nan] * len(NAMES)) <= 1 for name in trained.models)


def test_one_enormous_input_does_not_spoil_the_model() -> None:
    """Its square is no number any more: the model could not be read, and nothing learned would answer anybody."""
    chance = random.Random(0)
    runs = [run(number, chance.random() < 0.2, attributes={"n": 1.0}) for number in range(600)]
    runs[300] = replace(runs[300], attributes={"n": 1e308})
    runs[301] = replace(runs[301], attributes={"n": -1e308})
    predictor = Predictor(refit_every=None).fit(runs)
    (record,) = (record for record in predictor.records(5.0) if record.kind == "stages-failures")
    assert ModelRecord.from_file(record.to_file(bytes(32)), bytes(32)) == record


def test_what_is_missing_to_learn_is_counted_up_to_what_is_wanted() -> None:
    runs = [run(number, number % 100 == 0) for number in range(600)]
    answer = Predictor(refit_every=None).replay(runs).predict(run(600, ended_at=None, status=""))
    assert answer.failure.words.endswith("Nothing is learned yet: 500 of 500 runs and 6 of 50 failures seen.")


def test_nothing_is_learned_from_chance() -> None:
    """Where no feature tells anything, the prior keeps answering."""
    chance = random.Random(5)
    runs = [run(number, chance.random() < 0.2) for number in range(700)]
    predictor = Predictor(refit_every=None).fit(runs)
    trained = predictor.level(runs[0]).failures.trained
    assert trained is not None
    brier = {name: values["brier"] for name, values in trained.card["baselines"].items()}
    assert brier[trained.champion] <= brier["prior"]


def test_named_reasons_move_the_answer_as_stated(learned: Predictor, invented: Invented) -> None:
    level = learned.level(invented.runs[0]).failures
    assert level.trained is not None
    sample = max(level.samples, key=lambda sample: level.probability(sample.values))
    found = level.explain(sample.values)
    assert len(found) == 3
    model, _ = level.trained.models[level.race.leader]
    for reason in found:
        other = list(sample.values)
        other[NAMES.index(reason.feature)] = model.medians[NAMES.index(reason.feature)]
        assert level.probability(other) == pytest.approx(reason.without)
        moved = log_odds(level.probability(sample.values)) - log_odds(reason.without)
        assert moved == pytest.approx(reason.change)
        assert reason.label in reason.words
    assert abs(found[0].change) >= abs(found[2].change)


def test_an_outage_elsewhere_raises_the_risk(learned: Predictor, invented: Invented) -> None:
    fresh = Predictor(refit_every=None)
    runs = invented.runs[: int(0.7 * len(invented.runs))]
    for row in runs:
        fresh.level(row).note(row)
        fresh.observe(row)
    trained = learned.level(runs[0]).failures.trained
    fresh.level(runs[0]).failures.serve(trained)
    at = max(row.ended_at or 0.0 for row in runs) + 3600
    victim = next(row for row in reversed(runs) if row.connector)
    coming = replace(victim, execution="new", attempt=1, started_at=at, queued_at=at, ended_at=None, status="")
    before = fresh.level(coming).foresee(replace(coming, started_at=at - 1800)).probability
    others = {
        row.pipeline: row for row in runs if row.connector == victim.connector and row.pipeline != victim.pipeline
    }
    for number, other in enumerate(others.values()):
        fresh.observe(
            replace(
                other,
                execution=f"down-{number}",
                attempt=1,
                started_at=at - 900 + number,
                ended_at=at - 800 + number,
                status="failed",
                error_class="ConnectionError",
            )
        )
    assert len(others) >= 3
    assert fresh.predict(coming).probability > 3 * before


def test_the_invented_history_is_the_same_for_the_same_seed() -> None:
    assert history(1, 3, 5).runs == history(1, 3, 5).runs
    assert history(1, 3, 5).runs != history(2, 3, 5).runs
