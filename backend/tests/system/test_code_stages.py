"""Code stages on a real server: what they cannot reach, and what is left of them when it is killed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from flexiroaster.stages.process.inside import proc
from flexiroaster.stages.process.inside.confine import landlock_version
from tests.stages.code import PATIENCE_MS, has_ended, linux
from tests.system.server import PATIENCE_SECONDS, ServerProcess

pytestmark = linux
SECRET = "never to be seen by any stage of any pipeline"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    environment = {"FLEXIROASTER_CODE_STAGES": "on", "FLEXIROASTER_SECRET_KEY": SECRET}
    with ServerProcess(tmp_path, environment=environment) as process:
        yield process


def execute(client: httpx.Client, *stages: dict[str, Any]) -> str:
    document = {"id": "p", "name": "P", "stages": [{"id": f"s{n}", **stage} for n, stage in enumerate(stages)]}
    assert client.post("/api/pipelines", json=document).status_code == 201
    return str(client.post("/api/pipelines/p/execute", json={}).raise_for_status().json()["execution_id"])


def ended(client: httpx.Client, execution: str) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        found: dict[str, Any] = client.get(f"/api/executions/{execution}").raise_for_status().json()
        if found["ended_at"]:
            return found
    raise AssertionError("The execution did not end.")


def result(client: httpx.Client, execution: str, stage: str) -> Any:
    return client.get(f"/api/executions/{execution}/stages/{stage}").raise_for_status().json()["result"]


def shell(command: str, **config: Any) -> dict[str, Any]:
    return {"type": "shell", "config": {"command": command, **config}}


@pytest.mark.skipif(landlock_version() < 6, reason="needs Landlock with signals (Linux 6.12)")
def test_stage_cannot_reach_what_is_the_servers(server: ServerProcess) -> None:
    (server.data / "code" / "jobs.py").write_text("def run(): return open('../../files/in.csv').read()")
    (server.data / "files" / "in.csv").write_text("rows")
    look = f"""
        cd {server.data}
        for file in *.db* *.key lock */* /proc/{server.process.pid}/environ /proc/$PPID/environ; do
            cat "$file" >/dev/null 2>&1 && echo "$file"
        done
        kill -0 {server.process.pid} 2>/dev/null && echo signalled
        env
    """
    with server.client() as client:
        execution = execute(client, shell(look), {"type": "python", "config": {"entrypoint": "jobs:run"}})
        picture = ended(client, execution)
        assert picture["status"] == "success", picture
        seen = result(client, execution, "s0")["output"]
        assert result(client, execution, "s1") == "rows"
    lines = seen.splitlines()
    assert {line for line in lines if "=" not in line} == {"code/jobs.py", "files/in.csv"}
    assert {line.split("=")[0] for line in lines if "=" in line} <= {
        "PATH", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "HOME", "TMPDIR", "LANG", "PWD", "OLDPWD", "SHLVL", "_",
        "FLEXIROASTER_EXECUTION_ID", "FLEXIROASTER_PIPELINE_ID", "FLEXIROASTER_STAGE_ID", "FLEXIROASTER_ATTEMPT",
        "FLEXIROASTER_IDEMPOTENCY_KEY", "FLEXIROASTER_STAGE_PROCESS",
    }  # fmt: skip
    assert SECRET not in seen
    assert "files, memory and signals" in server.log


def test_no_process_waits_for_code_before_there_was_any(server: ServerProcess) -> None:
    with server.client() as client:
        assert ended(client, execute(client, {"type": "noop"}))["status"] == "success"
        assert proc.children(server.process.pid) == []


def test_killed_server_leaves_no_processes(server: ServerProcess, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    command = '(setsid sh -c "echo $$ > $FIFO; trap : TERM; sleep 600; sleep 600" &); echo $$ > $FIFO; sleep 600'
    with server.client() as client:
        execute(client, shell(command, env={"FIFO": str(tmp_path / "fifo")}))
        with os.fdopen(os.open(tmp_path / "fifo", os.O_RDWR), "rb", buffering=0) as fifo:
            pids = {int(fifo.readline()), int(fifo.readline())}
    pids |= set(proc.descendants(server.process.pid))
    assert len(pids) >= 6
    server.kill()
    assert [pid for pid in pids if not has_ended(pid, PATIENCE_MS)] == []
