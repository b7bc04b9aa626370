"""Reading a pipeline definition from a file: YAML, JSON, or Python that builds one."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from flexiroaster.engine.errors import ConfigurationError

if TYPE_CHECKING:
    from flexiroaster.engine.definition import Report

STANDARD_INPUT = Path("-")
LARGEST = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class DefinitionFile:
    """`source` is the text as it was written, or the document a Python file built."""

    path: Path
    source: str | Mapping[str, Any]
    format: Literal["yaml", "json"] | None

    @property
    def name(self) -> str:
        return "<stdin>" if self.path == STANDARD_INPUT else str(self.path)

    @property
    def folder(self) -> Path:
        return Path.cwd() if self.path == STANDARD_INPUT else self.path.resolve().parent

    def line(self, number: int) -> str | None:
        """Line `number` of the text, counted from 1."""
        lines = self.source.splitlines() if isinstance(self.source, str) else []
        return lines[number - 1] if 0 < number <= len(lines) else None

    def check(self) -> Report:
        from flexiroaster.engine.definition import validate
        from flexiroaster.stages.registry import default_registry

        return validate(self.source, format=self.format, stage_types=default_registry().types())


def read_definition(path: Path) -> DefinitionFile:
    """Raises `ConfigurationError` (exit status 2) where there is nothing to read."""
    if path.suffix == ".py":
        return DefinitionFile(path, _built_by(path), None)
    text = _text(path)
    return DefinitionFile(path, text, "json" if path.suffix == ".json" else "yaml")


def _text(path: Path) -> str:
    try:
        content = sys.stdin.buffer.read(LARGEST + 1) if path == STANDARD_INPUT else _bytes(path)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.") from None
    if len(content) > LARGEST:
        raise ConfigurationError(f"{path} has more than {LARGEST // 1024} KB: that is no pipeline definition.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is not UTF-8 text (byte {error.start}): save it as UTF-8.") from None


def _bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(LARGEST + 1)


def _built_by(path: Path) -> Mapping[str, Any]:
    """Run a Python file and take the one pipeline it leaves in a variable."""
    import runpy

    from flexiroaster.engine.builder import PipelineBuilder

    if not path.is_file():
        raise ConfigurationError(f"{path} cannot be read: No such file or directory.")
    sys.path.insert(0, str(path.resolve().parent))
    found = {
        name: value
        for name, value in runpy.run_path(str(path)).items()
        if isinstance(value, PipelineBuilder) and not name.startswith("_")
    }
    if len(found) != 1:
        have = "no pipeline" if not found else f"{len(found)} pipelines ({', '.join(found)})"
        raise ConfigurationError(
            f"{path} defines {have}: leave exactly one in a variable, such as pipeline = Pipeline('orders')."
        )
    return next(iter(found.values())).to_document()
