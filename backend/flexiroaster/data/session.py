"""One confined DuckDB connection: it sees the files it was opened with, and nothing else of the machine."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from flexiroaster.data import limits as machine
from flexiroaster.data.database import connect, shared_databases
from flexiroaster.data.failures import explain, stopped
from flexiroaster.data.quoting import literal, name
from flexiroaster.data.table import Column
from flexiroaster.engine.errors import StageFailed

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

OnCancel = Callable[[Callable[[], None]], AbstractContextManager[None]]

PARQUET = "FORMAT parquet, COMPRESSION snappy"
"""What passes between stages is written once and read soon: a third larger than zstd, a tenth less work."""


class Session:
    """Open it with every file to read; folders in `folders` may be read and written, and `scratch`.

    With `shared` it is a connection to the process's database for those folders, otherwise a database of its own.
    DuckDB itself enforces the confinement: file access is off but for these, and the configuration is locked. Use as
    a context manager. Errors come out as StageFailed.
    """

    def __init__(
        self,
        *,
        files: Iterable[Path],
        folders: Iterable[Path],
        scratch: Path,
        shown: dict[str, str] | None = None,
        shared: tuple[Path, ...] = (),
        on_cancel: OnCancel | None = None,
    ) -> None:
        self.scratch = scratch.resolve()
        self.shown = shown or {}
        self._stack = ExitStack()
        self._folders = shared or tuple(dict.fromkeys([self.scratch, *(folder.resolve() for folder in folders)]))
        if shared:
            self._connection = shared_databases.connection(shared)
            self._stack.callback(shared_databases.release, shared, self._connection)
        else:
            self._connection = connect(files, self._folders, self.scratch / "spill", machine.current())
            self._stack.callback(self._connection.close)
        self._stopped, self._closed = threading.Event(), threading.Event()
        if on_cancel is not None:
            self._stack.enter_context(on_cancel(self._stop))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._closed.set()
        self._stack.close()

    def _stop(self) -> None:
        self._stopped.set()
        threading.Thread(target=self._interrupt_until_closed, name="duckdb-interrupt", daemon=True).start()

    def _interrupt_until_closed(self) -> None:
        """Again and again: an interrupt that comes just before a query starts is lost."""
        import duckdb

        with contextlib.suppress(duckdb.Error):
            self._connection.interrupt()
            while not self._closed.wait(0.05):
                self._connection.interrupt()

    def run(self, sql: str) -> DuckDBPyConnection:
        """Execute; DuckDB's error becomes a StageFailed that names file, line and cure."""
        import duckdb

        if self._stopped.is_set():
            raise stopped()
        try:
            return self._connection.execute(sql)
        except duckdb.Error as error:
            raise explain(error, self.shown) from error

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return list(self.stream(sql))

    def row(self, sql: str) -> tuple[Any, ...]:
        return self.rows(sql)[0]

    def stream(self, sql: str, chunk: int = 10_000) -> Iterator[tuple[Any, ...]]:
        """Rows in chunks, for what must pass through Python."""
        import duckdb

        result = self.run(sql)
        while True:
            try:
                rows = result.fetchmany(chunk)
            except duckdb.Error as error:
                raise explain(error, self.shown) from error
            if not rows:
                return
            yield from rows

    def view(self, view: str, sql: str) -> None:
        self.run(f"CREATE OR REPLACE TEMP VIEW {name(view)} AS {sql}")

    def columns(self, sql: str) -> tuple[Column, ...]:
        """The columns that a query gives, without running it."""
        return tuple(Column(name=row[0], type=row[1]) for row in self.rows(f"DESCRIBE {sql}"))

    def write(self, sql: str, path: Path, options: str = PARQUET) -> int:
        """Write the rows of a query to a file; returns their number. Nothing is left behind on an error."""
        target = path if self.may_use(path) else self.scratch / path.name
        try:
            rows = int(self.row(f"COPY ({sql}) TO {literal(target)} ({options})")[0])
        except StageFailed:
            target.unlink(missing_ok=True)
            raise
        if target != path:
            shutil.move(target, path)
        return rows

    def may_use(self, path: Path) -> bool:
        """Whether DuckDB itself may write and read this file."""
        parent = Path(os.path.realpath(path.parent))
        return any(parent.is_relative_to(folder) for folder in self._folders)
