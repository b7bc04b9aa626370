"""A real, small StageContext on a temporary folder, for tests of stages."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from flexiroaster.stages.base import ArtifactDraft, LogLevel, StageContext

NOW = datetime(2026, 1, 5, 2, 15, tzinfo=UTC)


@dataclass(frozen=True)
class Line:
    level: LogLevel
    message: str
    fields: dict[str, Any]


@dataclass
class FakeContext:
    """Keeps what a stage says: `lines`, `steps` (its progress) and `artifacts` (drafts whose block ended cleanly)."""

    root: Path
    execution_id: str = "exe-1"
    pipeline_id: str = "orders"
    stage_id: str = "stage"
    index: int = 0
    attempt: int = 1
    now: datetime = NOW
    deadline: datetime | None = None
    idempotency_key: str = "exe-1:stage:0"
    cancelled: threading.Event = field(default_factory=threading.Event)
    inputs: Mapping[str, Any] = field(default_factory=dict)
    data: Any = None
    upstream: Mapping[str, Any] = field(default_factory=dict)
    state: Mapping[str, Any] = field(default_factory=dict)
    code_stages: bool = True
    hidden_from_code: tuple[Path, ...] = ()
    stop_within: timedelta = timedelta(seconds=15)
    http_allow: tuple[str, ...] = ()
    lines: list[Line] = field(default_factory=list)
    steps: list[tuple[float, float | None, str]] = field(default_factory=list)
    artifacts: list[ArtifactDraft] = field(default_factory=list)
    kinds: dict[str, str] = field(default_factory=dict)
    started: list[dict[str, Any]] = field(default_factory=list)
    on_line: Callable[[Line], None] = lambda line: None

    def __post_init__(self) -> None:
        self.data_dirs: tuple[Path, ...] = (self._folder("data"),)
        self.code_dirs: tuple[Path, ...] = (self._folder("code"),)
        self.artifact_dir = self._folder("artifacts")
        self.scratch_root = self._folder("scratch")
        self.scratch_dir = self._folder("scratch/attempt")
        self._callbacks: list[Callable[[], None]] = []
        self._ids = itertools.count(1)

    def _folder(self, name: str) -> Path:
        folder = self.root / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @property
    def messages(self) -> list[str]:
        return [line.message for line in self.lines]

    def cancel(self) -> None:
        self.cancelled.set()
        for callback in tuple(self._callbacks):
            callback()

    def start_execution(
        self, pipeline_id: str, *, inputs: Mapping[str, Any], data: Any, version: int | None, wait: bool
    ) -> str:
        self.started.append({"pipeline": pipeline_id, "inputs": inputs, "data": data, "version": version, "wait": wait})
        return f"child-{len(self.started)}"

    def log(self, level: LogLevel, message: str, **fields: Any) -> None:
        line = Line(level, message, fields)
        self.lines.append(line)
        self.on_line(line)

    def progress(self, done: float, total: float | None = None, unit: str = "rows") -> None:
        self.steps.append((done, total, unit))

    @contextmanager
    def on_cancel(self, callback: Callable[[], None]) -> Iterator[None]:
        self._callbacks.append(callback)
        if self.cancelled.is_set():
            callback()
        try:
            yield
        finally:
            self._callbacks.remove(callback)

    def local_artifact(self, uri: str, *, pinned: bool = True) -> Path | None:
        return None

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
        path = self.artifact_dir / f"{next(self._ids)}-{name}"
        draft = ArtifactDraft(id=f"art-{path.name}", path=path, uri=path.as_uri(), rows=rows, schema=schema)
        try:
            yield draft
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        draft.bytes = path.stat().st_size
        self.artifacts.append(draft)
        self.kinds[draft.id] = kind


def as_context(fake: FakeContext) -> StageContext:
    """The type checker's proof that the fake keeps the contract."""
    return fake
