from __future__ import annotations

from collections.abc import Sequence

import pytest

from flexiroaster.ai import ModelRecord, ModelRefused, Predictor, Run, load, save
from flexiroaster.ai.invented import Invented
from flexiroaster.ai.prediction.features import NAMES

KEY = b"k" * 32


@pytest.fixture(scope="module")
def stored(learned: Predictor, tmp_path_factory: pytest.TempPathFactory) -> list[ModelRecord]:
    folder = tmp_path_factory.mktemp("models")
    entries = [save(record, folder, KEY) for record in learned.records(trained_at=5.0)]
    return [load(entry, folder, KEY) for entry in entries]


def test_what_was_learned_is_stored_with_its_card(stored: list[ModelRecord]) -> None:
    assert [record.kind for record in stored] == ["stages-failures", "stages-durations"]
    failures, durations = (record.card for record in stored)
    assert set(failures["baselines"]) == {"failure rate", "prior", "logistic", "trees"}
    assert set(durations["baselines"]) == {"median", "recent", "line", "trees", "both"}
    for card in (failures, durations):
        assert card["from"] < card["to"]
        assert card["runs"] > card["scored_runs"] >= card["metrics"]["runs"] > 0
        assert sum(part["runs"] for part in card["slices"].values()) == card["metrics"]["runs"]
        assert sum(week["runs"] for week in card["weeks"]) == card["metrics"]["runs"]
        assert all(drift["index"] > 0 for drift in card["drift"])
        assert set(card["versions"]) == {"numpy", "sklearn"}
    assert sum(bin["runs"] for bin in failures["calibration"]) == failures["metrics"]["runs"]
    assert 0.85 < durations["metrics"]["below_p90"] < 0.95


def test_how_models_stand_is_known_while_they_answer(
    learned: Predictor, followed: Sequence[object], invented: Invented
) -> None:
    standing = learned.standing()["stages-failures"]
    assert standing["runs"] > 200
    assert standing["leader"] in standing["brier"]
    assert all(0 < error < 0.25 for error in standing["brier"].values())
    assert Predictor().standing() == {}
    assert Predictor().replay(invented.runs[:50]).standing()["stages-failures"]["leader"] == "prior"


def test_a_server_that_follows_the_history_answers_with_stored_models_as_the_one_that_trained(
    invented: Invented, stored: list[ModelRecord]
) -> None:
    known = int(0.7 * len(invented.runs))
    trained = Predictor(refit_every=None).fit(invented.runs[:known])
    follower = Predictor(refit_every=None).replay(invented.runs[:known], stored[0].attributes)
    for record in stored:
        follower.load(record)
    for run in invented.runs[known : known + 200]:
        assert follower.predict(run) == trained.predict(run)
        trained.observe(run)
        follower.observe(run)


def test_a_model_for_other_features_is_refused(stored: list[ModelRecord]) -> None:
    with_more = Predictor(refit_every=None).replay([Run("e", "p", 1.0, stage="s", attributes={"size": 1.0})])
    with pytest.raises(ModelRefused, match="other features"):
        with_more.load(stored[0])
    fresh = Predictor()
    fresh.load(stored[0])
    assert fresh.attributes == stored[0].features[len(NAMES) :]
