"""Fifty stages at a time on one SQLite file, and other programs on it: nobody is told that the database is locked."""

from __future__ import annotations

import fcntl
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.stages.code import linux
from tests.system.asking import start, until
from tests.system.server import PATIENCE_SECONDS, ServerProcess, clean_environment

pytestmark = linux

STAGES = 50
SHORT = 200
CODE = """
import fcntl
fcntl.flock(open(gate), fcntl.LOCK_SH)
for number in range(300):
    print("line", number)
result = "x" * 70_000
"""


def test_nobody_finds_the_database_locked(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    environment = {"FLEXIROASTER_CODE_STAGES": "on", "FLEXIROASTER_CONCURRENCY": str(STAGES)}
    with ServerProcess(tmp_path, environment=environment) as server, server.client() as client:
        python = {"type": "python", "config": {"code": CODE, "args": {"gate": str(gate)}}}
        keep(client, "held", {"type": "noop"}, {**python, "needs": ["s0"]}, {"type": "noop", "needs": ["s1"]})
        keep(client, "short", *({"type": "noop", "needs": [f"s{n - 1}"] if n else []} for n in range(5)))
        with closed(gate):
            executions = [start(client, "held") for _ in range(STAGES)]
            until(lambda: running(server) == STAGES)
        with other_programs(server) as programs:
            executions += [start(client, "short") for _ in range(SHORT)]
            until(lambda: statuses(server) == {"success": len(executions)})
        assert programs.troubles == []
        assert programs.reads > 0
        assert server.stop() == 0
        assert "locked" not in server.log
        assert "Traceback" not in server.log
    with sqlite3.connect(server.data / "flexiroaster.db") as connection:
        assert connection.execute("SELECT count(*) FROM artifacts").fetchone() == (STAGES,)
        assert connection.execute("SELECT count(*) FROM logs WHERE message LIKE 'line%'").fetchone() == (STAGES * 300,)
        assert connection.execute("SELECT count(*) FROM users").fetchone() == (1 + programs.accounts,)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


class Programs:
    """Two threads that open the file, read it and close it, with the patience that Python gives a connection by itself;
    and two that make accounts and list them by command. All again and again.
    """

    def __init__(self, server: ServerProcess) -> None:
        self._server = server
        self._stop = threading.Event()
        self.troubles: list[str] = []
        self.reads = 0
        self.accounts = 0
        self._threads = [threading.Thread(target=self._read) for _ in range(2)]
        self._threads += [threading.Thread(target=self._command, args=(name,)) for name in ("a", "b")]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _read(self) -> None:
        while not self._stop.is_set():
            try:
                with sqlite3.connect(self._server.data / "flexiroaster.db") as connection:
                    connection.execute("SELECT status, count(*) FROM stage_runs GROUP BY status").fetchall()
            except sqlite3.Error as error:
                self.troubles.append(str(error))
            else:
                self.reads += 1

    def _command(self, name: str) -> None:
        number = 0
        while not self._stop.is_set() or not number:
            number += 1
            self._user("create", f"{name}{number}@example.com", "--generate")
            self.accounts += 1
            self._user("list")

    def _user(self, *arguments: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "flexiroaster", "user", *arguments, "--data-folder", str(self._server.data)],
            env=clean_environment(self._server.folder),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        if done.returncode:
            self.troubles.append(done.stderr)


@contextmanager
def other_programs(server: ServerProcess) -> Iterator[Programs]:
    programs = Programs(server)
    programs.start()
    try:
        yield programs
    finally:
        programs.stop()


@contextmanager
def closed(gate: Path) -> Iterator[None]:
    with gate.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def running(server: ServerProcess) -> int:
    with sqlite3.connect(server.data / "flexiroaster.db") as connection:
        found = connection.execute("SELECT count(*) FROM stage_runs WHERE status = 'running' AND type = 'python'")
        return int(found.fetchone()[0])


def statuses(server: ServerProcess) -> dict[str, int]:
    with sqlite3.connect(server.data / "flexiroaster.db") as connection:
        return dict(connection.execute("SELECT status, count(*) FROM executions GROUP BY status").fetchall())


def keep(client: httpx.Client, name: str, *stages: dict[str, Any]) -> None:
    document = {"id": name, "name": name, "stages": [{"id": f"s{n}", **stage} for n, stage in enumerate(stages)]}
    client.post("/api/pipelines", json=document).raise_for_status()
