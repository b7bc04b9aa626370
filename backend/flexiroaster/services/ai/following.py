"""Follows executions as they begin, move and end, and says what is to be expected of them. Reads; writes nothing.

Every outcome counts from the moment of its end. A run's features are those at its start, whenever they are computed: an
execution that is looked at too late for that gets no prediction.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import structlog

from flexiroaster.ai.prediction.features import schema_hash
from flexiroaster.ai.prediction.predictor import Coming, Prediction, Predictor
from flexiroaster.ai.registry import Entry, ModelRecord, ModelRefused, load
from flexiroaster.ai.runs import Run
from flexiroaster.engine.parts import parts
from flexiroaster.services.ai.history import UNKNOWN_LENGTH, RunHistory, Story, all_runs
from flexiroaster.services.ai.switch import Switch
from flexiroaster.store import models as model_store
from flexiroaster.store import pipelines as pipeline_store
from flexiroaster.store import predictions as prediction_store
from flexiroaster.store.database import Database
from flexiroaster.store.models import ModelRow
from flexiroaster.store.predictions import ForecastRow, NewPrediction

log = structlog.get_logger(__name__)

REMEMBERED = 5_000
"""Executions that are followed again when the learner begins."""
MOST_SILENT, OF_SILENT = 100, 50
"""Pipelines whose executions are all older, and executions of each."""
NOTED = 3_000
"""Of their runs, those that say how far durations are usually off: it takes five times as long to follow them so."""
RECENT = timedelta(hours=1)
"""Executions that began so shortly before are predicted though the learner came late: as of their start."""
EXECUTIONS_KNOWN = 20_000
MOST_PREDICTED = 200
"""Predictions of one round; of more executions at once nobody reads them."""
MOST_IN_DETAIL = 20
"""Executions of one round whose stages are foreseen too."""
MOST_STAGES = 200
"""Stages of an execution that are played through for its end."""
COUNTED = ("success", "failed", "timed_out")


@dataclass(slots=True)
class Said:
    """What a round of looking gives. `outlooks` are by execution, with its pipeline; None ends one."""

    predictions: list[NewPrediction] = field(default_factory=list)
    outlooks: dict[str, tuple[str, dict[str, Any] | None]] = field(default_factory=dict)
    forecasts: list[ForecastRow] = field(default_factory=list)


class Following:
    """`begin` before the first `heed`. Used by one thread."""

    def __init__(
        self,
        database: Database,
        switch: Switch,
        models: Path | None,
        key: bytes,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._switch = switch
        self._models = models
        self._key = key
        self._clock = clock
        self._history = RunHistory(database, switch)
        self._predictor = Predictor(refit_every=None)
        self._champions: dict[str, str] = {}
        self._ended: Counter[str] = Counter()
        self._told: OrderedDict[str, dict[tuple[str, int], bool]] = OrderedDict()
        """Execution → its attempts that were seen to begin, and whether their end was told."""
        self._with_outlook: set[str] = set()

    def begin(self) -> Said:
        """Follow the newest executions again, with the models that answer now."""
        rows = self._champion_rows()
        attributes = self._attributes_of(rows)
        stories = self._stories()
        since = (self._clock() - RECENT).timestamp()
        old = [run for run in all_runs(stories) if run.started_at < since]
        self._predictor.replay(old, attributes, NOTED)
        self._told.clear()
        self._ended.clear()
        for story in stories:
            told = self._of(story)
            for run in story.runs:
                if run.started_at < since:
                    told[run.stage, run.attempt] = run.ended_at is not None
            if story.whole is not None and story.whole.started_at < since and story.whole.status in COUNTED:
                self._ended[story.seen.pipeline_id] += 1
        self._serve(rows)
        return self._follow(stories, predict_since=since, forecast_all=True)

    def _stories(self) -> list[Story]:
        """The newest, and some of each pipeline that ran last before them and that nothing is said of."""
        stories = self._history.newest(REMEMBERED)
        seen = {story.seen.pipeline_id for story in stories}
        with self._database.read() as connection:
            silent = [id for id in prediction_store.behind(connection) if id not in seen]
        for id in silent[:MOST_SILENT]:
            stories += self._history.of_pipeline(id, until=self._clock(), limit=OF_SILENT)
        return sorted(stories, key=lambda story: (story.seen.created_at, story.seen.id))

    def reload(self) -> Said | None:
        """New models were trained: let them answer. None where nothing else changed by it."""
        rows = self._champion_rows()
        attributes = self._attributes_of(rows)
        if attributes is not None and attributes != self._predictor.attributes:
            return self.begin()
        self._serve(rows)
        return None

    def heed(self, ids: Iterable[str]) -> Said:
        """Something happened to these executions."""
        return self._follow(self._history.named(ids), predict_since=-math.inf, forecast_all=False)

    # --- Events -----------------------------------------------------------------------------------------------------

    def _follow(self, stories: Sequence[Story], *, predict_since: float, forecast_all: bool) -> Said:
        said = Said()
        touched = self._tell_ends(stories)
        known = self._predicted([story.seen.id for story in stories])
        new = self._new(stories)
        in_detail = sum(run.stage == "" for _, run in new) <= MOST_IN_DETAIL
        for story, run in new:
            if run.stage or run.started_at < predict_since or run.execution in known:
                self._predictor.level(run).note(run)
            else:
                prediction = self._begin(story, run, in_detail)
                if prediction is not None and len(said.predictions) < MOST_PREDICTED:
                    said.predictions.append(prediction)
            if run.ended_at is not None:
                self._end(story, run, touched)
        # Nothing below may know of later moments than what happened in this round: the history would move on to them,
        # and an execution that began before and is heeded next could no longer be predicted as of its start.
        moment = max((_newest(story) for story in stories), default=-math.inf)
        if in_detail:
            self._look_ahead(stories, said, moment)
        if forecast_all or not touched:
            touched = {story.seen.pipeline_id for story in stories}
        said.forecasts = self._forecasts(touched, moment)
        return said

    def _tell_ends(self, stories: Sequence[Story]) -> set[str]:
        """Of runs that began in an earlier round. Answers the pipelines of executions that ended."""
        touched: set[str] = set()
        for story in stories:
            told = self._of(story)
            for run in story.runs:
                if run.ended_at is not None and told.get((run.stage, run.attempt)) is False:
                    self._end(story, run, touched)
        return touched

    def _new(self, stories: Sequence[Story]) -> list[tuple[Story, Run]]:
        """Runs that were not seen before, in the order of their starts."""
        found = [
            (story, run) for story in stories for run in story.runs if (run.stage, run.attempt) not in self._of(story)
        ]
        for story, run in found:
            self._of(story)[run.stage, run.attempt] = False
        return sorted(found, key=lambda pair: (pair[1].started_at, pair[1].stage))

    def _end(self, story: Story, run: Run, touched: set[str]) -> None:
        self._predictor.level(run).remember(run)
        self._of(story)[run.stage, run.attempt] = True
        if not run.stage:
            touched.add(run.pipeline)
            if run.status in COUNTED:
                self._ended[run.pipeline] += 1

    def _of(self, story: Story) -> dict[tuple[str, int], bool]:
        told = self._told.get(story.seen.id)
        if told is None:
            told = self._told[story.seen.id] = {}
            if len(self._told) > EXECUTIONS_KNOWN:
                self._told.popitem(last=False)
        return told

    def _predicted(self, ids: Sequence[str]) -> set[str]:
        found: set[str] = set()
        for some in parts(ids, 500):
            with self._database.read() as connection:
                found |= prediction_store.of_executions(connection, some).keys()
        return found

    # --- What is said -----------------------------------------------------------------------------------------------

    def _begin(self, story: Story, run: Run, in_detail: bool) -> NewPrediction | None:
        """None when something that ended after its start was taken in already: that would look into the future."""
        level = self._predictor.level(run)
        if level.failures.history.now > run.started_at:
            level.note(run)
            return None
        prediction = self._predictor.predict(run)
        body = self._body(run, prediction)
        if in_detail:
            body["stages"] = self._stages(story, run)
        at = datetime.fromtimestamp(run.started_at, UTC)
        return NewPrediction(
            execution_id=run.execution,
            pipeline_id=run.pipeline,
            made_at=self._clock(),
            as_of=at,
            model_id=self._model_id(prediction),
            features=[_finite(value) for value in prediction.failure.values],
            schema=self._schema(run),
            probability=prediction.probability,
            body=body,
        )

    def _body(self, run: Run, prediction: Prediction) -> dict[str, Any]:
        failure, duration = prediction.failure, prediction.duration
        reasons = self._predictor.explain(prediction, run)
        return {
            "failure_probability": failure.probability,
            "failure_low": failure.low,
            "failure_high": failure.high,
            "p10_seconds": duration.p10,
            "p50_seconds": duration.p50,
            "p90_seconds": duration.p90,
            "executions": self._ended[run.pipeline],
            "model": failure.model,
            "words": failure.words,
            "reasons": [
                {name: value for name, value in asdict(reason).items() if name != "change"} for reason in reasons
            ],
        }

    def _stages(self, story: Story, run: Run) -> list[dict[str, Any]]:
        """Each stage as foreseen at the start of the execution."""
        found = []
        for stage in _templates(story, run)[:MOST_STAGES]:
            level = self._predictor.level(stage)
            if level.failures.history.now > run.started_at:
                return []
            prediction = level.foresee(stage)
            found.append(
                {
                    "stage": stage.stage,
                    "failure_probability": prediction.probability,
                    "p50_seconds": prediction.duration.p50,
                    "p90_seconds": prediction.duration.p90,
                }
            )
        return found

    def _look_ahead(self, stories: Sequence[Story], said: Said, moment: float) -> None:
        """What is left of the executions that run; what has ended has nothing left."""
        for story in stories:
            id, pipeline = story.seen.id, story.seen.pipeline_id
            if story.seen.ended_at is not None:
                if id in self._with_outlook:
                    self._with_outlook.discard(id)
                    said.outlooks[id] = (pipeline, None)
            elif story.whole is not None and (left := self._outlook(story, story.whole, moment)) is not None:
                self._with_outlook.add(id)
                said.outlooks[id] = (pipeline, left)

    def _outlook(self, story: Story, whole: Run, now: float) -> dict[str, Any] | None:
        under_way = {run.stage: run for run in story.attempts if run.ended_at is None}
        attempts = Counter(run.stage for run in story.attempts)
        coming = []
        for template in _templates(story, whole):
            if template.stage in story.over:
                continue
            if template.kind in UNKNOWN_LENGTH:
                return None
            sketch = story.version.stages[template.stage]
            present = under_way.get(template.stage)
            run = present or _next_attempt(template, attempts[template.stage])
            coming.append(Coming(run, present is not None, sketch.max_attempts, sketch.delay))
        if not coming or len(coming) > MOST_STAGES:
            return None
        left = self._predictor.outlook(now, coming)

        def moment(seconds: float) -> str:
            return datetime.fromtimestamp(now + seconds, UTC).isoformat()

        return {
            "as_of": moment(0.0),
            "probability": left.failure,
            "ends_earliest": moment(left.p10),
            "ends_at": moment(left.p50),
            "ends_latest": moment(left.p90),
            "critical": list(left.critical),
        }

    def _forecasts(self, pipeline_ids: Iterable[str], moment: float) -> list[ForecastRow]:
        """Of the next execution of each, if it began at that moment."""
        made_at = self._clock()
        found = []
        for id in sorted(pipeline_ids):
            with self._database.read() as connection:
                row = pipeline_store.find(connection, id)
            if row is None or row.deleted_at is not None or not self._switch.looks_at(row.labels):
                continue
            connector = self._history.connector(id, row.version)
            run = Run("", id, moment, queued_at=moment, version=str(row.version), connector=connector)
            prediction = self._predictor.level(run).foresee(run)
            body = self._body(run, prediction) | {"model_id": self._model_id(prediction)}
            found.append(ForecastRow(id, made_at, body))
        return found

    # --- Models -----------------------------------------------------------------------------------------------------

    def _champion_rows(self) -> list[ModelRow]:
        with self._database.read() as connection:
            return model_store.champions(connection)

    def _attributes_of(self, rows: Sequence[ModelRow]) -> tuple[str, ...] | None:
        """Those that the newest models were trained with; None where there are none."""
        for row in sorted(rows, key=lambda row: row.trained_at, reverse=True):
            record = self._record(row)
            if record is not None:
                return record.attributes
        return None

    def _serve(self, rows: Sequence[ModelRow]) -> None:
        self._champions.clear()
        for row in rows:
            record = self._record(row)
            if record is None:
                continue
            try:
                self._predictor.load(record)
            except ModelRefused as error:
                log.warning("model.refused", model=row.id, reason=str(error))
            else:
                self._champions[row.kind] = row.id

    def _record(self, row: ModelRow) -> ModelRecord | None:
        if self._models is None:
            return None
        entry = Entry(row.id, row.kind, row.schema, row.trained_at.timestamp(), row.file, row.size, row.card)
        try:
            return load(entry, self._models, self._key)
        except ModelRefused as error:
            log.warning("model.refused", model=row.id, reason=str(error))
            return None

    def _model_id(self, prediction: Prediction) -> str | None:
        return None if prediction.failure.model == "prior" else self._champions.get("executions-failures")

    def _schema(self, run: Run) -> str:
        return schema_hash(self._predictor.level(run).failures.names)


def _newest(story: Story) -> float:
    """When something last happened to it."""
    return max((run.ended_at or run.started_at for run in story.runs), default=-math.inf)


def _templates(story: Story, whole: Run) -> list[Run]:
    """The first attempt of each stage that every execution runs, as if it began with the execution."""
    return [
        replace(
            whole,
            stage=id,
            kind=sketch.type,
            connector=sketch.connector,
            needs=sketch.needs,
            queued_at=whole.started_at,
            ended_at=None,
            status="",
            error_class="",
        )
        for id, sketch in story.version.stages.items()
        if sketch.main
    ]


def _next_attempt(template: Run, earlier: int) -> Run:
    return replace(template, attempt=earlier + 1, queued_at=None) if earlier else template


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
