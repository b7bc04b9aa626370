"""Running again, as a new execution: from a stage on, or one stage alone, on what an earlier execution left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from flexiroaster.artifacts.port import ArtifactStore
from flexiroaster.engine import planner
from flexiroaster.engine.draft import Draft
from flexiroaster.engine.errors import InvalidRequest, NotFound
from flexiroaster.engine.plan import Plan
from flexiroaster.engine.rerun import Earlier, Rerun, plan_rerun
from flexiroaster.engine.state import StageStatus
from flexiroaster.services.changes import Changes
from flexiroaster.services.executions import Executions
from flexiroaster.services.live import Live, Spilled, Version
from flexiroaster.services.starting import Started, Starting, Wanted, complete
from flexiroaster.store import progress
from flexiroaster.store import reruns as store
from flexiroaster.store.database import Database, Transaction
from flexiroaster.store.reruns import SourceRow, SourceStage

LATEST = "latest"
"""Instead of an execution's id: the newest of the pipeline."""


class Asked(NamedTuple):
    """From which stage on, or which stage alone; neither runs everything again. `version` None is the newest."""

    from_stage: str | None = None
    only_stage: str | None = None
    version: int | None = None

    @property
    def stage(self) -> str | None:
        return self.from_stage or self.only_stage

    @property
    def alone(self) -> bool:
        return self.only_stage is not None


class RerunPlan(NamedTuple):
    """What a re-run would do, or does: stage ids in the order of the definition.

    `whys` says why stages before the one asked for run again too; `notes` what else is to be known.
    """

    rerun_of: str
    pipeline_id: str
    version: int
    asked: Asked
    reused: list[str]
    to_run: list[str]
    not_run: list[str]
    whys: dict[str, str]
    notes: list[str]


class Reruns:
    """`plan` only looks; `start` accepts the execution."""

    def __init__(self, changes: Changes, executions: Executions, starting: Starting, artifacts: ArtifactStore) -> None:
        self._changes = changes
        self._executions = executions
        self._starting = starting
        self._artifacts = artifacts

    def latest(self, pipeline_id: str) -> str:
        """The id of the pipeline's newest execution. Raises NotFound."""
        with self._changes.database.read() as connection:
            found = store.newest(connection, pipeline_id)
        if found is None:
            raise NotFound("execution of pipeline", pipeline_id)
        return found

    def plan(self, execution_id: str, asked: Asked, inputs: Mapping[str, Any] | None = None) -> RerunPlan:
        """`inputs` are those to be given to `start`. Raises what that raises."""
        take_over, number, version = self._prepare(execution_id, asked)
        source, given = take_over.source, dict(inputs or {})
        before = _still_known(source, version)
        if given:
            complete(version, before | given, source.logical_date)
        with self._changes.database.read() as connection:
            rerun = take_over.planned(connection, version.plan)
        return _picture(source, asked, number, version, rerun, _changed(before, given))

    def start(
        self,
        execution_id: str,
        asked: Asked,
        *,
        inputs: Mapping[str, Any] | None = None,
        keep_inputs: bool = True,
        data: Any = None,
        pipeline_id: str | None = None,
        idempotency_key: str | None = None,
        actor: str | None = None,
        priority: int | None = None,
        use_cache: bool | None = None,
    ) -> tuple[Started, RerunPlan | None]:
        """`inputs` replace those of before, one by one where the others are kept; `data` replaces all of it.

        With `use_cache` None a stage that is to run again really does. The plan is None when the idempotency key had
        started it before. `pipeline_id`, where given, must be that of the earlier execution. Raises NotFound,
        InvalidInputs, and what `engine.rerun.plan_rerun` raises.
        """
        take_over, number, version = self._prepare(execution_id, asked, pipeline_id)
        source = take_over.source
        before, given = _still_known(source, version), dict(inputs or {})
        started = self._executions.accept(
            Wanted(
                pipeline_id=source.pipeline_id,
                inputs=before | given if keep_inputs else given,
                data=source.data if data is None else data,
                version=number,
                idempotency_key=idempotency_key,
                actor=actor,
                priority=source.priority if priority is None else priority,
                use_cache=asked.stage is None if use_cache is None else use_cache,
                take_over=take_over,
            )
        )
        rerun = take_over.decided
        if rerun is None:
            return started, None
        return started, _picture(source, asked, number, version, rerun, _changed(before, given))

    def _prepare(
        self, execution_id: str, asked: Asked, pipeline_id: str | None = None
    ) -> tuple[_TakeOver, int, Version]:
        if asked.from_stage is not None and asked.only_stage is not None:
            raise InvalidRequest("`from_stage` and `only_stage` are both given: leave one out.")
        with self._changes.database.read() as connection:
            source = store.source(connection, execution_id)
        if source is None:
            raise NotFound("execution", execution_id)
        if pipeline_id is not None and source.pipeline_id != pipeline_id:
            raise InvalidRequest(
                f"Execution {execution_id} is one of {source.pipeline_id}: only that pipeline can run it again."
            )
        number, version = self._starting.version(source.pipeline_id, asked.version)
        gone = {} if asked.stage is None else _gone(self._changes.database, self._artifacts, execution_id)
        return _TakeOver(source, asked.stage, asked.alone, gone), number, version


