"""What code stages may do to a server: nothing. They end with a sentence, it goes on, its memory stays what it was."""

from __future__ import annotations

import itertools
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import httpx
import pytest

from flexiroaster.stages.process.inside import proc
from tests.stages.code import has_ended, linux
from tests.system.asking import FINAL, until
from tests.system.server import ServerProcess

pytestmark = linux

ROOM_MB = 48
"""What a server may take for a while: the log's lines on their way, answers, a collector that comes late."""
AT_ONCE_SECONDS = 10

_numbers = itertools.count(1)


class Hostile:
    """One server for all of them: each test finds it as the one before has left it."""

    def __init__(self, server: ServerProcess, client: httpx.Client) -> None:
        self.server = server
        self.client = client

    def start(self, type: str, **config: Any) -> str:
        name = f"p{next(_numbers)}"
        document = {"id": name, "name": name, "stages": [{"id": "s", "type": type, "config": config}]}
        self.client.post("/api/pipelines", json=document).raise_for_status()
        answer = self.client.post(f"/api/pipelines/{name}/execute", json={}).raise_for_status()
        return str(answer.json()["execution_id"])

    def run(self, type: str, **config: Any) -> dict[str, Any]:
        return self.ended(self.start(type, **config))

    def status(self, execution: str) -> str:
        return str(self.client.get(f"/api/executions/{execution}").raise_for_status().json()["status"])

    def ended(self, execution: str) -> dict[str, Any]:
        until(lambda: self.status(execution) in FINAL)
        found: dict[str, Any] = self.client.get(f"/api/executions/{execution}").raise_for_status().json()
        return found

    def has_lines(self, execution: str) -> bool:
        lines = self.client.get(f"/api/executions/{execution}/logs", params={"limit": 100}).raise_for_status().json()
        return any(line["stage"] == "s" and line["message"].startswith("line") for line in lines)

    def messages(self, execution: str) -> list[str]:
        with sqlite3.connect(self.server.data / "flexiroaster.db") as connection:
            rows = connection.execute("SELECT message FROM logs WHERE execution_id = ? ORDER BY id", (execution,))
            return [row[0] for row in rows]

    def forget_peak(self) -> None:
        (self._proc / "clear_refs").write_text("5")

    def peak_mb(self) -> float:
        """The most memory that the server's process has had since then."""
        found = re.search(r"VmHWM:\s+(\d+) kB", (self._proc / "status").read_text())
        assert found is not None
        return int(found[1]) / 1000

    @property
    def _proc(self) -> Path:
        return Path("/proc") / str(self.server.process.pid)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hostile]:
    environment = {"FLEXIROASTER_CODE_STAGES": "on"}
    with (
        ServerProcess(tmp_path_factory.mktemp("hostile"), environment=environment) as server,
        server.client() as client,
    ):
        made = Hostile(server, client)
        assert made.run("python", code=printing(20_000))["status"] == "success"  # what is loaded at the first use
        yield made
        assert server.stop() == 0
        assert "Traceback" not in server.log


def printing(lines: int) -> str:
    return f"for number in range({lines}):\n    print('line', number)\nresult = 1"


def test_a_million_lines_are_cut_and_cost_the_server_no_memory(hostile: Hostile) -> None:
    hostile.forget_peak()
    before = hostile.peak_mb()
    execution = hostile.start("python", code=printing(1_000_000))
    assert hostile.ended(execution)["status"] == "success"
    assert hostile.peak_mb() - before < ROOM_MB
    said = hostile.messages(execution)
    assert len(said) < 10_100
    assert f"… {1_000_000 - 10_000 - 50:,} lines omitted" in said
    assert "line 999999" in said


def test_flood_of_lines_is_cancelled_at_once_and_holds_nobody_up(hostile: Hostile) -> None:
    flood = hostile.start("python", code="while True: print('line' * 10)", grace="10m")
    until(lambda: hostile.has_lines(flood))
    assert hostile.run("noop")["status"] == "success"
    assert hostile.run("shell", command="echo here")["status"] == "success"
    assert hostile.status(flood) == "running"
    hostile.client.post(f"/api/executions/{flood}/cancel").raise_for_status()
    until(lambda: hostile.status(flood) == "cancelled", AT_ONCE_SECONDS)
    assert any(line.endswith(" lines omitted") for line in hostile.messages(flood))


@pytest.mark.parametrize(
    ("type", "config"),
    [
        ("python", {"code": "result = 'x' * 500_000_000", "memory_mb": 4096}),
        ("python", {"code": "result = [str(n) for n in range(60_000_000)]", "memory_mb": 1024}),
        ("shell", {"command": "head -c 500000000 /dev/zero | tr '\\0' x", "output": "text"}),
    ],
    ids=["one text", "more than it has memory for", "a program's output"],
)
def test_result_of_500_megabytes_is_refused_and_never_in_the_server(
    hostile: Hostile, type: str, config: dict[str, Any]
) -> None:
    hostile.forget_peak()
    before = hostile.peak_mb()
    error = hostile.run(type, **config)["error"]
    assert hostile.peak_mb() - before < ROOM_MB
    assert error["code"] in {"python_result", "result_too_large", "memory_limit"}, error
    if error["code"] == "memory_limit":
        assert error["message"] == "stage killed: memory limit 1 GB"
    else:
        assert re.match(r"The (result|output) is too large .*10 MB\)", error["message"]), error


