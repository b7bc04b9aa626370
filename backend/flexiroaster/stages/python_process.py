"""Drives the process of a `python` stage from the server's side; see `python_child` for the protocol."""

from __future__ import annotations

import contextlib
import os
import secrets
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, Literal

import orjson

CHILD = Path(__file__).with_name("python_child.py")
HEADER_BYTES = 4
READ_BYTES = 1 << 18
MARKER = "FLEXIROASTER_STAGE_PROCESS"
"""In the environment of all processes of a stage, to find those that outlived their supervisor."""
LATE_SECONDS = 5.0
"""How much later than promised a supervisor, or the end of a stream, may be before it is no longer waited for."""

SAME_MOMENT_SECONDS = 0.25
"""A cancel this close before the deadline is the server's own timer for it."""

Stop = Literal["cancelled", "timeout", "too large", "protocol"]


@dataclass(frozen=True, slots=True)
class Limits:
    memory_bytes: int
    cpu_seconds: int | None
    file_bytes: int
    open_files: int = 1024

    def to_json(self) -> dict[str, Any]:
        return {
            "memory_bytes": self.memory_bytes,
            "cpu_seconds": self.cpu_seconds,
            "file_bytes": self.file_bytes,
            "open_files": self.open_files,
        }


@dataclass(slots=True)
class Ending:
    """How a process ended. `final` is its last frame, `result` or `error`; None when it ended without one."""

    final: Mapping[str, Any] | None = None
    status: int | None = None
    killed: str | None = None
    stopped: Stop | None = None
    """Why it was told to stop before its last frame."""


@dataclass(slots=True)
class Handlers:
    """What to do with what the process says. `save` answers a request to keep a file."""

    stdout: Callable[[bytes], None]
    stderr: Callable[[bytes], None]
    frame: Callable[[Mapping[str, Any]], None]
    save: Callable[[Mapping[str, Any]], Any]


