"""The process of the user's code: takes its descriptors, limits and environment, then runs Python or a program."""

# pathlib would double the start time
# ruff: noqa: PTH100, PTH109, PTH118, PTH120, PTH208, S606

from __future__ import annotations

import json
import linecache
import os
import signal
import socket
import sys
import time
from collections.abc import Iterable
from types import ModuleType
from typing import Any, NoReturn

from . import MARKER, MARKER_BYTES, runner
from .confine import Confinement, give_up_powers
from .frames import read_body, read_frame, receive, write_frame
from .kernel import PR_SET_PDEATHSIG, StartVariable, prctl
from .limits import go_first_when_memory_is_out, limit

START = os.path.join(os.path.dirname(os.path.abspath(__file__)), "start.py")
AT_THE_START = ("LD_", "GLIBC_", "MALLOC_")
"""Variables that the loader and the C library read once, when a program starts."""

REHEARSAL = """
{
    "process": {
        "env": {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": "/", "TMPDIR": "/", "PYTHONPATH": "/"},
        "folder": "/", "limits": {"memory_bytes": 1073741824, "cpu_seconds": null}, "confine": null, "writable": ["/"]
    },
    "stage": "rehearsal", "interpreter": null, "entrypoint": null, "file": "<rehearsal>", "folders": [],
    "code": "def run(context, n):\\n    total = n + 1\\n    return {'total': total}", "args": {"n": 1},
    "max_result_bytes": 1000,
    "context": {
        "execution_id": "01a2061d-7396-759c-af29-777790018b8f", "pipeline_id": "rehearsal", "stage_id": "rehearsal",
        "index": 0, "attempt": 1, "idempotency_key": "01a2061d-7396-759c-af29-777790018b8f:rehearsal:0",
        "inputs": {"day": "2026-01-01"}, "data": null, "upstream": {"before": {"rows": 1}}, "data_dirs": ["/"],
        "scratch_dir": "/"
    }
}"""

marker = StartVariable(MARKER)
_preloaded: frozenset[str] = frozenset()


def remember_preloaded(usual: frozenset[str]) -> None:
    """All modules that are loaded now, except those that every Python has loaded when a program begins."""
    global _preloaded
    _preloaded = frozenset(sys.modules) - usual


def wait_for_work(supervisor: int, orders: socket.socket, prepared: Confinement | None) -> NoReturn:
    """In the fork of the supervisor: run what comes over `orders`.

    The job comes as a frame on `work`; frames of the running code go back there.
    """
    os.setsid()
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != supervisor:  # it died before the line above took effect
        os._exit(1)
    go_first_when_memory_is_out()
    os.environ.clear()
    if prepared is not None:
        give_up_powers()
    _rehearse(prepared)
    mark, descriptors = receive(orders, MARKER_BYTES)
    orders.close()
    if not mark:
        os._exit(1)
    marker.write(mark.decode())
    work, *standard = descriptors
    for number, fd in enumerate(standard):
        os.dup2(fd, number)
        os.close(fd)
    body = read_body(work)
    if body is None:
        os._exit(1)
    job = json.loads(body)
    try:
        _become(job["process"], mark.decode(), prepared)
    except OSError as error:
        _leave(work, f"The stage's process could not be prepared: {error}.")
    if "command" in job:
        _execute(job["command"], work)
    elif job["interpreter"] or any(name.startswith(AT_THE_START) for name in os.environ):
        _start_afresh(job["interpreter"] or sys.executable, body, work)
    else:
        _python(job, work)


def _rehearse(prepared: Confinement | None) -> None:
    """Go through what every job needs, with one that does nothing and has no effect.

    A fork shares its memory until it writes to it. The first write to a page takes microseconds, and Python writes to
    whatever it reads: that would be half of what an attempt waits for.
    """
    job = json.loads(REHEARSAL)
    os.environ.update(job["process"]["env"])
    time.tzset()
    os.environ.clear()
    if prepared is not None:
        prepared.refresh()
    forget_what_would_hide([os.path.dirname(START)], ())
    runner.line_by_line()
    runner.last_frame(job, runner.Channel(-1, read_frame, lambda *_: None))
    linecache.cache.pop(job["file"], None)


def afresh(job: int, work: int) -> NoReturn:
    """The other side of `_start_afresh`."""
    os.set_inheritable(work, False)
    os.lseek(job, 0, os.SEEK_SET)
    read = read_frame(job)
    os.close(job)
    _python(read, work)


def _become(process: dict[str, Any], mark: str, prepared: Confinement | None) -> None:
    os.environ.update(process["env"])
    os.environ[MARKER] = mark
    time.tzset()
    os.chdir(process["folder"])
    limit(process["limits"])
    if process["confine"]:
        if prepared is None or prepared.given != process["confine"]:
            prepared = Confinement(process["confine"])
        prepared.refresh()
        prepared.enter(process["writable"])
    elif prepared is not None:
        prepared.close()


def _python(job: dict[str, Any], work: int) -> NoReturn:
    forget_what_would_hide(job["folders"], _preloaded)
    sys.path[:0] = job["folders"]
    sys.argv = [job["stage"]]
    sys.modules["__main__"] = ModuleType("__main__")
    runner.run_job(job, work, read_frame, write_frame)
    os._exit(0)


def _execute(command: list[str], work: int) -> NoReturn:
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and programs would inherit that
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvpe(command[0], command, os.environ)
    except FileNotFoundError:
        _leave(work, f"There is no program {command[0]!r}: give its path, or add its folder to PATH in env.")
    except (OSError, ValueError) as error:
        _leave(work, f"The program {command[0]!r} cannot be started: {error}.")


def _start_afresh(interpreter: str, body: bytes, work: int) -> NoReturn:
    """In an interpreter that is started now: slower, but what is read at its start is read."""
    job = os.memfd_create("job", 0) if hasattr(os, "memfd_create") else _unnamed_file()
    write_frame(job, body)
    os.set_inheritable(work, True)
    try:
        os.execve(interpreter, [interpreter, "-I", "-S", START, str(job), str(work)], os.environ)
    except OSError as error:
        _leave(work, f"The interpreter {interpreter!r} cannot be started: {error}.")


def _unnamed_file() -> int:
    name = os.path.join(os.getcwd(), ".job")
    fd = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    os.unlink(name)  # noqa: PTH108
    os.set_inheritable(fd, True)
    return fd


def _leave(work: int, sentence: str) -> NoReturn:
    error = {"op": "error", "message": sentence, "kind": "permanent", "code": "not_started"}
    write_frame(work, json.dumps(error).encode())
    os._exit(1)


def forget_what_would_hide(folders: list[str], loaded: Iterable[str]) -> None:
    """A module that is loaded already must not take the place of the user's own of the same name."""
    own = {name for folder in folders for name in _modules_in(folder)}
    for name in loaded:
        if name.partition(".")[0] in own:
            sys.modules.pop(name, None)


def _modules_in(folder: str) -> list[str]:
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    return [name.partition(".")[0] for name in names if "." not in name or name.endswith((".py", ".so"))]
