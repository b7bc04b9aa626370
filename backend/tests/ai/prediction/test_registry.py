from __future__ import annotations

import json

import pytest

from flexiroaster.ai import ModelRecord, Predictor, Registry
from flexiroaster.ai.invented import Invented
from flexiroaster.ai.prediction.models import model_from
from flexiroaster.ai.prediction.registry import ModelRefused

KEY = b"k" * 32


def record(kind: str = "stages-failures", trained_at: float = 1.0) -> ModelRecord:
    return ModelRecord.of(kind, "schema", trained_at, {"card": {"runs": 7}, "n": [1.5]})


def test_a_model_comes_back_as_it_was_signed() -> None:
    data = record().to_file(KEY)
    back = ModelRecord.from_file(data, KEY)
    assert (back.id, back.body, back.card) == (record().id, record().body, {"runs": 7})


@pytest.mark.parametrize("change", [b"{}", b"not json", b"[]"])
def test_what_is_no_model_is_refused(change: bytes) -> None:
    with pytest.raises(ModelRefused, match="holds no model"):
        ModelRecord.from_file(change, KEY)


def test_a_changed_or_foreign_file_is_refused() -> None:
    data = record().to_file(KEY)
    with pytest.raises(ModelRefused, match="signature"):
        ModelRecord.from_file(data, b"x" * 32)
    file = json.loads(data)
    file["content"]["body"]["n"] = [2.5]
    with pytest.raises(ModelRefused, match="signature"):
        ModelRecord.from_file(json.dumps(file).encode(), KEY)
    with pytest.raises(ModelRefused, match="at least 32"):
        record().to_file(b"short")


def test_a_new_champion_retires_the_old_one_and_can_be_rolled_back() -> None:
    registry = Registry()
    first, second = record(trained_at=1.0), record(trained_at=2.0)
    for model in (first, second, second):
        registry.add(model)
    assert len(registry.records) == 2
    registry.promote(first.id)
    registry.promote(second.id)
    champion = registry.champion("stages-failures")
    assert champion is not None
    assert champion.id == second.id
    back = registry.roll_back("stages-failures")
    assert back is not None
    assert back.id == first.id
    assert {model.id: model.status for model in registry.records} == {first.id: "champion", second.id: "shadow"}
    assert registry.roll_back("stages-failures") is None
    assert registry.champion("stages-failures") is None


def test_a_tree_that_points_backwards_is_refused() -> None:
    with pytest.raises(ValueError, match="points backwards"):
        model_from({"form": "trees", "medians": [0], "start": 0, "trees": [[[0], [0.5], [0], [0], [False]]]})


def test_stored_models_answer_as_the_trained_ones(learned: Predictor, invented: Invented) -> None:
    records = [ModelRecord.from_file(model.to_file(KEY), KEY) for model in learned.records(trained_at=5.0)]
    assert [model.kind for model in records] == ["stages-failures", "stages-durations"]
    assert records[0].card["metrics"]["runs"] > 0
    assert set(records[0].card["baselines"]) == {"failure rate", "prior", "logistic", "trees"}
    other = Predictor()
    for model in records:
        other.load(model)
    run = invented.runs[-1]
    mine, theirs = learned.level(run), other.level(run)
    values = mine.failures.history.features(run)
    trained, loaded = mine.failures.trained, theirs.failures.trained
    assert trained is not None
    assert loaded is not None
    for name in ("logistic", "trees"):
        assert loaded.probability(name, values) == pytest.approx(trained.probability(name, values), abs=1e-6)


def test_a_model_for_other_features_is_refused() -> None:
    with pytest.raises(ValueError, match="other features"):
        Predictor().load(record())