def test_frame_of_500_megabytes_is_not_read(hostile: Hostile) -> None:
    """Code that finds the connection with the server may write into it what it likes."""
    code = """
        import os, socket
        for fd in range(3, 64):
            try:
                if socket.socket(fileno=os.dup(fd)).family == socket.AF_UNIX:
                    os.write(fd, (500_000_000).to_bytes(4, "big") + b"x" * 1000)
                    while True: os.write(fd, b"x" * 1_000_000)
            except OSError:
                pass
    """
    hostile.forget_peak()
    before = hostile.peak_mb()
    error = hostile.run("python", code=dedent(code))["error"]
    assert error["code"] == "result_too_large"
    assert hostile.peak_mb() - before < ROOM_MB


HOG = "hold = []\nwhile True: hold.append(b'x' * (1 << 20))"
SLEEPERS = "import os, signal\nfor _ in range(60):\n    os.fork() or signal.pause()\nsignal.pause()"


@pytest.mark.parametrize(
    ("type", "config", "sentence", "key"),
    [
        ("python", {"code": HOG, "memory_mb": 256}, "stage killed: memory limit 256 MB", "memory_mb"),
        (
            "python",
            {"code": "while True: pass", "cpu_seconds": 1},
            "stage killed: processor time limit 1 s",
            "cpu_seconds",
        ),
        (
            "shell",
            {"command": "while :; do :; done", "cpu_seconds": 1},
            "stage killed: processor time limit 1 s",
            "cpu_seconds",
        ),
        (
            "python",
            {"code": "open('f', 'wb').write(b'x' * 2_000_000)", "file_mb": 1},
            "stage stopped: file limit 1 MB",
            "file_mb",
        ),
        (
            "shell",
            {"command": "exec head -c 2000000 /dev/zero > f", "file_mb": 1},
            "stage stopped: file limit 1 MB",
            "file_mb",
        ),
        (
            "python",
            {"code": SLEEPERS, "max_processes": 20},
            "stage killed: process limit 20 at a time",
            "max_processes",
        ),
    ],
)
def test_limit_is_named_with_its_cure(
    hostile: Hostile, type: str, config: dict[str, Any], sentence: str, key: str
) -> None:
    ended = hostile.run(type, **config)
    assert (ended["status"], ended["error"]["message"]) == ("failed", sentence)
    assert key in ended["error"]["suggestion"]


def test_program_that_eats_memory_is_ended(hostile: Hostile) -> None:
    error = hostile.run("shell", command="tail /dev/zero", memory_mb=256)["error"]
    assert error["message"] in {
        "stage killed: memory limit 256 MB",  # its supervisor was faster
        "The command ended with status 1: tail: memory exhausted",
    }
    assert "memory_mb" in error["suggestion"]


DAEMON = """
    import os, signal, sys
    told, tell = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN)
            os.chdir("/")
            for fd in (0, 1, 2):
                os.dup2(os.open(os.devnull, os.O_RDWR), fd)
            os.write(tell, b"%d" % os.getpid())
            while True: signal.pause()
        os._exit(0)
    print("line", int(os.read(told, 20)), os.getpid(), flush=True)
"""


@pytest.mark.parametrize("how", ["returns", "is cancelled"])
def test_daemon_does_not_outlive_its_stage(hostile: Hostile, how: str) -> None:
    execution = hostile.start("python", code=dedent(DAEMON) + ("signal.pause()" if how != "returns" else "result = 1"))
    if how != "returns":
        until(lambda: hostile.has_lines(execution))
        hostile.client.post(f"/api/executions/{execution}/cancel").raise_for_status()
    assert hostile.ended(execution)["status"] == ("success" if how == "returns" else "cancelled")
    (line,) = (message for message in hostile.messages(execution) if message.startswith("line"))
    pids = [int(word) for word in line.split()[1:]]
    assert len(pids) == 2
    assert [pid for pid in pids if not has_ended(pid)] == []


def test_code_that_ignores_being_asked_to_end_is_killed(hostile: Hostile) -> None:
    code = """
        import signal
        for number in range(1, 32):
            if number not in (signal.SIGKILL, signal.SIGSTOP):
                signal.signal(number, signal.SIG_IGN)
        print("line", flush=True)
        while True: signal.pause()
    """
    execution = hostile.start("python", code=dedent(code), grace="100ms")
    until(lambda: hostile.has_lines(execution))
    hostile.client.post(f"/api/executions/{execution}/cancel").raise_for_status()
    until(lambda: hostile.status(execution) == "cancelled", AT_ONCE_SECONDS)
    assert "It did not end within its grace of 0.1 s and was killed." in hostile.messages(execution)


def test_nothing_of_all_that_is_left(hostile: Hostile) -> None:
    """But the zygote, and the processes that wait for the next attempt."""
    assert hostile.client.get("/health").json()["status"] == "healthy"
    (zygote,) = proc.children(hostile.server.process.pid)
    pairs = proc.children(zygote)
    assert all(len(proc.descendants(pair)) <= 1 for pair in pairs)
    assert not any((hostile.server.data / "scratch").iterdir())
