"""How a server starts and stops, and what keeps it from starting."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from flexiroaster.store.migrate import HEAD
from tests.system.asking import until
from tests.system.server import EMAIL, PASSWORD, PATIENCE_SECONDS, ServerProcess, clean_environment

BACKEND = Path(__file__).parents[2]


def command(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=BACKEND,
        env=clean_environment(folder, **environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def fetch(url: str, **parameters: str) -> httpx.Response:
    return httpx.get(url, params=parameters, timeout=PATIENCE_SECONDS)


def refused(folder: Path, *options: str, **environment: str) -> str:
    """Start a server that must not start; answers its one sentence."""
    done = command(folder, "flexiroaster", "up", "--port", "0", *options, **environment)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    (sentence,) = done.stderr.splitlines()
    return sentence


def test_it_is_asked_and_answers_and_stops_with_status_0(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        assert fetch(f"{server.url}/").json() == {"message": "FlexiRoaster API", "version": server.ready["version"]}
        assert fetch(f"{server.url}/docs").status_code == 200
        assert server.stop() == 0
    assert "server.stopped" in server.log


def test_stop_answers_who_waits_for_an_end_and_logs_json_alone(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server, server.client() as client, ThreadPoolExecutor() as threads:
        ask = {"id": "ask", "type": "approval", "config": {"message": "Go?"}}
        client.post("/api/pipelines", json={"id": "slow", "name": "Slow", "stages": [ask]}).raise_for_status()
        client.post("/api/executions/cancel", json={"pipeline_id": "slow", "dry_run": True}).raise_for_status()
        waiting = threads.submit(client.post, "/api/pipelines/slow/execute", params={"wait": 60}, json={})
        until(lambda: client.get("/api/approvals").raise_for_status().json() != [])
        assert server.stop() == 0
        answer = waiting.result(PATIENCE_SECONDS)
        assert (answer.status_code, answer.json()["end"]) == (202, None)
        assert [line for line in server.log.splitlines() if not line.startswith("{")] == []
        assert "Traceback" not in server.log


def test_link_makes_the_first_account_once(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        body = {"token": server.setup_token, "email": EMAIL, "password": PASSWORD}
        assert httpx.post(f"{server.url}/api/auth/setup", json=body, timeout=PATIENCE_SECONDS).status_code == 201
        assert httpx.post(f"{server.url}/api/auth/setup", json=body, timeout=PATIENCE_SECONDS).status_code in (401, 409)
        server.stop()
        server.start()
        assert server.ready["sign_in"] is None
        assert server.client().get("/api/pipelines").status_code == 200


def test_unattended_start_makes_its_administrator(tmp_path: Path) -> None:
    admin = {"FLEXIROASTER_ADMIN_EMAIL": EMAIL, "FLEXIROASTER_ADMIN_PASSWORD": PASSWORD}
    with ServerProcess(tmp_path, environment=admin) as server:
        assert server.ready["sign_in"] is None
        assert server.client().get("/api/auth/me").json()["role"] == "admin"


def test_second_server_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        sentence = refused(tmp_path, "--data-folder", str(server.data))
        assert f"is in use by pid {server.process.pid}" in sentence
        assert fetch(f"{server.url}/health").json()["status"] == "healthy"


def test_taken_port_is_named(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        port = str(server.ready["port"])
        done = command(tmp_path, "flexiroaster", "up", "--port", port, "--data-folder", str(tmp_path / "other"))
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
        assert f"Port {port} of 127.0.0.1 cannot be used (Address already in use)" in done.stderr
        assert not (tmp_path / "other").exists()


def test_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    assert "The data folder /proc/nowhere cannot be made" in refused(tmp_path, "--data-folder", "/proc/nowhere")


def test_address_of_others_needs_a_name(tmp_path: Path) -> None:
    sentence = refused(tmp_path, "--host", "0.0.0.0")
    assert "set FLEXIROASTER_PUBLIC_URL" in sentence


def test_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        server.stop()
    (server.data / "secret.key").chmod(0o644)
    assert "run chmod 600" in refused(tmp_path, "--data-folder", str(server.data))


def test_database_of_a_newer_release_is_left_alone(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        server.stop()
    with sqlite3.connect(server.data / "flexiroaster.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    sentence = refused(tmp_path, "--data-folder", str(server.data))
    assert "at revision 9999" in sentence
    assert HEAD in sentence


def test_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    database = tmp_path / "data" / "flexiroaster.db"
    database.parent.mkdir(mode=0o700)
    database.write_bytes(b"not a database" * 1000)
    sentence = refused(tmp_path, "--data-folder", str(database.parent))
    assert str(database) in sentence
    assert database.read_bytes() == b"not a database" * 1000


def test_an_empty_database_is_a_new_one_unless_results_say_otherwise(tmp_path: Path) -> None:
    database = tmp_path / "data" / "flexiroaster.db"
    database.parent.mkdir(mode=0o700)
    database.touch()
    with ServerProcess(tmp_path) as server:
        assert server.ready["sign_in"] is not None
        assert server.stop() == 0
    assert "database.begun_anew" in server.log
    (server.data / "artifacts" / "execution").mkdir()
    for file in server.data.glob("flexiroaster.db*"):
        file.unlink()
    database.touch()
    sentence = refused(tmp_path, "--data-folder", str(server.data))
    assert f"The database {database} is empty, though {server.data / 'artifacts'} holds results" in sentence
    assert database.stat().st_size == 0


def test_several_uvicorn_processes_are_refused(tmp_path: Path) -> None:
    done = command(tmp_path, "uvicorn", "app.main:app", "--workers", "2", "--port", "0")
    assert "uvicorn was asked for 2 worker processes, but one process serves a data folder" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [["app.database.init"], ["alembic", "upgrade", "head"]])
def test_commands_of_the_specification_make_the_tables(tmp_path: Path, arguments: list[str]) -> None:
    done = command(tmp_path, *arguments)
    assert done.returncode == 0, done.stderr
    with sqlite3.connect(tmp_path / "share" / "flexiroaster" / "flexiroaster.db") as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(HEAD,)]


def test_application_of_the_specification_serves_the_socket_too(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "app.main:app", "--port", "0"],
        cwd=BACKEND,
        env=clean_environment(tmp_path, FLEXIROASTER_EXAMPLES="false", FLEXIROASTER_LOG_FORMAT="json"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        url = printed_url(process)
        assert fetch(f"{url}/health").json()["status"] == "healthy"
        assert fetch(f"{url}/socket.io/", EIO="4", transport="polling").text.startswith("0{")
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE_SECONDS)


def printed_url(process: subprocess.Popen[str]) -> str:
    """Of uvicorn's own line, which stays for those who start it themselves."""
    assert process.stderr is not None
    for line in process.stderr:
        if "running on" in line:
            return line.split("running on ")[1].split(" ")[0].strip('"')
    raise AssertionError("uvicorn ended without listening")


def test_a_packet_over_a_megabyte_is_not_read(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        address = server.url.replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket"
        with connect(address, open_timeout=PATIENCE_SECONDS) as socket:
            socket.recv(PATIENCE_SECONDS)
            socket.send("4" * 1_000_001)
            with pytest.raises(ConnectionClosed) as closed:
                while True:
                    socket.recv(PATIENCE_SECONDS)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009
