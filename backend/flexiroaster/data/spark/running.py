"""Runs queries on Spark: tables come as Parquet files, results go as Parquet files."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote
from uuid import uuid4

from flexiroaster.data.failures import stopped
from flexiroaster.data.quoting import name as double_quoted
from flexiroaster.data.quoting import paths
from flexiroaster.data.reading import ROW, WITHOUT_ROW, Opened, Tables
from flexiroaster.data.session import OnCancel
from flexiroaster.data.spark import cluster
from flexiroaster.data.spark.failures import explain, is_cancelled, is_lost
from flexiroaster.data.spark.types import column_type, is_read_as_it_is, schema, stored, text_literal
from flexiroaster.data.table import Column
from flexiroaster.engine.errors import StageFailed

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_FILE_ROWS = 1 << 40
"""More than a file has rows: numbers of rows grow from file to file."""


class Run:
    """One attempt's queries. Use as a context manager. Errors come out as StageFailed."""

    def __init__(self, tables: Tables, scratch: Path, on_cancel: OnCancel | None = None) -> None:
        self._tables = tables
        self._scratch = scratch.resolve()
        self._stack = ExitStack()
        self._stopped, self._closed = threading.Event(), threading.Event()
        self._tag = f"flexiroaster-{uuid4().hex}"
        self._session: SparkSession = cluster.session()
        self._jobs = cluster.Jobs(self._session)
        if on_cancel is not None:
            self._stack.enter_context(on_cancel(self._stop))
        self.gapless: set[str] = set()
        """The tables whose rows are numbered without a gap."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.set()
        self._stack.close()

    def _stop(self) -> None:
        self._stopped.set()
        threading.Thread(target=self._interrupt_until_closed, name="spark-interrupt", daemon=True).start()

    def _interrupt_until_closed(self) -> None:
        """Again and again: an interrupt that comes just before a job starts is lost."""
        while not self._closed.is_set():
            with contextlib.suppress(Exception):
                self._jobs.interrupt(self._tag)
            self._closed.wait(0.2)

    @contextlib.contextmanager
    def _working(self) -> Iterator[None]:
        if self._stopped.is_set():
            raise stopped()
        try:
            self._jobs.mark(self._tag)
            try:
                yield
            finally:
                with contextlib.suppress(Exception):
                    self._jobs.unmark(self._tag)
        except StageFailed:
            raise
        except Exception as error:
            if self._stopped.is_set() or is_cancelled(error):
                raise stopped() from error
            if is_lost(error):
                raise cluster.lost(error) from error
            raise explain(error) from error

    # Tables

    def register(self, names: Iterable[str] | None = None) -> None:
        """Make tables (all of them, if none is named) known by their names, their rows numbered in the column `ROW`."""
        for table in self._tables.opened if names is None else names:
            source = self._tables.opened[table]
            columns = self._tables.columns(table)
            for column in columns:
                column_type(column)
            with self._working():
                self._read(table, source, columns).createOrReplaceTempView(table)

    def _read(self, table: str, source: Opened, columns: Sequence[Column]) -> DataFrame:
        """Parquet is read where it is. What Spark reads differently (or not), DuckDB first makes plain Parquet of."""
        if not _is_plain(source, columns):
            file = self._stored(table, columns)
            self.gapless.add(table)
            return self._numbered(self._parquet([file], columns), [file])
        files = [self._visible(file) for file in source.files]
        frame = self._numbered(self._parquet(files, columns), files)
        if source.without is None:
            self.gapless |= {table} if len(source.files) == 1 else set()
            return frame
        left_out = self._session.read.schema(f"{WITHOUT_ROW} BIGINT").parquet(
            _plain_path(self._visible(source.without))
        )
        numbers = left_out.selectExpr(f"{WITHOUT_ROW} - 1 AS {ROW}")
        return frame.join(numbers, ROW, "left_anti")

    def read_file(self, table: str, file: Path, number: str) -> None:
        """Make one Parquet file known to both engines, its rows numbered from 0 in the column `number`."""
        session = self._tables.session
        columns = session.columns(f"SELECT * FROM read_parquet({paths([file])})")
        session.view(table, f"SELECT *, file_row_number FROM read_parquet({paths([file])}, file_row_number = true)")
        for column in columns:
            column_type(column)
        if not all(is_read_as_it_is(column.type) for column in columns):
            file = self._stored(table, columns)
        file = self._visible(file)
        with self._working():
            frame = self._parquet([file], columns).selectExpr("*", f"_metadata.row_index AS {number}")
            frame.createOrReplaceTempView(table)

    def _visible(self, file: Path) -> Path:
        """Spark takes files whose names begin so for hidden ones, and reads nothing: another name for the same file."""
        if not file.name.startswith((".", "_")):
            return file
        link = self._scratch / f"file-{uuid4().hex[:12]}.parquet"
        try:
            os.link(file, link)
        except OSError:
            link.symlink_to(file)
        return link

    def _stored(self, table: str, columns: Sequence[Column]) -> Path:
        """The rows of a table, in a file that Spark reads."""
        file = self._scratch / f"{table}-{uuid4().hex[:8]}.parquet"
        chosen = ", ".join(f"{stored(double_quoted(c.name), c.type)} AS {double_quoted(c.name)}" for c in columns)
        self._tables.session.write(f"SELECT {chosen} FROM {double_quoted(table)}", file)
        return file

    def _parquet(self, files: Sequence[Path], columns: Sequence[Column]) -> DataFrame:
        return self._session.read.schema(schema(columns)).parquet(*map(_plain_path, files))

    @staticmethod
    def _numbered(frame: DataFrame, files: Sequence[Path]) -> DataFrame:
        row = "_metadata.row_index"
        if len(files) > 1:
            row = f"({_position(files)} - 1) * {_FILE_ROWS} + {row}"
        return frame.selectExpr("*", f"{row} AS {ROW}")

    # Queries

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """For a few rows, such as the values that a pivot makes columns of."""
        with self._working():
            return [tuple(row) for row in self._session.sql(sql).collect()]

    def write(self, sql: str, columns: Sequence[Column]) -> str:
        """Write a query's rows to the scratch folder; gives the DuckDB query that reads them, in order."""
        folder = self._scratch / f"spark-{uuid4().hex[:12]}"
        self._stack.callback(shutil.rmtree, folder, ignore_errors=True)
        with self._working():
            self._session.sql(sql).write.option("compression", "snappy").parquet(f"file:{folder}")
        parts = sorted(folder.glob("part-*.parquet"))
        if self._stopped.is_set():
            raise stopped()
        if not (folder / "_SUCCESS").exists() and not parts:
            raise StageFailed(
                "Spark wrote the result where this server does not see it: its workers must see the server's scratch "
                "folder under the same path (mount a shared folder), or run this stage without `engine: spark`.",
                code="spark_result_unseen",
            )
        chosen = ", ".join(
            f"CAST({double_quoted(c.name)} AS {_bound(c.type)}) AS {double_quoted(c.name)}" for c in columns
        )
        if not parts:
            nothing = ", ".join(f"CAST(NULL AS {_bound(c.type)}) AS {double_quoted(c.name)}" for c in columns)
            return f"SELECT {nothing} WHERE false"
        return f"SELECT {chosen} FROM read_parquet({paths(parts)})"


def _position(files: Sequence[Path]) -> str:
    """Which of the files, from 1, a row is from. Spark may write the path as it is, or as a URI has it."""
    path = "regexp_replace(_metadata.file_path, '^file:/+', '/')"
    plain, escaped = (
        f"array_position(array({', '.join(text_literal(as_text(str(file))) for file in files)}), {path})"
        for as_text in (str, quote)
    )
    return f"coalesce(nullif({plain}, 0), {escaped})"


def _plain_path(file: Path) -> str:
    """Spark expands glob characters in file names, and takes a URI as it is, not decoded."""
    return "file:" + re.sub(r"([*?\[\]{}\\])", r"\\\1", str(file))


def _bound(type_name: str) -> str:
    return "VARCHAR" if type_name == '"NULL"' else type_name


def _is_plain(source: Opened, columns: Sequence[Column]) -> bool:
    """Whether Spark reads the same from the files as DuckDB does."""
    return (
        source.ref.format == "parquet"
        and not source.ref.equals
        and not source.options.casts
        and source.options.file_column is None
        and (source.without is None or len(source.files) == 1)
        and all(is_read_as_it_is(column.type) for column in columns)
    )
