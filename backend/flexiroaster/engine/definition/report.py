"""What validating a definition found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from flexiroaster.engine.errors import Problem
from flexiroaster.engine.pipeline import Pipeline


class StageTypeView(Protocol):
    """What the validator needs to know of a stage type."""

    @property
    def type(self) -> str: ...
    @property
    def schema(self) -> dict[str, Any]:
        """JSON Schema of the config."""
        ...

    @property
    def takes_data(self) -> bool: ...
    @property
    def runs_code(self) -> bool: ...


StageTypes = Mapping[str, StageTypeView]


@dataclass(frozen=True, slots=True)
class Report:
    """`pipeline` is set exactly when there is no error. `document` is the normalised document, None where the text
    could not be read at all; with errors it is as far as normalising came."""

    problems: list[Problem] = field(default_factory=list)
    pipeline: Pipeline | None = None
    document: dict[str, Any] | None = None

    @property
    def ok(self) -> bool:
        """No errors; warnings may be there."""
        return not self.errors

    @property
    def errors(self) -> list[Problem]:
        return [problem for problem in self.problems if problem.severity == "error"]

    @property
    def warnings(self) -> list[Problem]:
        return [problem for problem in self.problems if problem.severity == "warning"]
