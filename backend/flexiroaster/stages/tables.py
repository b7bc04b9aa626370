"""What the data stages share: the table a stage is given, and the table it keeps."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from flexiroaster.data import inline
from flexiroaster.data.confinement import Confinement
from flexiroaster.data.quoting import literal, name
from flexiroaster.data.reading import Tables
from flexiroaster.data.session import Session
from flexiroaster.data.table import Column, TableRef, is_table
from flexiroaster.engine.errors import StageFailed
from flexiroaster.stages.base import StageContext

PARQUET_MEDIA_TYPE = "application/vnd.apache.parquet"
Engine = Literal["duckdb", "spark"]
ENGINE: Engine = Field(
    "duckdb",
    description="What computes: `duckdb` in this server, or `spark` on the cluster of FLEXIROASTER_SPARK_URL, for "
    "tables that outgrow one machine.",
)
_STORED_AS = {"HUGEINT": "BIGINT", "UHUGEINT": "UBIGINT", '"NULL"': "VARCHAR"}
"""Parquet has no 128-bit integer: DuckDB would store sums of integers as floating point. And a column without any value
has no type."""


def confinement(context: StageContext) -> Confinement:
    """The context's folders. Attempts share one database; their scratch folders are siblings."""
    folders = [*context.data_dirs, context.artifact_dir, context.scratch_dir.parent]
    shared = tuple(dict.fromkeys(folder.resolve() for folder in folders))
    return Confinement(tuple(context.data_dirs), context.artifact_dir, shared, context.local_artifact)


def given_table(data: Any, context: StageContext) -> TableRef:
    """The table of a stage's `data`: as configured, or the one needed stage's."""
    if data is None:
        data = _needed_data(context)
    return as_table(data, context, "input.parquet")


def as_table(data: Any, context: StageContext, artifact: str) -> TableRef:
    """A table reference as it is; a stage's whole result by its `data`; inline records kept as a table."""
    if isinstance(data, Mapping) and is_table(data.get("data")):
        data = data["data"]
    if is_table(data):
        try:
            return TableRef.model_validate(data)
        except ValidationError as error:
            raise StageFailed(
                "`data` looks like a table reference but is not one: use `${{ results.<stage>.data }}` as it is.",
                code="bad_table",
            ) from error
    if isinstance(data, list | Mapping):
        return keep_inline(data, context, artifact)
    raise StageFailed(
        f"`data` is {type(data).__name__}, not a table or a list: use `data: ${{{{ results.<stage>.data }}}}`.",
        code="bad_data",
    )


def _needed_data(context: StageContext) -> Any:
    if len(context.upstream) == 1:
        stage, result = next(iter(context.upstream.items()))
        if not isinstance(result, Mapping) or "data" not in result:
            raise StageFailed(
                f"The needed stage '{stage}' gives no `data`: name another one with "
                "`data: ${{ results.<stage>.data }}`.",
                code="no_data",
            )
        return result["data"]
    stages = ", ".join(context.upstream) or "none"
    raise StageFailed(
        f"This stage has no `data`, and cannot take it from its needed stages ({stages}): "
        "set `data: ${{ results.<stage>.data }}`.",
        code="no_data",
    )


def open_tables(refs: Mapping[str, TableRef], context: StageContext, *folders: Path) -> Tables:
    return Tables.open(
        refs, confinement(context), context.scratch_dir, folders=folders, on_cancel=context.on_cancel,
        cancelled=context.cancelled,
    )  # fmt: skip


def open_session(context: StageContext, shown: dict[str, str]) -> Session:
    """A session without tables, for files in the attempt's scratch folder."""
    return Session(
        files=[],
        folders=[],
        scratch=context.scratch_dir,
        shown=shown,
        shared=confinement(context).shared,
        on_cancel=context.on_cancel,
    )


def keep(
    context: StageContext,
    session: Session,
    sql: str,
    artifact: str = "data.parquet",
    kind: Literal["table", "quarantine"] = "table",
    columns: tuple[Column, ...] | None = None,
) -> TableRef:
    """Write a query's rows as a Parquet artifact. `columns` are the query's, where they are known already."""
    sql, columns = _storable(sql, columns or session.columns(sql))
    with context.artifact(artifact, kind=kind, media_type=PARQUET_MEDIA_TYPE) as draft:
        draft.rows = session.write(sql, draft.path)
        draft.schema = [column.model_dump() for column in columns]
    return TableRef(table=draft.uri, columns=columns, rows=draft.rows, bytes=draft.bytes, artifact_id=draft.id)


def _storable(sql: str, columns: tuple[Column, ...]) -> tuple[str, tuple[Column, ...]]:
    changed = {column.name: _STORED_AS[column.type] for column in columns if column.type in _STORED_AS}
    if not changed:
        return sql, columns
    casts = ", ".join(f"CAST({name(column)} AS {wanted}) AS {name(column)}" for column, wanted in changed.items())
    stored = tuple(Column(name=column.name, type=changed.get(column.name, column.type)) for column in columns)
    return f"SELECT * REPLACE ({casts}) FROM ({sql})", stored


def keep_inline(data: Any, context: StageContext, artifact: str = "data.parquet") -> TableRef:
    """Records as a table; plain values as one with the column `value`; an object as one row."""
    rows = inline.records(data)
    context.scratch_dir.mkdir(parents=True, exist_ok=True)
    lines = context.scratch_dir / f"{artifact}.jsonl"
    are_records = bool(rows) and inline.holds_records(rows)
    if are_records:
        inline.refuse_similar_keys(rows)
    inline.write_jsonl(rows if are_records else [{"value": row} for row in rows], lines)
    with open_session(context, {str(lines): "data"}) as session:
        query = (
            f"SELECT * FROM read_json({literal(lines.resolve())}, format = 'newline_delimited', sample_size = -1, "
            "map_inference_threshold = -1, maximum_object_size = 67108864)"
        )
        return keep(context, session, query if rows else "SELECT NULL::VARCHAR AS value WHERE false", artifact)


def result_of(ref: TableRef, **more: Any) -> dict[str, Any]:
    return {"data": ref.to_json(), "rows": ref.rows, "bytes": ref.bytes, **more}
