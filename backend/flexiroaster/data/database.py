"""DuckDB databases in memory, confined: one for all attempts of a server, or one of its own for a single look.

Opening one takes 15 ms and a set of threads, a connection to an open one nothing. Sharing also makes memory limit and
threads those of the process, however many stages run at once. Connections do not see each other's temporary tables.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from flexiroaster.data import limits as machine
from flexiroaster.data.quoting import exact_path, literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_KEPT_IDLE = 1


def connect(files: Iterable[Path], folders: Iterable[Path], spill: Path, limits: machine.Limits) -> DuckDBPyConnection:
    """A database that can read `files`, read and write `folders`, and reach nothing else of the machine."""
    import duckdb

    connection = duckdb.connect(
        config={
            "threads": limits.threads,
            # DuckDB 2.0's own threads for writing hang now and then when a write fails (a full disk); nothing is slower
            # without them, as files are written to the system's cache.
            "async_threads": 0,
            "memory_limit": f"{limits.memory_bytes}B",
            "temp_directory": str(spill),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
    )
    # The order matters: the folders cannot be set once access is off, and nothing once the configuration is locked.
    connection.execute(
        "SET GLOBAL TimeZone = 'UTC'; SET GLOBAL python_enable_replacements = false;"
        f"SET allowed_paths = {literal(sorted({text for file in files for text in (str(file), exact_path(file))}))};"
        f"SET allowed_directories = {literal([str(folder) for folder in folders])};"
        "SET enable_external_access = false; SET lock_configuration = true"
    )
    return connection


@dataclass(slots=True)
class _Shared:
    connection: DuckDBPyConnection
    spill: Path
    users: int = 0


class SharedDatabases:
    """Databases by the folders they may use; idle ones but the newest are closed. Safe to use from several threads."""

    def __init__(self) -> None:
        self._open: dict[tuple[Path, ...], _Shared] = {}
        self._lock = threading.Lock()
        self._process = os.getpid()

    def connection(self, folders: tuple[Path, ...]) -> DuckDBPyConnection:
        """A connection of one's own; give it back with `release`. The last folder holds what spills to disk."""
        with self._lock:
            if self._process != os.getpid():
                # A forked worker inherits a database without its threads.
                self._open, self._process = {}, os.getpid()
            shared = self._open.pop(folders, None) or self._opened(folders)
            self._open[folders] = shared
            shared.users += 1
            return shared.connection.cursor()

    def release(self, folders: tuple[Path, ...], connection: DuckDBPyConnection) -> None:
        connection.close()
        with self._lock:
            if self._process == os.getpid() and folders in self._open:
                self._open[folders].users -= 1
                self._close_idle()

    @staticmethod
    def _opened(folders: tuple[Path, ...]) -> _Shared:
        spill = folders[-1] / f"spill-{uuid4().hex[:12]}"
        return _Shared(connect([], folders, spill, machine.current()), spill)

    def _close_idle(self) -> None:
        idle = [folders for folders, shared in self._open.items() if shared.users == 0]
        for folders in idle[:-_KEPT_IDLE]:
            shared = self._open.pop(folders)
            shared.connection.close()
            shutil.rmtree(shared.spill, ignore_errors=True)


shared_databases = SharedDatabases()
