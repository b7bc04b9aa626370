"""The single writer: operations of many threads, in groups, none lost and none waiting for ever."""

from __future__ import annotations

import errno
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from flexiroaster.store import progress
from flexiroaster.store.database import Database, StoreUnavailable, Transaction
from flexiroaster.store.progress import LogEntry
from tests.postgres import Postgres

THREADS, EACH, PATIENCE_SECONDS = 12, 50, 60


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    found = Database.open(database_url)
    with found.engine.begin() as connection:
        connection.execute(
            sa.text("CREATE TABLE written (thread integer, number integer, PRIMARY KEY (thread, number))")
        )
    yield found
    found.close()


def insert(tx: Transaction, thread: int, number: int) -> int:
    tx.sa.execute(sa.text(f"INSERT INTO written VALUES ({thread}, {number})"))
    return number


def written(database: Database) -> int:
    with database.read() as connection:
        return connection.scalar(sa.text("SELECT count(*) FROM written")) or 0


def test_every_operation_of_a_crowd_is_committed_and_answered(database: Database) -> None:
    def work(thread: int) -> list[int]:
        return [database.write(lambda tx, n=n: insert(tx, thread, n), durable=n % 7 == 0) for n in range(EACH)]

    with ThreadPoolExecutor(THREADS) as threads:
        answers = list(threads.map(work, range(THREADS), timeout=PATIENCE_SECONDS))
    assert answers == [list(range(EACH))] * THREADS
    assert written(database) == THREADS * EACH


