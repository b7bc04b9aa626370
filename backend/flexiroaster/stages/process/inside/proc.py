"""Other processes as `/proc` shows them. A process that has ended meanwhile has no children and uses nothing."""

# pathlib would make these several times slower
# ruff: noqa: PTH123, PTH208

from __future__ import annotations

import os

_TICKS = os.sysconf("SC_CLK_TCK")


def children(pid: int) -> list[int]:
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []
    found = []
    for task in tasks:
        found += [int(child) for child in read_text(f"/proc/{pid}/task/{task}/children").split()]
    return found


def descendants(pid: int) -> list[int]:
    found = []
    unseen = children(pid)
    while unseen:
        found += unseen
        unseen = [grandchild for child in unseen for grandchild in children(child)]
    return found


def is_alone(pid: int) -> bool:
    """Whether it has one thread and no children. Of a process that was killed: whether nobody stays behind."""
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return False
    return len(tasks) == 1 and not read_text(f"/proc/{pid}/task/{pid}/children")


def resident_bytes(pid: int) -> int:
    return _kilobytes(f"/proc/{pid}/status", ("RssAnon:", "RssShmem:")) * 1024


def proportional_bytes(pid: int) -> int:
    """As `resident_bytes`, with a page that several processes share counted by its share; slower."""
    return _kilobytes(f"/proc/{pid}/smaps_rollup", ("Pss_Anon:", "Pss_Shmem:")) * 1024


def processor_seconds(pid: int) -> float:
    """Of the process and of its children that have been waited for."""
    fields = read_text(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / _TICKS if fields else 0.0


def read_text(path: str) -> str:
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


def _kilobytes(path: str, names: tuple[str, ...]) -> int:
    return sum(int(line.split()[1]) for line in read_text(path).splitlines() if line.startswith(names))
