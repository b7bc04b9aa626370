"""The port of large results: bytes under a key, written once, atomically."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Entry:
    """What a store holds under a key."""

    key: str
    bytes: int
    changed_at: datetime


class ArtifactStore(Protocol):
    """A key is a relative POSIX path such as `<execution>/<stage>/<index>/<attempt>/data.parquet`.

    A stage writes into a local file and hands it over; readers on the same machine get a path back without copying.
    Whatever reaches a remote store may raise `ArtifactsUnavailable`, within a bounded time.
    """

    def write(self, key: str, *, called: str | None = None) -> AbstractContextManager[Path]:
        """A local path to write to; on a clean exit it becomes visible under `key` at once, otherwise it vanishes.

        A key is written once: the same bytes again are no error, other bytes raise Conflict and change nothing.
        `called` is the file name that a browser gives a download which comes from the store itself.
        """
        ...

    def local_path(self, key: str, *, pinned_in: Path | None = None) -> Path:
        """A local, readable path of the artifact (fetched first where the store is remote). Raises NotFound.

        What was fetched stays for a minute at least; longer where `pinned_in` names a folder, as long as that is there.
        """
        ...

    def uri(self, key: str) -> str: ...

    def key(self, uri: str) -> str | None:
        """The key of a URI of this store, None for any other URI."""
        ...

    def size(self, key: str) -> int:
        """As the store itself says. Raises NotFound."""
        ...

    def read(self, key: str, chunk_bytes: int = 1 << 20) -> Iterator[bytes]: ...

    def delete(self, prefix: str) -> None:
        """Remove everything under a prefix; nothing there is no error."""
        ...

    def entries(self, prefix: str = "") -> Iterator[Entry]:
        """Everything under a prefix, in no order, also what was left unfinished."""
        ...

    def link(self, key: str, expires_in: timedelta) -> str | None:
        """A URL under which anybody can fetch the artifact for a while; None where the store has none to give."""
        ...

    def trouble(self) -> str | None:
        """Why the store cannot be used at this moment, in a sentence. Asks at most once in a few seconds."""
        ...