@dataclass(slots=True)
class _TakeOver:
    """`services.starting.TakeOver`. `gone` names, by stage, an artifact of the earlier execution that is not there."""

    source: SourceRow
    stage: str | None
    alone: bool
    gone: Mapping[str, str]
    decided: Rerun | None = None
    _positions: dict[str, int] = field(default_factory=dict)

    @property
    def of(self) -> str:
        return self.source.id

    @property
    def logical_date(self) -> datetime:
        return self.source.logical_date

    def planned(self, connection: sa.Connection, plan: Plan) -> Rerun:
        rows = [] if self.stage is None else store.stages(connection, self.source.id)
        self._positions = {row.stage: row.position for row in rows}
        earlier = {row.stage: _earlier(row, self.source.id, self.gone.get(row.stage)) for row in rows}
        return plan_rerun(plan, earlier, self.source.id, self.stage, alone=self.alone)

    def decide(self, tx: Transaction, draft: Draft) -> None:
        if not store.hold(tx.sa, self.source.id):  # removed since, as old as it was
            raise NotFound("execution", self.source.id)
        self.decided = self.planned(tx.sa, draft.plan)
        planner.take_over(draft, self.decided)

    def bring(self, tx: Transaction, live: Live) -> None:
        assert self.decided is not None
        execution_id, stages = live.state.execution.id, live.version.plan.stages
        pairs = [(self._positions[stages[position].id], position) for position in sorted(self.decided.reused)]
        store.copy_results(tx, self.source.id, execution_id, pairs)
        for key, (value, artifact_id) in progress.load_results(tx.sa, execution_id).items():
            live.results[stages[key.position].id] = value if artifact_id is None else Spilled(artifact_id)


def _earlier(row: SourceStage, source_id: str, gone: str | None) -> Earlier:
    status = StageStatus(row.status)
    return Earlier(
        status=status,
        executed_by=_executed_by(row, source_id),
        rows=row.rows,
        bytes=row.bytes,
        reason=row.reason,
        state=row.state if status is StageStatus.SUCCESS else None,
        gone=gone,
    )


def _executed_by(row: SourceStage, source_id: str) -> str:
    return row.reused_from or row.cached_from or source_id


def _gone(database: Database, artifacts: ArtifactStore, execution_id: str) -> dict[str, str]:
    """By stage an artifact whose row or bytes are no longer there."""
    with database.read() as connection:
        rows = [row for row in store.stages(connection, execution_id) if row.status == StageStatus.SUCCESS]
        spilled = {row.artifact_id: row.stage for row in rows if row.artifact_id is not None}
        known = store.known_artifacts(connection, spilled)
        made_by = {row.stage: _executed_by(row, execution_id) for row in rows}
        keys = store.artifact_keys(connection, set(made_by.values()))
    gone = {stage: "result" for id, stage in spilled.items() if id not in known}
    there = {entry.key for id in {artifact.execution_id for artifact in keys} for entry in artifacts.entries(id)}
    for artifact in keys:
        if made_by.get(artifact.stage) == artifact.execution_id and artifact.key not in there:
            gone.setdefault(artifact.stage, artifact.name)
    return gone


def _still_known(source: SourceRow, version: Version) -> dict[str, Any]:
    """The inputs of before that the version has, too."""
    return {name: value for name, value in source.inputs.items() if name in version.pipeline.inputs}


def _changed(before: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    return sorted(name for name, value in given.items() if before.get(name) != value)


def _picture(
    source: SourceRow, asked: Asked, number: int, version: Version, rerun: Rerun, changed: list[str]
) -> RerunPlan:
    main = version.plan.stages[: version.plan.main]
    return RerunPlan(
        rerun_of=source.id,
        pipeline_id=source.pipeline_id,
        version=number,
        asked=asked,
        reused=[stage.id for stage in main if stage.position in rerun.reused],
        to_run=[stage.id for stage in main if stage.position in rerun.again],
        not_run=[stage.id for stage in main if stage.position in rerun.not_asked],
        whys={stage.id: rerun.whys[stage.id] for stage in main if stage.id in rerun.whys},
        notes=list(_notes(source, number, version, rerun, changed)),
    )


def _notes(source: SourceRow, number: int, version: Version, rerun: Rerun, changed: list[str]) -> list[str]:
    notes = []
    if number != source.version:
        notes.append(f"It runs version {number}; the earlier execution ran version {source.version}.")
    unknown = sorted(source.inputs.keys() - version.pipeline.inputs.keys())
    if unknown:
        notes.append(f"Version {number} has no input {', '.join(unknown)}: left out.")
    if changed and rerun.reused:
        notes.append(f"Reused results were made with the inputs of before: {', '.join(changed)} changed since.")
    return notes
