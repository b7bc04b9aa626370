"""A fleet in processes of its own: API servers, workers and schedulers on one PostgreSQL, with or without a broker."""

from __future__ import annotations

import json
import queue
import signal
import subprocess
import sys
import threading
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import psycopg

from tests.system.asking import check_events
from tests.system.server import EMAIL, PASSWORD, PATIENCE_SECONDS, ServerProcess, clean_environment

LEASE_SECONDS = 3


@dataclass
class RoleProcess:
    """`flexiroaster worker` or `flexiroaster scheduler`; it says itself when it is ready."""

    role: str
    folder: Path
    environment: dict[str, str]
    options: tuple[str, ...] = ()
    process: subprocess.Popen[str] = field(init=False)
    ready: dict[str, Any] = field(init=False)

    def __enter__(self) -> RoleProcess:
        self.start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _tb: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.kill()

    @property
    def log(self) -> str:
        return (self.folder / f"{self.role}.log").read_text()

    def start(self) -> None:
        """Also after a kill."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "flexiroaster", self.role, "--data-folder", str(self.folder / "data")]
        with (self.folder / f"{self.role}.log").open("a") as log:
            self.process = subprocess.Popen(
                [*command, "--json", *self.options],
                env=clean_environment(self.folder, **self.environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self.ready = self._ready_line()

    def stop(self) -> int:
        """SIGTERM; answers the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_SECONDS)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE_SECONDS)

    def _ready_line(self) -> dict[str, Any]:
        stdout = self.process.stdout
        assert stdout is not None
        lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=lambda: lines.put(stdout.readline()), daemon=True).start()
        line = lines.get(timeout=PATIENCE_SECONDS)
        if not line:
            raise RuntimeError(f"The {self.role} ended with {self.process.wait(PATIENCE_SECONDS)}: {self.log[-2000:]}")
        found: dict[str, Any] = json.loads(line)
        return found


@dataclass
class Fleet:
    """Processes on one database, with one signing key and one folder for what is large."""

    folder: Path
    url: str
    broker_url: str | None = None
    lease_seconds: float = LEASE_SECONDS
    more: dict[str, str] = field(default_factory=dict)
    _stack: ExitStack = field(default_factory=ExitStack)
    _count: int = 0

    def __enter__(self) -> Fleet:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _tb: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def environment(self) -> dict[str, str]:
        broker = {} if self.broker_url is None else {"FLEXIROASTER_BROKER_URL": self.broker_url}
        return {
            "FLEXIROASTER_DATABASE_URL": self.url,
            "FLEXIROASTER_ARTIFACTS_URL": (self.folder / "artifacts").as_uri(),
            "FLEXIROASTER_SECRET_KEY": "a key that all processes of this test share",
            "FLEXIROASTER_ADMIN_EMAIL": EMAIL,
            "FLEXIROASTER_ADMIN_PASSWORD": PASSWORD,
            "FLEXIROASTER_LEASE_SECONDS": str(self.lease_seconds),
            "FLEXIROASTER_GRACE_SECONDS": "1",
            "FLEXIROASTER_CODE_STAGES": "on",
            "FLEXIROASTER_CODE_CONFINED": "off",
            **broker,
            **self.more,
        }

    def api(self) -> ServerProcess:
        return self._stack.enter_context(ServerProcess(self._next("api"), environment=self.environment, command="api"))

    def worker(self, *pools: str, concurrency: int = 4, environment: dict[str, str] | None = None) -> RoleProcess:
        options = ("--concurrency", str(concurrency), *(part for pool in pools for part in ("--pool", pool)))
        settings = self.environment | (environment or {})
        return self._stack.enter_context(RoleProcess("worker", self._next("worker"), settings, options))

    def scheduler(self) -> RoleProcess:
        return self._stack.enter_context(RoleProcess("scheduler", self._next("scheduler"), self.environment))

    def _next(self, name: str) -> Path:
        self._count += 1
        return self.folder / f"{name}{self._count}"

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url) as connection:
            return connection.execute(query, values or None).fetchall()

    def check(self, accepted: list[str], stages: set[str]) -> None:
        """Everything accepted is there and complete, nothing was recorded twice."""
        known = {row[0] for row in self.rows("SELECT id FROM executions WHERE status = 'success'")}
        assert set(accepted) <= known
        for execution in accepted:
            query = "SELECT seq, type, stage FROM events WHERE execution_id = %s ORDER BY seq"
            check_events(self.rows(query, execution), stages)  # type: ignore[arg-type]
