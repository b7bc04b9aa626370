"""The process of a `python` stage: a supervisor, and the fork of it that runs the user's code.

Run as a plain script (`python -I -S python_child.py WORK_FD CONTROL_FD`) with the standard library only, so that it
starts in some milliseconds and holds nothing of the server.

Both descriptors are stream sockets that carry frames: four bytes of length, then JSON.
- control, server to supervisor: `{"limits": {…}}` once, then perhaps `{"stop": grace_seconds}`;
  supervisor to server: `{"exited": wait_status, "killed": null | "grace" | "memory"}` as the last word.
- work, server to code: the job, and answers to `save`; code to server: `{"op": "log" | "progress" | "save" | "result"
  | "error", …}`, of which `result` and `error` are last words.

The supervisor is the reaper of all descendants, also of those that double-forked into sessions of their own, and ends
them when the code ends. When the server dies, its end of `control` closes and everything here is killed.
"""

# pathlib would double the start time
# ruff: noqa: PTH100, PTH118, PTH120, PTH123, PTH208

from __future__ import annotations

import json
import os
import resource
import select
import signal
import sys
import time
from typing import Any

HEADER_BYTES = 4
SAMPLE_SECONDS = 0.25
ADDRESS_SPACE_ROOM = 4 << 30
"""Libraries reserve address space they never use; resident and private memory are what is really limited."""
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


def read_frame(fd: int) -> Any:
    """The next frame, None at the end of the stream."""
    header = read_exactly(fd, HEADER_BYTES)
    if header is None:
        return None
    body = read_exactly(fd, int.from_bytes(header, "big"))
    return None if body is None else json.loads(body)


def read_exactly(fd: int, size: int) -> bytes | None:
    parts = []
    while size:
        part = os.read(fd, min(size, 1 << 20))
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def write_frame(fd: int, body: bytes) -> None:
    view = memoryview(len(body).to_bytes(HEADER_BYTES, "big") + body)
    while view:
        view = view[os.write(fd, view) :]


def prctl(option: int, value: int) -> None:
    """Linux only; elsewhere the process group is all that is killed."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def main() -> None:
    work, control = int(sys.argv[1]), int(sys.argv[2])
    os.set_inheritable(work, False)
    os.set_inheritable(control, False)
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    order = read_frame(control)
    if order is None:
        return
    limits = order["limits"]
    supervisor = os.getpid()
    child = os.fork()
    if child == 0:
        os.close(control)
        os.setsid()
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != supervisor:  # it died before the line above took effect
            os._exit(1)
        limit(limits)
        run_code(work)
    os.close(work)
    Supervisor(child, control, limits["memory_bytes"]).watch()


class Supervisor:
    """Watches the code's process: stops it when told, ends everything it leaves behind, reports how it ended."""

    def __init__(self, child: int, control: int, memory_bytes: int) -> None:
        self.child = child
        self.control = control
        self.memory_bytes = memory_bytes
        self.status: int | None = None
        self.killed: str | None = None
        self.kill_at: float | None = None
        self.poll = select.poll()
        self.poll.register(control, select.POLLIN)
        if hasattr(os, "pidfd_open"):
            self.poll.register(os.pidfd_open(child), select.POLLIN)

    def watch(self) -> None:
        while self.status is None:
            ready = self.poll.poll(self.pause() * 1000)
            if any(fd == self.control for fd, _ in ready):
                self.obey()
            if self.kill_at is not None and time.monotonic() >= self.kill_at:
                self.kill("grace")
            if not ready:
                self.check_memory()
            self.reap(os.WNOHANG)
        self.kill_left_behind()
        report = {"exited": self.status, "killed": self.killed}
        write_frame(self.control, json.dumps(report).encode())

    def pause(self) -> float:
        if self.kill_at is None:
            return SAMPLE_SECONDS
        return max(0.0, min(SAMPLE_SECONDS, self.kill_at - time.monotonic()))

    def obey(self) -> None:
        order = read_frame(self.control)
        if order is None:  # the server is gone: nobody would hear the result
            self.poll.unregister(self.control)
            self.kill("server")
        elif self.kill_at is None:
            self.signal_group(signal.SIGTERM)
            self.kill_at = time.monotonic() + order["stop"]

    def kill(self, reason: str) -> None:
        self.killed = self.killed or reason
        self.signal_group(signal.SIGKILL)

    def signal_group(self, number: int) -> None:
        # The child is not reaped yet, so its number cannot belong to another group.
        try:
            os.killpg(self.child, number)
        except ProcessLookupError:
            os.kill(self.child, number)  # before its setsid

    def reap(self, options: int) -> bool:
        """Take in what has ended. Gives whether there are children left."""
        while True:
            try:
                pid, status = os.waitpid(-1, options)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self.child:
                self.status = status

    def kill_left_behind(self) -> None:
        """Ending a process hands its children to us, so this goes round until nobody is left."""
        while self.reap(os.WNOHANG):
            for pid in children(os.getpid()):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            self.poll_left_behind()

    def poll_left_behind(self) -> None:
        try:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
        except ChildProcessError:
            return

    def check_memory(self) -> None:
        """A limit of the kernel is per process; the stage's limit is for all its processes together."""
        pids = descendants(os.getpid())
        if sum(map(resident_bytes, pids)) <= self.memory_bytes:
            return
        if sum(map(proportional_bytes, pids)) > self.memory_bytes:  # slower, but counts shared pages once
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            self.kill("memory")


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


