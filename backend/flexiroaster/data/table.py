"""A table by reference: what one stage hands to the next instead of rows."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Column(BaseModel):
    """One column; `type` is DuckDB's name of it (`BIGINT`, `VARCHAR`, `TIMESTAMP`, …)."""

    name: str
    type: str


class TableRef(BaseModel):
    """`{"table": uri, "schema": [...], "rows": n, "bytes": n}`.

    `table` is a URI: `file:///…` of a source file or a Parquet artifact. `format` and `options` say how to read a
    source that is not Parquet (delimiter, encoding, header, types; `paths` of a glob). `rows` is None where nobody
    has counted yet.
    """

    model_config = ConfigDict(populate_by_name=True, extra="forbid", frozen=True)

    table: str
    format: str = "parquet"
    columns: tuple[Column, ...] = Field(default=(), alias="schema")
    rows: int | None = None
    bytes: int | None = None
    artifact_id: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json", by_alias=True)


def is_table(value: object) -> bool:
    """Whether a JSON value is a table reference."""
    return isinstance(value, dict) and isinstance(value.get("table"), str) and "schema" in value
