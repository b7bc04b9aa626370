"""What differs between the databases: connecting, transactions, and the hot path's prepared statements."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal, Protocol

import sqlalchemy as sa

from flexiroaster.engine.errors import ConfigurationError


class Dialect(Protocol):
    name: Literal["sqlite", "postgresql"]
    commits_to_disk: bool
    """Whether a commit waits for the disk by itself."""
    reading: Mapping[str, Any]
    """Options of a connection that only reads."""

    def create_engine(
        self,
        url: sa.URL,
        dumps: Callable[[Any], str],
        loads: Callable[[str | bytes], Any],
        statement_seconds: float | None,
    ) -> sa.Engine:
        """A statement that takes longer is given up, where the database can do that."""
        ...

    def prepare_writer(self, connection: Any) -> Any:
        """The writer has a new connection of the driver, in autocommit mode: transactions are ours. Answers what the
        other methods get as `raw`.
        """
        ...

    def stands(self, raw: Any) -> bool:
        """False when the server has ended this connection while it was idle; asked before each transaction."""
        ...

    def begin(self, raw: Any) -> None: ...

    def commit(self, raw: Any) -> None: ...

    def sync(self) -> None:
        """Wait until all that is committed is on the disk. Safe beside the writer. Raises OSError."""
        ...

    def rollback(self, raw: Any) -> None: ...

    def put(self, raw: Any, name: str, rows: Sequence[tuple[Any, ...]], stale: Exception | None) -> None:
        """Execute a statement for each row, at the latest when the transaction is flushed or committed.

        `stale` is raised when not each of them touched exactly one row.
        """
        ...

    def flush(self, raw: Any, *, begin: bool = True) -> None:
        """Send what was put and not sent yet. With `begin`, what follows is in the transaction in any case."""
        ...

    def fetch(self, raw: Any, name: str, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        """What a statement answers. It sees what was put before."""
        ...

    def to_driver(self, moment: datetime | None) -> Any: ...

    def is_conflict(self, error: BaseException) -> bool:
        """Whether the database undid this transaction because of another one: it may be tried again at once."""
        ...

    def unavailable(self, error: BaseException) -> str | None:
        """A sentence when the error says that the database cannot take a write now, None for any other error."""
        ...


IDENTITY: Mapping[str, tuple[str, tuple[int, ...]]] = {
    "insert_execution": ("executions", (0,)),
    "update_execution": ("executions", (-2,)),
    "set_outputs": ("executions", (-1,)),
    "insert_stage_run": ("stage_runs", (0, 1, 2)),
    "insert_new_stage_run": ("stage_runs", (0, 1, 2)),
    "move_stage_run": ("stage_runs", (-5, -4, -3)),
    "update_stage_run": ("stage_runs", (-5, -4, -3)),
    "insert_event": ("events", (0, 1)),
    "insert_attempt": ("attempts", (0, 1, 2, 3)),
    "put_result": ("results", (0, 1, 2)),
    "insert_artifact": ("artifacts", (0,)),
    "insert_log": ("logs", ()),
}
"""The statements that take many rows: the table, and which parameters say what row it is (none: a new one always).
In this order they may be executed whatever the order they were put in: a row is inserted before it is changed or named.
"""
APART = frozenset({"next_number", "lock_pipeline", "lock_gate"})
"""Statements that look at nothing that is ever put: what was put need not be sent before them."""


def dialect_for(url: sa.URL) -> Dialect:
    backend = url.get_backend_name()
    if backend == "sqlite":
        from flexiroaster.store.dialects.sqlite import Sqlite

        return Sqlite()
    if backend in ("postgresql", "postgres"):
        from flexiroaster.store.dialects.postgres import Postgres

        return Postgres()
    raise ConfigurationError(
        f"FLEXIROASTER_DATABASE_URL names the database {backend!r}, which is not supported. "
        "Write sqlite:////absolute/path.db or postgresql://user:password@host:5432/name."
    )


@cache
def statements(file: str) -> dict[str, str]:
    """The statements of a file, by the name in the `-- name:` line above each."""
    text = (Path(__file__).parent / file).read_text(encoding="utf-8")
    found: dict[str, str] = {}
    for block in text.split("-- name:")[1:]:
        name, _, body = block.partition("\n")
        found[name.strip()] = " ".join(body.split()).rstrip(";")
    return found
