"""What a stage is, and what it is given to work with.

A third party adds a stage type by one class and an entry point in the group `flexiroaster.stages`.
"""

from __future__ import annotations

import builtins
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

from pydantic import BaseModel, ConfigDict

from flexiroaster.engine.outcome import Outcome

LogLevel = Literal["debug", "info", "warning", "error"]


class StageConfig(BaseModel):
    """Base of every stage type's config: unknown keys are refused, so that a typo is never ignored."""

    model_config = ConfigDict(extra="forbid")


class StageContext(Protocol):
    """The world of one attempt. Everything a stage may touch is here; nothing else is."""

    execution_id: str
    pipeline_id: str
    stage_id: str
    index: int
    attempt: int
    now: datetime

    @property
    def deadline(self) -> datetime | None:
        """When its timeout ends the attempt; None without one."""
        ...

    @property
    def idempotency_key(self) -> str:
        """`execution:stage:index`, the same for every attempt: hand it to services that can deduplicate. Where the
        stage repeats, or runs again because it was undone, a number follows.
        """
        ...

    @property
    def cancelled(self) -> threading.Event:
        """Set on cancel and on timeout; a long stage looks at it or registers `on_cancel`."""
        ...

    inputs: Mapping[str, Any]
    data: Any
    """What the starter passed as `data` (the specification's `context['data']`)."""

    @property
    def upstream(self) -> Mapping[str, Any]:
        """The results of the needed stages that succeeded, by stage id, in the order of `needs`."""
        ...

    @property
    def data_dirs(self) -> tuple[Path, ...]:
        """Folders that file stages may read and write; the first one resolves relative paths."""
        ...

    @property
    def artifact_dir(self) -> Path:
        """The root of artifacts on this machine: readable, never writable by a stage's own path."""
        ...

    @property
    def code_dirs(self) -> tuple[Path, ...]:
        """Folders that code stages take modules and scripts from."""
        ...

    @property
    def hidden_from_code(self) -> tuple[Path, ...]:
        """What code stages must not reach, whatever the server's user may: keys, the database, files of others."""
        ...

    stop_within: timedelta
    """How long the stage may need to end once it is told to. It is waited for a while in any case; a stage that gives
    its work a longer grace says so here."""

    @property
    def scratch_root(self) -> Path:
        """What the folders of all attempts are in."""
        ...

    @property
    def scratch_dir(self) -> Path:
        """An empty folder of this attempt, removed afterwards."""
        ...

    state: Mapping[str, Any]
    """What the stage gave with its last `Waiting`, empty at the first call."""

    @property
    def code_stages(self) -> bool:
        """Whether this server runs user code (`python`, `shell`)."""
        ...

    @property
    def http_allow(self) -> tuple[str, ...]:
        """`host:port` entries that http stages may reach although they are private."""
        ...

    def start_execution(
        self, pipeline_id: str, *, inputs: Mapping[str, Any], data: Any, version: int | None, wait: bool
    ) -> str:
        """Answers the id of an execution of another pipeline; `wait` says whether this stage waits for its end.

        It is started in the transaction that records this attempt as waiting or succeeded: once, however often the
        process dies. Raises StageFailed for what cannot be started.
        """
        ...

    def log(self, level: LogLevel, message: str, **fields: Any) -> None: ...

    def progress(self, done: float, total: float | None = None, unit: str = "rows") -> None: ...

    def on_cancel(self, callback: Callable[[], None]) -> AbstractContextManager[None]:
        """Call `callback` (from another thread) when the attempt is cancelled or times out while the block runs."""
        ...

    def local_artifact(self, uri: str, *, pinned: bool = True) -> Path | None:
        """Where this machine has the artifact of a URI, which is fetched first where artifacts are kept elsewhere.

        None for what is no artifact of this server. Raises NotFound. A `pinned` copy stays until the attempt ends, and
        is not to be handed to user's code, which could change it; another one stays for a minute at least.
        """
        ...

    def artifact(
        self,
        name: str,
        *,
        kind: Literal["table", "quarantine", "file", "result", "report"],
        media_type: str,
        rows: int | None = None,
        schema: list[dict[str, str]] | None = None,
    ) -> AbstractContextManager[ArtifactDraft]:
        """A file to write. On a clean exit of the block it is kept, and listed once the attempt succeeds.

        `rows` and `schema` may also be set on the draft before the block ends, when they are known only then.
        """
        ...


@dataclass(slots=True)
class ArtifactDraft:
    """`path` is where to write. `id` and `uri` are valid already while writing; `bytes` after the block."""

    id: str
    path: Path
    uri: str
    rows: int | None = None
    schema: list[dict[str, str]] | None = None
    profile: dict[str, Any] | None = None
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class StageExample:
    title: str
    config: dict[str, Any]
    note: str = ""


class Stage(ABC):
    """One stage type. `run` is called in a worker thread with a validated config; it may block.

    It returns an `Outcome`, or a plain JSON value (which means `Succeeded`), or raises `StageFailed`. Any other
    exception becomes a failed attempt of kind `internal` with its traceback.
    """

    type: ClassVar[str]
    summary: ClassVar[str]
    description: ClassVar[str] = ""
    Config: ClassVar[builtins.type[StageConfig]] = StageConfig
    takes_data: ClassVar[bool] = False
    """Whether `config.data` may be left out and is then the data of the one needed stage."""
    runs_code: ClassVar[bool] = False
    examples: ClassVar[tuple[StageExample, ...]] = ()

    @abstractmethod
    def run(self, config: Any, context: StageContext) -> Outcome | Mapping[str, Any] | list[Any] | str | int | None: ...


@dataclass(frozen=True, slots=True)
class StageType:
    """What the validator, the API and the docs need to know of a stage type, without its code."""

    type: str
    summary: str
    description: str
    schema: dict[str, Any]
    takes_data: bool
    runs_code: bool
    examples: tuple[StageExample, ...] = field(default=())
