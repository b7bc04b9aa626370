"""An execution in a test: a real engine in a throwaway folder, in one thread, on a clock of its own."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import structlog

from flexiroaster.auth.identity import Caller
from flexiroaster.composition import Allowed, Engine, make_engine, open_database
from flexiroaster.engine.duration import parse_duration
from flexiroaster.engine.errors import FlexiRoasterError
from flexiroaster.engine.outcome import WaitsFor
from flexiroaster.engine.state import EXECUTION_FINAL, STAGE_FINAL, StageStatus
from flexiroaster.local import AUTHOR, StageResult, as_source, keep, picture
from flexiroaster.log_output import configure_logs
from flexiroaster.runtime.conditions import Conditions, StandIn
from flexiroaster.services.approvals import Answer
from flexiroaster.store.tables import logs, stage_runs
from flexiroaster.testing.mocks import stand_ins
from flexiroaster.testing.result import Result
from flexiroaster.testing.virtual_time import START, VirtualTime

FULL_DELAY = 1.0
"""The chance that makes every retry wait as long as its policy says."""
PEOPLE = (WaitsFor.APPROVAL.value, WaitsFor.EVENT.value)


MOST_WAITS = 2_000


class EndlessTrial(FlexiRoasterError):
    """Nothing happens any more but waiting."""

    code = "endless_trial"

    def __init__(self, at: Sequence[str], now: datetime) -> None:
        super().__init__(
            f"After {MOST_WAITS:,} waits, at {now:%Y-%m-%d %H:%M} of its time, it still waits at {', '.join(at)}: "
            "mock that stage, or give it a timeout."
        )


class Trial:
    """An execution that goes on as far as it can by itself: through retries and waits, up to where it waits for
    somebody. Made by `trial`.
    """

    def __init__(self, engine: Engine, time: VirtualTime, pipeline_id: str) -> None:
        self._engine = engine
        self._time = time
        self._started_at = time.now
        self.pipeline_id = pipeline_id
        self.execution_id = ""

    # ── what a test does ────────────────────────────────────────────────────────────────────────────────────────

    def start(self, inputs: Mapping[str, Any] | None = None, data: Any = None) -> Trial:
        """Raises InvalidInputs."""
        started = self._engine.embedded.executions.start(
            self.pipeline_id, inputs=inputs, data=data, trigger="manual", actor=AUTHOR.email
        )
        self.execution_id = started.execution_id
        return self._go_on()

    def advance(self, duration: str | timedelta) -> Trial:
        """Let time pass, such as "4h": timeouts of what waits for somebody come to pass only so."""
        length = parse_duration(duration) if isinstance(duration, str) else duration
        self._pass(self._time.now + length)
        return self._go_on()

    def approve(self, stage: str, *, comment: str = "", index: int = 0, **values: Any) -> Trial:
        """`values` fill in the form."""
        return self._decide(stage, index, Answer(True, comment, values))

    def reject(self, stage: str, *, comment: str = "", index: int = 0, **values: Any) -> Trial:
        return self._decide(stage, index, Answer(False, comment, values))

    def signal(self, event: str, data: Any = None) -> Trial:
        """What a stage that waits for an event is told."""
        self._engine.embedded.signals.send(self.execution_id, event, data, AUTHOR.email)
        return self._go_on()

    def cancel(self) -> Trial:
        self._engine.embedded.executions.cancel(self.execution_id, AUTHOR.email)
        return self._go_on()

    def retry(self) -> Trial:
        """From the failed stages on."""
        self._engine.embedded.executions.retry(self.execution_id, AUTHOR.email)
        return self._go_on()

    # ── what a test looks at ────────────────────────────────────────────────────────────────────────────────────

    @property
    def now(self) -> datetime:
        return self._time.now

    @property
    def status(self) -> str:
        return self.result.status

    @property
    def at(self) -> list[str]:
        return self.result.at

    @property
    def outputs(self) -> Mapping[str, Any]:
        return self.result.outputs

    @property
    def result(self) -> Result:
        found = picture(self._engine, self.execution_id)
        ended = found.status in EXECUTION_FINAL
        stages = {stage.stage: stage for stage in reversed(found.stages)}  # the items of foreach come after their stage
        wrong = (StageStatus.FAILED, StageStatus.TIMED_OUT)
        return Result(
            status=found.status if ended else "paused",
            at=[id for id, stage in reversed(stages.items()) if (stage.status in wrong if ended else _is_open(stage))],
            stages=dict(reversed(stages.items())),
            inputs=found.inputs,
            outputs=found.outputs or {},
            failed_stage=found.failed_stage,
            error=found.error,
            reason=found.reason,
            waited=self._time.now - self._started_at,
            logs=self._logs(),
        )

    # ── how it goes on ──────────────────────────────────────────────────────────────────────────────────────────

    def _go_on(self) -> Trial:
        for _ in range(MOST_WAITS):
            self._pass(self._time.now)
            moment = self._next_moment()
            if moment is None or moment <= self._time.now:
                return self
            self._pass(moment)
        raise EndlessTrial(self.at, self._time.now)

    def _pass(self, until: datetime) -> None:
        """Let the time pass, and do all that becomes due on the way in its order."""
        self._engine.embedded.worker.work_off()
        while (callback := self._time.next_due(until)) is not None:
            callback()
            self._engine.embedded.worker.work_off()
        self._time.now = max(self._time.now, until)

    def _next_moment(self) -> datetime | None:
        """When something goes on by itself: a retry, a wait for a time, a rate limit; of child executions too."""
        run = stage_runs.c
        by_itself = run.waits_for.is_(None) | run.waits_for.not_in(PEOPLE)
        query = sa.select(sa.func.min(run.due_at)).where(
            run.due_at.is_not(None), run.status.not_in([status.value for status in STAGE_FINAL]), by_itself
        )
        with self._engine.database.read() as connection:
            found: datetime | None = connection.scalar(query)
        return found

    def _decide(self, stage: str, index: int, answer: Answer) -> Trial:
        admin = Caller("test", AUTHOR.email, AUTHOR.role, "test", self._time.now + timedelta(days=1))
        self._engine.embedded.approvals.decide(self.execution_id, stage, index, answer, admin)
        return self._go_on()

    def _logs(self) -> list[str]:
        self._engine.embedded.journal.flush()
        table = logs.c
        query = sa.select(table.stage, table.message).where(table.execution_id == self.execution_id).order_by(table.id)
        with self._engine.database.read() as connection:
            return [f"{row.stage}: {row.message}" if row.stage else row.message for row in connection.execute(query)]


def _is_open(stage: StageResult) -> bool:
    return stage.status == StageStatus.WAITING


@dataclass(frozen=True, slots=True)
class Setting:
    """What a trial runs in. Without `data_dirs`: the folder of the file, its `data` folder and the current one."""

    now: datetime = START
    others: Sequence[Any] = ()
    data_dirs: Sequence[str | Path] = ()
    code_dirs: Sequence[str | Path] = ()
    code_stages: bool = True
    http_allow: Sequence[str] = ()

    def allowed(self, pipeline: Any) -> Allowed:
        own = pipeline.resolve().parent if isinstance(pipeline, Path) else Path.cwd()
        nearby = [own, *([own / "data"] if (own / "data").is_dir() else []), Path.cwd()]
        folders = [Path(folder) for folder in self.data_dirs] or nearby
        return Allowed(
            data_dirs=tuple(dict.fromkeys(folder.resolve() for folder in folders)),
            code_stages=self.code_stages,
            http_allow=tuple(self.http_allow),
            concurrency=1,
            code_dirs=tuple(Path(folder).resolve() for folder in self.code_dirs) or (own,),
        )


@contextmanager
def trial(
    pipeline: Any,
    inputs: Mapping[str, Any] | None = None,
    *,
    mock: Mapping[str, Any] | None = None,
    data: Any = None,
    now: datetime = START,
    others: Sequence[Any] = (),
    data_dirs: Sequence[str | Path] = (),
    code_dirs: Sequence[str | Path] = (),
    code_stages: bool = True,
    http_allow: Sequence[str] = (),
) -> Iterator[Trial]:
    """Start a pipeline and go on until it ends or waits for somebody; then it goes on by what the test does.

    `pipeline` is a `Pipeline`, a document, YAML text, or the path of a file; `others` are pipelines that it starts.
    `mock` says, by stage id, what stands in for a stage: a mapping is its result, a list its rows, a `Path` a file with
    rows, an exception its failure, a function is called with the stage's context, and `in_turn` gives one after the
    other. A mocked stage keeps its `when`, `retry` and `foreach`; its config is not looked at.

    It begins at `now`. File stages may use `data_dirs` (by default the folder of the file, its `data` folder and the
    current one). Raises InvalidDefinition and InvalidInputs.
    """
    setting = Setting(now, others, data_dirs, code_dirs, code_stages, http_allow)
    with opened(pipeline, stand_ins(mock or {}), setting) as tried:
        yield tried.start(inputs, data)


def run(pipeline: Any, inputs: Mapping[str, Any] | None = None, **options: Any) -> Result:
    """Run a pipeline to its end, or to where it waits for somebody. Takes what `trial` takes."""
    with trial(pipeline, inputs, **options) as tried:
        return tried.result


@contextmanager
def opened(pipeline: Any, mocked: Mapping[str, StandIn], setting: Setting) -> Iterator[Trial]:
    """A trial that has not started yet."""
    if not structlog.is_configured():
        configure_logs("error", json=False)
    time = VirtualTime(setting.now)
    conditions = Conditions(time.clock, time, lambda: FULL_DELAY, mocked)
    with tempfile.TemporaryDirectory(prefix="flexiroaster-test-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        shutil.copyfile(_empty_database(), folder / "flexiroaster.db")
        engine = make_engine(
            f"sqlite:///{folder / 'flexiroaster.db'}",
            folder / "artifacts",
            folder / "scratch",
            setting.allowed(pipeline),
            conditions=conditions,
        )
        try:
            for other in setting.others:
                keep(engine, as_source(other))
            yield Trial(engine, time, keep(engine, as_source(pipeline)))
        finally:
            engine.embedded.stop(grace_seconds=0)
            engine.close()


@cache
def _empty_database() -> Path:
    """With this release's tables, to be copied: making them takes a hundred times as long."""
    folder = Path(tempfile.mkdtemp(prefix="flexiroaster-empty-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    open_database(f"sqlite:///{folder / 'empty.db'}").close()
    return folder / "empty.db"
