"""What connections to PostgreSQL are bound to, and what a read costs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
import sqlalchemy as sa

from flexiroaster.store.database import Database, StoreUnavailable, Transaction
from flexiroaster.store.dialects import postgres
from tests.postgres import Postgres

PATIENCE_SECONDS = 60


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    opened = Database.open(postgres_url)
    yield opened
    opened.close()


def setting(database: Database, name: str) -> str:
    with database.read() as connection:
        return str(connection.exec_driver_sql(f"SHOW {name}").scalar_one())


def test_connections_have_bounds_that_the_url_may_change(postgres_url: str) -> None:
    other = f"{postgres_url}?options=-c%20statement_timeout%3D5min&connect_timeout=3"
    for url, timeout in ((postgres_url, "1min"), (other, "5min")):
        database = Database.open(url)
        assert setting(database, "statement_timeout") == timeout
        assert setting(database, "idle_in_transaction_session_timeout") == "30s"
        assert setting(database, "timezone") == "UTC"
        assert setting(database, "tcp_user_timeout") in ("0", "30s")  # the server's own side
        with database.read() as connection:
            said = connection.connection.driver_connection.info.get_parameters()  # type: ignore[union-attr]
        assert (said["tcp_user_timeout"], said["connect_timeout"]) == ("30000", "3" if url == other else "10")
        database.close()


@pytest.mark.parametrize("write", [False, True])
def test_statement_that_takes_too_long_is_given_up_and_the_next_one_goes_on(postgres_url: str, write: bool) -> None:
    database = Database.open(postgres_url, statement_seconds=0.2)

    def run(sql: str) -> object:
        if write:
            return database.write(lambda tx: tx.sa.scalar(sa.text(sql)))
        with database.read() as connection:
            return connection.scalar(sa.text(sql))

    with pytest.raises(StoreUnavailable, match="gave up a statement that took too long: look in pg_stat_activity"):
        run("SELECT 1 FROM pg_sleep(60)")
    assert run("SELECT 7") == 7
    database.close()


def test_who_waits_for_a_lock_does_not_wait_for_ever(postgres_url: str) -> None:
    database = Database.open(postgres_url, statement_seconds=1)
    with psycopg.connect(postgres_url) as other:
        other.execute("LOCK TABLE pools")
        with pytest.raises(StoreUnavailable, match="what holds locks"):
            database.write(lambda tx: tx.sa.execute(sa.text("DELETE FROM pools")))
    database.write(lambda tx: tx.sa.execute(sa.text("DELETE FROM pools")))
    database.close()


def test_locks_of_a_process_that_stands_still_are_freed(
    postgres_url: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that was suspended in the middle of a transaction."""
    monkeypatch.setattr(postgres, "LOST_SECONDS", 1)
    suspended, locked, goes_on = Database.open(postgres_url), threading.Event(), threading.Event()

    def stand_still(tx: Transaction) -> None:
        tx.sa.execute(sa.text("LOCK TABLE pools"))
        locked.set()
        goes_on.wait(PATIENCE_SECONDS)
        tx.sa.execute(sa.text("SELECT 1"))

    with ThreadPoolExecutor(1) as threads:
        standing = threads.submit(suspended.write, stand_still)
        assert locked.wait(PATIENCE_SECONDS)
        database.write(lambda tx: tx.sa.execute(sa.text("DELETE FROM pools")))
        goes_on.set()
        with pytest.raises(StoreUnavailable):
            standing.result(PATIENCE_SECONDS)
    assert suspended.write(lambda tx: tx.sa.scalar(sa.text("SELECT 7"))) == 7
    suspended.close()


def test_a_read_is_its_statement_and_nothing_else(postgres: Postgres, postgres_url: str, database: Database) -> None:
    """No question whether the server is there, no transaction around it."""
    with database.read() as connection:
        pid = connection.scalar(sa.text("SELECT pg_backend_pid()"))
    with psycopg.connect(postgres_url, autocommit=True) as onlooker:
        query = "SELECT state, query FROM pg_stat_activity WHERE pid = %s"
        assert onlooker.execute(query, (pid,)).fetchone() == ("idle", "SELECT pg_backend_pid()")
        with database.read() as connection:
            connection.scalar(sa.text("SELECT 7"))
            assert onlooker.execute(query, (pid,)).fetchone() == ("idle", "SELECT 7")


def test_first_reads_after_a_restart_of_the_server_connect_anew() -> None:
    server = Postgres.start()
    database = Database.open(server.url("postgres"))
    try:
        with ThreadPoolExecutor(4) as threads:
            together = threading.Barrier(4)

            def read() -> object:
                with database.read() as connection:
                    together.wait(PATIENCE_SECONDS)
                    return connection.scalar(sa.text("SELECT 7"))

            assert [one.result() for one in [threads.submit(read) for _ in range(4)]] == [7] * 4
            server.restart()
            assert [one.result() for one in [threads.submit(read) for _ in range(4)]] == [7] * 4
    finally:
        database.close()
        server.stop()