def test_one_that_fails_in_a_group_takes_no_other_with_it(database: Database) -> None:
    def work(thread: int) -> int:
        failed = 0
        for number in range(EACH):
            try:
                database.write(lambda tx, n=number: insert(tx, thread, n - n % 2))  # every second one is there already
            except sa.exc.IntegrityError:
                failed += 1
        return failed

    with ThreadPoolExecutor(THREADS) as threads:
        assert list(threads.map(work, range(THREADS), timeout=PATIENCE_SECONDS)) == [EACH // 2] * THREADS
    assert written(database) == THREADS * EACH // 2


def test_callbacks_come_in_the_order_of_commits_before_the_answer(database: Database) -> None:
    committed: list[int] = []

    def work(thread: int) -> None:
        for number in range(EACH):
            mark = thread * EACH + number

            def operation(tx: Transaction, mark: int = mark, number: int = number) -> None:
                insert(tx, thread, number)
                tx.after_commit(lambda: committed.append(mark))

            database.write(operation)
            assert mark in committed

    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(work, range(THREADS), timeout=PATIENCE_SECONDS))
    assert sorted(committed) == list(range(THREADS * EACH))
    for thread in range(THREADS):
        own = [mark for mark in committed if mark // EACH == thread]
        assert own == sorted(own)


def test_whoever_is_interrupted_while_waiting_does_not_hold_up_the_rest(database: Database) -> None:
    entered, leave = threading.Event(), threading.Event()

    def hold(tx: Transaction) -> None:
        entered.set()
        assert leave.wait(PATIENCE_SECONDS)

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with ThreadPoolExecutor(2) as threads:
            leading = threads.submit(database.write, hold)
            assert entered.wait(PATIENCE_SECONDS)
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            with pytest.raises(KeyboardInterrupt):
                database.write(lambda tx: insert(tx, 0, 0))
            behind = threads.submit(database.write, lambda tx: insert(tx, 0, 1))
            leave.set()
            leading.result(PATIENCE_SECONDS)
            assert behind.result(PATIENCE_SECONDS) == 1
    finally:
        signal.signal(signal.SIGALRM, before)
    assert written(database) == 1


def test_failures_in_a_row_leave_a_connection_that_works(database: Database) -> None:
    """Of what is prepared in the end of a transaction that has failed before, nothing may be taken for prepared."""

    def tell(tx: Transaction, execution_id: str | None) -> None:
        assert progress.next_number(tx, "none") is None
        now = datetime.now(UTC)
        progress.insert_logs(tx, [LogEntry(at=now, level="info", message="told", execution_id=execution_id)])

    for failures in (3, 1, 2, 0):
        for _ in range(failures):
            with pytest.raises(Exception, match=r"(?i)foreign key"):
                database.write(lambda tx: tell(tx, "none"))
        database.write(lambda tx: tell(tx, None))
    with database.read() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM logs")) == 4


def test_first_write_after_a_restart_of_the_server_connects_anew() -> None:
    server = Postgres.start(durable=True)
    database = Database.open(server.create("restarted"))
    try:
        database.write(lambda tx: tx.sa.execute(sa.text("CREATE TABLE written (thread integer, number integer)")))
        for number in range(3):
            server.restart()
            database.write(lambda tx, n=number: insert(tx, 0, n))
        assert written(database) == 3
    finally:
        database.close()
        server.stop()


def test_what_is_acknowledged_is_brought_to_the_disk_first(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    monkeypatch.setattr(database._dialect, "commits_to_disk", False)
    monkeypatch.setattr(database._dialect, "sync", lambda: events.append(f"synced with {written(database)} rows"))
    database.write(lambda tx: insert(tx, 0, 0))
    assert events == []
    database.write(lambda tx: insert(tx, 0, 1), durable=True)
    assert events == ["synced with 2 rows"]


def test_a_crowd_shares_the_way_to_the_disk(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = threading.Event(), threading.Event()
    syncs: list[int] = []

    def sync() -> None:
        syncs.append(written(database))
        begun.set()
        assert go_on.wait(PATIENCE_SECONDS)

    monkeypatch.setattr(database._dialect, "commits_to_disk", False)
    monkeypatch.setattr(database._dialect, "sync", sync)
    with ThreadPoolExecutor(THREADS) as threads:
        first = threads.submit(database.write, lambda tx: insert(tx, 0, 0), durable=True)
        assert begun.wait(PATIENCE_SECONDS)
        others = in_two_groups(database, threads)  # they write while one waits for the disk
        while len(database._writer._syncs._waiting) < 2:  # of each group one waits for all
            threading.Event().wait(0.001)
        assert written(database) == THREADS
        assert not any(future.done() for future in (first, *others))
        go_on.set()
        assert [future.result(PATIENCE_SECONDS) for future in others] == list(range(THREADS - 1))
    assert syncs == [1, THREADS]


def in_two_groups(database: Database, threads: ThreadPoolExecutor) -> list[Future[int]]:
    """Writes that wait for the disk: that of the first to come alone, then those of all others together."""
    with database._writer._lock:
        begun = [
            threads.submit(database.write, lambda tx, n=n: insert(tx, 1, n), durable=True) for n in range(THREADS - 1)
        ]
        while len(database._writer._commits._waiting) < THREADS - 2:
            threading.Event().wait(0.001)
    return begun


def test_whoever_is_interrupted_before_it_waits_for_the_disk_leaves_that_to_the_others(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, interrupted = threading.Event(), threading.Event()
    syncs: list[int] = []
    waiting = database._writer._commits._waiting
    monkeypatch.setattr(database._dialect, "commits_to_disk", False)
    monkeypatch.setattr(database._dialect, "sync", lambda: syncs.append(1))

    def interrupt(_number: int, _frame: object) -> None:
        interrupted.set()
        raise KeyboardInterrupt

    def hold(_tx: Transaction) -> None:
        entered.set()
        while len(waiting) < 4:
            threading.Event().wait(0.001)

    def lead(_tx: Transaction) -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGALRM)
        assert interrupted.wait(PATIENCE_SECONDS)

    def come(place: int, number: int) -> int:
        while len(waiting) < place:
            threading.Event().wait(0.001)
        return database.write(lambda tx: insert(tx, 0, number), durable=True)

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with ThreadPoolExecutor(4) as threads:
            threads.submit(database.write, hold)
            assert entered.wait(PATIENCE_SECONDS)
            threads.submit(database.write, lead)
            behind = [threads.submit(come, 2, 2), threads.submit(come, 3, 3)]
            with pytest.raises(KeyboardInterrupt):
                come(1, 1)
            assert [future.result(PATIENCE_SECONDS) for future in behind] == [2, 3]
    finally:
        signal.signal(signal.SIGALRM, before)
    assert syncs
    assert written(database) == 3


def test_a_crowd_is_told_of_a_disk_that_takes_nothing(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(database._dialect, "commits_to_disk", False)
    monkeypatch.setattr(database._dialect, "sync", fail)
    with ThreadPoolExecutor(THREADS) as threads:
        for future in in_two_groups(database, threads):
            with pytest.raises(StoreUnavailable, match="Input/output error"):
                future.result(PATIENCE_SECONDS)
    monkeypatch.undo()
    database.write(lambda tx: insert(tx, 0, 1), durable=True)


def test_nobody_is_told_of_a_wait_for_the_disk_that_was_broken_off(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()
    waiting = database._writer._syncs._waiting
    syncs: list[int] = []

    def sync() -> None:
        syncs.append(len(syncs))
        begun.set()
        assert go_on.wait(PATIENCE_SECONDS)
        if len(syncs) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(database._dialect, "commits_to_disk", False)
    monkeypatch.setattr(database._dialect, "sync", sync)
    with ThreadPoolExecutor(3) as threads:
        first = threads.submit(database.write, lambda tx: insert(tx, 0, 0), durable=True)
        assert begun.wait(PATIENCE_SECONDS)
        interrupted = threads.submit(database.write, lambda tx: insert(tx, 0, 1), durable=True)
        while not waiting:
            threading.Event().wait(0.001)
        behind = threads.submit(database.write, lambda tx: insert(tx, 0, 2), durable=True)
        while len(waiting) < 2:
            threading.Event().wait(0.001)
        go_on.set()
        first.result(PATIENCE_SECONDS)
        with pytest.raises(KeyboardInterrupt):
            interrupted.result(PATIENCE_SECONDS)
        with pytest.raises(StoreUnavailable, match="broken off"):
            behind.result(PATIENCE_SECONDS)


def test_a_disk_that_takes_nothing_is_told(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(database._dialect, "commits_to_disk", False)
    monkeypatch.setattr(database._dialect, "sync", fail)
    with pytest.raises(StoreUnavailable, match="Input/output error"):
        database.write(lambda tx: insert(tx, 0, 0), durable=True)
    assert written(database) == 1, "as after an answer that was lost"
    assert database.trouble is not None
    monkeypatch.undo()
    database.write(lambda tx: insert(tx, 0, 1), durable=True)
    assert database.trouble is None
