"""Which stage types there are: the built-in ones and those of installed packages."""

from __future__ import annotations

import difflib
import importlib
import inspect
import threading
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib import metadata
from typing import Any

from flexiroaster.engine.errors import FlexiRoasterError
from flexiroaster.engine.field_types import FormatJsonSchema
from flexiroaster.stages.base import Stage, StageConfig, StageType

BUILT_IN: Mapping[str, str] = {
    "input": "flexiroaster.stages.input:InputStage",
    "validation": "flexiroaster.stages.validation:ValidationStage",
    "processing": "flexiroaster.stages.processing:ProcessingStage",
    "output": "flexiroaster.stages.output:OutputStage",
    "http": "flexiroaster.stages.http:HttpStage",
    "python": "flexiroaster.stages.python:PythonStage",
    "shell": "flexiroaster.stages.shell:ShellStage",
    "wait": "flexiroaster.stages.wait:WaitStage",
    "pipeline": "flexiroaster.stages.pipeline:PipelineStage",
    "approval": "flexiroaster.stages.approval:ApprovalStage",
    "switch": "flexiroaster.stages.switch:SwitchStage",
    "stop": "flexiroaster.stages.stop:StopStage",
    "noop": "flexiroaster.stages.noop:NoopStage",
}
"""Type → `module:Class`. A module is imported when its type is first used."""

INSTANT_TYPES = frozenset({"approval", "noop", "pipeline", "stop", "switch", "wait"})
"""Types that compute for microseconds and never block: the thread that claims and records does them by itself, many
at a time. Known without loading them."""

ENTRY_POINT_GROUP = "flexiroaster.stages"


class UnknownStageType(FlexiRoasterError):
    """No stage type has this name."""

    code = "unknown_stage_type"

    def __init__(self, type: str, known: Iterable[str]) -> None:
        self.type = type
        names = sorted(known)
        self.suggestion = next(iter(difflib.get_close_matches(type, names, n=1)), None)
        cure = f"Did you mean {self.suggestion!r}?" if self.suggestion else f"Known are {', '.join(names)}."
        super().__init__(f"There is no stage type {type!r}. {cure}")


class BrokenStageType(FlexiRoasterError):
    """A stage type is registered but cannot be loaded."""

    code = "broken_stage_type"


class StageRegistry:
    """Stage types by name, each loaded once, on first use. Safe to use from several threads.

    `plugins` lists the entry points of other packages; it is asked once, when a type is not built in or when all
    types are wanted, because reading the metadata of every installed package takes tens of milliseconds.
    """

    def __init__(
        self,
        table: Mapping[str, str] = BUILT_IN,
        plugins: Callable[[], Iterable[metadata.EntryPoint]] = tuple,
    ) -> None:
        self._built_in = dict(table)
        self._table = dict(table)
        self._owners: dict[str, str] = {}
        self._plugins: Callable[[], Iterable[metadata.EntryPoint]] | None = plugins
        self._stages: dict[str, Stage] = {}
        self._types: dict[str, StageType] | None = None
        self._problems: dict[str, str] = {}
        self._lock = threading.RLock()

    def get(self, type: str) -> Stage:
        """The stage of a type. Raises UnknownStageType or BrokenStageType."""
        stage = self._stages.get(type)
        return stage if stage is not None else self._load(type)

    def types(self) -> dict[str, StageType]:
        """Every type that can be loaded, built-in ones first; what cannot is told by `problems()`."""
        with self._lock:
            if self._types is None:
                self._discover()
                self._types = {name: described(stage) for name, stage in self._load_all()}
            return dict(self._types)

    def names(self) -> tuple[str, ...]:
        """The names of all registered types, loadable or not, without loading them."""
        with self._lock:
            self._discover()
            return tuple(self._table)

    def problems(self) -> tuple[str, ...]:
        """A sentence for each registered type that cannot be used. Complete after `types()`."""
        with self._lock:
            return tuple(self._problems.values())

    def _load_all(self) -> Iterable[tuple[str, Stage]]:
        for name in tuple(self._table):
            try:
                yield name, self.get(name)
            except BrokenStageType:
                continue

    def _load(self, type: str) -> Stage:
        with self._lock:
            if type not in self._table:
                self._discover()
            if type not in self._table:
                raise UnknownStageType(type, self._table)
            if type not in self._stages:
                try:
                    self._stages[type] = instantiate(type, self._table[type])
                except Exception as error:  # a plugin's module may raise anything when imported
                    raise self._broken(type, error) from error
            return self._stages[type]

    def _broken(self, type: str, error: Exception) -> BrokenStageType:
        owner = self._owners.get(type)
        source = f" of package {owner!r}" if owner else ""
        reason = str(error) if isinstance(error, BrokenStageType) else f"{error.__class__.__name__}: {error}"
        sentence = f"Stage type {type!r}{source} cannot be loaded: {reason}"
        self._problems[type] = sentence
        return BrokenStageType(sentence)

    def _discover(self) -> None:
        if self._plugins is None:
            return
        plugins, self._plugins = self._plugins, None
        for point in sorted(plugins(), key=lambda point: (point.name, owner_of(point))):
            self._add(point)

    def _add(self, point: metadata.EntryPoint) -> None:
        owner = owner_of(point)
        if point.name in self._table:
            holder = "built in" if point.name in self._built_in else f"offered by package {self._owners[point.name]!r}"
            self._problems[f"{owner}:{point.name}"] = (
                f"Package {owner!r} offers a stage type {point.name!r}, which is already {holder}: "
                f"it is ignored; rename its entry point."
            )
            return
        self._table[point.name] = point.value
        self._owners[point.name] = owner


def owner_of(point: metadata.EntryPoint) -> str:
    return point.dist.name if point.dist else point.value.partition(":")[0]


def instantiate(type: str, target: str) -> Stage:
    module, _, name = target.partition(":")
    stage_class: Any = getattr(importlib.import_module(module), name, None)
    if not (inspect.isclass(stage_class) and issubclass(stage_class, Stage)):
        raise BrokenStageType(f"{target} is not a subclass of Stage.")
    if getattr(stage_class, "type", None) != type:
        raise BrokenStageType(f"{target} calls itself {getattr(stage_class, 'type', None)!r}, not {type!r}.")
    if not getattr(stage_class, "summary", ""):
        raise BrokenStageType(f"{target} has no summary.")
    if not issubclass(stage_class.Config, StageConfig):
        raise BrokenStageType(f"The Config of {target} is not a subclass of StageConfig.")
    return stage_class()


def described(stage: Stage) -> StageType:
    """What others need to know of a stage, with the JSON Schema of its config."""
    return StageType(
        type=stage.type,
        summary=stage.summary,
        description=stage.description,
        schema=stage.Config.model_json_schema(schema_generator=FormatJsonSchema),
        takes_data=stage.takes_data,
        runs_code=stage.runs_code,
        examples=stage.examples,
    )


def installed_plugins() -> Iterable[metadata.EntryPoint]:
    return metadata.entry_points(group=ENTRY_POINT_GROUP)


@cache
def default_registry() -> StageRegistry:
    """The built-in types and those of installed packages; one per process."""
    return StageRegistry(BUILT_IN, installed_plugins)
