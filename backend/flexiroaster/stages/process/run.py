"""Drives one attempt's processes from the server's side; see `inside.supervisor` for who says what."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import orjson

from flexiroaster.engine.errors import StageFailed
from flexiroaster.stages.process.config import Limits
from flexiroaster.stages.process.frames import FrameReader, FrameTooLarge, framed
from flexiroaster.stages.process.inside.frames import HEADER_BYTES
from flexiroaster.stages.process.orphans import kill_marked
from flexiroaster.stages.process.zygote import Zygote, the_zygote

READ_BYTES = 1 << 18
REPORT_BYTES = 1 << 10
LATE_SECONDS = 5.0
"""How much later than promised a supervisor, or the end of a stream, may be before it is no longer waited for."""
START_SECONDS = 30.0
"""For a supervisor to begin, on a machine that has other things to do."""
START_TRIES = 3
UNREAD_BYTES = 1 << 20
"""Of answers. Code that asks through `context` reads each of them before it asks again."""
LAST_READS = 16
"""What a pipe or a socket can hold is read in fewer."""
SAME_MOMENT_SECONDS = 0.25
"""A cancel this close before the deadline is the server's own timer for it."""

Stop = Literal["cancelled", "timeout", "too large", "output", "protocol"]


@dataclass(slots=True)
class Ending:
    """How a process ended. `final` is its last frame, `result` or `error`; None when it ended without one."""

    final: Mapping[str, Any] | None = None
    status: int | None = None
    """As `os.waitpid` gives it; None when nobody could tell."""
    killed: str | None = None
    """Why its supervisor has killed it: grace, memory, cpu, processes."""
    stopped: Stop | None = None
    """Why it was told to stop before its last frame."""


@dataclass(slots=True)
class Handlers:
    """What to do with what the process says. `answer` is for requests: to keep a file, to fetch a table."""

    stdout: Callable[[bytes], None]
    stderr: Callable[[bytes], None]
    frame: Callable[[Mapping[str, Any]], None] = lambda _: None
    answer: Callable[[Mapping[str, Any]], Any] = lambda _: None


@dataclass(slots=True)
class Ends:
    """The server's ends of what connects it with an attempt, and the other ones, which go to the zygote."""

    work: socket.socket
    control: socket.socket
    stdout: int
    stderr: int
    theirs: list[int]


