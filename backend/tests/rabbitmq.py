"""A RabbitMQ server of the tests' own: private folder, free ports, an epmd of its own, stopped by its own process."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

BINARIES = Path("/usr/lib/rabbitmq/bin")
"""Not those on the PATH: Debian's change the user and forget the environment."""
TRIES = 10
START_SECONDS = 120.0
HIGHEST_PORT = 65_000


@dataclass
class RabbitServer:
    """Start with `RabbitServer.begin()`. `options` are parameters of its application, as `name value`."""

    folder: Path
    options: tuple[str, ...] = ()
    port: int = 0
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @classmethod
    def begin(cls, *options: str) -> RabbitServer:
        server = cls(Path(tempfile.mkdtemp(prefix="flexiroaster-rabbitmq-")), options)
        for _ in range(TRIES):
            server.port = _free_ports()
            if server._starts():
                return server
        raise RuntimeError(f"RabbitMQ found no free ports {TRIES} times: {server._log()[-2000:]}")

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    def start(self) -> None:
        """Again, on the same ports, with what it has kept."""
        if not self._starts():
            raise RuntimeError(f"RabbitMQ did not start again: {self._log()[-2000:]}")

    def wipe(self) -> None:
        """While it is stopped: it forgets every queue and message."""
        shutil.rmtree(self.folder / "mnesia", ignore_errors=True)

    def kill(self) -> None:
        """With everything that it started."""
        assert self.process is not None
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait(START_SECONDS)

    def stop(self) -> None:
        self.kill()
        epmd = ["epmd", "-port", str(self.port + 2), "-kill"]
        subprocess.run(epmd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=self._environment(), check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _environment(self) -> dict[str, str]:
        folder, port = self.folder, self.port
        return os.environ | {
            "HOME": str(folder / "home"),
            "RABBITMQ_NODENAME": f"flexiroaster{port}@localhost",
            "RABBITMQ_NODE_PORT": str(port),
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_DIST_PORT": str(port + 1),
            "ERL_EPMD_PORT": str(port + 2),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_RELAXED_COMMAND_CHECK": "true",  # so that it ends though it has not yet heard of the kill
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            "RABBITMQ_SERVER_ERL_ARGS": "+S 1:1",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": " ".join(f"-rabbit {option}" for option in self.options),
        }

    def _starts(self) -> bool:
        """False where something else took a port between our asking for free ones and using them."""
        for name in ("mnesia", "log", "home"):
            (self.folder / name).mkdir(exist_ok=True)
        (self.folder / "enabled_plugins").write_text("[].\n")
        lines = [
            f"listeners.tcp.1 = 127.0.0.1:{self.port}",
            "loopback_users = none",
            "distribution.listener.interface = 127.0.0.1",
        ]
        (self.folder / "rabbitmq.conf").write_text("\n".join(lines) + "\n")
        with (self.folder / "out").open("wb") as out:
            self.process = subprocess.Popen(
                [str(BINARIES / "rabbitmq-server")],
                env=self._environment(),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        end = time.monotonic() + START_SECONDS
        while self.process.poll() is None:
            # It says so itself, in its own folder: another server on the port would answer as well.
            if "completed with" in self._log():
                return True
            assert time.monotonic() < end, self._log()
            time.sleep(0.05)  # nothing tells when a line was written
        if "eaddrinuse" not in self._log() and "already in use" not in self._log():
            raise RuntimeError(f"RabbitMQ does not start: {self._log()[-3000:]}")
        return False

    def _log(self) -> str:
        return (self.folder / "out").read_text(errors="replace")


def _free_ports() -> int:
    """The first of three in a row."""
    while True:
        with socket.socket() as first, socket.socket() as second, socket.socket() as third:
            first.bind(("127.0.0.1", 0))
            port = int(first.getsockname()[1])
            if port > HIGHEST_PORT:
                continue
            try:
                second.bind(("127.0.0.1", port + 1))
                third.bind(("127.0.0.1", port + 2))
            except OSError:
                continue
            return port
