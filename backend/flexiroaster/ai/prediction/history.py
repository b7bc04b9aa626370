"""The state of all runs so far, in the order of events: features at a start see only what had ended by then."""

from __future__ import annotations

import heapq
import math
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from flexiroaster.ai.prediction.prior import Prior
from flexiroaster.ai.prediction.retries import Retries
from flexiroaster.ai.prediction.scopes import Scope, Spread, Trouble, Usual, since
from flexiroaster.ai.prediction.under_way import UnderWay
from flexiroaster.ai.runs import DAY, HOUR, MINUTE, Run

REMEMBERED_EXECUTIONS = 20_000
FINAL = frozenset({"success", "failed", "timed_out"})
"""Cancelled and skipped runs say nothing about failure."""
LARGEST = 1e100
"""Of an attribute. Squares of larger ones are beyond all numbers, and one such input would spoil the model of all."""


@dataclass(slots=True)
class StageState:
    first: Scope
    retries: Scope
    trouble: Trouble
    seconds: Usual = field(default_factory=Usual)
    rows: Usual = field(default_factory=Usual)
    bytes: Usual = field(default_factory=Usual)
    classes: dict[str, float] = field(default_factory=dict)
    hours: list[tuple[float, float]] = field(default_factory=lambda: [(0.0, 0.0)] * 24)


@dataclass(slots=True)
class PipelineState:
    scope: Scope
    trouble: Trouble
    gap: Usual = field(default_factory=Usual)


@dataclass(slots=True)
class VersionState:
    since: float
    scope: Scope
    trouble: Trouble


@dataclass(slots=True)
class ConnectorState:
    scope: Scope
    trouble: Trouble
    surprise: float = 0.0
    surprise_at: float = 0.0
    running: int = 0

    def surprised(self, at: float) -> float:
        faded: float = 0.5 ** (max(at - self.surprise_at, 0.0) / HOUR)
        return self.surprise * faded


@dataclass(slots=True)
class ExecutionState:
    failures: int = 0
    ended: int = 0
    late: float = 0.0
    previous_late: float = math.nan
    attempts: dict[str, tuple[float, str, float]] = field(default_factory=dict)
    """Stage → when its last attempt ended, the error class, how late it was."""


