"""The database: many readers, one writer.

Reads go through SQLAlchemy Core on a pool. Every change goes through `Database.write`, which runs operations in one
transaction behind a single connection, so that SQLite cannot answer "database is locked", and several operations that
arrive together share one commit.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Generic, Literal, TypeVar

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import ArgumentError, DBAPIError

from flexiroaster.engine.errors import ConfigurationError, FlexiRoasterError
from flexiroaster.store.crowd import Crowd, Waiter
from flexiroaster.store.dialects import Dialect, dialect_for
from flexiroaster.store.json import dumps, loads

log = structlog.get_logger(__name__)

T = TypeVar("T")


class StoreUnavailable(FlexiRoasterError):
    """The database does not answer, or takes no write now: it is unreachable, locked by another program, or its disk is
    full. A write that was refused so may have been committed all the same, and only the answer was lost.
    """

    code = "database_unavailable"


CONFLICT_TRIES = 10
"""Of a transaction that another server's stood in the way of: the database has undone one of both."""
STATEMENT_SECONDS = 60.0
"""None takes so long that is not stuck: what there may be much of is read and removed in pages."""
GROUP_LIMIT = 200
"""Operations that may share one commit: bounds how long a reader's snapshot and a waiting caller lag behind."""


class Transaction:
    """What an operation writes with: `put` and `fetch` for the hot path's named statements, `sa` for SQLAlchemy ones.

    `moment` turns an aware datetime (or None) into what `put` takes.
    """

    __slots__ = ("_after_commit", "_connection", "_dialect", "_raw", "moment")

    def __init__(self, connection: sa.Connection, raw: Any, dialect: Dialect) -> None:
        self._connection = connection
        self._dialect = dialect
        self.moment = dialect.to_driver
        self._raw = raw
        self._after_commit: list[Callable[[], None]] = []

    @property
    def look(self) -> sa.Connection:
        """For queries that lock nothing: like `sa`, but where nothing was written yet it begins no transaction, which
        would cost two round trips.
        """
        self._dialect.flush(self._raw, begin=False)
        return self._connection

    @property
    def sa(self) -> sa.Connection:
        """It sees what was put before."""
        self._dialect.flush(self._raw)
        return self._connection

    def put(self, name: str, rows: Sequence[tuple[Any, ...]], stale: Exception | None = None) -> None:
        """Execute a named statement of the dialect's file for each of these rows, before the commit.

        With `stale`, each must touch exactly one row of its table; otherwise that is raised, now or before the
        commit, and undoes the transaction.
        """
        if rows:
            self._dialect.put(self._raw, name, rows, stale)

    def fetch(self, name: str, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        return self._dialect.fetch(self._raw, name, parameters)

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call it once what was written is committed, in the order of commits; never when the transaction fails.

        It runs while the writer is held: it must be quick and must not write.
        """
        self._after_commit.append(callback)


Operation = Callable[[Transaction], T]


class _Ticket(Waiter, Generic[T]):
    """An operation waiting for its commit, and perhaps for the disk: of those that are committed together one waits for
    the disk, and settles the others.
    """

    __slots__ = ("callbacks", "on_failure", "operation", "others", "result", "to_disk")

    def __init__(self, operation: Operation[T], to_disk: bool, on_failure: Callable[[], None] | None) -> None:
        super().__init__()
        self.operation = operation
        self.on_failure = on_failure
        self.to_disk = to_disk
        self.others: Sequence[_Ticket[Any]] = ()
        self.result: T | None = None
        self.callbacks: Sequence[Callable[[], None]] = ()


class Writer:
    """Runs operations one after the other on one connection; who comes while a commit runs joins the next group.

    An operation that fails is rolled back alone: its group is run again one by one. It must therefore be safe to call
    twice; `on_failure` is where it drops what it remembered outside.
    """

    def __init__(self, engine: sa.Engine, dialect: Dialect) -> None:
        self._engine = engine
        self._dialect = dialect
        self._lock = threading.Lock()
        self._choosing = threading.Lock()
        self._commits: Crowd[_Ticket[Any]] = Crowd(self._commit_group, GROUP_LIMIT, _broken_off)
        self._syncs: Crowd[Waiter] = Crowd(self._sync, GROUP_LIMIT, _broken_off)
        self._connection: sa.Connection | None = None
        self._raw: Any = None
        self.trouble: str | None = None

    def run(self, operation: Operation[T], *, durable: bool = False, on_failure: Callable[[], None] | None = None) -> T:
        """`durable` waits for the disk after the commit, while others go on with what it has written."""
        ticket = _Ticket(operation, durable and not self._dialect.commits_to_disk, on_failure)
        try:
            self._commits.join(ticket)
            if ticket.to_disk:
                self._syncs.join(Waiter())
        except BaseException as error:
            with self._choosing:  # from now on nobody is left to it
                ticket.to_disk = False
            self._tell_others(ticket, error)
            raise
        if ticket.others:
            self._tell_others(ticket, None)
        return ticket.result  # type: ignore[return-value]

    def _tell_others(self, ticket: _Ticket[Any], error: BaseException | None) -> None:
        """When it was broken off itself (Ctrl-C), each of them waits for the disk."""
        others, ticket.others = ticket.others, ()
        for other in others:
            if error is None:
                other.to_disk = False
            elif isinstance(error, StoreUnavailable):
                other.error = _unavailable(str(error), error)
            other.settle()

    def close(self) -> None:
        with self._lock:
            connection, self._connection, self._raw = self._connection, None, None
            if connection is not None:
                connection.close()

    def _sync(self, group: list[Waiter]) -> list[Waiter]:
        try:
            self._dialect.sync()
        except OSError as error:
            self.trouble = f"The disk does not take what the database writes ({error.strerror}): check it."
            for waiter in group:
                waiter.error = _unavailable(self.trouble, error)
        return group

    def _commit_group(self, group: list[_Ticket[Any]]) -> list[_Ticket[Any]]:
        with self._lock:
            if len(group) == 1 or self._attempt(group) is not None:
                for ticket in group:
                    ticket.error = self._attempt_again(ticket)
        if len(group) == 1:
            return group
        with self._choosing:
            to_disk = [ticket for ticket in group if ticket.to_disk and ticket.error is None]
            if len(to_disk) < 2:
                return group
            to_disk[0].others = to_disk[1:]
            return [to_disk[0], *(ticket for ticket in group if not ticket.to_disk or ticket.error is not None)]

    def _attempt_again(self, ticket: _Ticket[Any]) -> BaseException | None:
        for _ in range(CONFLICT_TRIES):
            error = self._attempt([ticket])
            if error is None or not self._dialect.is_conflict(error):
                break
        return error

    def _attempt(self, group: list[_Ticket[Any]]) -> BaseException | None:
        """One transaction for the whole group; answers the error that undid it, None when it is committed."""
        try:
            connection, raw = self._connected()
            self._dialect.begin(raw)
            for ticket in group:
                transaction = Transaction(connection, raw, self._dialect)
                ticket.result = ticket.operation(transaction)
                ticket.callbacks = transaction._after_commit
            self._dialect.commit(raw)
        except BaseException as error:
            self._undo(group)
            reason = None if self._dialect.is_conflict(error) else self._dialect.unavailable(error)
            if reason is None:
                return error
            self.trouble = reason
            return _unavailable(reason, error)
        self.trouble = None
        for ticket in group:
            for callback in ticket.callbacks:
                _call(callback)
        return None

    def _undo(self, group: list[_Ticket[Any]]) -> None:
        for ticket in group:
            ticket.result, ticket.callbacks = None, ()
            if ticket.on_failure is not None:
                ticket.on_failure()
        try:
            if self._connection is not None:
                self._dialect.rollback(self._raw)
        except Exception:
            # The connection itself is broken (server restarted): the next operation opens a new one.
            self._drop_connection()

    def _drop_connection(self) -> None:
        connection, self._connection, self._raw = self._connection, None, None
        if connection is not None:
            connection.invalidate()
            connection.close()

    def _connected(self) -> tuple[sa.Connection, Any]:
        if self._connection is not None and not self._dialect.stands(self._raw):
            self._drop_connection()
        if self._connection is None:
            self._connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            self._raw = self._dialect.prepare_writer(self._connection.connection.driver_connection)
        return self._connection, self._raw


def _broken_off(cause: BaseException) -> StoreUnavailable:
    return _unavailable("What was done for many at once was broken off.", cause)


def _unavailable(reason: str, cause: BaseException) -> StoreUnavailable:
    error = StoreUnavailable(reason)
    error.__cause__ = cause
    return error


def _call(callback: Callable[[], None]) -> None:
    try:
        callback()
    except Exception:  # what was committed stays committed, whatever a listener does
        log.exception("database.after_commit_failed", callback=repr(callback))


class Database:
    """Open with `Database.open(url)`. Safe to use from any thread; `close` may be called twice."""

    def __init__(self, engine: sa.Engine, dialect: Dialect, *, wait_for_disk: bool = False) -> None:
        self.engine = engine
        self._reading = engine.execution_options(**dialect.reading)
        self._dialect = dialect
        self._wait_for_disk = wait_for_disk
        self._writer = Writer(engine, dialect)

    @classmethod
    def open(
        cls, url: str, *, wait_for_disk: bool = False, statement_seconds: float | None = STATEMENT_SECONDS
    ) -> Database:
        """`sqlite:///path` or `postgresql://…`. Does not create or migrate tables: see `store.migrate`.

        `wait_for_disk` makes every write a durable one. `statement_seconds` bounds what one statement may take on
        PostgreSQL, waiting for locks included; None: nothing does.
        """
        try:
            parsed = sa.make_url(url)
        except ArgumentError as error:
            raise ConfigurationError(
                f"FLEXIROASTER_DATABASE_URL is {url!r}, which is no database URL. "
                "Write sqlite:////absolute/path.db or postgresql://user:password@host:5432/name."
            ) from error
        dialect = dialect_for(parsed)
        engine = dialect.create_engine(parsed, dumps, loads, statement_seconds)
        return cls(engine, dialect, wait_for_disk=wait_for_disk)

    @property
    def dialect(self) -> Literal["sqlite", "postgresql"]:
        return self._dialect.name

    @property
    def trouble(self) -> str | None:
        """Why the latest write was not taken; None when it was."""
        return self._writer.trouble

    def unavailable(self, error: Exception) -> str | None:
        """Why the database takes no writes now, as far as the error of a driver tells; None for any other error."""
        return str(error) if isinstance(error, StoreUnavailable) else self._dialect.unavailable(error)

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A connection for queries; it sees what is committed. Raises StoreUnavailable."""
        try:
            with self._reading.connect() as connection:
                yield connection
        except DBAPIError as error:
            reason = self._dialect.unavailable(error)
            if reason is None:
                raise
            raise StoreUnavailable(reason) from error

    def write(
        self, operation: Operation[T], *, durable: bool = False, on_failure: Callable[[], None] | None = None
    ) -> T:
        """Run `operation(tx)` in a transaction and answer its result once it is committed.

        `durable` waits for the disk (power loss included); otherwise a process crash loses nothing, a power loss may
        lose the last moments. Raises what the operation raised, after rolling back.
        """
        return self._writer.run(operation, durable=durable or self._wait_for_disk, on_failure=on_failure)

    def close(self) -> None:
        self._writer.close()
        self.engine.dispose()
