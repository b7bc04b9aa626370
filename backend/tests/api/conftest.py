from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.api.server_app import ServerApp, server_app


@pytest.fixture
def server(tmp_path: Path, sqlite_url: str) -> Iterator[ServerApp]:
    """The whole server with its engine running, empty, on SQLite."""
    with server_app(tmp_path / "data", database_url=sqlite_url) as running:
        yield running


@pytest.fixture
def still(tmp_path: Path, sqlite_url: str) -> Iterator[ServerApp]:
    """The same with its engine off: what is started stays queued."""
    with server_app(tmp_path / "data", database_url=sqlite_url, running=False) as idle:
        yield idle


@pytest.fixture
def client(server: ServerApp) -> TestClient:
    return server.client