class History:
    """Feed it starts and ends. `ended` may be told early: nothing counts before the moment it happened."""

    def __init__(self, attributes: tuple[str, ...] = ()) -> None:
        self.attributes = attributes
        self.prior = Prior()
        self.retries = Retries()
        self.listeners: list[Callable[[Run], None]] = []
        """Called with each run at the moment it ended, before it counts here."""
        self.now = -math.inf
        self._waiting: list[tuple[float, int, Run]] = []
        self._told = 0
        self._stages: dict[tuple[str, str], StageState] = {}
        self._pipelines: dict[str, PipelineState] = {}
        self._versions: dict[tuple[str, str, str], VersionState] = {}
        self._connectors: dict[str, ConnectorState] = {}
        self._kinds: dict[str, Scope] = {}
        self._triggers: dict[str, Scope] = {}
        self._all = Scope((HOUR, DAY))
        self._classes: dict[str, Scope] = {}
        self._spread_stage = Spread(DAY)
        self._spread_connector = Spread(HOUR)
        self._executions: OrderedDict[str, ExecutionState] = OrderedDict()
        self._open: UnderWay[str] = UnderWay()

    # --- Events -----------------------------------------------------------------------------------------------------

    def ended(self, run: Run) -> None:
        """Tell the outcome of a run. It counts for runs that start at or after its end."""
        if run.ended_at is None:
            raise ValueError(f"The run of {run.stage!r} in {run.execution!r} has no ended_at: tell it when it ended.")
        self._told += 1
        heapq.heappush(self._waiting, (run.ended_at, self._told, run))

    def start(self, run: Run) -> list[float]:
        """The features of a run that starts now; it counts as under way until its end is told."""
        values = self.features(run)
        if self._open.put(run, run.connector):
            self._connector(run.connector).running += 1
        return values

    def knows(self, run: Run) -> bool:
        """Whether the run counts as under way."""
        return run in self._open

    def catch_up(self, at: float) -> None:
        """Take in what had ended at that moment."""
        while self._waiting and self._waiting[0][0] <= at:
            self._take_in(heapq.heappop(self._waiting)[2])
        self.now = max(self.now, at)

    @property
    def failures_seen(self) -> int:
        return self._all.failures

    # --- Features ---------------------------------------------------------------------------------------------------

    def features(self, run: Run) -> list[float]:
        """In the order of `features.FEATURES`, then the attributes. What is not known is not a number."""
        at = run.started_at
        self.catch_up(at)
        prior, above = self.prior.probability(run), self.prior.above(run)
        stage = self._stages.get((run.pipeline, run.stage)) or NEW_STAGE
        values = [float(run.attempt), prior, above]
        values += self._of_stage(run, stage, above)
        values += self._of_pipeline(run, above)
        values += self._of_version(run, at, above)
        values += self._of_all(run, stage, at)
        values += self._of_execution(run, at)
        values += self._of_size(run, stage, at)
        values += [known(run, name) for name in self.attributes]
        return values

    def _of_stage(self, run: Run, stage: StageState, above: float) -> list[float]:
        at, scope = run.started_at, stage.first
        hour = int(at % DAY // HOUR)
        failures = runs = 0.0
        for offset, weight in ((-1, 0.5), (0, 1.0), (1, 0.5)):
            share = stage.hours[(hour + offset) % 24]
            failures += weight * share[0]
            runs += weight * share[1]
        ever = (scope.failures + 4.0 * above) / (scope.runs + 4.0)
        return [
            math.log1p(scope.runs),
            scope.last,
            float(max(min(scope.streak, 30), -30)),
            since(at, scope.last_success),
            since(at, scope.last_failure),
            *scope.shares(at, above),
            ever,
            (failures + 6.0 * ever) / (runs + 6.0),
            stage.trouble.now(at),
            self._spread_stage.share(scope.last_class) if scope.last_class else math.nan,
        ]

    def _of_pipeline(self, run: Run, above: float) -> list[float]:
        at = run.started_at
        pipeline = self._pipelines.get(run.pipeline)
        if pipeline is None:
            return [math.nan, 0.0, math.nan, above, above, above, NEW_PIPELINE_TROUBLE, math.nan]
        scope = pipeline.scope
        return [
            scope.last,
            float(max(min(scope.streak, 50), -50)),
            since(at, scope.last_failure),
            *scope.shares(at, above),
            pipeline.trouble.now(at),
            pipeline.gap.apart(since(at, scope.last_seen)) if scope.runs else math.nan,
        ]

    def _of_version(self, run: Run, at: float, above: float) -> list[float]:
        stage = self._versions.get((run.pipeline, run.version, run.stage))
        whole = self._versions.get((run.pipeline, run.version, "\0"))
        return [
            math.nan if whole is None else since(at, whole.since),
            0.0 if stage is None else math.log1p(stage.scope.runs),
            above if stage is None else (stage.scope.failures + 2.0 * above) / (stage.scope.runs + 2.0),
            above if whole is None else (whole.scope.failures + 4.0 * above) / (whole.scope.runs + 4.0),
            NEW_VERSION_TROUBLE if stage is None else stage.trouble.now(at),
        ]

    def _of_all(self, run: Run, stage: StageState, at: float) -> list[float]:
        connector = self._connector(run.connector)
        scope = connector.scope
        usual = (self._all.failures + 1.0) / (self._all.runs + 10.0)
        kind, trigger = self._kinds.get(run.kind), self._triggers.get(run.trigger)
        likely = max(stage.classes, key=stage.classes.__getitem__, default="")
        recent = self._classes[likely].shares(at, 0.0, 1.0)[0] if likely in self._classes else math.nan
        return [
            scope.last,
            float(max(min(scope.streak, 50), -50)),
            since(at, scope.last_success),
            since(at, scope.last_failure),
            *scope.shares(at, usual),
            connector.trouble.now(at),
            self._spread_connector.share(scope.last_class) if scope.last_class else math.nan,
            connector.surprised(at),
            recent,
            *(kind.shares(at, usual) if kind else (usual, usual)),
            *self._all.shares(at, usual),
            trigger.shares(at, usual)[0] if trigger else usual,
        ]

    def _of_execution(self, run: Run, at: float) -> list[float]:
        state = self._executions.get(run.execution)
        if state is None:
            return [0.0, 0.0, math.nan, math.nan, math.nan, math.nan, math.nan, math.nan, math.nan]
        late = state.late / state.ended if state.ended else math.nan
        values = [float(state.failures), math.log1p(state.ended), late, state.previous_late]
        before = state.attempts.get(run.stage)
        if before is None or run.attempt < 2:
            return [*values, math.nan, math.nan, math.nan, math.nan, math.nan]
        ended, error_class, before_late = before
        by_class = 1.0 - self.retries.share(("class", error_class, str(min(run.attempt, 6))), 0.5, 4.0)
        by_stage = 1.0 - self.retries.share(("stage", run.pipeline, run.stage), 1.0 - by_class, 3.0)
        both = 1.0 - self.retries.success(run, error_class)
        return [*values, by_class, by_stage, both, since(at, ended), before_late]

    def _of_size(self, run: Run, stage: StageState, at: float) -> list[float]:
        angle = at % DAY / DAY * math.tau
        rows = math.nan if run.input_rows is None else math.log1p(max(run.input_rows, 0.0))
        size = math.nan if run.input_bytes is None else math.log1p(max(run.input_bytes, 0.0))
        seconds = stage.seconds
        return [
            math.sin(angle),
            math.cos(angle),
            float((at // DAY + 3) % 7),
            math.nan if run.queued_at is None else since(at, run.queued_at),
            math.log1p(len(self._open)),
            math.log1p(self._connector(run.connector).running),
            rows,
            stage.rows.apart(rows),
            size,
            stage.bytes.apart(size),
            seconds.mean if seconds.count else math.nan,
            math.sqrt(seconds.variance) if seconds.count > 2 else math.nan,
            seconds.apart(seconds.last),
            float(len(run.needs)),
        ]

    def error_before(self, run: Run) -> str:
        """The error class of the attempt before this one, empty when there is none."""
        state = self._executions.get(run.execution)
        before = state.attempts.get(run.stage) if state else None
        return before[1] if before else ""

    def likely_error(self, run: Run) -> str:
        """The class that the stage failed with most often; empty when it never failed."""
        classes = self._stages.get((run.pipeline, run.stage), NEW_STAGE).classes
        return max(classes, key=classes.__getitem__, default="")

    # --- Ended runs -------------------------------------------------------------------------------------------------

    def _take_in(self, run: Run) -> None:
        at = run.ended_at
        assert at is not None
        connector = self._connector(run.connector)
        if self._open.take(run) is not None:
            connector.running -= 1
        for listener in self.listeners:
            listener(run)
        if run.status not in FINAL:
            return
        usual = self.prior.above(run)
        error_class = run.error_class or "error"
        stage = self._stage(run)
        error_before = self.error_before(run)
        if run.attempt > 1 and error_before:
            self.retries.add(run, error_before)
        self._take_in_execution(run, stage, at, error_class)
        self._take_in_stage(run, stage, at, error_class)
        self._take_in_shared(run, stage, connector, at, error_class, usual)
        self.prior.add(run)

    def _take_in_execution(self, run: Run, stage: StageState, at: float, error_class: str) -> None:
        state = self._executions.get(run.execution)
        if state is None:
            state = self._executions[run.execution] = ExecutionState()
            if len(self._executions) > REMEMBERED_EXECUTIONS:
                self._executions.popitem(last=False)
        late = stage.seconds.apart(math.log(max(run.seconds or 0.0, 0.01)))
        if run.failed:
            state.failures += 1
            state.attempts[run.stage] = (at, error_class, late)
            return
        state.attempts.pop(run.stage, None)
        if not math.isnan(late):
            state.ended += 1
            state.late += late
            state.previous_late = late

    def _take_in_stage(self, run: Run, stage: StageState, at: float, error_class: str) -> None:
        failed = run.failed
        usual = (stage.first.failures + 0.2) / (stage.first.runs + 4.0)
        of_class = (stage.classes.get(error_class, 0.0) + 0.02) / (stage.first.runs + 4.0)
        shared = self._spread_stage.share(error_class)
        version = self._version(run, run.stage)
        if run.attempt == 1:
            for trouble in (stage.trouble, version.trouble):
                trouble.add(at, failed, of_class if failed else 1.0 - usual, shared)
            stage.first.add(at, failed, error_class)
            hour = int(at % DAY // HOUR)
            failures, runs = stage.hours[hour]
            stage.hours[hour] = (0.97 * failures + failed, 0.97 * runs + 1.0)
            self._spread_stage.add(f"{run.pipeline}\0{run.stage}", at, run.execution, error_class if failed else None)
        else:
            stage.retries.add(at, failed, error_class)
        version.scope.add(at, failed, error_class)
        self._version(run, "\0").scope.add(at, failed, error_class)
        if failed:
            stage.classes[error_class] = stage.classes.get(error_class, 0.0) + 1.0
            return
        stage.seconds.add(math.log(max(run.seconds or 0.0, 0.01)))
        if run.input_rows is not None:
            stage.rows.add(math.log1p(max(run.input_rows, 0.0)))
        if run.input_bytes is not None:
            stage.bytes.add(math.log1p(max(run.input_bytes, 0.0)))

    def _take_in_shared(
        self, run: Run, stage: StageState, connector: ConnectorState, at: float, error_class: str, above: float
    ) -> None:
        failed = run.failed
        usual = (stage.first.failures + 4.0 * above) / (stage.first.runs + 4.0)
        of_class = max((stage.classes.get(error_class, 0.0) - 0.9) / (stage.first.runs + 4.0), 0.005)
        pipeline = self._pipeline(run.pipeline)
        if pipeline.scope.last_seen is not None and run.attempt == 1:
            pipeline.gap.add(since(run.started_at, pipeline.scope.last_seen))
        shared = self._spread_connector.share(error_class)
        # A retry that fails again says little more than the attempt before it; one that succeeds says a lot.
        weight = 1.0 if run.attempt == 1 else 0.3
        if run.connector:
            connector.trouble.add(at, failed, of_class if failed else 1.0 - min(usual, 0.5), shared * weight)
            self._spread_connector.add(run.connector, at, run.pipeline, error_class if failed else None)
        connector.surprise = connector.surprised(at) + weight * ((1.0 if failed else 0.0) - usual)
        connector.surprise_at = max(at, connector.surprise_at)
        pipeline.trouble.add(at, failed, of_class if failed else 1.0 - min(usual, 0.5), 0.3 * weight)
        for scope in (
            connector.scope,
            pipeline.scope,
            self._scope(self._kinds, run.kind, (DAY, 30 * DAY)),
            self._scope(self._triggers, run.trigger, (30 * DAY,)),
            self._all,
        ):
            scope.add(at, failed, error_class)
        if failed:
            self._scope(self._classes, error_class, (HOUR,)).add(at, True, error_class)

    # --- States, made on first sight ---------------------------------------------------------------------------------

    def _stage(self, run: Run) -> StageState:
        key = (run.pipeline, run.stage)
        state = self._stages.get(key)
        if state is None:
            state = self._stages[key] = new_stage()
        return state

    def _pipeline(self, pipeline: str) -> PipelineState:
        state = self._pipelines.get(pipeline)
        if state is None:
            trouble = Trouble(6 * HOUR, NEW_PIPELINE_TROUBLE)
            state = self._pipelines[pipeline] = PipelineState(Scope((HOUR, DAY, 7 * DAY)), trouble)
        return state

    def _version(self, run: Run, stage: str) -> VersionState:
        key = (run.pipeline, run.version, stage)
        state = self._versions.get(key)
        if state is None:
            trouble = Trouble(2 * DAY, NEW_VERSION_TROUBLE)
            state = self._versions[key] = VersionState(run.started_at, Scope(()), trouble)
        return state

    def _connector(self, connector: str) -> ConnectorState:
        state = self._connectors.get(connector)
        if state is None:
            scope = Scope((15 * MINUTE, HOUR, DAY, 30 * DAY))
            state = self._connectors[connector] = ConnectorState(scope, Trouble(HOUR, 0.01))
        return state

    @staticmethod
    def _scope(scopes: dict[str, Scope], key: str, half_lives: tuple[float, ...]) -> Scope:
        state = scopes.get(key)
        if state is None:
            state = scopes[key] = Scope(half_lives)
        return state


def known(run: Run, attribute: str) -> float:
    """A category is as good as any number of its own for trees, which can cut it out."""
    if attribute in run.categories:
        return zlib.crc32(run.categories[attribute].encode()) / 2**32
    return max(min(float(run.attributes.get(attribute, math.nan)), LARGEST), -LARGEST)


def new_stage() -> StageState:
    return StageState(Scope((6 * HOUR, DAY, 7 * DAY, 30 * DAY)), Scope(()), Trouble(12 * HOUR, 0.02))


NEW_PIPELINE_TROUBLE = 0.02
NEW_VERSION_TROUBLE = 0.03
NEW_STAGE = new_stage()


def replay(history: History, runs: Iterable[Run]) -> Iterator[tuple[Run, list[float]]]:
    """Every run with its features at its start, in the order of the starts; outcomes are told as they happened."""
    for run in sorted(runs, key=lambda run: run.started_at):
        yield run, history.start(run)
        if run.ended_at is not None:
            history.ended(run)
