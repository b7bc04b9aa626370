from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from flexiroaster.artifacts import s3 as module
from flexiroaster.artifacts.s3 import Bucket, S3Artifacts
from flexiroaster.engine.errors import ArtifactsUnavailable, Conflict
from tests.artifacts.test_cache import used
from tests.contracts.test_artifacts import KEY, s3_artifacts, written
from tests.s3 import S3Server

MINUTE = timedelta(minutes=1)


@pytest.fixture
def bucket(s3: S3Server) -> Bucket:
    return s3.bucket()


@pytest.fixture
def here(bucket: Bucket, tmp_path: Path) -> S3Artifacts:
    return s3_artifacts(bucket, tmp_path / "here")


@pytest.fixture
def there(bucket: Bucket, tmp_path: Path) -> S3Artifacts:
    """The same on another machine."""
    return s3_artifacts(bucket, tmp_path / "there")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is asked of S3."""
    seen: list[str] = []

    def watch(name: str) -> None:
        real = getattr(module.obstore, name)

        def noted(*given: Any, **more: Any) -> Any:
            seen.append(name)
            return real(*given, **more)

        monkeypatch.setattr(module.obstore, name, noted)

    for name in ("get", "get_range", "head", "put", "list", "delete"):
        watch(name)
    return seen


@pytest.fixture
def deaf() -> Iterator[str]:
    """The address of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_objects_are_under_the_prefix(s3: S3Server, here: S3Artifacts, bucket: Bucket) -> None:
    written(here)
    assert s3.keys(bucket) == [f"some/prefix/{KEY}"]
    assert here.uri(KEY) == f"s3://{bucket.name}/some/prefix/{KEY}"
    bare = replace(bucket, prefix="")
    assert s3_artifacts(bare, Path(here._cache.root)).uri(KEY) == f"s3://{bucket.name}/{KEY}"


def test_what_was_written_here_is_not_fetched(here: S3Artifacts, asked: list[str]) -> None:
    written(here)
    assert here.local_path(KEY).read_bytes() == b"a,b\n1,2\n"
    assert asked == ["put"]


def test_another_machine_fetches_once(here: S3Artifacts, there: S3Artifacts, asked: list[str]) -> None:
    written(here)
    asked.clear()
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(there.local_path(KEY))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert found[0].read_bytes() == b"a,b\n1,2\n"
    assert asked == ["get"]


def test_parts_are_put_together(here: S3Artifacts, there: S3Artifacts, asked: list[str]) -> None:
    content = random.Random(2).randbytes(2 * module.PART_BYTES + 12_345)
    written(here, content=content)
    assert there.local_path(KEY).read_bytes() == content
    assert asked.count("get_range") == 3


def test_the_beginning_alone_can_be_read(here: S3Artifacts, asked: list[str]) -> None:
    written(here, content=b"x" * 3_000_000)
    asked.clear()
    assert next(iter(here.read(KEY, 1_000))) == b"x" * 1_000
    assert asked == ["head", "get_range"]


def test_a_pinned_copy_outlives_the_cache(here: S3Artifacts, bucket: Bucket, tmp_path: Path) -> None:
    small = s3_artifacts(bucket, tmp_path / "small", limit_bytes=10)
    written(here)
    scratch = tmp_path / "scratch"
    pinned = small.local_path(KEY, pinned_in=scratch)
    assert pinned == small.local_path(KEY, pinned_in=scratch)
    used(small.local_path(KEY), 1_000)
    written(small, "other", b"x" * 100)
    assert not (tmp_path / "small" / KEY).exists()
    assert pinned.is_relative_to(scratch)
    assert pinned.read_bytes() == b"a,b\n1,2\n"
    assert small.local_path(KEY).read_bytes() == b"a,b\n1,2\n"


