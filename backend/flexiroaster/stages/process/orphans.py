"""Finds processes of stages that outlived the server and everything else that watched them."""

from __future__ import annotations

import os
import secrets
import select
import signal
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from flexiroaster.stages.process.inside import MARKER, MARKER_BYTES

ROUNDS = 100
"""Of looking for more, because a process may fork while others are killed."""
PATIENCE_MS = 1000
"""For the end of a process that was killed."""


@dataclass(frozen=True, slots=True)
class LeftOver:
    pid: int
    name: str


def kill_left_over(scratch_root: Path) -> list[LeftOver]:
    """Kill what earlier servers left running whose stages had their scratch folders here. Gives what was killed.

    To be called at the start, before stages run, by the one who holds the folder: every process found is one too many.
    Each carries a mark in its environment, also when it was forked, or was started by another program since.
    """
    killed = kill_marked(f"{tag(scratch_root)}-")
    return [LeftOver(pid, name) for pid, name in killed.items()]


def kill_marked(marker: str) -> dict[int, str]:
    """Kill all processes whose mark begins so, and see them gone. Gives their names by pid."""
    if not hasattr(os, "pidfd_open"):
        return {}
    killed: dict[int, str] = {}
    mark = f"{MARKER}={marker}".encode()
    for _ in range(ROUNDS):
        found = {pid: kill_if_marked(pid, mark) for pid in pids() if pid not in killed and is_marked(pid, mark)}
        if not found:
            break
        killed |= {pid: name for pid, name in found.items() if name is not None}
    return killed


def kill_if_marked(pid: int, mark: bytes) -> str | None:
    """The name of the process that was killed. A handle is held meanwhile, so that it is no other of the same pid."""
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return None
    try:
        name = Path(f"/proc/{pid}/comm").read_text().strip()
        if not is_marked(pid, mark):
            return None
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        end = select.poll()
        end.register(handle, select.POLLIN)
        end.poll(PATIENCE_MS)
    except OSError:
        return None
    else:
        return name
    finally:
        os.close(handle)


def new_marker(scratch_root: Path) -> str:
    marker = f"{tag(scratch_root)}-{secrets.token_hex(16)}"
    assert len(marker) == MARKER_BYTES
    return marker


@lru_cache(maxsize=100)
def tag(scratch_root: Path) -> str:
    return sha256(str(scratch_root.resolve()).encode()).hexdigest()[:16]


def pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 - Path objects are slow


def is_marked(pid: int, mark: bytes) -> bool:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123 - as above
            return mark in file.read()
    except OSError:  # it ended meanwhile, or is another user's
        return False
