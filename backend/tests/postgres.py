"""A PostgreSQL server of the tests' own: private folder, free port, stopped by its own pid file.

It does not wait for the disk unless asked to, as a benchmark does.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

TRIES = 10
START_SECONDS = 120


@dataclass(frozen=True)
class Postgres:
    """Start with `Postgres.start()`; as root the server runs as the user postgres, which it insists on."""

    folder: Path
    port: int

    @classmethod
    def start(cls, *, durable: bool = False) -> Postgres:
        folder = Path(tempfile.mkdtemp(prefix="flexiroaster-postgres-"))
        if _is_root():
            shutil.chown(folder, "postgres", "postgres")
        _run("initdb", "-D", str(folder / "data"), "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8",
             "--locale=C.UTF-8")  # fmt: skip
        for _ in range(TRIES):
            server = cls(folder, _free_port())
            if server._starts(durable):
                return server
        raise RuntimeError(f"PostgreSQL found no free port {TRIES} times: {server._log()[-2000:]}")

    def _starts(self, durable: bool) -> bool:
        """False where something else took the port between our asking for a free one and using it."""
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self.folder),
            "max_connections": "200",
        }
        if not durable:
            options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        settings = " ".join(f"-c {name}={value}" for name, value in options.items())
        patient = ["-w", "-t", str(START_SECONDS)]
        try:
            _run("pg_ctl", "-D", str(self.data), *patient, "-l", str(self.folder / "log"), "-o", settings, "start")
        except RuntimeError:
            if "Address already in use" in self._log():
                (self.folder / "log").unlink()
                return False
            raise
        self._prove_it_is_ours()
        return True

    def _log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def url(self, name: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"

    def create(self, name: str, *, template: str = "template0") -> str:
        """A new database, a copy of `template`; answers its URL."""
        self._command(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template)))
        return self.url(name)

    def drop(self, name: str) -> None:
        self._command(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def restart(self) -> None:
        """At once, as if it had crashed: every connection is cut."""
        _run("pg_ctl", "-D", str(self.data), "-m", "immediate", "-w", "-t", str(START_SECONDS), "-l",
             str(self.folder / "log"), "restart")  # fmt: skip

    def stop(self) -> None:
        _run("pg_ctl", "-D", str(self.data), "-m", "immediate", "-w", "stop")
        shutil.rmtree(self.folder, ignore_errors=True)

    def _command(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement)

    def _prove_it_is_ours(self) -> None:
        with psycopg.connect(self.url("postgres")) as connection:
            found = connection.execute("SHOW data_directory").fetchone()
        if found is None or Path(found[0]) != self.data:
            raise RuntimeError(f"Port {self.port} answers for another PostgreSQL ({found}), not for {self.data}.")


def _binaries() -> Path:
    found = shutil.which("postgres") or next(map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))), None)
    if found is None:
        raise RuntimeError("The tests need PostgreSQL 14 or newer: install it, or put `postgres` on the PATH.")
    return Path(found).resolve().parent


def _run(program: str, *arguments: str) -> None:
    command = [str(_binaries() / program), *arguments]
    if _is_root():
        command = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *command]
    # The server inherits what pg_ctl is given: a pipe would never close, so its output goes to a file.
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd="/", check=False)
        if done.returncode != 0:
            output.seek(0)
            raise RuntimeError(f"{program} failed: {output.read().decode(errors='replace')}")


def _is_root() -> bool:
    return os.geteuid() == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
