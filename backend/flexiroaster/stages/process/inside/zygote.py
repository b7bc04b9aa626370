"""The process that all stages' processes are forked from: started once, with what they need loaded already.

It keeps some supervisors in readiness, each with a code process that waits for its one attempt. It has one thread and
runs nobody's code.

It ends when the server does, because the other end of its socket closes then, and the supervisors without work end when
it does. PR_SET_PDEATHSIG would not do for it: that signal comes when the thread ends that started a process, and
threads of the server do end.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
from collections.abc import Iterable
from dataclasses import dataclass

from . import MARKER_BYTES, code, proc, supervisor
from .frames import read_body, receive, write_frame
from .kernel import PR_SET_CHILD_SUBREAPER, prctl

MOST_IN_READINESS = 4


def serve(requests: int, usual_modules: frozenset[str]) -> None:
    """Give a supervisor to each request, until the server is gone.

    A request is a marker with five descriptors (see `supervisor`), and a frame: what the process can prepare that it
    is to be confined to. The next request will probably ask for the same, so what waits is prepared for it.
    """
    code.remember_preloaded(usual_modules)
    # Pages that nobody writes to are shared by all forks: the collector must not touch them.
    gc.collect()
    gc.freeze()
    Zygote(socket.socket(fileno=requests)).serve()


@dataclass
class Helper:
    """A supervisor and the connection with it. A new one may be given work before it says that it is ready."""

    pid: int
    orders: socket.socket
    free: int = 0

    @property
    def ready(self) -> bool:
        return self.free > 0


class Zygote:
    def __init__(self, requests: socket.socket) -> None:
        self.requests = requests
        self.helpers: dict[int, Helper] = {}
        """By the descriptor of their connection."""
        self.most_ready = min(os.cpu_count() or 1, MOST_IN_READINESS)
        self.expected = b"null"
        self.in_hand: list[int] = []
        self.woken, self.wake = os.pipe()
        os.set_blocking(self.wake, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self.wake, warn_on_full_buffer=False)
        self.poll = select.poll()
        self.poll.register(requests, select.POLLIN)
        self.poll.register(self.woken, select.POLLIN)
        # What a supervisor leaves that was itself killed comes here.
        prctl(PR_SET_CHILD_SUBREAPER, 1)

    def serve(self) -> None:
        for _ in range(self.most_ready):
            self.add_helper()
        while True:
            for fd, _ in self.poll.poll():
                if fd == self.requests.fileno():
                    if not self.answer():
                        return
                elif fd == self.woken:
                    os.read(self.woken, 1024)
                    self.reap()
                elif fd in self.helpers:
                    self.hear(self.helpers[fd])

    def answer(self) -> bool:
        """Hand the next request on; False once the server is gone."""
        marker, self.in_hand = receive(self.requests, MARKER_BYTES)
        expected = read_body(self.requests.fileno()) if marker else None
        try:
            if expected is None:
                return False
            self.expected = expected
            self.hand_on(marker)
        finally:
            while self.in_hand:
                os.close(self.in_hand.pop())
        return True

    def hand_on(self, marker: bytes) -> None:
        """Without a supervisor to take it the descriptors are closed, and that is the answer."""
        while helper := next((each for each in self.helpers.values() if each.ready), None) or self.add_helper():
            helper.free -= 1
            try:
                socket.send_fds(helper.orders, [marker], self.in_hand)
                write_frame(helper.orders.fileno(), self.expected)
            except OSError:  # somebody has killed it
                self.drop(helper)
                continue
            return

    def hear(self, helper: Helper) -> None:
        """It is ready for work, again perhaps, or it is no more."""
        try:
            heard = helper.orders.recv(1)
        except OSError:
            heard = b""
        if heard != supervisor.READY:
            self.drop(helper)
            return
        helper.free += 1
        if helper.ready and sum(each.ready for each in self.helpers.values()) > self.most_ready:
            self.drop(helper)

    def add_helper(self) -> Helper | None:
        ours, theirs = socket.socketpair()
        try:
            pid = os.fork()
        except OSError:  # too many processes
            ours.close()
            theirs.close()
            return None
        if pid == 0:
            try:
                self.forget(ours)
                supervisor.serve(theirs, self.expected)
            finally:
                os._exit(1)
        theirs.close()
        helper = self.helpers[ours.fileno()] = Helper(pid, ours)
        self.poll.register(ours, select.POLLIN)
        return helper

    def drop(self, helper: Helper) -> None:
        """Without its connection it ends, when it has no work."""
        self.poll.unregister(helper.orders)
        del self.helpers[helper.orders.fileno()]
        helper.orders.close()

    def forget(self, ours: socket.socket) -> None:
        """In the fork: of all that is the zygote's nothing may stay open, or its end would not be seen."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for each in (self.requests, ours, *(helper.orders for helper in self.helpers.values())):
            each.close()
        for fd in (self.woken, self.wake, *self.in_hand):
            os.close(fd)

    def reap(self) -> None:
        orphans = False
        for pid, status in ended_children():
            known = [helper for helper in self.helpers.values() if helper.pid == pid]
            for helper in known:
                self.drop(helper)
            orphans = orphans or os.WIFSIGNALED(status) or not known
        if orphans:
            self.end_orphans()

    def end_orphans(self) -> None:
        """Kill what a killed supervisor has left. Each that ends hands its children to us, and wakes us again."""
        supervisors = {helper.pid for helper in self.helpers.values()}
        for pid in proc.children(os.getpid()):
            if pid not in supervisors:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue


def ended_children() -> Iterable[tuple[int, int]]:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid, status
