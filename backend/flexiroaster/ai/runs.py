"""The row that everything here learns from, and the one error of the room."""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from types import ModuleType
from typing import Any, Literal

from flexiroaster.engine.errors import FlexiRoasterError

MINUTE, HOUR, DAY = 60.0, 3_600.0, 86_400.0
"""In seconds."""
Status = Literal["", "success", "failed", "timed_out", "cancelled", "skipped"]


class MissingExtra(FlexiRoasterError):
    """A library of the optional AI layer is not installed."""

    code = "ai_not_installed"

    def __init__(self, library: str) -> None:
        self.package = library
        super().__init__(
            f'The AI layer needs {library}, which is not installed: pip install "flexiroaster[ai]", then start again.'
        )


def library(name: str) -> ModuleType:
    """Import a module of the extra. Raises MissingExtra naming the package to install."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        package = "scikit-learn" if name.startswith(("sklearn", "threadpoolctl")) else name.partition(".")[0]
        raise MissingExtra(package) from error


@dataclass(frozen=True, slots=True)
class Run:
    """One attempt of a stage, or, with an empty `stage`, a whole execution. Times are seconds since 1970, UTC.

    A run that has not ended has no `ended_at` and an empty `status`; what is predicted for it never looks at either.
    """

    execution: str
    pipeline: str
    started_at: float
    stage: str = ""
    item: str = ""
    """Tells the runs of one stage in one execution apart (foreach)."""
    queued_at: float | None = None
    ended_at: float | None = None
    status: Status = ""
    version: str = "1"
    kind: str = ""
    """The type of the stage (`sql`, `http`, …)."""
    connector: str = ""
    """The system outside that the stage talks to; runs of all pipelines share its outages."""
    trigger: str = ""
    attempt: int = 1
    error_class: str = ""
    fingerprint: str = ""
    """What tells one error from another within its class."""
    input_rows: float | None = None
    input_bytes: float | None = None
    output_rows: float | None = None
    worker: str = ""
    pool: str = ""
    """Whose slots the stage takes while it runs."""
    places: str = ""
    """Of a whole execution: those with the same text share a limited number of places."""
    needs: tuple[str, ...] = ()
    """The stages that this one waited for."""
    attributes: Mapping[str, float] = field(default_factory=dict)
    """Further numbers that were known before the start."""
    categories: Mapping[str, str] = field(default_factory=dict)
    """Further texts that were known before the start: a team, a branch, a machine type."""

    stages_known: bool = False
    """Of a whole execution: the runs of its stages are there as far as they say anything; without any it stands for
    none."""

    @property
    def failed(self) -> bool:
        return self.status in ("failed", "timed_out")

    @property
    def seconds(self) -> float | None:
        return None if self.ended_at is None else max(self.ended_at - self.started_at, 0.0)

    @classmethod
    def of(cls, row: Run | Mapping[str, Any]) -> Run:
        """A run from a mapping with the same keys. Unknown keys are left out; empty texts of numbers mean None, and so
        does what is no finite number, which is how tables say that something is not known.

        Raises ValueError naming the key that is missing or wrong.
        """
        return _finite(row if isinstance(row, Run) else cls._of_mapping(row))

    @classmethod
    def _of_mapping(cls, row: Mapping[str, Any]) -> Run:
        given = {_ALIASES.get(key, key): value for key, value in row.items()}
        values: dict[str, Any] = {}
        for name, convert in _CONVERT.items():
            if name not in given:
                continue
            try:
                values[name] = convert(given[name])
            except (TypeError, ValueError) as error:
                raise ValueError(f"The value {given[name]!r} of {name!r} does not fit a run: {error}.") from error
        missing = [name for name in ("execution", "pipeline", "started_at") if values.get(name) is None]
        if missing:
            raise ValueError(f"The run {dict(row)!r:.200} has no {missing[0]!r}: give one.")
        return cls(**values)


def _finite(run: Run) -> Run:
    if not math.isfinite(run.started_at):
        raise ValueError(f"The run {run.execution!r} has started_at {run.started_at}: give seconds since 1970.")
    unknown: dict[str, Any] = {name: None for name in _OPTIONAL if not math.isfinite(getattr(run, name) or 0.0)}
    if not unknown and all(map(math.isfinite, run.attributes.values())):
        return run
    attributes = {name: value for name, value in run.attributes.items() if math.isfinite(value)}
    return replace(run, attributes=attributes, **unknown)


def _number(value: Any) -> float | None:
    return None if value is None or value == "" else float(value)


def _text(value: Any) -> str:
    return "" if value is None else str(value)


_OPTIONAL = tuple(item.name for item in fields(Run) if item.type == "float | None")
_ALIASES = {"run_id": "execution", "execution_id": "execution", "stage_kind": "kind", "pipeline_id": "pipeline"}
_CONVERT: dict[str, Any] = {
    item.name: {"bool": bool, "float": _number, "float | None": _number, "int": int, "str": _text}.get(str(item.type))
    for item in fields(Run)
} | {"status": _text, "needs": tuple, "attributes": dict, "categories": dict}
