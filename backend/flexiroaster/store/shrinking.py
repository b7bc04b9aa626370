"""Giving back to the file system what a SQLite database does not use any more."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from flexiroaster.store.database import Database, Transaction

PAGES_AT_ONCE = 1_000
KEPT_FREE = 0.1
"""Of the pages: soon new executions need them again."""
FEWEST = 250
"""Free pages that are worth the work, 1 MB."""


def give_back(database: Database, pause: Callable[[], bool]) -> int:
    """Shorten the file in short transactions; `pause` is called between them and answers whether to go on.

    Answers the bytes. PostgreSQL does it by itself.
    """
    if database.dialect != "sqlite":
        return 0
    pages, free, size = _pages(database)
    wanted = int((pages - free) * KEPT_FREE)
    if free - wanted < FEWEST:
        return 0
    left = free
    while left > wanted and pause():
        database.write(partial(_vacuum, pages=min(PAGES_AT_ONCE, left - wanted)))
        before, left = left, _pages(database)[1]
        if left >= before:  # it was made before databases could shrink
            break
    with database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)").all()
    return max(free - left, 0) * size


def _pages(database: Database) -> tuple[int, int, int]:
    """All, the free ones among them, and the bytes of one."""
    with database.read() as connection:
        pages, free, size = (
            int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())
            for name in ("page_count", "freelist_count", "page_size")
        )
    return pages, free, size


def _vacuum(tx: Transaction, pages: int) -> None:
    raw = tx.sa.connection.driver_connection
    assert raw is not None
    for _ in range(pages):
        raw.execute("PRAGMA incremental_vacuum(1)")  # Python's driver takes one step, which is one page