def resident_bytes(pid: int) -> int:
    return kilobytes(f"/proc/{pid}/status", ("RssAnon:", "RssShmem:")) * 1024


def proportional_bytes(pid: int) -> int:
    return kilobytes(f"/proc/{pid}/smaps_rollup", ("Pss_Anon:", "Pss_Shmem:")) * 1024


def kilobytes(path: str, names: tuple[str, ...]) -> int:
    return sum(int(line.split()[1]) for line in read_text(path).splitlines() if line.startswith(names))


def read_text(path: str) -> str:
    try:
        with open(path) as file:
            return file.read()
    except OSError:  # it ended meanwhile
        return ""


def limit(limits: dict[str, Any]) -> None:
    memory = limits["memory_bytes"]
    lower(resource.RLIMIT_DATA, memory)
    lower(resource.RLIMIT_AS, memory + ADDRESS_SPACE_ROOM)
    lower(resource.RLIMIT_FSIZE, limits["file_bytes"])
    lower(resource.RLIMIT_NOFILE, limits["open_files"])
    lower(resource.RLIMIT_CORE, 0)
    if limits["cpu_seconds"]:
        lower(resource.RLIMIT_CPU, limits["cpu_seconds"], room=5)


def lower(kind: int, value: int, room: int = 0) -> None:
    """Set a limit, within what this process may have at all. `room` keeps the hard limit above the warning."""
    _, highest = resource.getrlimit(kind)
    unlimited = highest == resource.RLIM_INFINITY
    hard = value + room if unlimited else min(value + room, highest)
    try:
        resource.setrlimit(kind, (min(value, hard), hard))
    except (OSError, ValueError):  # not every system knows every limit
        return


def run_code(work: int) -> None:
    """The user's side; does not return."""
    import site

    job = read_frame(work)
    if job is None:
        os._exit(1)
    site.main()
    sys.path[:0] = job["folders"]
    sys.argv = [job["stage"]]
    runner = load_beside("python_runner.py")
    runner["run_job"](job, work, read_frame, write_frame)
    os._exit(0)


def load_beside(name: str) -> dict[str, Any]:
    """The names of a script in this folder, without putting the folder, full of our modules, on the user's path."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), name)
    with open(path) as file:
        names: dict[str, Any] = {"__name__": "flexiroaster_stage", "__file__": path}
        exec(compile(file.read(), path, "exec", dont_inherit=True), names)  # noqa: S102 - our own file
    return names


if __name__ == "__main__":
    main()
