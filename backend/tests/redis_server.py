"""A Redis server of the tests' own: private folder, free port, proved to be ours, stopped by its own process."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis

TRIES = 10
START_SECONDS = 60.0


@dataclass
class RedisServer:
    """Start with `RedisServer.begin()`."""

    folder: Path
    port: int = 0
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @classmethod
    def begin(cls) -> RedisServer:
        server = cls(Path(tempfile.mkdtemp(prefix="flexiroaster-redis-")))
        for _ in range(TRIES):
            server.port = _free_port()
            if server._starts():
                return server
        raise RuntimeError(f"Redis found no free port {TRIES} times: {server._log()[-2000:]}")

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def client(self) -> Any:
        return redis.Redis.from_url(self.url, decode_responses=True)

    def start(self) -> None:
        """Again, on the same port, with nothing in it."""
        if not self._starts():
            raise RuntimeError(f"Redis did not start again: {self._log()[-2000:]}")

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(START_SECONDS)

    def pause(self) -> None:
        """It keeps its connections and answers nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _starts(self) -> bool:
        """False where something else took the port between our asking for a free one and using it."""
        arguments = ["--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--appendonly", "no"]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                ["redis-server", *arguments, "--dir", str(self.folder)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        end = time.monotonic() + START_SECONDS
        while self.process.poll() is None:
            if self._is_ours():
                return True
            assert time.monotonic() < end, self._log()
        return False

    def _is_ours(self) -> bool:
        """Another server on the port would answer as well."""
        try:
            with self.client() as client:
                return bool(client.config_get("dir")["dir"] == str(self.folder))
        except redis.RedisError:
            return False

    def _log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
