"""One attempt of a stage as the stage sees it: the implementation of `StageContext`."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

import structlog

from flexiroaster.artifacts.port import ArtifactStore
from flexiroaster.engine.pipeline import compensation_id
from flexiroaster.engine.runs import Key
from flexiroaster.engine.state import Phase
from flexiroaster.services.cache import Entry, StageCache
from flexiroaster.services.children import Children, Order
from flexiroaster.services.live import Live, Spilled
from flexiroaster.services.scope import ReadSpilled
from flexiroaster.services.stage_runs import Claimed
from flexiroaster.services.starting import Wanted
from flexiroaster.stages.base import ArtifactDraft, LogLevel
from flexiroaster.store.progress import KeptArtifact, LogEntry

log = structlog.get_logger(__name__)

LINE_LIMIT = 16_000
"""Characters of one log line."""
LOG_LIMIT = 10_000_000
"""Characters of one attempt's log."""

NO_TIME = timedelta()
_MAKING = threading.Lock()

Why = Literal["cancel", "timeout", "shutdown", "database"]
"""Why it ends without an outcome of its own; `database`: it could not read or write what it needs."""


@dataclass(frozen=True, slots=True)
class World:
    """What every attempt in this process shares."""

    artifacts: ArtifactStore
    artifact_dir: Path
    data_dirs: tuple[Path, ...]
    scratch_root: Path
    read_spilled: ReadSpilled
    children: Children
    cache: StageCache
    code_stages: bool = False
    code_dirs: tuple[Path, ...] = ()
    hidden_from_code: tuple[Path, ...] = ()
    http_allow: tuple[str, ...] = ()
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)


