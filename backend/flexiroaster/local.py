"""Running a pipeline here and now: the same engine as the server's, in a folder of its own, without a server."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from flexiroaster.plain_structlog import structlog  # isort: split

from flexiroaster.bus.port import Listener
from flexiroaster.composition import Allowed, Engine, make_engine
from flexiroaster.data.clusters import cluster_of
from flexiroaster.data_folder import DataFolder
from flexiroaster.engine.events import Event
from flexiroaster.engine.state import EXECUTION_FINAL
from flexiroaster.log_output import configure_logs
from flexiroaster.services.history import ExecutionPicture, StageRunEntry
from flexiroaster.services.pipelines import Author, Source

if TYPE_CHECKING:
    from flexiroaster.engine.builder import PipelineBuilder

AUTHOR = Author(email="local", role="admin")
FINAL = frozenset(status.value for status in EXECUTION_FINAL)


@dataclass(frozen=True, slots=True)
class StageResult:
    """How one stage run ended. `result` is its JSON value, None where it has none."""

    stage: str
    index: int
    type: str
    status: str
    attempt: int
    rows: int | None
    bytes: int | None
    duration_seconds: float | None
    reason: str | None
    error: dict[str, Any] | None
    result: Any


@dataclass(frozen=True, slots=True)
class LocalExecution:
    """A finished execution. `error` and `failed_stage` tell the cause of a failure."""

    execution_id: str
    pipeline_id: str
    status: str
    duration_seconds: float | None
    inputs: dict[str, Any]
    outputs: dict[str, Any] | None
    failed_stage: str | None
    error: dict[str, Any] | None
    reason: str | None
    stages: list[StageResult] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return self.status == "success"

    @property
    def results(self) -> dict[str, Any]:
        """Result by stage id; of the first index where a stage ran for several."""
        found: dict[str, Any] = {}
        for stage in self.stages:
            found.setdefault(stage.stage, stage.result)
        return found

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def run_local(
    pipeline: PipelineBuilder | Mapping[str, Any] | str | Path,
    inputs: Mapping[str, Any] | None = None,
    *,
    data_dirs: Sequence[str | Path] = (),
    code_dirs: Sequence[str | Path] = (),
    data_folder: str | Path | None = None,
    code_stages: bool = True,
    http_allow: Sequence[str] = (),
    spark_url: str | None = None,
    data: Any = None,
    listener: Listener | None = None,
) -> LocalExecution:
    """Run a pipeline to its end and answer how it went; a failed stage is an answer, not an exception.

    `pipeline` is a `Pipeline`, a document, YAML text, or the path of a file. File stages may use `data_dirs` (by
    default the current folder), code stages import from `code_dirs` (by default the folder of the file, or the current
    one). `data` is what expressions read as `execution.data`. Without `data_folder` everything is kept in a temporary
    folder and removed at the end. `spark_url` is where stages with `engine: spark` run. Raises InvalidDefinition
    and InvalidInputs.
    """
    if not structlog.is_configured():
        configure_logs("warning", json=False)
    folders = tuple(Path(folder) for folder in data_dirs) or (Path.cwd(),)
    code = [Path(folder) for folder in code_dirs] or [pipeline.parent if isinstance(pipeline, Path) else Path.cwd()]
    with local_engine(
        folders, data_folder, code_dirs=code, code_stages=code_stages, http_allow=http_allow, spark_url=spark_url
    ) as engine:
        pipeline_id = keep(engine, as_source(pipeline))
        return run_to_end(engine, pipeline_id, inputs or {}, listener, data=data)


@contextmanager
def local_engine(
    data_dirs: Sequence[Path],
    data_folder: str | Path | None = None,
    *,
    code_dirs: Sequence[Path] = (),
    code_stages: bool = True,
    http_allow: Sequence[str] = (),
    concurrency: int | None = None,
    spark_url: str | None = None,
    spark_options: Sequence[str] = (),
) -> Iterator[Engine]:
    """A running engine in `data_folder`, or in a temporary one that is removed at the end."""
    allowed = Allowed(
        data_dirs=tuple(Path(folder).resolve() for folder in data_dirs),
        code_stages=code_stages,
        http_allow=tuple(http_allow),
        concurrency=concurrency or 2 * (os.cpu_count() or 1) + 2,
        code_dirs=tuple(Path(folder).resolve() for folder in code_dirs),
        spark=cluster_of(spark_url, spark_options) if spark_url else None,
    )
    if data_folder is not None:
        with _engine_in(Path(data_folder).absolute(), allowed) as engine:
            yield engine
    else:
        with (
            tempfile.TemporaryDirectory(prefix="flexiroaster-", ignore_cleanup_errors=True) as temporary,
            _engine_in(Path(temporary), allowed) as engine,
        ):
            yield engine


@contextmanager
def _engine_in(path: Path, allowed: Allowed) -> Iterator[Engine]:
    folder = DataFolder.open(path)
    try:
        engine = make_engine(
            f"sqlite:///{path / 'flexiroaster.db'}", folder.folder("artifacts"), path / "scratch", allowed
        )
        try:
            engine.embedded.start()
            yield engine
        finally:
            engine.embedded.stop()
            engine.close()
    finally:
        folder.close()


def as_source(pipeline: PipelineBuilder | Mapping[str, Any] | str | Path | Source) -> Source:
    """The definition as text, whichever way it was given."""
    if isinstance(pipeline, Source):
        return pipeline
    if isinstance(pipeline, Path):
        return Source(pipeline.read_text(encoding="utf-8"), "json" if pipeline.suffix == ".json" else "yaml")
    if isinstance(pipeline, str):
        return Source(pipeline, "yaml")
    document = pipeline if isinstance(pipeline, Mapping) else pipeline.to_document()
    return Source(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode(), "json")


def keep(engine: Engine, source: Source) -> str:
    """Store the definition, as a new version where the folder knows the pipeline already; answers its id."""
    from flexiroaster.engine.errors import Conflict, InvalidDefinition

    try:
        return engine.pipelines.create(source, AUTHOR).row.id
    except Conflict as conflict:
        if conflict.code != "already_exists":
            raise
    report = engine.pipelines.validate(source)
    if report.pipeline is None:
        raise InvalidDefinition(report.problems, source.text)
    return engine.pipelines.update(report.pipeline.id, source, AUTHOR).row.id


def run_to_end(
    engine: Engine,
    pipeline_id: str,
    inputs: Mapping[str, Any],
    listener: Listener | None = None,
    on_started: Callable[[str], None] | None = None,
    *,
    data: Any = None,
) -> LocalExecution:
    """Start an execution and wait for its end; an interrupt (Ctrl-C) cancels it and waits for that."""
    end = _End()
    unsubscribe = [engine.bus.subscribe(end.hear)]
    if listener is not None:
        unsubscribe.append(engine.bus.subscribe(listener))
    try:
        started = engine.embedded.executions.start(
            pipeline_id, inputs=inputs, data=data, trigger="local", actor=AUTHOR.email
        )
        if on_started is not None:
            on_started(started.execution_id)
        _wait(engine, end, started.execution_id)
        return picture(engine, started.execution_id)
    finally:
        for stop in unsubscribe:
            stop()


class _End:
    """Notices the ends of executions, also of one whose id is not known yet."""

    def __init__(self) -> None:
        self._ended: set[str] = set()
        self._changed = threading.Condition()

    def hear(self, events: Sequence[Event]) -> None:
        ended = [e.execution_id for e in events if e.stage is None and e.payload.get("status") in FINAL]
        if ended:
            with self._changed:
                self._ended.update(ended)
                self._changed.notify_all()

    def wait(self, execution_id: str) -> None:
        with self._changed:
            self._changed.wait_for(lambda: execution_id in self._ended)


def _wait(engine: Engine, end: _End, execution_id: str) -> None:
    from flexiroaster.engine.errors import Conflict

    try:
        end.wait(execution_id)
    except KeyboardInterrupt:
        try:
            engine.embedded.executions.cancel(execution_id)
        except Conflict:
            return  # it ended first
        end.wait(execution_id)


def picture(engine: Engine, execution_id: str) -> LocalExecution:
    found = engine.history.execution(execution_id)
    row = found.row
    return LocalExecution(
        execution_id=row.id,
        pipeline_id=row.pipeline_id,
        status=row.status,
        duration_seconds=_seconds(found),
        inputs=row.inputs,
        outputs=row.outputs,
        failed_stage=row.failed_stage,
        error=row.error,
        reason=row.reason,
        stages=[_stage_result(engine, execution_id, entry) for entry in found.stages],
    )


def _stage_result(engine: Engine, execution_id: str, entry: StageRunEntry) -> StageResult:
    row = entry.row
    seconds = (row.ended_at - row.started_at).total_seconds() if row.ended_at and row.started_at else None
    return StageResult(
        stage=row.stage,
        index=row.index,
        type=row.type,
        status=row.status,
        attempt=row.attempt,
        rows=row.rows,
        bytes=row.bytes,
        duration_seconds=seconds,
        reason=row.reason,
        error=row.error,
        result=engine.history.result(execution_id, row)[0],
    )


def _seconds(found: ExecutionPicture) -> float | None:
    row = found.row
    if row.ended_at is None:
        return None
    return (row.ended_at - (row.started_at or row.created_at)).total_seconds() - row.idle_seconds
