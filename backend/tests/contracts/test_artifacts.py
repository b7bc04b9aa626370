"""What every artifact store does."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from flexiroaster.artifacts.cache import FileCache
from flexiroaster.artifacts.disk import DiskArtifacts
from flexiroaster.artifacts.port import ArtifactStore
from flexiroaster.engine.errors import InvalidRequest, NotFound, WrittenAlready

if TYPE_CHECKING:
    from flexiroaster.artifacts.s3 import Bucket, S3Artifacts
    from tests.s3 import S3Server

KEY = "execution/stage/0/1/data.csv"


@pytest.fixture(params=["disk", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ArtifactStore:
    if request.param == "disk":
        return DiskArtifacts(tmp_path / "artifacts")
    s3: S3Server = request.getfixturevalue("s3")
    return s3_artifacts(s3.bucket(), tmp_path / "artifacts")


def s3_artifacts(bucket: Bucket, folder: Path, limit_bytes: int = 1 << 30) -> S3Artifacts:
    from flexiroaster.artifacts.s3 import S3Artifacts

    return S3Artifacts(bucket, FileCache(folder, limit_bytes))


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


def test_what_was_not_written_cannot_be_kept(store: ArtifactStore) -> None:
    with pytest.raises(FileNotFoundError), store.write(KEY):
        pass
    assert list(store.entries()) == []


def test_failed_write_leaves_nothing(store: ArtifactStore, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), store.write(KEY) as path:
        path.write_bytes(b"half")
        _ = 1 / 0
    with pytest.raises(NotFound):
        store.local_path(KEY)
    assert [found for found in tmp_path.rglob("*") if found.is_file()] == []


def test_the_same_again_is_no_error(store: ArtifactStore) -> None:
    written(store)
    written(store)
    assert b"".join(store.read(KEY)) == b"a,b\n1,2\n"


@pytest.mark.parametrize("content", [b"new", b"a,b\n1,3\n", b""])
def test_a_key_is_written_once(store: ArtifactStore, content: bytes) -> None:
    written(store)
    with pytest.raises(WrittenAlready, match=r"data\.csv' is there already, with other content"):
        written(store, content=content)
    assert b"".join(store.read(KEY)) == store.local_path(KEY).read_bytes() == b"a,b\n1,2\n"
    assert [entry.key for entry in store.entries()] == [KEY]


def test_of_two_writers_at_once_one_wins(store: ArtifactStore) -> None:
    both = threading.Barrier(2)

    def write(content: bytes) -> bytes | None:
        try:
            with store.write(KEY) as path:
                path.write_bytes(content)
                both.wait(60)
        except WrittenAlready:
            return None
        return content

    with ThreadPoolExecutor(2) as threads:
        kept = [content for content in threads.map(write, [b"one", b"two"]) if content is not None]
    assert kept == [b"".join(store.read(KEY))]


def test_a_large_one_is_read_back(store: ArtifactStore) -> None:
    content = random.Random(1).randbytes(17_000_001)
    written(store, content=content)
    written(store, content=content)
    assert b"".join(store.read(KEY, chunk_bytes=1_000_000)) == content
    assert store.local_path(KEY).read_bytes() == content
    assert [(entry.key, entry.bytes) for entry in store.entries()] == [(KEY, len(content))]
    with pytest.raises(WrittenAlready):
        written(store, content=content[:-1] + b"x")
    assert store.size(KEY) == len(content)


def test_an_empty_one(store: ArtifactStore) -> None:
    written(store, content=b"")
    assert (store.size(KEY), store.local_path(KEY).read_bytes(), list(store.read(KEY))) == (0, b"", [])


@pytest.mark.parametrize("name", ["a b.csv", "ü€%20+.csv", "a#b?c&d=e.txt", "'\"\\.txt", "…/deep/.hidden"])
def test_any_name_will_do(store: ArtifactStore, name: str) -> None:
    key = f"e/s/0/1/{name}"
    written(store, key)
    assert b"".join(store.read(key)) == b"a,b\n1,2\n"
    assert store.key(store.uri(key)) == key
    assert [entry.key for entry in store.entries("e/s")] == [key]
    store.delete("e/s/0")
    assert list(store.entries()) == []


def test_entries_say_what_is_there(store: ArtifactStore) -> None:
    started = datetime.now(UTC) - timedelta(seconds=2)
    written(store, "one/a.txt")
    written(store, "one/deep/b.txt", b"b")
    written(store, "one-more/c.txt")
    found = {entry.key: entry for entry in store.entries("one")}
    assert {key: entry.bytes for key, entry in found.items()} == {"one/a.txt": 8, "one/deep/b.txt": 1}
    assert all(started < entry.changed_at < datetime.now(UTC) + timedelta(seconds=2) for entry in found.values())
    assert len(list(store.entries())) == 3
    assert list(store.entries("absent")) == []


def test_nothing_is_found_under_an_unknown_key(store: ArtifactStore) -> None:
    for ask in (store.size, store.local_path, lambda key: next(store.read(key))):
        with pytest.raises(NotFound, match="There is no artifact 'e/absent'"):
            ask("e/absent")


def test_a_sound_store_has_no_trouble(store: ArtifactStore) -> None:
    written(store)
    assert store.trouble() is None


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


def test_link_cannot_lead_out(tmp_path: Path) -> None:
    store = DiskArtifacts(tmp_path / "artifacts")
    written(store, "inside/a.txt")
    store.local_path("inside/a.txt").parent.joinpath("out").symlink_to(tmp_path)
    with pytest.raises(InvalidRequest), store.write("inside/out/b.txt"):
        pass
