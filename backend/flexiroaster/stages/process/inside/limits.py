"""Limits that the kernel keeps for each process."""

from __future__ import annotations

import os
import resource
from typing import Any

ADDRESS_SPACE_ROOM = 4 << 30
"""Libraries reserve address space they never use; resident and private memory are what is really limited."""
PROCESSOR_ROOM_SECONDS = 5
"""From SIGXCPU, after which code may still clean up, to SIGKILL."""
NICE = 5
OUT_OF_MEMORY_SCORE = b"800"


def limit(limits: dict[str, Any]) -> None:
    """Of this process and of what it starts."""
    memory = limits["memory_bytes"]
    _lower(resource.RLIMIT_DATA, memory)
    _lower(resource.RLIMIT_AS, memory + ADDRESS_SPACE_ROOM)
    _lower(resource.RLIMIT_FSIZE, limits["file_bytes"])
    _lower(resource.RLIMIT_NOFILE, limits["open_files"])
    _lower(resource.RLIMIT_CORE, 0)
    if limits["cpu_seconds"]:
        _lower(resource.RLIMIT_CPU, limits["cpu_seconds"], room=PROCESSOR_ROOM_SECONDS)


def take_second_place(group: int) -> None:
    """Behind the server, for the processor. Of a process group that has run for a while: what is short may be quick."""
    try:
        os.setpriority(os.PRIO_PGRP, group, NICE)
    except OSError:  # it has ended, or is a root's that may do less than we
        return


def go_first_when_memory_is_out() -> None:
    """The kernel then ends the process with the highest score: this one rather than the server."""
    try:
        file = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
    except OSError:
        return
    try:
        os.write(file, OUT_OF_MEMORY_SCORE)
    except OSError:
        pass
    finally:
        os.close(file)


def _lower(kind: int, value: int, room: int = 0) -> None:
    """Set a limit, within what this process may have at all. `room` keeps the hard limit above the warning."""
    _, highest = resource.getrlimit(kind)
    unlimited = highest == resource.RLIM_INFINITY
    hard = value + room if unlimited else min(value + room, highest)
    try:
        resource.setrlimit(kind, (min(value, hard), hard))
    except (OSError, ValueError):  # not every system knows every limit
        return
