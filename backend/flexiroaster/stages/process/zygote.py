"""The server's side of the zygote: keeps one running and asks it for processes."""

from __future__ import annotations

import atexit
import site
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import orjson

from flexiroaster.stages.process.frames import framed
from flexiroaster.stages.process.inside import MARKER, MARKER_BYTES

START = Path(__file__).with_name("inside") / "start.py"
PATIENCE_SECONDS = 5.0
"""For a zygote that does not read (somebody has stopped it): then it is replaced."""


class Zygote:
    """Started when first needed, and anew when it has died or packages were installed. For use by many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._requests: socket.socket | None = None
        self._installed: tuple[int, ...] = ()

    def start(self, marker: str, descriptors: Sequence[int], confine: Mapping[str, list[str]] | None) -> int:
        """Ask for an attempt's supervisor, which says on its `control` that it has begun. Gives the zygote's pid.

        It may yet never begin: when the zygote dies with the request unread, `control` closes. `confine` is what the
        job will say too: processes that wait for the next attempt are prepared for it.
        """
        request = marker.encode() + framed(orjson.dumps(confine))
        with self._lock:
            try:
                return self._ask(request, descriptors)
            except OSError:  # it has just died
                self._close()
                return self._ask(request, descriptors)

    def replace(self, pid: int) -> None:
        """End the zygote of this pid, which does not answer; the next request starts another."""
        with self._lock:
            if self._process is not None and self._process.pid == pid:
                self._close()

    def close(self) -> None:
        with self._lock:
            self._close()

    def _ask(self, request: bytes, descriptors: Sequence[int]) -> int:
        process, requests = self._running()
        sent = socket.send_fds(requests, [request], list(descriptors))
        requests.sendall(request[sent:])
        return process.pid

    def _running(self) -> tuple[subprocess.Popen[bytes], socket.socket]:
        installed = installed_packages()
        if self._process is not None and (self._process.poll() is not None or installed != self._installed):
            self._close()
        if self._process is None or self._requests is None:
            self._requests, theirs = socket.socketpair()
            self._requests.settimeout(PATIENCE_SECONDS)
            with theirs:
                self._process = start_zygote(theirs)
            self._installed = installed
        return self._process, self._requests

    def _close(self) -> None:
        if self._requests is not None:
            self._requests.close()
            self._requests = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def start_zygote(requests: socket.socket) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(START), str(requests.fileno())],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"LANG": "C.UTF-8", MARKER: "-" * MARKER_BYTES},
        cwd="/",
        start_new_session=True,
        pass_fds=(requests.fileno(),),
    )


def installed_packages() -> tuple[int, ...]:
    """Changes when a package is installed or removed: what a Python does at its start depends on them."""
    stamps = []
    for folder in site.getsitepackages():
        try:
            stamps.append(Path(folder).stat().st_mtime_ns)
        except OSError:
            stamps.append(0)
    return tuple(stamps)


the_zygote = Zygote()
"""One serves all engines of a server's process."""
atexit.register(the_zygote.close)
