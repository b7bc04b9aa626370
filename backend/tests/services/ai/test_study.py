from __future__ import annotations

import importlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flexiroaster.ai.invented import history
from flexiroaster.ai.prediction import learning
from flexiroaster.bus.local import LocalBus
from flexiroaster.engine.events import Event, EventType
from flexiroaster.services.ai import following as room
from flexiroaster.services.ai.following import Following
from flexiroaster.services.ai.messages import keep_training, line, of_training, parsed
from flexiroaster.services.ai.models import Models
from flexiroaster.services.ai.study import Study, Training
from flexiroaster.services.ai.switch import Switch
from flexiroaster.store.database import Database
from flexiroaster.store.migrate import upgrade
from flexiroaster.store.predictions import NewPrediction
from tests.services.ai.rows import write

pytestmark = pytest.mark.slow

KEY = b"k" * 32
RUNS = history(seed=3, pipelines=7, days=20).runs
NOW = datetime.fromtimestamp(max(run.ended_at or 0.0 for run in RUNS) + 60.0, UTC)


class Room:
    """A database with a history, and what was learned from it."""

    def __init__(self, folder: Path) -> None:
        self.database = Database.open(f"sqlite:///{folder}/history.db")
        upgrade(self.database)
        write(self.database, RUNS)
        self.folder = folder / "models"
        self.bus = LocalBus()
        self.models = Models(self.database, self.bus, Switch(), lambda: NOW)
        self.training = Study(self.database, Switch(), lambda kind: True, lambda: NOW).train(self.folder, KEY)
        message = parsed(line(of_training(self.training)))
        self.files = keep_training(message, _Only(self.models))  # type: ignore[arg-type]

    def predictions(self, key: bytes = KEY) -> list[NewPrediction]:
        """Of the last day, as the learner makes them."""
        return Following(self.database, Switch(), self.folder, key, lambda: NOW).begin().predictions


class _Only:
    def __init__(self, models: Models) -> None:
        self.models = models


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    with pytest.MonkeyPatch.context() as quick:
        # How well is measured elsewhere: here it matters what becomes of a model.
        quick.setattr(learning, "FEWEST_ROUNDS", 10)
        quick.setattr(learning, "MOST_ROUNDS", 10)
        found = Room(tmp_path_factory.mktemp("learned"))
        yield found
    found.database.close()


@pytest.fixture(autouse=True)
def _of_the_last_days(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "RECENT", timedelta(days=1))
    monkeypatch.setattr(room, "MOST_IN_DETAIL", 10_000)
    monkeypatch.setattr(room, "NOTED", 300)


def test_what_was_learned_is_kept_and_answers(learned: Room) -> None:
    kinds = {entry.kind for entry in learned.training.entries}
    assert "stages-failures" in kinds
    assert learned.training.note is None
    assert sorted(learned.files) == sorted(path.name for path in learned.folder.iterdir())
    champions = {row.kind: row for row in learned.models.all() if row.status == "champion"}
    assert champions.keys() == kinds
    card = champions["stages-failures"].card
    assert card["metrics"]["brier"] <= card["baselines"]["failure rate"]["brier"]
    assert learned.models.standing().training["runs"] == learned.training.runs


def test_models_move_what_is_foreseen_of_stages(learned: Room) -> None:
    with_models, without = foreseen(learned.predictions()), foreseen(learned.predictions(key=b"x" * 32))
    assert len(with_models) == len(without) > 0
    assert with_models != without


def test_a_changed_file_answers_nothing(learned: Room) -> None:
    """Whoever can write into the folder still cannot make the server believe a model."""
    (path,) = learned.folder.glob("stages-durations-*")
    before = path.read_bytes()
    honest, without = foreseen(learned.predictions()), foreseen(learned.predictions(key=b"x" * 32))
    path.write_bytes(before + b" ")  # still the same JSON
    try:
        changed = foreseen(learned.predictions())
    finally:
        path.write_bytes(before)
    assert changed == without != honest
    assert foreseen(learned.predictions()) == honest


def foreseen(predictions: list[NewPrediction]) -> list[list[float]]:
    """The seconds of each stage."""
    return [[stage["p50_seconds"] for stage in one.body["stages"]] for one in predictions]


def test_a_newer_model_takes_over_and_is_told(learned: Room) -> None:
    told: list[Event] = []
    leave = learned.bus.subscribe(told.extend)
    again = Study(learned.database, Switch(), lambda kind: True, lambda: NOW + timedelta(days=1))
    training = again.train(learned.folder, KEY)
    keep_training(parsed(line(of_training(training))), _Only(learned.models))  # type: ignore[arg-type]
    leave()
    rows = learned.models.all()
    assert {row.id for row in rows if row.status == "champion"} == {entry.id for entry in training.entries}
    assert {row.id for row in rows if row.status == "retired"} == {entry.id for entry in learned.training.entries}
    assert {event.type for event in told} == {EventType.MODEL_TRAINED}


def test_too_little_says_how_much_is_missing(tmp_path: Path) -> None:
    database = Database.open(f"sqlite:///{tmp_path}/few.db")
    upgrade(database)
    write(database, RUNS[:120])
    training = Study(database, Switch(), lambda kind: True, lambda: NOW).train(tmp_path / "models", KEY)
    database.close()
    assert isinstance(training, Training)
    assert training.entries == []
    assert training.note is not None
    assert "of 500 stage runs" in training.note


def test_without_the_extra_it_says_what_to_install(learned: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.import_module

    def missing(name: str, package: str | None = None) -> object:
        if name.startswith(("sklearn", "numpy", "threadpoolctl")):
            raise ModuleNotFoundError(name)
        return real(name, package)

    monkeypatch.setattr("flexiroaster.ai.runs.importlib.import_module", missing)
    training = Study(learned.database, Switch(), lambda kind: True, lambda: NOW).train(learned.folder, KEY)
    assert training.entries == []
    assert 'pip install "flexiroaster[ai]"' in str(training.note)
    assert learned.predictions(), "what was learned before still answers"
