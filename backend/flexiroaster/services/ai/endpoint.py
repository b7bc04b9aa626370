"""The connection to a text assistant: bounded in time and size, and never led elsewhere."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from flexiroaster.ai.assistant import Assistant

MOST_BYTES = 2_000_000
"""Of an answer: what it may be about is a thousand times shorter."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What the server is set up with. `secrets` are values that must never leave, whatever they look like."""

    url: str
    model: str
    key: str = field(default="", repr=False)
    timeout_seconds: float = 120.0
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @property
    def host(self) -> str:
        parts = urlsplit(self.url)
        return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)

    def ask_through(self, line: Line) -> Assistant:
        from flexiroaster.ai.assistant import Assistant

        return Assistant(self.url, self.model, line, self.key, self.secrets)


class Line:
    """What one question is asked through: all its requests share the time. `stop` ends one that is under way, from any
    thread.

    An event loop of its own, because only a cancelled task gives up at a moment, however slowly an answer trickles in.
    """

    def __init__(self, timeout_seconds: float) -> None:
        self._timeout_seconds = timeout_seconds
        self._ends_at = time.monotonic() + timeout_seconds
        self._lock = threading.Lock()
        self._stopped = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[tuple[int, bytes]] | None = None

    def __call__(self, url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        """Raises OSError with the cause and the cure."""
        try:
            return asyncio.run(self._within(url, headers, body))
        except TimeoutError:
            raise TimeoutError(
                f"it took longer than {self._timeout_seconds:g} s. Ask again, choose a quicker model, or raise "
                "FLEXIROASTER_ASSISTANT_TIMEOUT_SECONDS"
            ) from None
        except asyncio.CancelledError:
            raise ConnectionAbortedError("the server is stopping. Ask again once it is back") from None

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            if self._loop is not None and self._task is not None:
                self._loop.call_soon_threadsafe(self._task.cancel)

    async def _within(self, url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        task = asyncio.create_task(_exchange(url, headers, body))
        with self._lock:
            self._loop, self._task = asyncio.get_running_loop(), task
            if self._stopped:
                task.cancel()
        try:
            return await asyncio.wait_for(task, max(0.0, self._ends_at - time.monotonic()))
        finally:
            with self._lock:
                self._loop = self._task = None


async def _exchange(url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
    import httpx

    # What is packed may be a thousand times larger than it looks.
    unpacked = {**headers, "Accept-Encoding": "identity"}
    try:
        async with (
            # Timed as a whole, by its task.
            httpx.AsyncClient(follow_redirects=False, timeout=None, trust_env=not _is_here(url)) as client,  # noqa: S113
            client.stream("POST", url, headers=unpacked, content=body) as answer,
        ):
            found = bytearray()
            async for part in answer.aiter_raw():
                found += part
                if len(found) > MOST_BYTES:
                    raise OSError(
                        f"its answer is larger than {MOST_BYTES // 1_000_000} MB. Check FLEXIROASTER_ASSISTANT_URL"
                    )
            return answer.status_code, bytes(found)
    except httpx.ConnectError as error:
        raise ConnectionError(f"{_cause(error)}. Start it, or correct FLEXIROASTER_ASSISTANT_URL") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ConnectionError(f"{_cause(error)}. Look at its log, or correct FLEXIROASTER_ASSISTANT_URL") from error


def _is_here(url: str) -> bool:
    """A proxy of the environment is for what is elsewhere."""
    return urlsplit(url).hostname in ("localhost", "127.0.0.1", "::1")


def _cause(error: Exception) -> str:
    return str(error).strip().rstrip(".") or type(error).__name__
