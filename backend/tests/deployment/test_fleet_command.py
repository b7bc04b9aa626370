"""`make fleet` on this machine: it starts, runs an example across its members with its artifacts in S3, and leaves
nothing behind.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx
import psycopg
import pytest

from tests.deployment.files import ROOT
from tests.system.asking import FINAL
from tests.system.server import EMAIL, PASSWORD, PATIENCE_SECONDS, clean_environment

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("fleet")
    with (folder / "errors").open("w") as errors:
        process = subprocess.Popen(
            [
                sys.executable,
                ROOT / "scripts" / "fleet",
                *("--json", "--admin", f"{EMAIL}:{PASSWORD}", "--folder", folder),
            ],
            env=clean_environment(folder),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, (folder / "errors").read_text()
    ready = json.loads(line)
    yield ready
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE_SECONDS) == 0, (folder / "errors").read_text()
    process.stdout.close()
    for member in ready["members"]:
        with pytest.raises(ProcessLookupError):
            os.kill(member["pid"], 0)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(ready["environment"]["FLEXIROASTER_DATABASE_URL"], connect_timeout=5)


def flexi(fleet: dict[str, Any], url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    form = {"username": EMAIL, "password": PASSWORD}
    token = httpx.post(f"{url}/api/auth/login", data=form, timeout=PATIENCE_SECONDS).raise_for_status().json()
    environment = {"FLEXIROASTER_URL": url, "FLEXIROASTER_TOKEN": token["access_token"]}
    return command(fleet, environment, *arguments)


def command(fleet: dict[str, Any], environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "flexiroaster", *arguments],
        env=clean_environment(Path(fleet["folder"]), **environment),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def serving(fleet: dict[str, Any]) -> list[str]:
    return [member["url"] for member in fleet["members"] if member["url"] is not None]


def test_all_members_are_on_one_database(fleet: dict[str, Any]) -> None:
    with psycopg.connect(fleet["environment"]["FLEXIROASTER_DATABASE_URL"]) as connection:
        known = dict(connection.execute("SELECT pid, kind FROM workers WHERE alive_until > now()").fetchall())
    assert {member["pid"]: member["role"] for member in fleet["members"]} == known
    assert sorted(known.values()) == ["api", "api", "scheduler", "worker", "worker"]
    assert {"FLEXIROASTER_BROKER_URL", "FLEXIROASTER_REDIS_URL"} <= fleet["environment"].keys()
    assert len(set(serving(fleet))) == 2
    assert fleet["sign_in"] is None, "there is an administrator"


def test_an_example_runs_with_its_artifacts_in_s3_and_every_server_shows_it(fleet: dict[str, Any]) -> None:
    first, second = serving(fleet)[:2]
    done = flexi(fleet, first, "execute", "flights", "--wait", "--json")
    assert done.returncode == 0, done.stderr
    told = flexi(fleet, second, "list", "flights", "--json")
    assert told.returncode == 0, told.stderr
    (execution,) = json.loads(told.stdout)
    assert execution["status"] == "success"
    given = fleet["environment"]
    s3 = boto3.client(
        "s3",
        endpoint_url=given["FLEXIROASTER_S3_ENDPOINT_URL"],
        region_name=given["FLEXIROASTER_S3_REGION"],
        aws_access_key_id=given["FLEXIROASTER_S3_ACCESS_KEY_ID"],
        aws_secret_access_key=given["FLEXIROASTER_S3_SECRET_ACCESS_KEY"],
    )
    kept = s3.list_objects_v2(Bucket="flexiroaster", Prefix=f"artifacts/{execution['id']}/")["Contents"]
    assert any(found["Key"].endswith(".parquet") for found in kept)


def test_a_worker_that_is_killed_in_the_middle_costs_nothing(fleet: dict[str, Any]) -> None:
    workers = {member["pid"] for member in fleet["members"] if member["role"] == "worker"}
    (url, *_) = serving(fleet)
    started = flexi(fleet, url, "execute", "flights", "--input", "reports=reports/again", "--json")
    assert started.returncode == 0, started.stderr
    execution = json.loads(started.stdout)["execution_id"]
    killed = None
    with psycopg.connect(fleet["environment"]["FLEXIROASTER_DATABASE_URL"], autocommit=True) as connection:

        def status() -> str:
            (found,) = connection.execute("SELECT status FROM executions WHERE id = %s", (execution,)).fetchall()
            return str(found[0])

        end = time.monotonic() + PATIENCE_SECONDS
        while status() not in FINAL:
            assert time.monotonic() < end, status()
            holds = connection.execute(HOLDS, (execution,)).fetchone()
            if killed is None and holds is not None:
                killed = holds[0]
                os.kill(killed, signal.SIGKILL)
        assert status() == "success"
    assert killed in workers
    environment = fleet["environment"] | {"FLEXIROASTER_DATA_FOLDER": str(Path(fleet["folder"]) / "api-1" / "data")}
    found = json.loads(command(fleet, environment, "doctor", "--json").stdout)
    assert found["healthy"], found


HOLDS = """
SELECT workers.pid FROM stage_runs JOIN workers ON workers.id = stage_runs.lease_owner
WHERE stage_runs.execution_id = %s AND stage_runs.ended_at IS NULL
"""
