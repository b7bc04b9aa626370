"""The process that all stages' processes are forked from: started once, with what they need loaded already.

It keeps some pairs of supervisor and code process in readiness, each for one attempt: none has run anything yet, and
none is used twice. It has one thread and runs nobody's code.

It ends when the server does, because the other end of its socket closes then, and what is in readiness ends when it
does. PR_SET_PDEATHSIG would not do for it: that signal comes when the thread ends that started a process, and threads
of the server do end.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
from dataclasses import dataclass

from . import MARKER_BYTES, code, proc, supervisor
from .frames import read_body, receive
from .kernel import PR_SET_CHILD_SUBREAPER, prctl

MOST_IN_READINESS = 4


def serve(requests: int, usual_modules: frozenset[str]) -> None:
    """Give a supervisor to each request, until the server is gone.

    A request is a marker with five descriptors (see `supervisor`), and a frame: what the process can prepare that it
    is to be confined to. The next request will probably ask for the same, so new pairs begin with it.
    """
    code.remember_preloaded(usual_modules)
    # Pages that nobody writes to are shared by all forks: the collector must not touch them.
    gc.collect()
    gc.freeze()
    Zygote(socket.socket(fileno=requests)).serve()


@dataclass(frozen=True)
class Pair:
    """A supervisor, and with it a code process, that wait for work on the other end of `orders`."""

    pid: int
    orders: socket.socket


class Zygote:
    def __init__(self, requests: socket.socket) -> None:
        self.requests = requests
        self.supervisors: set[int] = set()
        self.ready: list[Pair] = []
        self.most = min(os.cpu_count() or 1, MOST_IN_READINESS)
        self.expected = b"null"
        self.in_hand: list[int] = []
        self.woken, self.wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self.wake, warn_on_full_buffer=False)
        # What a supervisor leaves that was itself killed comes here.
        prctl(PR_SET_CHILD_SUBREAPER, 1)

    def serve(self) -> None:
        poll = select.poll()
        poll.register(self.requests, select.POLLIN)
        poll.register(self.woken, select.POLLIN)
        while True:
            events = poll.poll(0 if len(self.ready) < self.most else None)
            for fd, _ in events:
                if fd == self.woken:
                    os.read(self.woken, 1024)
                    self.reap()
                elif not self.answer():
                    return
            if not events:
                self.make_ready()

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
        """Without a pair to take it the descriptors are closed, and that is the answer."""
        while self.ready or self.make_ready():
            pair = self.ready.pop(0)
            with pair.orders:
                try:
                    socket.send_fds(pair.orders, [marker], self.in_hand)
                except OSError:  # somebody has killed it
                    continue
                return

    def make_ready(self) -> bool:
        ours, theirs = socket.socketpair()
        try:
            pid = os.fork()
        except OSError:  # too many processes: the pairs that there are must do
            self.most = len(self.ready)
            ours.close()
            theirs.close()
            return False
        if pid == 0:
            try:
                self.forget(ours)
                supervisor.wait_for_work(theirs, self.expected)
            finally:
                os._exit(1)
        theirs.close()
        self.supervisors.add(pid)
        self.ready.append(Pair(pid, ours))
        return True

    def forget(self, ours: socket.socket) -> None:
        """In the fork: of all that is the zygote's nothing may stay open, or its end would not be seen."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for each in (self.requests, ours, *(pair.orders for pair in self.ready)):
            each.close()
        for fd in (self.woken, self.wake, *self.in_hand):
            os.close(fd)

    def reap(self) -> None:
        lost = False
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            lost = lost or pid not in self.supervisors or os.WIFSIGNALED(status)
            self.supervisors.discard(pid)
            self.most = min(os.cpu_count() or 1, MOST_IN_READINESS)
        if lost:
            self.drop_lost()

    def drop_lost(self) -> None:
        """Kill what a killed supervisor has left. Each that ends hands its children to us, and wakes us again."""
        for pair in [pair for pair in self.ready if pair.pid not in self.supervisors]:
            pair.orders.close()
            self.ready.remove(pair)
        for pid in proc.children(os.getpid()):
            if pid not in self.supervisors:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
