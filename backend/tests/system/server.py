"""A real server in a process of its own: on a free port, in its own folder, proved to be ours."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

PATIENCE_SECONDS = 120
EMAIL = "ada@example.com"
PASSWORD = "a quiet green river"


def clean_environment(folder: Path, **more: str) -> dict[str, str]:
    """The test's own home and no FLEXIROASTER_* variable from outside. Nothing is learned: that has its own tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FLEXIROASTER_")}
    return (
        kept
        | {"HOME": str(folder), "XDG_DATA_HOME": str(folder / "share"), "XDG_CONFIG_HOME": str(folder / "config")}
        | {"FLEXIROASTER_AI": "false"}
        | more
    )


@dataclass
class ServerProcess:
    """`with ServerProcess(folder) as server:`. Readiness is a line on standard output, and the instance that it names
    must be what /health answers: another server on the port would not do.
    """

    folder: Path
    options: tuple[str, ...] = ("--no-examples",)
    environment: Mapping[str, str] = field(default_factory=dict)
    command: str = "up"
    process: subprocess.Popen[str] = field(init=False)
    ready: dict[str, Any] = field(init=False)
    _token: str | None = None

    def __enter__(self) -> ServerProcess:
        self.start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _tb: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.kill()

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def url(self) -> str:
        return str(self.ready["url"])

    @property
    def log(self) -> str:
        return (self.folder / "server.log").read_text()

    def start(self) -> None:
        """Also after a kill: in the same folder, on another port."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "server.log").open("a") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "flexiroaster",
                    self.command,
                    "--data-folder",
                    str(self.data),
                    "--port",
                    "0",
                    "--json",
                    *self.options,
                ],
                env=clean_environment(self.folder, **self.environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self.ready = self._ready_line()
        health = httpx.get(f"http://127.0.0.1:{self.ready['port']}/health", timeout=PATIENCE_SECONDS).json()
        assert health["instance"] == self.ready["instance"], "another server answers on this port"

    def stop(self) -> int:
        """SIGTERM; answers the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_SECONDS)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE_SECONDS)

    @property
    def setup_token(self) -> str:
        return parse_qs(urlsplit(self.ready["sign_in"]).fragment)["setup"][0]

    def client(self) -> httpx.Client:
        """Signed in as the administrator, whose account the first call makes."""
        return httpx.Client(
            base_url=self.url, headers={"authorization": f"Bearer {self._access_token()}"}, timeout=PATIENCE_SECONDS
        )

    def _access_token(self) -> str:
        if self.ready["sign_in"] is not None and self._token is None:
            body = {"token": self.setup_token, "email": EMAIL, "password": PASSWORD}
            answer = httpx.post(f"{self.url}/api/auth/setup", json=body, timeout=PATIENCE_SECONDS)
        else:
            form = {"username": EMAIL, "password": PASSWORD}
            answer = httpx.post(f"{self.url}/api/auth/login", data=form, timeout=PATIENCE_SECONDS)
        self._token = str(answer.raise_for_status().json()["access_token"])
        return self._token

    def _ready_line(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        lines: queue.Queue[str] = queue.Queue()
        stdout = self.process.stdout
        threading.Thread(target=lambda: lines.put(stdout.readline()), daemon=True).start()
        line = lines.get(timeout=PATIENCE_SECONDS)
        if not line:
            raise RuntimeError(f"The server ended with {self.process.wait(PATIENCE_SECONDS)}: {self.log[-2000:]}")
        found: dict[str, Any] = json.loads(line)
        return found
