"""What every artifact store does."""

from __future__ import annotations

from pathlib import Path

import pytest

from flexiroaster.artifacts.disk import DiskArtifacts
from flexiroaster.artifacts.port import ArtifactStore
from flexiroaster.engine.errors import InvalidRequest, NotFound

KEY = "execution/stage/0/1/data.csv"


@pytest.fixture(params=["disk"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ArtifactStore:
    return DiskArtifacts(tmp_path / "artifacts")


def written(store: ArtifactStore, key: str = KEY, content: bytes = b"a,b\n1,2\n") -> str:
    with store.write(key) as path:
        path.write_bytes(content)
    return key


def test_what_was_written_is_read_back(store: ArtifactStore) -> None:
    written(store)
    assert store.local_path(KEY).read_bytes() == b"a,b\n1,2\n"
    assert store.size(KEY) == 8
    assert list(store.read(KEY, chunk_bytes=5)) == [b"a,b\n1", b",2\n"]


def test_nothing_is_visible_before_it_is_whole(store: ArtifactStore) -> None:
    with store.write(KEY) as path:
        path.write_bytes(b"half")
        with pytest.raises(NotFound):
            store.local_path(KEY)
    assert store.size(KEY) == 4


def test_failed_write_leaves_nothing(store: ArtifactStore, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), store.write(KEY) as path:
        path.write_bytes(b"half")
        _ = 1 / 0
    with pytest.raises(NotFound):
        store.local_path(KEY)
    assert [found for found in tmp_path.rglob("*") if found.is_file()] == []


def test_writing_again_replaces(store: ArtifactStore) -> None:
    written(store)
    written(store, content=b"new")
    assert b"".join(store.read(KEY)) == b"new"


def test_temporary_path_keeps_the_suffix(store: ArtifactStore) -> None:
    with store.write("e/data.csv.gz") as path:
        assert path.name.endswith(".csv.gz")
        path.write_bytes(b"")


def test_uri_and_key_belong_together(store: ArtifactStore) -> None:
    assert store.key(store.uri(written(store))) == KEY
    assert store.key("file:///etc/passwd") is None
    assert store.key("s3://bucket/x") is None


def test_deleting_a_prefix_leaves_the_rest(store: ArtifactStore) -> None:
    written(store, "one/a.txt")
    written(store, "one/deep/b.txt")
    written(store, "two/c.txt")
    store.delete("one")
    store.delete("one")
    with pytest.raises(NotFound):
        store.local_path("one/deep/b.txt")
    assert store.size("two/c.txt") == 8


@pytest.mark.parametrize("key", ["", "/etc/passwd", "../up", "a/../../up", "a/\0b"])
def test_key_cannot_lead_out(store: ArtifactStore, key: str) -> None:
    with pytest.raises(InvalidRequest), store.write(key):
        pass


def test_link_cannot_lead_out(store: ArtifactStore, tmp_path: Path) -> None:
    written(store, "inside/a.txt")
    store.local_path("inside/a.txt").parent.joinpath("out").symlink_to(tmp_path)
    with pytest.raises(InvalidRequest), store.write("inside/out/b.txt"):
        pass
