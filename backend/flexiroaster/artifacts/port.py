"""The port of large results: bytes under a key, written once, atomically."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol


class ArtifactStore(Protocol):
    """A key is a relative POSIX path such as `<execution>/<stage>/<index>/<attempt>/data.parquet`.

    A stage writes into a local file and hands it over; readers on the same machine get a path back without copying.
    """

    def write(self, key: str) -> AbstractContextManager[Path]:
        """A local path to write to; on a clean exit it becomes visible under `key` at once, otherwise it vanishes."""
        ...

    def local_path(self, key: str) -> Path:
        """A local, readable path of the artifact (fetched first where the store is remote). Raises NotFound."""
        ...

    def uri(self, key: str) -> str: ...

    def key(self, uri: str) -> str | None:
        """The key of a URI of this store, None for any other URI."""
        ...

    def size(self, key: str) -> int: ...

    def read(self, key: str, chunk_bytes: int = 1 << 20) -> Iterator[bytes]: ...

    def delete(self, prefix: str) -> None:
        """Remove everything under a prefix; nothing there is no error."""
        ...
