"""Artifacts: list, preview, profile, download."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, Literal

from flexiroaster.artifacts.port import ArtifactStore
from flexiroaster.data.confinement import Confinement
from flexiroaster.data.export import ExportFormat, export
from flexiroaster.data.reading import Tables
from flexiroaster.data.table import Column, TableRef
from flexiroaster.data.values import json_safe
from flexiroaster.engine.errors import InvalidRequest, NotFound
from flexiroaster.store import artifacts as store
from flexiroaster.store import executions as execution_store
from flexiroaster.store.artifacts import ArtifactRow
from flexiroaster.store.database import Database

Format = Literal["original", "csv", "json", "parquet"]
PARQUET = "application/vnd.apache.parquet"
TABLES = {PARQUET: "parquet", "application/x-ndjson": "jsonl"}
"""How artifacts that are tables are stored."""
MEDIA_TYPES: dict[ExportFormat, str] = {
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "parquet": PARQUET,
}
INERT = frozenset({*TABLES, "text/csv", "text/plain", "application/json", "application/gzip", "application/zip"})
"""Types that a browser shows as they are or saves. Anything else is sent as bytes: a page that a stage made must not
run as if it were ours."""
CHUNK_BYTES = 1 << 18
TABLE = "data"


@dataclass(frozen=True, slots=True)
class Preview:
    """Rows as JSON values; `total_rows` is of the whole table."""

    columns: list[Column]
    rows: list[list[Any]]
    offset: int
    total_rows: int


@dataclass(frozen=True, slots=True)
class Download:
    """`size` is the length in bytes of what `chunks` gives."""

    name: str
    media_type: str
    size: int
    chunks: Iterator[bytes]


class Artifacts:
    def __init__(self, database: Database, artifacts: ArtifactStore) -> None:
        self._database = database
        self._artifacts = artifacts

    def of_execution(self, execution_id: str) -> list[ArtifactRow]:
        """In the order they were written. Raises NotFound."""
        with self._database.read() as connection:
            rows = store.of_execution(connection, execution_id)
            if not rows and execution_store.find(connection, execution_id) is None:
                raise NotFound("execution", execution_id)
        return rows

    def get(self, id: str) -> ArtifactRow:
        with self._database.read() as connection:
            row = store.find(connection, id)
        if row is None:
            raise NotFound("artifact", id)
        return row

    def preview(self, id: str, *, offset: int, limit: int) -> Preview:
        """Raises InvalidRequest for what is no table, NotFound when its file is gone."""
        row = self.get(id)
        with self._opened(row) as (tables, _):
            rows = tables.session.rows(f"SELECT * FROM {TABLE} LIMIT {limit:d} OFFSET {offset:d}")
            columns = list(tables.columns(TABLE))
            total = row.rows if row.rows is not None else tables.session.row(f"SELECT count(*) FROM {TABLE}")[0]
        return Preview(columns, [[json_safe(value) for value in values] for values in rows], offset, int(total))

    def download(self, id: str, format: Format) -> Download:
        """Anything as it was written; a table also as CSV, JSON or Parquet."""
        row = self.get(id)
        if format == "original" or format == TABLES.get(row.media_type):
            path = self._artifacts.local_path(row.key)
            media_type = row.media_type if row.media_type in INERT else "application/octet-stream"
            return Download(_file_name(row, None), media_type, path.stat().st_size, _chunks(path.open("rb")))
        with self._opened(row) as (tables, scratch):
            target = scratch / f"export.{format}"
            export(tables, TABLE, format, target)
            # The folder goes when this block ends; the open file stays readable until it is closed.
            file = target.open("rb")
            size = target.stat().st_size
        return Download(_file_name(row, format), MEDIA_TYPES[format], size, _chunks(file))

    @contextmanager
    def _opened(self, row: ArtifactRow) -> Iterator[tuple[Tables, Path]]:
        """The artifact as the table `data` of a session that can read its file and nothing else."""
        format = TABLES.get(row.media_type)
        if format is None:
            raise InvalidRequest(
                f"Artifact {row.name!r} is {row.media_type}, not a table: download it as it is, with format=original.",
                "not_a_table",
            )
        path = self._artifacts.local_path(row.key)
        columns = tuple(Column.model_validate(column) for column in row.columns or ())
        ref = TableRef(table=path.as_uri(), format=format, columns=columns)
        with tempfile.TemporaryDirectory(prefix="flexiroaster-artifact-") as folder:
            scratch = Path(folder)
            confinement = Confinement(data_dirs=(), artifact_dir=path.parent)
            with Tables.open({TABLE: ref}, confinement, scratch) as tables:
                yield tables, scratch


def _file_name(row: ArtifactRow, extension: str | None) -> str:
    """`check-data.parquet`; unique enough in a downloads folder, and free of path separators."""
    stem = f"{row.stage}-{row.index}" if row.index else row.stage
    name = PurePosixPath(row.name).name or "artifact"
    return f"{stem}-{name}" if extension is None else f"{stem}-{PurePosixPath(name).stem}.{extension}"


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