class StageProcess:
    """One attempt's process. `run` blocks until nothing of it is left; `cancel` may come from any thread."""

    def __init__(
        self,
        *,
        marker: str,
        confine: Mapping[str, list[str]] | None = None,
        limits: Limits,
        grace_seconds: float,
        max_frame_bytes: int,
        handlers: Handlers,
        zygote: Zygote = the_zygote,
    ) -> None:
        self._marker = marker
        self._confine = confine
        self._limits = limits
        self._grace_seconds = grace_seconds
        self._handlers = handlers
        self._zygote = zygote
        self._frames = FrameReader(max_frame_bytes)
        self._reports = FrameReader(REPORT_BYTES)
        self._to_send = bytearray()
        self._printed = 0
        self._ending = Ending()
        self._supervisor: int | None = None
        self._deadline: float | None = None
        self._kill_at: float | None = None
        self._give_up_at: float | None = None
        self._selector = selectors.DefaultSelector()
        self._open: set[Any] = set()
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_write.setblocking(False)

    def cancel(self) -> None:
        with contextlib.suppress(OSError):  # full means that it is told already, closed that it is over
            self._wake_write.send(b"x")

    def run(self, job: Callable[[], bytes], stdin: int, remaining_seconds: float | None = None) -> Ending:
        """Start the process, hand it the job, and serve it until all of it has ended. To be called once.

        `job` is asked for while the process wakes up. `stdin` is a descriptor of the caller's. Raises StageFailed when
        no process can be had.
        """
        self._deadline = None if remaining_seconds is None else time.monotonic() + remaining_seconds
        try:
            with self._selector, self._started(job, stdin) as ends:
                self._listen_to(ends)
                self._serve()
            return self._ending
        finally:
            self._wake_read.close()
            self._wake_write.close()

    @contextmanager
    def _started(self, job: Callable[[], bytes], stdin: int) -> Iterator[Ends]:
        for _ in range(START_TRIES):
            with connected() as ends:
                theirs = [*ends.theirs[:2], stdin, *ends.theirs[2:]]
                zygote = self._zygote.start(self._marker, theirs, self._confine)
                close_all(ends.theirs)
                self._work, self._control = ends.work, ends.control
                self._tell({"watch": self._limits.of_all()})
                self._to_send[:] = framed(job())
                self._flush()
                try:
                    self._supervisor = self._heard_start()
                except TimeoutError:
                    self._zygote.replace(zygote)
                    break
                if self._supervisor is not None:
                    yield ends
                    return
        raise StageFailed(
            "No process could be started for the stage: the system may be out of processes or memory.",
            code="no_process",
            kind="transient",
        )

    def _heard_start(self) -> int | None:
        """The supervisor's pid, from its first word; None when it has none: then none of the code has run either."""
        self._control.settimeout(START_SECONDS)
        try:
            header = self._control.recv(HEADER_BYTES, socket.MSG_WAITALL)
        except ConnectionError:  # closed with our order unread
            return None
        if len(header) < HEADER_BYTES:
            return None
        report = orjson.loads(self._control.recv(int.from_bytes(header, "big"), socket.MSG_WAITALL))
        self._control.setblocking(False)
        return int(report["started"])

    def _listen_to(self, ends: Ends) -> None:
        self._selector.register(self._wake_read, selectors.EVENT_READ, self._hear_wake)
        self._listen(self._control, self._hear_control)
        self._listen(self._work, self._hear_work)
        self._listen(ends.stdout, partial(self._hear, ends.stdout, self._handlers.stdout))
        self._listen(ends.stderr, partial(self._hear, ends.stderr, self._handlers.stderr))
        self._flush()

    def _serve(self) -> None:
        """Listen until the supervisor and every process that could speak have ended."""
        while self._open:
            for key, events in self._selector.select(self._pause()):
                if events & selectors.EVENT_WRITE:
                    self._flush()
                if events & selectors.EVENT_READ and key.fd in self._selector.get_map():  # heard out meanwhile
                    key.data()
            self._watch_the_clock()

    def _pause(self) -> float | None:
        times = [moment for moment in (self._deadline, self._kill_at, self._give_up_at) if moment is not None]
        return max(0.0, min(times) - time.monotonic()) if times else None

    def _watch_the_clock(self) -> None:
        if self._deadline is self._kill_at is self._give_up_at is None:
            return
        now = time.monotonic()
        if self._deadline is not None and now >= self._deadline:
            self._deadline = None
            self._stop("timeout")
        if self._kill_at is not None and now >= self._kill_at:
            self._kill_at = None
            self._sweep()
        if self._give_up_at is not None and now >= self._give_up_at:
            self._open.clear()

    def _stop(self, reason: Stop) -> None:
        """Have the supervisor end the code: SIGTERM, then SIGKILL after the grace. The first reason counts."""
        if self._ending.stopped is None and self._ending.final is None:
            if reason == "cancelled" and self._deadline and time.monotonic() >= self._deadline - SAME_MOMENT_SECONDS:
                reason = "timeout"
            self._ending.stopped = reason
            self._kill_at = time.monotonic() + self._grace_seconds + LATE_SECONDS
            self._tell({"stop": self._grace_seconds})

    def _sweep(self) -> None:
        """Without its report the supervisor cannot be relied upon (the code may have killed it): do its work."""
        if self._control in self._open and self._supervisor is not None:
            with contextlib.suppress(OSError):
                os.kill(self._supervisor, signal.SIGKILL)
        kill_marked(self._marker)

    def _listen(self, source: Any, hear: Callable[[], None]) -> None:
        self._selector.register(source, selectors.EVENT_READ, hear)
        self._open.add(source)

    def _forget(self, source: Any) -> None:
        self._selector.unregister(source)
        self._open.discard(source)

    def _hear(self, stream: int, handle: Callable[[bytes], None]) -> None:
        chunk = read(stream)
        if not chunk:
            self._forget(stream)
            return
        handle(chunk)
        self._printed += len(chunk)
        if self._printed > self._limits.output_bytes:
            self._stop("output")

    def _hear_wake(self) -> None:
        self._selector.unregister(self._wake_read)
        self._stop("cancelled")

    def _hear_control(self) -> None:
        chunk = received(self._control)
        reports = self._reports.feed(chunk)
        for report in reports:
            self._ending.status = report["exited"]
            self._ending.killed = report["killed"]
        if reports or not chunk:
            self._forget(self._control)
            self._deadline = self._kill_at = None
            self._give_up_at = time.monotonic() + LATE_SECONDS
            if self._ending.status is None:
                self._sweep()
            else:
                self._hear_out()

    def _hear_out(self) -> None:
        """What was said before the end. Nobody is left to say more: there is no need to wait for the streams' ends."""
        for key in [key for key in self._selector.get_map().values() if key.fileobj in self._open]:
            for _ in range(LAST_READS):
                if key.fileobj in self._open:
                    key.data()
            self._open.discard(key.fileobj)

    def _hear_work(self) -> None:
        chunk = received(self._work)
        if not chunk:
            self._forget(self._work)
            return
        try:
            for frame in self._frames.feed(chunk):
                self._obey(frame)
        except FrameTooLarge:
            self._break_off("too large")
        except (ValueError, LookupError, TypeError, AttributeError):  # the code wrote into our socket
            self._break_off("protocol")

    def _break_off(self, reason: Stop) -> None:
        self._forget(self._work)
        self._stop(reason)

    def _obey(self, frame: Mapping[str, Any]) -> None:
        match frame["op"]:
            case "result" | "error":
                self._ending.final = frame
                self._tell({"over": True})
            case "save" | "fetch":
                self._to_send += framed(orjson.dumps(self._handlers.answer(frame)))
                self._flush()
                if len(self._to_send) > UNREAD_BYTES:
                    raise ValueError("the code asks, and does not listen")
            case _:
                self._handlers.frame(frame)

    def _tell(self, order: Mapping[str, Any]) -> None:
        with contextlib.suppress(OSError):  # it ended; its report or end of stream comes next
            self._control.send(framed(orjson.dumps(order)))

    def _flush(self) -> None:
        try:
            while self._to_send:
                del self._to_send[: self._work.send(self._to_send)]
        except BlockingIOError:
            pass
        except OSError:  # it ended before it had read all
            self._to_send.clear()
        if self._work in self._open:
            writing = selectors.EVENT_WRITE if self._to_send else 0
            self._selector.modify(self._work, selectors.EVENT_READ | writing, self._hear_work)


@contextmanager
def connected() -> Iterator[Ends]:
    """Sockets and pipes for one attempt, closed at the end."""
    with contextlib.ExitStack() as stack:
        work, their_work = map(stack.enter_context, socket.socketpair())
        control, their_control = map(stack.enter_context, socket.socketpair())
        stdout, their_stdout = os.pipe()
        stderr, their_stderr = os.pipe()
        work.setblocking(False)
        for stream in (stdout, stderr):
            os.set_blocking(stream, False)
        theirs = [their_work.detach(), their_control.detach(), their_stdout, their_stderr]
        try:
            yield Ends(work, control, stdout, stderr, theirs)
        finally:
            close_all([stdout, stderr])
            close_all(theirs)


def close_all(descriptors: list[int]) -> None:
    """Each once, however often this is called."""
    while descriptors:
        os.close(descriptors.pop())


def received(end: socket.socket) -> bytes:
    try:
        return end.recv(READ_BYTES)
    except OSError:  # reset, because it ended with our bytes unread; or there is nothing (yet)
        return b""


def read(stream: int) -> bytes:
    try:
        return os.read(stream, READ_BYTES)
    except BlockingIOError:
        return b""
