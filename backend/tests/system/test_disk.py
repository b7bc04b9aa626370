"""A disk that is full, or may only be read: said in a sentence, and nothing that was accepted is lost."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.small_disk import SmallDisk, small_disk
from tests.stages.code import linux
from tests.system.asking import FINAL, until
from tests.system.server import ServerProcess
from tests.system.test_start import refused

pytestmark = linux

FULL = "The disk that holds the database is full: free some space; nothing needs a restart."


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """What the data folder is on."""
    with small_disk(tmp_path / "data", 30) as made:
        yield made


def server(folder: Path) -> ServerProcess:
    return ServerProcess(folder, environment={"FLEXIROASTER_CODE_STAGES": "on"})


def keep(client: httpx.Client, name: str, *stages: dict[str, Any]) -> None:
    document = {"id": name, "name": name, "stages": [{"id": f"s{n}", **stage} for n, stage in enumerate(stages)]}
    client.post("/api/pipelines", json=document).raise_for_status()


def start(client: httpx.Client, name: str) -> httpx.Response:
    return client.post(f"/api/pipelines/{name}/execute", json={})


def started(client: httpx.Client, name: str) -> str:
    return str(start(client, name).raise_for_status().json()["execution_id"])


def execution(client: httpx.Client, id: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/api/executions/{id}").raise_for_status().json()
    return found


def ended(client: httpx.Client, id: str) -> dict[str, Any]:
    until(lambda: execution(client, id)["status"] in FINAL)
    return execution(client, id)


def test_a_full_disk_is_waited_for(disk: SmallDisk, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    held: dict[str, Any] = {"type": "shell", "config": {"command": "echo up > $FIFO; read line < $FIFO; echo $line"}}
    held["config"]["env"] = {"FIFO": str(fifo)}
    with server(tmp_path) as process, process.client() as client:
        keep(client, "held", held, {"type": "noop", "needs": ["s0"]})
        keep(client, "short", {"type": "noop"})
        running = started(client, "held")
        assert fifo.read_text() == "up\n"
        disk.fill()
        accepted = [running]
        while (answer := start(client, "short")).status_code == 202:  # the log of the database has some room left
            accepted.append(answer.json()["execution_id"])
        assert (answer.status_code, answer.json()["detail"]) == (503, FULL)
        assert "retry-after" in answer.headers
        health = client.get("/health")
        assert (health.status_code, health.json()["status"], health.json()["detail"]) == (503, "degraded", FULL)
        fifo.write_text("go on\n")
        until(lambda: "worker.write_failed" in process.log)
        assert execution(client, running)["status"] == "running"
        assert client.get(f"/api/executions/{running}/logs").status_code == 200, "what is written can still be read"

        disk.free()
        assert {ended(client, id)["status"] for id in accepted} == {"success"}
        assert ended(client, started(client, "short"))["status"] == "success"
        assert client.get("/health").json()["status"] == "healthy"
        assert client.get(f"/api/executions/{running}/stages/s0").json()["result"]["output"] == "go on"
        assert process.stop() == 0
        assert "Traceback" not in process.log
    with sqlite3.connect(disk.path / "flexiroaster.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_kill_on_a_full_disk_loses_nothing(disk: SmallDisk, tmp_path: Path) -> None:
    with server(tmp_path) as process:
        with process.client() as client:
            keep(client, "waits", {"type": "wait", "config": {"seconds": 1}}, {"type": "noop", "needs": ["s0"]})
            accepted = [started(client, "waits") for _ in range(5)]
            disk.fill()
            until(lambda: "timer.put_off" in process.log)
        process.kill()
        disk.free()
        process.start()
        with process.client() as client:
            assert {ended(client, id)["status"] for id in accepted} == {"success"}


ROWS = "def run(context): return {'data': context.write_table({'n': n, 't': 'x' * 100} for n in range(20_000))}"


@pytest.mark.parametrize(
    "config",
    [{"code": "result = 'x' * 300_000"}, {"code": ROWS}],
    ids=["a large result", "a table"],
)
def test_stage_that_finds_no_room_for_its_artifact_can_be_retried(tmp_path: Path, config: dict[str, Any]) -> None:
    with (
        small_disk(tmp_path / "data" / "artifacts", 4) as disk,
        server(tmp_path) as process,
        process.client() as client,
    ):
        disk.fill()
        keep(client, "large", {"type": "python", "config": config}, {"type": "noop", "needs": ["s0"]})
        id = started(client, "large")
        failed = ended(client, id)
        error = failed["error"]
        assert (failed["status"], error["code"], error["kind"]) == ("failed", "disk_full", "transient")
        assert "disk" in error["message"]
        assert [path.name for path in disk.path.rglob("*") if path.is_file()] == ["filler"]

        disk.free()
        client.post(f"/api/executions/{id}/retry", json={}).raise_for_status()
        assert ended(client, id)["status"] == "success"


def test_start_on_a_full_disk_is_refused_with_a_sentence(disk: SmallDisk, tmp_path: Path) -> None:
    for used_before in (False, True):
        disk.fill()
        sentence = refused(tmp_path, "--data-folder", str(disk.path))
        assert str(disk.path) in sentence
        assert "full" in sentence
        assert "free some space" in sentence
        disk.free()
        if not used_before:
            with server(tmp_path) as process:
                assert process.stop() == 0


def test_folder_that_may_only_be_read_is_refused_with_the_cure(disk: SmallDisk, tmp_path: Path) -> None:
    with server(tmp_path) as process:
        assert process.stop() == 0
    before = {path: path.read_bytes() for path in disk.path.rglob("*") if path.is_file()}
    disk.make_read_only()
    sentence = refused(tmp_path, "--data-folder", str(disk.path))
    assert f"The data folder {disk.path} cannot be written to" in sentence
    assert "name another data folder" in sentence
    assert {path: path.read_bytes() for path in disk.path.rglob("*") if path.is_file()} == before
