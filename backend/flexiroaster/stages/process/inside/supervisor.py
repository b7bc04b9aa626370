"""One attempt's supervisor: forks the process of the user's code, watches it, and ends everything it leaves behind.

It is the reaper of all descendants, also of those that double-forked into sessions of their own. It is given a marker
and five descriptors: `work` (the code's connection with the server), `control`, standard input, output and error. Over
`control` it speaks with the server, in frames:
- it says `{"started": pid}` first and `{"exited": wait_status, "killed": reason or null}` as its last word;
- it hears `{"watch": {"memory_bytes": …, "processes": …, "cpu_seconds": …}}`, then perhaps `{"stop": grace_seconds}`.
When the server dies, its end of `control` closes and everything here is killed.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import socket
import time
from typing import Any

from . import MARKER, MARKER_BYTES, code, proc
from .frames import read_frame, receive, write_frame
from .kernel import PR_SET_CHILD_SUBREAPER, prctl, rewrite_environment

FIRST_SAMPLE_SECONDS = 0.02
LAST_SAMPLE_SECONDS = 0.25
"""Between two looks at what the processes use: soon at first, because a memory or fork bomb is fast."""


def wait_for_work(orders: socket.socket, expected: bytes) -> None:
    """Fork the code's process, pass on to it what comes over `orders`, and watch it. `expected`: see `zygote.serve`."""
    os.setsid()
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    supervisor = os.getpid()
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        try:
            orders.close()
            ours.close()
            code.wait_for_work(supervisor, theirs, json.loads(expected))
        finally:
            os._exit(1)
    theirs.close()
    marker, descriptors = receive(orders, MARKER_BYTES)
    if not marker:  # the zygote is gone
        os._exit(0)
    work, control, *standard = descriptors
    rewrite_environment(MARKER, marker.decode())
    write_frame(control, b'{"started": %d}' % supervisor)
    socket.send_fds(ours, [marker], [work, *standard])
    for each in (orders, ours):
        each.close()
    for fd in (work, *standard):
        os.close(fd)
    Supervisor(child, control).watch()
    os._exit(0)


class Supervisor:
    def __init__(self, child: int, control: int) -> None:
        self.child = child
        self.control = control
        self.limits: dict[str, Any] = {}
        self.status: int | None = None
        self.killed: str | None = None
        self.kill_at: float | None = None
        self.sample_seconds = FIRST_SAMPLE_SECONDS
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
                self.sample()
            self.reap(os.WNOHANG)
        self.end_what_is_left()
        write_frame(self.control, json.dumps({"exited": self.status, "killed": self.killed}).encode())

    def pause(self) -> float:
        if self.kill_at is None:
            return self.sample_seconds
        return max(0.0, min(self.sample_seconds, self.kill_at - time.monotonic()))

    def obey(self) -> None:
        order = read_frame(self.control)
        if order is None:  # the server is gone: nobody would hear the result
            self.poll.unregister(self.control)
            self.kill("server")
        elif "watch" in order:
            self.limits = order["watch"]
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

    def sample(self) -> None:
        """Limits of the kernel are per process; those of a stage are for all its processes together."""
        self.sample_seconds = min(self.sample_seconds * 2, LAST_SAMPLE_SECONDS)
        if not self.limits:
            return
        pids = proc.descendants(os.getpid())
        if len(pids) > self.limits["processes"]:
            self.kill_all(pids, "processes")
        elif self.takes_too_much_memory(pids):
            self.kill_all(pids, "memory")
        elif self.limits["cpu_seconds"] and self.processor_seconds(pids) > self.limits["cpu_seconds"]:
            self.kill_all(pids, "cpu")

    def takes_too_much_memory(self, pids: list[int]) -> bool:
        most: int = self.limits["memory_bytes"]
        if sum(map(proc.resident_bytes, pids)) <= most:
            return False
        return sum(map(proc.proportional_bytes, pids)) > most  # slower, but counts shared pages once

    def processor_seconds(self, pids: list[int]) -> float:
        reaped = resource.getrusage(resource.RUSAGE_CHILDREN)
        return reaped.ru_utime + reaped.ru_stime + sum(map(proc.processor_seconds, pids))

    def kill_all(self, pids: list[int], reason: str) -> None:
        self.kill(reason)
        end(pids)

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

    def end_what_is_left(self) -> None:
        """Ending a process hands its children to us, so this goes round until nobody is left."""
        while self.reap(os.WNOHANG):
            end(proc.descendants(os.getpid()))
            wait_for_a_child()


def end(pids: list[int]) -> None:
    """Whole groups first: a process that is forking cannot slip through a signal to its group."""
    own = os.getpgid(0)
    for group in {group_of(pid) for pid in pids} - {own, 0}:
        try:
            os.killpg(group, signal.SIGKILL)
        except ProcessLookupError:
            continue
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def group_of(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0


def wait_for_a_child() -> None:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
    except ChildProcessError:
        return
