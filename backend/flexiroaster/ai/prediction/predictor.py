"""The face: learn from a history of runs, follow it, predict the next ones. Plain rows in, plain values out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from flexiroaster.ai.prediction.duration import DurationPrediction, Durations, TrainedDurations
from flexiroaster.ai.prediction.explain import Reason
from flexiroaster.ai.prediction.failure import FailurePrediction, Failures
from flexiroaster.ai.prediction.outlook import Ahead, Outlook, outlook
from flexiroaster.ai.prediction.retries import WORTH, RetryAdvice
from flexiroaster.ai.prediction.training import NEWEST, Trained
from flexiroaster.ai.registry import ModelRecord, ModelRefused
from flexiroaster.ai.runs import Run

Row = Run | Mapping[str, Any]
MOST_ATTRIBUTES = 64


@dataclass(frozen=True, slots=True)
class Prediction:
    """What is to be expected of a run, as known at its start."""

    failure: FailurePrediction
    duration: DurationPrediction

    @property
    def probability(self) -> float:
        """That it fails."""
        return self.failure.probability


@dataclass(frozen=True, slots=True)
class Coming:
    """A stage of a live execution that has not ended: its next attempt, or the one under way since `run.started_at`."""

    run: Run
    running: bool = False
    max_attempts: int = 1
    delay: float = 0.0
    """Seconds before another attempt."""


class Level:
    """Predicts runs of one sort: attempts of stages, or whole executions. They do not mix: their rates differ."""

    def __init__(self, attributes: tuple[str, ...]) -> None:
        self.failures = Failures(attributes)
        self.durations = Durations()
        self.failures.history.listeners.append(self.durations.end)
        self.told = 0

    def start(self, run: Run) -> Prediction:
        """The run begins: predict it, and learn from it when its end is told."""
        values = self.failures.start(run)
        seconds = self.durations.start(run, values)
        return Prediction(self.failures.answer(run, values), self.durations.answer(run, seconds))

    def foresee(self, run: Run) -> Prediction:
        """Predict a run that has not begun."""
        values = self.failures.history.features(run)
        seconds = self.durations.features(run, values)
        return Prediction(self.failures.answer(run, values), self.durations.answer(run, seconds))

    def note(self, run: Run) -> None:
        """The run begins; nobody asks for a prediction."""
        self.durations.start(run, self.failures.start(run))

    def end(self, run: Run) -> None:
        history = self.failures.history
        if not history.knows(run) and history.now <= run.started_at:
            self.note(run)
        self.remember(run)

    def remember(self, run: Run) -> None:
        """The outcome counts for later runs; a run whose start was not told is no example to learn from."""
        history = self.failures.history
        history.catch_up(run.started_at)
        history.ended(run)
        self.told += 1

    def train(self, seed: int) -> tuple[Trained | None, TrainedDurations | None]:
        from flexiroaster.ai.prediction.duration_training import train_durations
        from flexiroaster.ai.prediction.training import train

        failures = train(self.failures.samples, self.failures.names, seed)
        return failures, train_durations(self.durations.samples, seed)

    def serve(self, failures: Trained | None, durations: TrainedDurations | None) -> None:
        self.failures.serve(failures)
        self.durations.serve(durations, len(self.failures.history.attributes))


class Predictor:
    """Learns from runs and predicts them. Rows are `Run`s or mappings with the same keys.

    `predictor.fit(history)` learns anew, `.observe(run)` tells an outcome, `.predict(run)` answers for a run that
    starts at `run.started_at`. An outcome counts from the moment of its end, whenever it is told. Needs the extra `ai`
    to train, nothing to answer. `refit_every`: train again after so many outcomes (None: only in `fit` and `train`).
    """

    def __init__(self, refit_every: int | None = 2000, seed: int = 0) -> None:
        self.refit_every = refit_every
        self.seed = seed
        self.attributes: tuple[str, ...] = ()
        self._levels: dict[bool, Level] = {}
        self._trained_at: dict[bool, int] = {}

    def fit(self, history: Iterable[Row]) -> Predictor:
        """Forget everything, then learn from these runs, in any order. Too few of them leave the prior to answer."""
        self.replay(history)
        self.train()
        return self

    def replay(
        self, history: Iterable[Row], attributes: tuple[str, ...] | None = None, noted: int = NEWEST
    ) -> Predictor:
        """Forget everything, then follow these runs, in any order, without training: the prior answers until `train`
        or `load`. `attributes` are those of the models to come (`ModelRecord.attributes`), by default those of the
        runs. Only the newest `noted` are examples to learn from; of the others the outcomes count.
        """
        runs = sorted(map(Run.of, history), key=lambda run: run.started_at)
        if attributes is None:
            names = {name for run in runs[-20_000:] for name in (*run.attributes, *run.categories)}
            attributes = tuple(sorted(names)[:MOST_ATTRIBUTES])
        self.attributes = attributes
        self._levels.clear()
        of_level = Counter(run.stage != "" for run in runs)
        for run in runs:
            level = self.level(run)
            of_level[run.stage != ""] -= 1
            if of_level[run.stage != ""] < noted:
                level.note(run)
            if run.ended_at is not None:
                level.remember(run)
        return self

    def observe(self, run: Row) -> None:
        """A run ended."""
        run = Run.of(run)
        level, key = self.level(run), run.stage != ""
        level.end(run)
        if self.refit_every is not None and level.told - self._trained_at.get(key, 0) >= self.refit_every:
            self._trained_at[key] = level.told
            level.serve(*level.train(self.seed))

    def predict(self, run: Row) -> Prediction:
        """A run starts. Asking twice changes nothing."""
        run = Run.of(run)
        return self.level(run).start(run)

    def explain(self, prediction: Prediction, run: Row, most: int = 3) -> list[Reason]:
        """The features that moved the probability most, each with the exact change."""
        return self.level(Run.of(run)).failures.explain(prediction.failure.values, most)

    def retry(self, run: Row, worth: float = WORTH) -> RetryAdvice:
        """Whether `run`, an attempt after a failed one that was told before, will succeed and is worth it."""
        run = Run.of(run)
        failures = self.level(run).failures
        values = failures.history.features(run)
        error = failures.history.error_before(run)
        return failures.history.retries.advise(run, error, 1.0 - failures.probability(values), worth)

    def outlook(self, now: float, coming: Iterable[Coming]) -> Outlook:
        """What is left of an execution at that moment: when it ends, and how likely it is to fail on the way."""
        return outlook([self._ahead(now, stage) for stage in coming])

    def _ahead(self, now: float, coming: Coming) -> Ahead:
        # It has waited for as long as it did, not until now.
        asked_at = None if coming.run.queued_at is None else now - (coming.run.started_at - coming.run.queued_at)
        run = replace(coming.run, started_at=now, queued_at=asked_at)
        prediction = self.level(run).foresee(run)
        history = self.level(run).failures.history
        error = history.likely_error(run)
        further = range(run.attempt + 1, coming.max_attempts + 1)
        return Ahead(
            stage=run.stage,
            duration=prediction.duration,
            failure=prediction.probability,
            needs=run.needs,
            elapsed=now - coming.run.started_at if coming.running else None,
            retries=tuple(1.0 - history.retries.success(replace(run, attempt=again), error) for again in further),
            delay=coming.delay,
        )

    def train(self) -> None:
        """Learn from the runs seen so far. Takes seconds to a minute; the same runs give the same models."""
        for key, level in self._levels.items():
            self._trained_at[key] = level.told
            level.serve(*level.train(self.seed))

    def level(self, run: Run) -> Level:
        key = run.stage != ""
        if key not in self._levels:
            self._levels[key] = Level(self.attributes)
        return self._levels[key]

    # --- Models ------------------------------------------------------------------------------------------------------

    def records(self, trained_at: float) -> list[ModelRecord]:
        """The models that answer now, to be signed and stored."""
        found = []
        for key, level in self._levels.items():
            name = "stages" if key else "executions"
            for kind, model in (("failures", level.failures.trained), ("durations", level.durations.trained)):
                if model is not None:
                    names = level.failures.names
                    found.append(ModelRecord.of(f"{name}-{kind}", names, trained_at, model.to_document()))
        return found

    def standing(self) -> dict[str, dict[str, Any]]:
        """By kind of failure model: how its candidates did of late, and which features have moved since training."""
        return {
            f"{'stages' if key else 'executions'}-failures": level.failures.standing()
            for key, level in self._levels.items()
        }

    def load(self, record: ModelRecord) -> None:
        """Let a stored model answer. Raises ModelRefused when it was made for other features."""
        if not self._levels:
            self.attributes = record.attributes
        level = self.level(Run("", "", 0.0, stage="stage" if record.kind.startswith("stages-") else ""))
        if record.features != level.failures.names:
            raise ModelRefused(f"Model {record.id} was trained on other features: train it again.")
        model = record.model
        if isinstance(model, Trained):
            level.failures.serve(model)
        else:
            level.durations.serve(model, len(self.attributes))
