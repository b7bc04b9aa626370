from __future__ import annotations

from pathlib import Path

import pytest

from flexiroaster.artifacts.disk import DiskArtifacts
from flexiroaster.engine.errors import WrittenAlready
from tests.contracts.test_artifacts import KEY, written


def test_what_servers_note_in_the_folder_is_no_artifact(tmp_path: Path) -> None:
    store = DiskArtifacts(tmp_path)
    (tmp_path / ".name").write_text("a folder")
    written(store)
    assert [entry.key for entry in store.entries()] == [KEY]


def test_a_missing_folder_is_told_and_not_made(tmp_path: Path) -> None:
    store = DiskArtifacts(tmp_path / "absent")
    assert store.trouble() == f"The folder {tmp_path / 'absent'} is not there."
    assert list(store.entries()) == []
    assert not (tmp_path / "absent").exists()


def test_a_file_system_without_links_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr("os.link", refuse)
    store = DiskArtifacts(tmp_path)
    written(store)
    written(store)
    with pytest.raises(WrittenAlready):
        written(store, content=b"new")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["data.csv"]
