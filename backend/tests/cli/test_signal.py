"""`flexiroaster signal`, as a person types it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_commands import flexi
from tests.system.server import EMAIL, PASSWORD, ServerProcess


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Any:
    admin = {"FLEXIROASTER_ADMIN_EMAIL": EMAIL, "FLEXIROASTER_ADMIN_PASSWORD": PASSWORD}
    with ServerProcess(tmp_path_factory.mktemp("server"), options=(), environment=admin) as running:
        yield running


def test_an_execution_is_told_and_ends(server: ServerProcess, tmp_path: Path) -> None:
    data = ["--data-folder", str(server.data)]
    paid = {"id": "paid", "type": "wait", "config": {"event": "payment"}}
    pipeline = {"id": "paying", "name": "Paying", "stages": [paid], "outputs": {"amount": "${{ results.paid.data }}"}}
    server.client().post("/api/pipelines", json=pipeline)
    execution = flexi(tmp_path, "execute", "paying", *data).stdout.split()[-1]
    told = flexi(tmp_path, "signal", execution, "payment", "--data", "5", *data)
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith("Told of payment: ")
    ended = flexi(tmp_path, "logs", execution, "-f", *data).stdout
    assert "told of payment by" in ended
    assert "execution #1 succeeded" in ended
    again = flexi(tmp_path, "signal", execution, "payment", "--data", "NaN", *data)
    assert again.returncode == 1
    assert "has already ended as success" in again.stderr


def test_what_is_no_text_is_refused_with_a_sentence(server: ServerProcess, tmp_path: Path) -> None:
    data = ["--data-folder", str(server.data)]
    for place, name in (("b\udcff", "payment"), ("some", "b\udcff")):
        told = flexi(tmp_path, "signal", place, name, *data)
        assert told.returncode == 1
        assert "is not UTF-8 text: write it as such." in told.stderr
        assert "Traceback" not in told.stderr