class StageProcess:
    """One attempt's process. `run` blocks until nothing of it is left; `cancel` may come from any thread."""

    def __init__(
        self,
        *,
        env: Mapping[str, str],
        folder: Path,
        limits: Limits,
        grace_seconds: float,
        max_frame_bytes: int,
        handlers: Handlers,
    ) -> None:
        self._marker = secrets.token_hex(16)
        self._env = {**env, MARKER: self._marker}
        self._folder = folder
        self._limits = limits
        self._grace_seconds = grace_seconds
        self._handlers = handlers
        self._frames = FrameReader(max_frame_bytes)
        self._reports = FrameReader(1 << 16)
        self._to_send = bytearray()
        self._ending = Ending()
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

    def run(self, job: bytes, remaining_seconds: float | None = None) -> Ending:
        """Start the process, hand it the job, and serve it until all of it has ended. To be called once."""
        self._work, work_child = socket.socketpair()
        self._control, control_child = socket.socketpair()
        try:
            with work_child, control_child:
                self._process = self._start(work_child.fileno(), control_child.fileno())
            with self._process, self._selector:
                self._begin(job, remaining_seconds)
                self._serve()
            return self._ending
        finally:
            for end in (self._work, self._control, self._wake_read, self._wake_write):
                end.close()

    def _start(self, work: int, control: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", str(CHILD), str(work), str(control)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self._env,
            cwd=self._folder,
            start_new_session=True,
            pass_fds=(work, control),
        )

    def _begin(self, job: bytes, remaining_seconds: float | None) -> None:
        assert self._process.stdout and self._process.stderr
        self._deadline = None if remaining_seconds is None else time.monotonic() + remaining_seconds
        self._work.setblocking(False)
        self._control.setblocking(False)
        self._selector.register(self._wake_read, selectors.EVENT_READ, self._hear_wake)
        self._listen(self._control, self._hear_control)
        self._listen(self._work, self._hear_work)
        self._listen(self._process.stdout, partial(self._hear, self._process.stdout, self._handlers.stdout))
        self._listen(self._process.stderr, partial(self._hear, self._process.stderr, self._handlers.stderr))
        self._tell({"limits": self._limits.to_json()})
        self._send(job)

    def _serve(self) -> None:
        """Listen until the supervisor and every process that could speak have ended."""
        while self._open:
            for key, events in self._selector.select(self._pause()):
                if events & selectors.EVENT_WRITE:
                    self._flush()
                if events & selectors.EVENT_READ:
                    key.data()
            self._watch_the_clock()

    def _pause(self) -> float | None:
        times = [moment for moment in (self._deadline, self._kill_at, self._give_up_at) if moment is not None]
        return max(0.0, min(times) - time.monotonic()) if times else None

    def _watch_the_clock(self) -> None:
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
        self._process.kill()
        marker = f"{MARKER}={self._marker}".encode()
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # ended meanwhile, or another user's
                if marker in (entry / "environ").read_bytes().split(b"\0"):
                    os.kill(int(entry.name), signal.SIGKILL)

    def _listen(self, source: Any, hear: Callable[[], None]) -> None:
        self._selector.register(source, selectors.EVENT_READ, hear)
        self._open.add(source)

    def _forget(self, source: Any) -> None:
        self._selector.unregister(source)
        self._open.discard(source)

    def _hear(self, stream: IO[bytes], handle: Callable[[bytes], None]) -> None:
        chunk = os.read(stream.fileno(), READ_BYTES)
        if chunk:
            handle(chunk)
        else:
            self._forget(stream)

    def _hear_wake(self) -> None:
        self._selector.unregister(self._wake_read)
        self._stop("cancelled")

    def _hear_control(self) -> None:
        chunk = received(self._control)
        for report in self._reports.feed(chunk):
            self._ending.status = report["exited"]
            self._ending.killed = report["killed"]
        if not chunk:
            self._forget(self._control)
            self._deadline = self._kill_at = None
            self._give_up_at = time.monotonic() + LATE_SECONDS
            if self._ending.status is None:
                self._sweep()

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
        except (ValueError, LookupError, TypeError):  # the code wrote into our socket
            self._break_off("protocol")

    def _break_off(self, reason: Stop) -> None:
        self._forget(self._work)
        self._stop(reason)

    def _obey(self, frame: Mapping[str, Any]) -> None:
        match frame["op"]:
            case "result" | "error":
                self._ending.final = frame
            case "save":
                self._send(orjson.dumps(self._handlers.save(frame)))
            case _:
                self._handlers.frame(frame)

    def _tell(self, order: Mapping[str, Any]) -> None:
        body = orjson.dumps(order)
        with contextlib.suppress(OSError):  # it ended; its report or end of stream comes next
            self._control.send(len(body).to_bytes(HEADER_BYTES, "big") + body)

    def _send(self, body: bytes) -> None:
        self._to_send += len(body).to_bytes(HEADER_BYTES, "big") + body
        self._flush()

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


class FrameTooLarge(Exception):
    """A frame is longer than it may be."""


class FrameReader:
    """Cuts a stream into frames."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._buffer = bytearray()

    def feed(self, chunk: bytes) -> list[dict[str, Any]]:
        self._buffer += chunk
        frames = []
        while len(self._buffer) >= HEADER_BYTES:
            size = int.from_bytes(self._buffer[:HEADER_BYTES], "big")
            if size > self._max_bytes:
                raise FrameTooLarge
            if len(self._buffer) < HEADER_BYTES + size:
                break
            frames.append(orjson.loads(memoryview(self._buffer)[HEADER_BYTES : HEADER_BYTES + size]))
            del self._buffer[: HEADER_BYTES + size]
        return frames


def received(end: socket.socket) -> bytes:
    try:
        return end.recv(READ_BYTES)
    except OSError:  # reset, because it ended with our bytes unread
        return b""
