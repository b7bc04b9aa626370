"""The first rows of the table that an execution ended with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flexiroaster.services.artifacts import Artifacts

if TYPE_CHECKING:
    from flexiroaster.composition import Engine
    from flexiroaster.local import LocalExecution


@dataclass(frozen=True, slots=True)
class TableStart:
    stage: str
    columns: list[str]
    rows: list[list[Any]]
    total: int


def last_table(engine: Engine, ended: LocalExecution, rows: int) -> TableStart | None:
    """Of the last stage, in the order of the definition, that kept a table; None where none did."""
    artifacts = Artifacts(engine.database, engine.artifacts)
    tables = {found.stage: found for found in artifacts.of_execution(ended.execution_id) if found.kind == "table"}
    stage = next((stage.stage for stage in reversed(ended.stages) if stage.stage in tables), None)
    if stage is None:
        return None
    start = artifacts.preview(tables[stage].id, offset=0, limit=rows)
    return TableStart(stage, [column.name for column in start.columns], start.rows, start.total_rows)
