"""Artifacts in a bucket of S3, or of a server that speaks its language, with copies on this machine.

Imported only where such a store is configured: the client library costs memory and time.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote, unquote, urlsplit

import obstore
import structlog
from obstore.exceptions import AlreadyExistsError, BaseError, NotSupportedError
from obstore.store import S3Store

from flexiroaster.artifacts.cache import FileCache
from flexiroaster.artifacts.keys import UNFINISHED, parts_of
from flexiroaster.artifacts.port import Entry
from flexiroaster.engine.errors import ArtifactsUnavailable, Conflict, InvalidRequest, NotFound, WrittenAlready

if TYPE_CHECKING:
    from obstore.store import S3Config

log = structlog.get_logger(__name__)

PART_BYTES = 8 << 20
"""Of what is sent or fetched at once; S3 takes 10,000 parts, so that an artifact may have 80 GB."""
SINGLE_BYTES = 2 * PART_BYTES
"""Up to here an artifact is one request, which S3 itself refuses where the key is taken."""
PARTS_AT_ONCE = 4
PAGE = 1000
"""Keys that S3 names or deletes at once."""
LOCKS = 64
TROUBLE_SECONDS = 5.0
"""How long an answer about the bucket counts."""
CONNECT_TIMEOUT = timedelta(seconds=5)
REQUEST_TIMEOUT = timedelta(seconds=30)
"""For a part: a line slower than 0.3 MB/s is as good as none."""
RETRIES = 3

Encryption = Literal["AES256", "aws:kms", "aws:kms:dsse"]


@dataclass(frozen=True, slots=True)
class Bucket:
    """Where artifacts are. What is None here is as the `AWS_*` variables or the machine's role say.

    `public_endpoint` is the address by which browsers reach the server, where that is another one.
    """

    name: str
    prefix: str = ""
    endpoint: str | None = None
    public_endpoint: str | None = None
    region: str | None = None
    path_style: bool = True
    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)
    encryption: Encryption | None = None
    kms_key: str | None = None

    @property
    def shown(self) -> str:
        return f"the S3 bucket {self.name!r}" + (f" at {self.endpoint}" if self.endpoint else "")


class S3Artifacts:
    """Nothing here waits for ever: each request has a time limit and few retries, then `ArtifactsUnavailable`.

    `links` is whether downloads may come from the bucket itself.
    """

    def __init__(self, bucket: Bucket, cache: FileCache, *, links: bool = True) -> None:
        self._bucket = bucket
        self._cache = cache
        self._links = links
        self._store = _open(bucket, bucket.endpoint)
        self._public = _open(bucket, bucket.public_endpoint) if bucket.public_endpoint else self._store
        self._probe = _open(bucket, bucket.endpoint, hurried=True)
        self._root = "/".join(["s3:/", bucket.name, *filter(None, [bucket.prefix])])
        self._fetching = tuple(threading.Lock() for _ in range(LOCKS))
        self._looking = threading.Lock()
        self._looked: tuple[float, str | None] | None = None

    # ── the port ────────────────────────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def write(self, key: str, *, called: str | None = None) -> Iterator[Path]:
        _refuse_doubtful(key)
        with self._cache.unfinished(key) as path:
            yield path
            self._upload(key, path, called or PurePosixPath(key).name)
            self._cache.keep(path, key)

    def local_path(self, key: str, *, pinned_in: Path | None = None) -> Path:
        while True:
            path = self._cache.find(key) or self._fetch(key)
            if pinned_in is None:
                return path
            with contextlib.suppress(FileNotFoundError):  # forgotten this moment
                return _pinned(path, key, pinned_in)

    def uri(self, key: str) -> str:
        return f"{self._root}/{quote('/'.join(parts_of(key)))}"

    def key(self, uri: str) -> str | None:
        return unquote(uri.removeprefix(f"{self._root}/")) if uri.startswith(f"{self._root}/") else None

    def size(self, key: str) -> int:
        _refuse_doubtful(key)
        with self._asking("read", key):
            return obstore.head(self._store, key)["size"]

    def read(self, key: str, chunk_bytes: int = 1 << 20) -> Iterator[bytes]:
        size = self.size(key)
        start, length = 0, chunk_bytes  # whoever wants only the beginning waits for no more
        while start < size:
            part = self._range(key, start, min(length, size - start))
            for offset in range(0, len(part), chunk_bytes):
                yield part[offset : offset + chunk_bytes]
            start += len(part)
            length = max(chunk_bytes, PART_BYTES - PART_BYTES % chunk_bytes)

    def delete(self, prefix: str) -> None:
        _refuse_doubtful(prefix)
        with self._asking("delete in", prefix):
            for page in obstore.list(self._store, prefix, chunk_size=PAGE):
                obstore.delete(self._store, [found["path"] for found in page])
            obstore.delete(self._store, [prefix])  # as a list: an absent one is no error
        self._cache.forget(prefix)

    def entries(self, prefix: str = "") -> Iterator[Entry]:
        with self._asking("list", prefix):
            for page in obstore.list(self._store, prefix or None, chunk_size=PAGE):
                for found in page:
                    yield Entry(found["path"], found["size"], found["last_modified"])

    def link(self, key: str, expires_in: timedelta) -> str | None:
        if not self._links:
            return None
        _refuse_doubtful(key)
        with self._asking("read", key):
            return obstore.sign(self._public, "GET", key, expires_in)

    def trouble(self) -> str | None:
        with self._looking:
            if self._looked is None or time.monotonic() - self._looked[0] > TROUBLE_SECONDS:
                self._looked = time.monotonic(), self._look()
            return self._looked[1]

    # ── sending ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _upload(self, key: str, path: Path, called: str) -> None:
        if path.stat().st_size <= SINGLE_BYTES:
            content = path.read_bytes()
            with self._asking("write", key):
                try:
                    obstore.put(self._store, key, content, mode="create", attributes=_attributes(called))
                except AlreadyExistsError:
                    self._require_same(key, path)
        else:
            self._upload_large(key, path, called)

    def _upload_large(self, key: str, path: Path, called: str) -> None:
        """Parts put together replace what is there. So whoever holds the key's mark, which only one can make, looks."""
        mark = str(PurePosixPath(key).with_name(f"{UNFINISHED}{PurePosixPath(key).name}"))
        with self._asking("write", key):
            try:
                obstore.put(self._store, mark, b"", mode="create")
            except AlreadyExistsError:
                raise Conflict(f"The artifact {key!r} is being written by somebody else.", "written_already") from None
            try:
                if self._is_there(key):
                    self._require_same(key, path)
                else:
                    obstore.put(
                        self._store,
                        key,
                        path,
                        attributes=_attributes(called),
                        use_multipart=True,
                        chunk_size=PART_BYTES,
                        max_concurrency=PARTS_AT_ONCE,
                    )
            finally:
                with contextlib.suppress(BaseError, OSError):  # left over, `flexiroaster doctor` names it
                    obstore.delete(self._store, [mark])

    def _is_there(self, key: str) -> bool:
        try:
            obstore.head(self._store, key)
        except FileNotFoundError:
            return False
        return True

    def _require_same(self, key: str, path: Path) -> None:
        """An upload whose answer was lost, and was repeated, is no other artifact."""
        if self.size(key) != path.stat().st_size:
            raise WrittenAlready(key)
        with path.open("rb") as file:
            for chunk in self.read(key):
                if file.read(len(chunk)) != chunk:
                    raise WrittenAlready(key)

    # ── fetching ────────────────────────────────────────────────────────────────────────────────────────────────

    def _fetch(self, key: str) -> Path:
        _refuse_doubtful(key)
        with self._fetching[hash(key) % LOCKS]:
            found = self._cache.find(key)
            if found is not None:
                return found
            with self._cache.unfinished(key) as path:
                self._download(key, path)
                return self._cache.keep(path, key)

    def _download(self, key: str, path: Path) -> None:
        with self._asking("read", key):
            answer = obstore.get(self._store, key)
            size = answer.meta["size"]
            content = bytes(answer.bytes()) if size <= PART_BYTES else None
        if content is not None:
            path.write_bytes(content)
            return
        with path.open("wb") as file, ThreadPoolExecutor(PARTS_AT_ONCE, "artifact-fetch") as threads:
            starts = range(0, size, PART_BYTES)
            lengths = (min(PART_BYTES, size - start) for start in starts)
            for written in threads.map(self._copy, [key] * len(starts), [file.fileno()] * len(starts), starts, lengths):
                assert written > 0

    def _copy(self, key: str, file: int, start: int, length: int) -> int:
        part = memoryview(self._range(key, start, length))
        done = 0
        while done < length:
            done += os.pwrite(file, part[done:], start + done)
        return done

    def _range(self, key: str, start: int, length: int) -> bytes:
        with self._asking("read", key):
            return bytes(obstore.get_range(self._store, key, start=start, length=length))

    # ── what stands in the way ──────────────────────────────────────────────────────────────────────────────────

    def _look(self) -> str | None:
        try:
            with self._asking("list", ""):
                next(iter(obstore.list(self._probe, UNFINISHED, chunk_size=1)), None)
        except ArtifactsUnavailable as error:
            return str(error)
        return None

    @contextmanager
    def _asking(self, verb: str, key: str) -> Iterator[None]:
        """The library's errors as ours. Their own text is long, and says more than everybody should know."""
        try:
            yield
        except FileNotFoundError as error:
            if "NoSuchBucket" not in str(error):
                raise NotFound("artifact", key) from None
            raise self._unavailable(verb, key, error) from None
        except BaseError as error:
            raise self._unavailable(verb, key, error) from None

    def _unavailable(self, verb: str, key: str, error: Exception) -> ArtifactsUnavailable:
        text, shown = str(error), self._bucket.shown
        code = _code(text)
        log.warning("artifacts.unavailable", bucket=self._bucket.name, doing=verb, key=key, error=code)
        if code == "NoSuchBucket":
            return ArtifactsUnavailable(
                f"There is no bucket {self._bucket.name!r}{_at(self._bucket)}: make it, or correct "
                "FLEXIROASTER_ARTIFACTS_URL.",
                kind="permanent",
            )
        if "403" in code or "401" in code or "Denied" in code or code in _REFUSED:
            return ArtifactsUnavailable(
                f"The server may not {verb} {shown} ({code}): check the access key, its secret, and what the bucket's "
                "policy allows them.",
                kind="permanent",
            )
        if isinstance(error, NotSupportedError) or code == "NotImplemented":
            return ArtifactsUnavailable(
                f"The server of {shown} cannot refuse to write over what is there (If-None-Match): use a release of it "
                "that can.",
                kind="permanent",
            )
        if _NO_CREDENTIALS.search(text):
            return ArtifactsUnavailable(
                f"There are no credentials for {shown}: set FLEXIROASTER_S3_ACCESS_KEY_ID and "
                "FLEXIROASTER_S3_SECRET_ACCESS_KEY, the AWS_* variables, or give the machine a role."
            )
        return ArtifactsUnavailable(
            f"It was not possible to {verb} {shown} ({code}): check that its server runs and can be reached from "
            "here, and its address (FLEXIROASTER_S3_ENDPOINT_URL). What failed can be retried then."
        )


