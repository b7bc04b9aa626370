"""The processes of FlexiRoaster in a fleet: each in a folder of its own, proved to be ours, stopped by its pid."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg

START_SECONDS = 120.0
STOP_SECONDS = 30.0
SERVING = ("up", "api")
"""These answer requests."""


class NotStarted(RuntimeError):
    """A member did not come up; says why."""


@dataclass
class Member:
    """`role` is the command that it runs."""

    name: str
    role: str
    folder: Path
    environment: dict[str, str]
    options: tuple[str, ...] = ()
    process: subprocess.Popen[str] = field(init=False)
    ready: dict[str, Any] = field(default_factory=dict)

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def log(self) -> Path:
        return self.folder / "log"

    @property
    def url(self) -> str | None:
        found = self.ready.get("url")
        return None if found is None else str(found)

    def start(self) -> None:
        """Returns at once: `wait` for it. It is in a session of its own, so that Ctrl-C comes to us alone."""
        self.folder.mkdir(parents=True, exist_ok=True)
        port = ["--port", "0"] if self.role in SERVING else []
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "flexiroaster", self.role, "--json", *port, *self.options],
                env=self._environment(),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )

    def wait(self, database_url: str) -> None:
        """Until it works, and it is proved that this is the one that we have started. Raises NotStarted."""
        self.ready = self._ready_line()
        if not self._is_known(database_url):
            raise self._not_started(f"is not among the workers of {database_url}")
        if self.url is not None and self._answering() != self.ready["instance"]:
            raise self._not_started(f"is not who answers at {self.url}")

    def ended(self) -> int | None:
        return self.process.poll()

    def tell_to_stop(self) -> None:
        if self.ended() is None:
            self.process.send_signal(signal.SIGTERM)

    def end(self) -> None:
        """With all that it has started; after `tell_to_stop`."""
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.pid, signal.SIGKILL)
            self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def _environment(self) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("FLEXIROASTER_")}
        return clean | {"FLEXIROASTER_DATA_FOLDER": str(self.folder / "data")} | self.environment

    def _ready_line(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        lines: queue.Queue[str] = queue.Queue()
        stdout = self.process.stdout
        threading.Thread(target=lambda: lines.put(stdout.readline()), daemon=True).start()
        try:
            line = lines.get(timeout=START_SECONDS)
        except queue.Empty:
            raise self._not_started("says nothing") from None
        if not line:
            raise self._not_started(f"ended with {self.process.wait(STOP_SECONDS)}")
        found: dict[str, Any] = json.loads(line)
        return found

    def _answering(self) -> str:
        return str(httpx.get(f"{self.url}/health", timeout=START_SECONDS, trust_env=False).json()["instance"])

    def _is_known(self, database_url: str) -> bool:
        query = "SELECT 1 FROM workers WHERE id = %s AND pid = %s AND alive_until > clock_timestamp()"
        with psycopg.connect(database_url) as connection:
            return connection.execute(query, (self.ready["instance"], self.pid)).fetchone() is not None

    def _not_started(self, why: str) -> NotStarted:
        said = self.log.read_text(errors="replace").strip().splitlines()[-5:]
        return NotStarted("\n".join([f"{self.name} {why}. The end of {self.log}:", *said]))
