"""What a process loads costs memory and time at every start: these libraries only where they are used."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SERVER = """
import json, os, signal, sys
from pathlib import Path
from flexiroaster.lean_imports import lean_imports

with lean_imports():
    from flexiroaster.config import Settings
    from flexiroaster.log_output import configure_logs
    from flexiroaster.serve import serve

configure_logs("error", json=True)

def ready(_server, _port):
    print(json.dumps(sorted(sys.modules)))
    os.kill(os.getpid(), signal.SIGTERM)

serve(Settings.load(data_folder=Path("data"), port=0, examples=False), ready)
"""
LOCAL = """
import json, sys
from flexiroaster import run_local

document = {"id": "one", "name": "One", "stages": [{"id": "only", "type": "noop"}]}
assert run_local(document).ok
print(json.dumps(sorted(sys.modules)))
"""
COMMAND = """
import json, sys
from flexiroaster.cli.main import app

try:
    app(sys.argv[1:], prog_name="flexiroaster")
except SystemExit:
    print("\\n" + json.dumps(sorted(sys.modules)))
"""
HEAVY = {
    "aiohttp", "alembic", "celery", "cryptography", "duckdb", "httpx", "kombu", "numpy", "obstore", "pandas", "psycopg",
    "pyarrow", "pydantic.v1", "pygments", "python_calamine", "redis", "requests", "rich", "sklearn",
    "sqlalchemy.dialects.postgresql", "sqlglot", "watchfiles", "xlsxwriter",
}  # fmt: skip
AT_FIRST_USE = {
    "cel",
    "cronsim",
    "jsonschema_rs",
    "yaml",
    "flexiroaster.bus.postgres",
    "flexiroaster.bus.redis",
    "flexiroaster.data.reading",
    "flexiroaster.engine.definition.validator",
    "flexiroaster.runtime.fleet",
    "flexiroaster.runtime.rescuer",
    "flexiroaster.several_servers",
    "flexiroaster.store.notices",
    "flexiroaster.store.stream",
}
COMMANDS = {f"flexiroaster.cli.{name}" for name in ("approvals", "executions", "run", "up")}
OF_A_SERVER = {"argon2", "engineio", "fastapi", "jwt", "socketio", "starlette", "uvicorn", "flexiroaster.api"}


@pytest.mark.parametrize(
    ("code", "argument", "kept_out"),
    [
        pytest.param(SERVER, "", HEAVY | AT_FIRST_USE, id="a server that is ready"),
        pytest.param(LOCAL, "", HEAVY | OF_A_SERVER, id="a local run without data"),
        pytest.param(COMMAND, "--help", HEAVY | AT_FIRST_USE | OF_A_SERVER | {"pydantic", "sqlalchemy"}, id="help"),
        pytest.param(COMMAND, "version", HEAVY | AT_FIRST_USE | OF_A_SERVER | COMMANDS, id="a command"),
    ],
)
def test_a_process_loads_only_what_it_uses(code: str, argument: str, kept_out: set[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code, argument], cwd=tmp_path, stdout=subprocess.PIPE, text=True, check=True
    )
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert loaded & kept_out == set()
