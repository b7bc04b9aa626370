"""What a process of a fleet needs, and what it says where that is missing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from flexiroaster.cli.fleet import worker as worker_command
from flexiroaster.config import Settings
from flexiroaster.engine.errors import ConfigurationError
from flexiroaster.main import make_server
from flexiroaster.roles import API, SCHEDULER, Role, worker
from flexiroaster.work import make_hand

KEY = "a key that all processes of this test share"


@pytest.mark.parametrize(
    ("make", "role"),
    [(make_server, API), (make_hand, worker()), (make_hand, SCHEDULER)],
    ids=["api", "worker", "scheduler"],
)
def test_sqlite_serves_one_process(tmp_path: Path, make: Callable[[Settings, Role], object], role: Role) -> None:
    with pytest.raises(ConfigurationError, match=r"SQLite serves one: set FLEXIROASTER_DATABASE_URL .* `flexiroaster"):
        make(Settings.load(data_folder=tmp_path), role)


def test_worker_needs_the_key_of_the_servers(tmp_path: Path, postgres_url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"FLEXIROASTER_SECRET_KEY is not set, and .* has no key of a server"):
        make_hand(Settings.load(data_folder=tmp_path, database_url=postgres_url), worker())


def test_worker_that_runs_nothing_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="--concurrency must be 1 or more"):
        worker_command(concurrency=0)


def test_workers_share_a_data_folder_and_each_has_a_room_in_it(tmp_path: Path, postgres_url: str) -> None:
    settings = Settings.load(data_folder=tmp_path, database_url=postgres_url, secret_key=KEY)
    hands = [make_hand(settings, worker(("gpu",))) for _ in range(2)]
    try:
        assert [hand.folder.path for hand in hands] == [tmp_path / "workers" / "1", tmp_path / "workers" / "2"]
        assert hands[0].folder.identity != hands[1].folder.identity
        assert [hand.engine.embedded.presence.me.pools for hand in hands] == [("gpu",), ("gpu",)]
    finally:
        for hand in hands:
            hand.stop()
    again = make_hand(settings, worker())
    assert again.folder.path == tmp_path / "workers" / "1"
    again.stop()


def test_scheduler_and_api_server_run_no_stages(tmp_path: Path, postgres_url: str) -> None:
    settings = Settings.load(data_folder=tmp_path, database_url=postgres_url, secret_key=KEY, concurrency=5)
    hand = make_hand(settings, SCHEDULER)
    assert (hand.engine.embedded.worker.concurrency, hand.engine.embedded.presence.me.kind) == (0, "scheduler")
    hand.stop()
