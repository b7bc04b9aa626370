"""A supervisor: forks the process of the user's code, watches it, and ends everything it leaves behind. Then the next.

It is the reaper of all descendants, also of those that double-forked into sessions of their own: nobody is left when an
attempt ends, so that it can serve another, with another code process. It runs nobody's code itself.

For an attempt it is given a marker and five descriptors: `work` (the code's connection with the server), `control`,
standard input, output and error. Over `control` it speaks with the server, in frames:
- it says `{"started": pid}` first and `{"exited": wait_status, "killed": reason or null}` as its last word;
- it hears `{"watch": {"memory_bytes": …, "processes": …, "cpu_seconds": …}}`, perhaps `{"stop": grace_seconds}`, and
  `{"over": true}` when the code has given its result: it has nothing left to do and is killed.
When the server dies, its end of `control` closes and everything here is killed.
"""

from __future__ import annotations

import itertools
import json
import os
import resource
import select
import signal
import socket
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from . import MARKER_BYTES, code, proc
from .confine import Confinement
from .frames import read_body, read_frame, receive, write_frame
from .kernel import PR_SET_CHILD_SUBREAPER, prctl
from .limits import take_second_place

FIRST_SAMPLE_SECONDS = 0.02
LAST_SAMPLE_SECONDS = 0.25
"""Between two looks at what the processes use: soon at first, because a memory or fork bomb is fast."""
RENEW = 100
"""Attempts after which a confinement is made anew: the kernel keeps in it what each of them was allowed."""
READY = b"r"
NO_MARKER = "-" * MARKER_BYTES


def serve(orders: socket.socket, expected: bytes) -> None:
    """One attempt after another, until `orders` closes. `expected`: see `zygote.serve`.

    A code process is forked before there is work for it; `orders` is told when there is one.
    """
    os.setsid()
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    prepared: Confinement | None = None
    for number in itertools.count(1):
        prepared = made_ready(prepared, json.loads(expected), renew=number % RENEW == 0)
        child, to_code = fork_code(orders, prepared)
        orders.send(READY)
        marker, descriptors = receive(orders, MARKER_BYTES)
        if not marker:
            os._exit(0)  # and the code process with it
        work, control, *standard = descriptors
        code.marker.write(marker.decode())  # before the code runs, which may stop us
        try:
            socket.send_fds(to_code, [marker], [work, *standard])
        except OSError:  # somebody has killed it
            to_code.close()
            os.waitpid(child, 0)
            child, to_code = fork_code(orders, prepared, descriptors)
            socket.send_fds(to_code, [marker], [work, *standard])
        with suppress(OSError):  # the server is gone: that will be found out
            write_frame(control, b'{"started": %d}' % os.getpid())
        for fd in (work, *standard):
            os.close(fd)
        to_code.close()
        expected = read_body(orders.fileno()) or expected
        attempt(child, control)
        code.marker.write(NO_MARKER)


def made_ready(old: Confinement | None, wanted: dict[str, list[str]] | None, *, renew: bool) -> Confinement | None:
    """What the code process will probably be confined to. Making it anew takes long where many folders are."""
    if old is not None and old.given == wanted and not renew:
        old.refresh()
        return old
    if old is not None:
        old.close()
    return Confinement(wanted) if wanted is not None else None


def fork_code(
    orders: socket.socket, prepared: Confinement | None, held: Iterable[int] = ()
) -> tuple[int, socket.socket]:
    """`held` are descriptors that it must not have by this way."""
    supervisor = os.getpid()
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child:
        theirs.close()
        return child, ours
    try:
        orders.close()
        ours.close()
        for fd in held:
            os.close(fd)
        code.wait_for_work(supervisor, theirs, prepared)
    finally:
        os._exit(1)


def attempt(child: int, control: int) -> None:
    supervisor = Supervisor(child, control)
    report = supervisor.watch()
    with suppress(OSError):  # nobody hears the last word
        write_frame(control, json.dumps(report).encode())
    supervisor.close()


class Supervisor:
    def __init__(self, child: int, control: int) -> None:
        self.child = child
        self.control = control
        self.limits: dict[str, Any] = {}
        self.over = False
        self.status: int | None = None
        self.killed: str | None = None
        self.kill_at: float | None = None
        self.sample_seconds = FIRST_SAMPLE_SECONDS
        self.processor_seconds_before = reaped_processor_seconds()
        self.poll = select.poll()
        self.poll.register(control, select.POLLIN)
        self.pidfd = os.pidfd_open(child) if hasattr(os, "pidfd_open") else None
        if self.pidfd is not None:
            self.poll.register(self.pidfd, select.POLLIN)

    def close(self) -> None:
        if self.status is None:
            os.waitpid(self.child, 0)
        os.close(self.control)
        if self.pidfd is not None:
            os.close(self.pidfd)

    def watch(self) -> dict[str, Any]:
        """Until nobody is left, or one that has had its last moment. Gives the report."""
        while self.status is None:
            ready = self.poll.poll(self.pause() * 1000)
            if any(fd == self.control for fd, _ in ready):
                self.obey()
                if self.over and self.is_last():
                    return {"exited": 0, "killed": None}
            if self.kill_at is not None and time.monotonic() >= self.kill_at:
                self.kill("grace")
            if not ready:
                self.sample()
            self.reap(os.WNOHANG)
        self.end_what_is_left()
        return {"exited": self.status, "killed": self.killed}

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
        elif "over" in order:
            self.over = True
            self.signal_group(signal.SIGKILL)
        elif self.kill_at is None:
            self.signal_group(signal.SIGTERM)
            self.kill_at = time.monotonic() + order["stop"]

    def is_last(self) -> bool:
        """Whether the code, which was killed just now, leaves nobody behind. Then nobody needs to wait for its memory
        to be freed, which takes as long as all else that ends it.

        It can fork no more. Its children are looked for where they are first, then here, where they come when it ends.
        """
        return proc.is_alone(self.child) and proc.children(os.getpid()) == [self.child]

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
        if self.sample_seconds == LAST_SAMPLE_SECONDS:
            take_second_place(self.child)
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
        reaped = reaped_processor_seconds() - self.processor_seconds_before
        return reaped + sum(map(proc.processor_seconds, pids))

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


def reaped_processor_seconds() -> float:
    reaped = resource.getrusage(resource.RUSAGE_CHILDREN)
    return reaped.ru_utime + reaped.ru_stime


def end(pids: list[int]) -> None:
    """Whole groups first: a process that is forking cannot slip through a signal to its group.

    Some have ended meanwhile; one that has taken another user's rights cannot be ended by us.
    """
    own = os.getpgid(0)
    for group in {group_of(pid) for pid in pids} - {own, 0}:
        try:
            os.killpg(group, signal.SIGKILL)
        except OSError:
            continue
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
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