def test_a_failed_upload_leaves_nothing(
    s3: S3Server, here: S3Artifacts, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **more: Any) -> Any:
        if more.get("use_multipart"):
            raise module.BaseError("HTTP error: error sending request")
        return put(*_, **more)

    put = module.obstore.put
    monkeypatch.setattr(module.obstore, "put", broken)
    with pytest.raises(ArtifactsUnavailable):
        written(here, content=b"x" * (module.SINGLE_BYTES + 1))
    assert s3.keys(bucket) == []
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    monkeypatch.undo()
    written(here, content=b"x" * (module.SINGLE_BYTES + 1))
    assert s3.keys(bucket) == [f"some/prefix/{KEY}"]


def test_of_two_large_ones_at_once_one_wins(
    here: S3Artifacts, there: S3Artifacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SINGLE_BYTES", 10)
    put = module.obstore.put

    def slow(*given: Any, **more: Any) -> Any:
        if more.get("use_multipart") and not refused:
            with pytest.raises(Conflict) as error:
                written(there, content=b"the other's bytes")
            refused.append(str(error.value))
        return put(*given, **more)

    refused: list[str] = []
    monkeypatch.setattr(module.obstore, "put", slow)
    written(here, content=b"the first one's bytes")
    assert refused == [f"The artifact '{KEY}' is being written by somebody else."]
    with pytest.raises(Conflict, match="there already, with other content"):
        written(there, content=b"the other's bytes")
    assert b"".join(there.read(KEY)) == b"the first one's bytes"
    assert [entry.key for entry in here.entries()] == [KEY]


def test_many_are_deleted(
    s3: S3Server, here: S3Artifacts, bucket: Bucket, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE", 3)
    for number in range(7):
        s3.client.put_object(Bucket=bucket.name, Key=f"some/prefix/e/{number}", Body=b"")
    written(here, "other")
    here.delete("e")
    assert s3.keys(bucket) == ["some/prefix/other"]
    assert asked.count("delete") == 4  # three pages, and what may have the prefix itself as its key


def test_a_link_can_be_opened_for_a_while(here: S3Artifacts) -> None:
    with here.write("e/s/0/1/ü b.html", called="s-ü b.html") as path:
        path.write_bytes(b"<script>")
    url = here.link("e/s/0/1/ü b.html", MINUTE)
    assert url is not None
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"<script>"
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert answer.headers["Content-Disposition"] == "attachment; filename*=UTF-8''s-%C3%BC%20b.html"
    for wrong in (url[:-1] + ("0" if url[-1] != "0" else "1"), url.replace("s/0/1", "s/0/2")):
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(wrong)


def test_a_link_names_the_address_that_browsers_know(bucket: Bucket, here: S3Artifacts, tmp_path: Path) -> None:
    public = replace(bucket, public_endpoint="https://files.example.com")
    url = s3_artifacts(public, tmp_path / "public").link(KEY, MINUTE)
    assert url is not None
    assert url.startswith(f"https://files.example.com/{bucket.name}/some/prefix/{KEY}?")
    hosted = s3_artifacts(replace(public, path_style=False), tmp_path / "hosted").link(KEY, MINUTE)
    assert hosted is not None
    assert hosted.startswith(f"https://{bucket.name}.files.example.com/some/prefix/{KEY}?")


def test_links_can_be_switched_off(bucket: Bucket, tmp_path: Path) -> None:
    from flexiroaster.artifacts.cache import FileCache

    assert S3Artifacts(bucket, FileCache(tmp_path, 1_000), links=False).link(KEY, MINUTE) is None


@pytest.mark.parametrize("size", [10, module.SINGLE_BYTES + 1])
def test_the_server_is_told_to_encrypt(s3: S3Server, tmp_path: Path, size: int) -> None:
    bucket = s3.bucket(encryption="aws:kms", kms_key="a-key")
    written(s3_artifacts(bucket, tmp_path), content=b"x" * size)
    found = s3.client.head_object(Bucket=bucket.name, Key=f"some/prefix/{KEY}")
    assert (found["ServerSideEncryption"], found["SSEKMSKeyId"]) == ("aws:kms", "a-key")


WAYS: list[Callable[[S3Artifacts], Any]] = [
    written,
    lambda store: store.local_path("e/absent"),
    lambda store: store.size("e/absent"),
    lambda store: next(store.read("e/absent")),
    lambda store: store.delete("e"),
    lambda store: list(store.entries("e")),
]


@pytest.mark.parametrize("way", WAYS)
def test_wrong_credentials_are_told(s3: S3Server, tmp_path: Path, way: Callable[[S3Artifacts], Any]) -> None:
    store = s3_artifacts(s3.bucket(secret_access_key="not-the-secret"), tmp_path)
    with pytest.raises(ArtifactsUnavailable, match="check the access key, its secret, and what") as error:
        way(store)
    assert error.value.kind == "permanent"
    assert "not-the-secret" not in str(error.value)
    trouble = store.trouble()
    assert trouble is not None
    assert "SignatureDoesNotMatch" in trouble


def test_a_missing_bucket_is_told(s3: S3Server, bucket: Bucket, tmp_path: Path) -> None:
    store = s3_artifacts(replace(bucket, name="nowhere-to-be-found"), tmp_path)
    sentence = f"There is no bucket 'nowhere-to-be-found' at {s3.url}: make it, or correct FLEXIROASTER_ARTIFACTS_URL."
    for way in (WAYS[0], WAYS[1], WAYS[4], WAYS[5]):
        with pytest.raises(ArtifactsUnavailable) as error:
            way(store)
        assert str(error.value) == sentence
    assert store.trouble() == sentence


@pytest.mark.parametrize("way", WAYS)
def test_an_unreachable_server_is_told(tmp_path: Path, bucket: Bucket, way: Callable[[S3Artifacts], Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    store = s3_artifacts(replace(bucket, endpoint=f"http://127.0.0.1:{port}"), tmp_path)
    with pytest.raises(ArtifactsUnavailable) as error:
        way(store)
    assert error.value.kind == "transient"
    assert f"the S3 bucket '{bucket.name}' at http://127.0.0.1:{port} (no connection)" in str(error.value)
    assert "FLEXIROASTER_S3_ENDPOINT_URL" in str(error.value)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_nobody_waits_for_ever(tmp_path: Path, bucket: Bucket, deaf: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REQUEST_TIMEOUT", timedelta(milliseconds=200))
    store = s3_artifacts(replace(bucket, endpoint=deaf), tmp_path)
    for way in WAYS:
        with pytest.raises(ArtifactsUnavailable, match="no answer in time"):
            way(store)
    started = time.monotonic()
    assert "no answer in time" in str(store.trouble())
    assert "no answer in time" in str(store.trouble())
    assert time.monotonic() - started < 20  # one look of two seconds, not the patience of a transfer


def test_trouble_is_asked_for_once_in_a_while(
    here: S3Artifacts, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [here.trouble() for _ in range(5)] == [None] * 5
    assert asked == ["list"]
    monkeypatch.setattr(module, "TROUBLE_SECONDS", -1)
    here.trouble()
    assert asked == ["list", "list"]


def test_credentials_come_from_the_usual_variables(
    s3: S3Server, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3.credentials.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3.credentials.secret_key)
    written(s3_artifacts(replace(bucket, access_key_id=None, secret_access_key=None, region=None), tmp_path))
    assert s3.keys(bucket) == [f"some/prefix/{KEY}"]


def test_secrets_are_not_shown(bucket: Bucket) -> None:
    assert str(bucket.secret_access_key) not in repr(bucket)


def test_the_client_is_loaded_only_where_it_is_used() -> None:
    code = (
        "import sys, flexiroaster.composition, flexiroaster.artifact_store\n"
        "from flexiroaster.config import Settings\n"
        "flexiroaster.artifact_store.make_artifacts(Settings.load())\n"
        "assert 'obstore' not in sys.modules, 'loaded'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ)