class Attempt:
    """Made for a claim, thrown away after its record. `stop` may come from any thread, more than once."""

    def __init__(self, claimed: Claimed, world: World, on_log: Callable[[Attempt], None]) -> None:
        self.claimed = claimed
        self._world = world
        self._on_log = on_log
        live, run = claimed.live, claimed.run
        self.execution_id = claimed.execution_id
        self.pipeline_id = live.state.execution.pipeline_id
        self.stage_id = live.version.plan.stages[claimed.key.position].id
        self.index = claimed.key.index
        self.attempt = run.attempt
        self.now = claimed.at
        self.inputs: Mapping[str, Any] = live.inputs
        self.data = live.data
        self.state: Mapping[str, Any] = run.state or {}
        self.stop_within = NO_TIME
        self.kept: list[KeptArtifact] = []
        self.ordered: Order | None = None
        self.cache_entry: Entry | None = None
        self.spilled_before: str | None = None
        """The artifact of a large result that was found in the cache."""
        self.why: Why | None = None
        self.ended = False
        self.abandoned = False
        self.late = False
        self.has_lines = False
        """Whether it ever said anything."""
        self._cancelled: threading.Event | None = None
        self._callbacks: list[Callable[[], None]] = []
        self._lines: deque[LogEntry] = deque()
        self._logged = 0
        self._omitted = 0
        self._scratch: Path | None = None

    # ── what a stage uses ───────────────────────────────────────────────────────────────────────────────────────

    @cached_property
    def deadline(self) -> datetime | None:
        timeout, started_at = self.claimed.timeout, self.claimed.run.started_at
        return None if timeout is None or started_at is None else started_at + timeout

    @cached_property
    def idempotency_key(self) -> str:
        return f"{self.execution_id}:{self.stage_id}:{self.index}{_time(self.claimed)}"

    @cached_property
    def upstream(self) -> Mapping[str, Any]:
        return needed_results(self.claimed.live, self.claimed.key.position, self._world.read_spilled)

    @property
    def cancelled(self) -> threading.Event:
        """Made when a stage asks for it: most never do."""
        with _MAKING:
            if self._cancelled is None:
                self._cancelled = threading.Event()
                if self.why is not None:
                    self._cancelled.set()
            return self._cancelled

    @property
    def data_dirs(self) -> tuple[Path, ...]:
        return self._world.data_dirs

    @property
    def artifact_dir(self) -> Path:
        return self._world.artifact_dir

    @property
    def code_stages(self) -> bool:
        return self._world.code_stages

    @property
    def http_allow(self) -> tuple[str, ...]:
        return self._world.http_allow

    @property
    def code_dirs(self) -> tuple[Path, ...]:
        return self._world.code_dirs

    @property
    def hidden_from_code(self) -> tuple[Path, ...]:
        return self._world.hidden_from_code

    @property
    def scratch_root(self) -> Path:
        return self._world.scratch_root

    @property
    def scratch_dir(self) -> Path:
        if self._scratch is None:
            try:
                self._scratch = self._new_folder()
            except FileNotFoundError:
                self.scratch_root.mkdir(parents=True, exist_ok=True)
                self._scratch = self._new_folder()
        return self._scratch

    def _new_folder(self) -> Path:
        return Path(tempfile.mkdtemp(prefix=f"{self.stage_id}-", dir=self.scratch_root))

    def start_execution(
        self, pipeline_id: str, *, inputs: Mapping[str, Any], data: Any, version: int | None, wait: bool
    ) -> str:
        wanted = Wanted(pipeline_id, inputs, data, version)
        self.ordered = self._world.children.order(self.claimed.live, self.claimed.key, wanted, wait=wait)
        return self.ordered.execution_id

    def log(self, level: LogLevel, message: str, **fields: Any) -> None:
        text = message if len(message) <= LINE_LIMIT else f"{message[:LINE_LIMIT]}… (line cut)"
        self.has_lines = True
        if self._logged + len(text) > LOG_LIMIT:
            self._omitted += 1
            return
        self._logged += len(text)
        first = not self._lines
        self._lines.append(self._entry(level, text, fields or None))
        if first:
            self._on_log(self)

    def progress(self, done: float, total: float | None = None, unit: str = "rows") -> None:
        of = f" of {total:,.0f}" if total is not None else ""
        self.log("debug", f"{done:,.0f}{of} {unit}", done=done, total=total, unit=unit)

    @contextmanager
    def on_cancel(self, callback: Callable[[], None]) -> Iterator[None]:
        self._callbacks.append(callback)
        if self.cancelled.is_set():
            self._call(callback)
        try:
            yield
        finally:
            if callback in self._callbacks:
                self._callbacks.remove(callback)

    def local_artifact(self, uri: str, *, pinned: bool = True) -> Path | None:
        key = self._world.artifacts.key(uri)
        if key is None:
            return None
        return self._world.artifacts.local_path(key, pinned_in=self.scratch_dir if pinned else None)

    @contextmanager
    def artifact(
        self,
        name: str,
        *,
        kind: Literal["table", "quarantine", "file", "result", "report"],
        media_type: str,
        rows: int | None = None,
        schema: list[dict[str, str]] | None = None,
    ) -> Iterator[ArtifactDraft]:
        key = f"{self.execution_id}/{self.stage_id}/{self.index}/{self.attempt}/{name}"
        store = self._world.artifacts
        with store.write(
            key, called=f"{self.stage_id}-{self.index}-{name}" if self.index else f"{self.stage_id}-{name}"
        ) as path:
            draft = ArtifactDraft(id=str(uuid4()), path=path, uri=store.uri(key), rows=rows, schema=schema)
            yield draft
            draft.bytes = path.stat().st_size
        self.kept.append(
            KeptArtifact(
                id=draft.id,
                stage=self.stage_id,
                index=self.index,
                attempt=self.attempt,
                name=name,
                kind=kind,
                media_type=media_type,
                key=key,
                rows=draft.rows,
                bytes=draft.bytes,
                columns=draft.schema,
                profile=draft.profile,
            )
        )

    # ── what the worker uses ────────────────────────────────────────────────────────────────────────────────────

    def stop(self, why: Why) -> None:
        """Tell the stage to end; the first reason counts."""
        if self.why is None:
            self.why = why
        self.cancelled.set()
        for callback in tuple(self._callbacks):
            self._call(callback)

    def take_lines(self, *, last: bool = False) -> list[LogEntry]:
        """The lines since the last call; `last` adds how many were left out."""
        lines = [self._lines.popleft() for _ in range(len(self._lines))]
        if last and self._omitted:
            lines.append(self._entry("warning", f"… {self._omitted:,} lines omitted", None))
            self._omitted = 0
        return lines

    def put_back(self, lines: list[LogEntry]) -> None:
        """Lines that were taken and could not be written."""
        self._lines.extendleft(reversed(lines))

    def clean(self) -> None:
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)

    def _entry(self, level: LogLevel, message: str, fields: dict[str, Any] | None) -> LogEntry:
        return LogEntry(
            at=self._world.clock(),
            level=level,
            message=encodable(message),
            pipeline_id=self.pipeline_id,
            execution_id=self.execution_id,
            stage=self.stage_id,
            index=self.index,
            attempt=self.attempt,
            fields=fields,
        )

    def _call(self, callback: Callable[[], None]) -> None:
        try:
            callback()
        except Exception:  # a stage's callback must not keep others from being told
            log.exception("attempt.on_cancel_failed", execution=self.execution_id, stage=self.stage_id)


def _time(claimed: Claimed) -> str:
    """What tells one time that a stage does its work from another. Attempts are to do the same work; another iteration
    is not, nor is what is done again after it was undone.
    """
    run, plan = claimed.run, claimed.live.version.plan
    if run.iterations:
        return f":{run.iterations + 1}"
    if Phase.COMPENSATION not in plan.phases:
        return ""
    stage, runs = plan.stages[run.key.position], claimed.live.state.runs
    other = plan.positions.get(compensation_id(stage.id)) if stage.undoes is None else stage.undoes
    before = None if other is None else runs.get(Key(other))
    return "" if before is None or not before.attempt else f":{before.attempt}"


def encodable(text: str) -> str:
    """Without halves of surrogate pairs (a file name that is no UTF-8 has them), which no database takes, and without
    NUL, which PostgreSQL does not take.
    """
    text = text.replace("\0", "\ufffd")
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def needed_results(live: Live, position: int, read_spilled: ReadSpilled) -> dict[str, Any]:
    """The results of the needed stages that succeeded, in the order of `needs`."""
    plan = live.version.plan
    found: dict[str, Any] = {}
    for need in plan.stages[position].needs:
        name = plan.stages[need].id
        if name in live.results:
            value = live.results[name]
            found[name] = read_spilled(value.artifact_id) if isinstance(value, Spilled) else value
    return found
