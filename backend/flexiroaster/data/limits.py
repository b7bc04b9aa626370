"""How much of the machine one data stage may take. The composition root may set it once, before the first stage."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """`memory_bytes` is DuckDB's limit of one attempt: beyond it, it spills to the attempt's scratch folder.

    A compressed file may grow to `expanded_bytes`, and, once it has grown beyond 64 MB, to `expanded_ratio` times its
    size. Real CSV and JSON shrink 5 to 50 times, repetitive logs 100 times; a gzip bomb 1,000 times, the most that
    deflate can do. The ratio stops the bomb after seconds, the size stops what is merely too large for the disk.
    """

    memory_bytes: int
    threads: int
    expanded_bytes: int = 50 << 30
    expanded_ratio: int = 250
    fully_read_bytes: int = 1 << 20
    """A source up to this size is read whole by the input stage: its rows are counted and every cell is checked."""
    inline_bytes: int = 64 << 10
    files: int = 10_000
    columns: int = 10_000


def of_this_machine() -> Limits:
    """A quarter of the memory, 4 GB at most; every core this process may use."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    memory = max(512 << 20, min(4 << 30, total // 4))
    return Limits(memory_bytes=memory, threads=len(os.sched_getaffinity(0)))


_current: Limits | None = None


def current() -> Limits:
    return _current or of_this_machine()


def configure(limits: Limits | None) -> None:
    """Set the limits of this process; None goes back to those of the machine."""
    global _current
    _current = limits
