"""Artifacts: list, preview, profile, download."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Literal, NamedTuple

from flexiroaster.artifacts.port import ArtifactStore
from flexiroaster.data.confinement import Confinement
from flexiroaster.data.quoting import paths
from flexiroaster.data.table import Column, TableRef
from flexiroaster.engine.errors import InvalidRequest, NotFound
from flexiroaster.services.paging import Page, cut, decode, decode_moment
from flexiroaster.services.stage_tables import StageTables
from flexiroaster.store import artifacts as store
from flexiroaster.store import executions as execution_store
from flexiroaster.store.artifacts import ArtifactRow
from flexiroaster.store.database import Database

if TYPE_CHECKING:
    from flexiroaster.data.export import ExportFormat
    from flexiroaster.data.preview import Preview
    from flexiroaster.data.profile import Profile
    from flexiroaster.data.reading import Tables

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
TABLE_EXTENSIONS = frozenset({".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet", ".xlsx", ".gz", ".zst", ".txt"})
CHUNK_BYTES = 1 << 18
TABLE = "data"
PROFILES_KEPT = 64
LINK_LASTS = timedelta(minutes=5)
"""For a download to begin, on a slow line too: it may take longer than that."""


class Elsewhere(NamedTuple):
    """The file can be fetched from where it is kept, by whoever has this URL, for `LINK_LASTS`."""

    url: str


class Download(NamedTuple):
    """`size` is the length in bytes of what `chunks` gives."""

    name: str
    media_type: str
    size: int
    chunks: Iterator[bytes]


class Artifacts:
    """A table is shown, profiled and exported as its stage handed it on: without the rows that it set aside."""

    def __init__(self, database: Database, artifacts: ArtifactStore) -> None:
        self._database = database
        self._artifacts = artifacts
        self._handed_on = StageTables(database, artifacts)
        self._profiles = lru_cache(maxsize=PROFILES_KEPT)(self._profile)

    def of_execution(self, execution_id: str) -> list[ArtifactRow]:
        """The first 10,000 in the order they were written. Raises NotFound."""
        with self._database.read() as connection:
            rows = store.of_execution(connection, execution_id)
            if not rows and execution_store.find(connection, execution_id) is None:
                raise NotFound("execution", execution_id)
        return rows

    def page(
        self, execution_id: str, *, stage: str | None = None, limit: int, cursor: str | None = None
    ) -> Page[ArtifactRow]:
        """In the order they were written. Raises NotFound."""
        after = _position(cursor) if cursor else None
        with self._database.read() as connection:
            rows = store.of_execution(connection, execution_id, stage=stage, after=after, limit=limit + 1)
            if not rows and execution_store.find(connection, execution_id) is None:
                raise NotFound("execution", execution_id)
        return cut(rows, limit, lambda row: [row.created_at.isoformat(), row.id])

    def get(self, id: str) -> ArtifactRow:
        with self._database.read() as connection:
            row = store.find(connection, id)
        if row is None:
            raise NotFound("artifact", id)
        return row

    def preview(self, id: str, *, offset: int, limit: int) -> Preview:
        """Raises InvalidRequest for what is no table, NotFound when its file is gone."""
        from flexiroaster.data.preview import preview

        ref, confinement = self._table(self.get(id))
        return preview(ref, confinement, offset=offset, limit=limit)

    def profile(self, id: str) -> Profile:
        """As `preview`. Kept for a while: an artifact never changes, and a large one takes seconds."""
        return self._profiles(id)

    def download(self, id: str, format: Format, *, elsewhere: bool = False) -> Download | Elsewhere:
        """Anything as it was written, but for a table that holds more than was handed on; a table also as CSV, JSON
        or Parquet. `elsewhere` is whether whoever asks would rather fetch it from where it is kept."""
        row = self.get(id)
        stored = TABLES.get(row.media_type)
        if format in ("original", stored) and not (stored == "parquet" and self._holds_more(row)):
            return self._as_it_is(row, elsewhere=elsewhere)
        format = "parquet" if format == "original" else format
        with self._opened(row) as (tables, scratch):
            from flexiroaster.data.export import export

            target = scratch / f"export.{format}"
            export(tables, TABLE, format, target)
            # The folder goes when this block ends; the open file stays readable until it is closed.
            file = target.open("rb")
            size = target.stat().st_size
        return Download(_file_name(row, format), MEDIA_TYPES[format], size, _chunks(file))

    def _as_it_is(self, row: ArtifactRow, *, elsewhere: bool) -> Download | Elsewhere:
        size = self._artifacts.size(row.key)
        url = self._artifacts.link(row.key, LINK_LASTS) if elsewhere else None
        if url is not None:
            return Elsewhere(url)
        media_type = row.media_type if row.media_type in INERT else "application/octet-stream"
        return Download(_file_name(row, None), media_type, size, self._artifacts.read(row.key, CHUNK_BYTES))

    def trouble(self) -> str | None:
        """Why artifacts can be neither kept nor read at this moment."""
        return self._artifacts.trouble()

    def _holds_more(self, row: ArtifactRow) -> bool:
        """Whether the file has rows that do not count, or columns that only its stage needed."""
        with self._opened(row) as (tables, _):
            source = tables.opened[TABLE]
            stored = tables.session.columns(f"SELECT * FROM read_parquet({paths(source.files)})")
            return source.without is not None or [column.name for column in stored] != source.ref.names

    def _profile(self, id: str) -> Profile:
        from flexiroaster.data.profile import profile

        ref, confinement = self._table(self.get(id))
        return profile(ref, confinement)

    @contextmanager
    def _opened(self, row: ArtifactRow) -> Iterator[tuple[Tables, Path]]:
        """The artifact as the table `data`, and the folder that its session may write to."""
        from flexiroaster.data.reading import Tables

        ref, confinement = self._table(row)
        with (
            tempfile.TemporaryDirectory(prefix="flexiroaster-artifact-") as folder,
            Tables.open({TABLE: ref}, confinement, Path(folder)) as tables,
        ):
            yield tables, Path(folder)

    def _table(self, row: ArtifactRow) -> tuple[TableRef, Confinement]:
        """The artifact as a table, and leave to read its own folder and nothing else."""
        format = TABLES.get(row.media_type)
        if format is None:
            raise InvalidRequest(
                f"Artifact {row.name!r} is {row.media_type}, not a table: download it as it is, with format=original.",
                "not_a_table",
            )
        narrowed = self._narrowed(row)
        if narrowed is not None:
            return self._handed_on.readable(narrowed)
        path = self._artifacts.local_path(row.key)
        columns = tuple(Column.model_validate(column) for column in row.columns or ())
        ref = TableRef(table=path.as_uri(), format=format, columns=columns, rows=row.rows, bytes=row.bytes)
        return ref, Confinement(data_dirs=(), artifact_dir=path.parent)

    def _narrowed(self, row: ArtifactRow) -> TableRef | None:
        """The artifact as its stage's result gives it, where that leaves rows out."""
        try:
            ref = self._handed_on.find(row.execution_id, row.stage, row.index)
        except NotFound:
            return None
        return ref if ref is not None and ref.artifact_id == row.id and ref.without is not None else None


def _file_name(row: ArtifactRow, extension: str | None) -> str:
    """`check-data.parquet`; unique enough in a downloads folder, and free of path separators."""
    stem = f"{row.stage}-{row.index}" if row.index else row.stage
    name = PurePosixPath(row.name).name or "artifact"
    return f"{stem}-{name}" if extension is None else f"{stem}-{_without_format(name)}.{extension}"


def _without_format(name: str) -> str:
    """`x` for `x.parquet` and for `x.csv.gz`: the extensions of the formats it may have come in, and no others."""
    while (path := PurePosixPath(name)).suffix.lower() in TABLE_EXTENSIONS and path.stem:
        name = path.stem
    return name


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def _position(cursor: str) -> tuple[datetime, str]:
    moment, id = decode(cursor, [str, str])
    return decode_moment(moment, cursor), str(id)
