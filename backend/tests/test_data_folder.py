"""The data folder: private, one process at a time, keys that stay."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flexiroaster.data_folder import DataFolder, read_key, running_pid
from flexiroaster.engine.errors import ConfigurationError

HOLD = """
import sys
from pathlib import Path
from flexiroaster.data_folder import DataFolder
folder = DataFolder.open(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that uses `tmp_path/data`."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "data")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_folder_and_keys_are_private(tmp_path: Path) -> None:
    folder = DataFolder.open(tmp_path / "deep" / "data")
    folder.key("secret")
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder.path / "secret.key").stat().st_mode) == 0o600


def test_second_start_keeps_the_key(tmp_path: Path) -> None:
    first = DataFolder.open(tmp_path)
    key = first.key("secret")
    first.close()
    assert DataFolder.open(tmp_path).key("secret") == key == read_key(tmp_path, "secret")
    assert len(key.encode()) >= 32


def test_key_open_to_others_is_refused(tmp_path: Path) -> None:
    folder = DataFolder.open(tmp_path)
    folder.key("secret")
    (tmp_path / "secret.key").chmod(0o644)
    with pytest.raises(ConfigurationError, match=r"mode 0644\): run chmod 600 .*secret\.key"):
        folder.key("secret")


def test_cut_key_is_refused(tmp_path: Path) -> None:
    folder = DataFolder.open(tmp_path)
    folder.key("secret")
    os.truncate(tmp_path / "secret.key", 5)
    with pytest.raises(ConfigurationError, match="damaged"):
        folder.key("secret")


def test_second_process_is_told_who_uses_it(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    with pytest.raises(ConfigurationError, match=f"is in use by pid {holder.pid}: stop that process"):
        DataFolder.open(tmp_path / "data")
    assert running_pid(tmp_path / "data") == holder.pid


def test_killed_process_leaves_no_lock(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    holder.kill()
    holder.wait()
    assert running_pid(tmp_path / "data") is None
    DataFolder.open(tmp_path / "data").close()


def test_file_in_its_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(ConfigurationError, match="is a file: name a folder"):
        DataFolder.open(tmp_path / "data")


def test_folder_that_cannot_be_made_is_named() -> None:
    with pytest.raises(ConfigurationError, match="/proc/nowhere cannot be made"):
        DataFolder.open(Path("/proc/nowhere"))
