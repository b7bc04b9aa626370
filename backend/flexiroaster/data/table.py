"""A table by reference: what one stage hands to the next instead of rows."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Column(BaseModel):
    """One column; `type` is DuckDB's name of it (`BIGINT`, `VARCHAR`, `TIMESTAMP`, …)."""

    model_config = ConfigDict(frozen=True)

    name: str
    type: str


class TableRef(BaseModel):
    """`{"table": uri, "schema": [...], "rows": n, "bytes": n}`.

    `table` is a URI: `file:///…` of a source file or a Parquet artifact. `format` and `options` say how to read a
    source that is not Parquet (see `data.reading.ReadOptions`; `paths` where it is several files). `rows` is None
    where nobody has counted yet.

    Two narrowings save writing a table again: `without` is the URI of a Parquet file whose column `_row` numbers
    (from 1) rows of this table that do not count, and `equals` keeps only rows with these column values.
    """

    model_config = ConfigDict(populate_by_name=True, extra="forbid", frozen=True)

    table: str
    format: str = "parquet"
    columns: tuple[Column, ...] = Field(default=(), alias="schema")
    rows: int | None = None
    bytes: int | None = None
    artifact_id: str | None = None
    without: str | None = None
    equals: dict[str, Any] | None = None
    options: dict[str, Any] = Field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        document = self.model_dump(mode="json", by_alias=True)
        return {key: value for key, value in document.items() if value is not None or key not in _LEFT_OUT_WHEN_NONE}

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]


_LEFT_OUT_WHEN_NONE = ("without", "equals", "artifact_id")


def is_table(value: object) -> bool:
    """Whether a JSON value is a table reference."""
    return isinstance(value, dict) and isinstance(value.get("table"), str) and "schema" in value