_REFUSED = frozenset({"SignatureDoesNotMatch", "InvalidAccessKeyId", "InvalidToken", "ExpiredToken"})
_NO_CREDENTIALS = re.compile(r"169\.254\.169\.254|instance ?metadata|no credentials", re.IGNORECASE)
_REASONS = (
    (r"<Code>(\w+)</Code>", r"\1"),
    (r"status code: (\d{3} [A-Z][A-Za-z ]*)", r"\1"),
    (r"Connect\b|error sending request", "no connection"),
    (r"[Tt]imed? ?out|Timeout", "no answer in time"),
)


def _code(text: str) -> str:
    """S3's own word for what is wrong, or the nearest to one."""
    if "Timeout" in text and "<Code>" not in text:
        return "no answer in time"
    for pattern, reason in _REASONS:
        found = re.search(pattern, text)
        if found:
            return found.expand(reason).strip()
    return "no answer"


def _at(bucket: Bucket) -> str:
    return f" at {bucket.endpoint}" if bucket.endpoint else ""


def _open(bucket: Bucket, endpoint: str | None, *, hurried: bool = False) -> S3Store:
    given: dict[str, str | bool | None] = {
        "endpoint": _with_bucket(endpoint, bucket) if endpoint else None,
        "region": bucket.region,
        "virtual_hosted_style_request": not bucket.path_style,
        "access_key_id": bucket.access_key_id,
        "secret_access_key": bucket.secret_access_key,
        "server_side_encryption": bucket.encryption,
        "sse_kms_key_id": bucket.kms_key,
    }
    config: S3Config = {name: value for name, value in given.items() if value is not None}  # type: ignore[assignment]
    timeout = timedelta(seconds=2) if hurried else REQUEST_TIMEOUT
    return S3Store(
        bucket.name,
        prefix=bucket.prefix or None,
        config=config,
        client_options={
            "allow_http": endpoint is not None and endpoint.startswith("http://"),
            "connect_timeout": min(timeout, CONNECT_TIMEOUT),
            "timeout": timeout,
        },
        retry_config={"max_retries": 0 if hurried else RETRIES, "retry_timeout": timeout},
    )


def _with_bucket(endpoint: str, bucket: Bucket) -> str:
    """The library takes the address as it is; with the bucket in the host's name that has to have it."""
    if bucket.path_style:
        return endpoint
    parts = urlsplit(endpoint)
    return parts._replace(netloc=f"{bucket.name}.{parts.netloc}").geturl()


def _attributes(called: str) -> dict[str, str]:
    """A browser saves it and never shows it: a page that a stage made must not run in the bucket's name."""
    return {
        "Content-Type": "application/octet-stream",
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(called, safe='')}",
    }


def _refuse_doubtful(key: str) -> None:
    """S3 would take them for other keys than a disk does."""
    parts = parts_of(key)
    if "/".join(parts) != key:
        raise InvalidRequest(f"{key!r} is no artifact key: write {'/'.join(parts)!r}.")


def _pinned(path: Path, key: str, folder: Path) -> Path:
    """Another name of the same file, which stays when the cache forgets its own."""
    pinned = folder / ".artifacts" / key
    pinned.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(path, pinned)
    except FileExistsError:
        return pinned
    except FileNotFoundError:
        raise
    except OSError:  # the folder is on another file system
        return path
    return pinned
