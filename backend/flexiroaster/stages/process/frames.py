"""The server's side of frames (see `inside.frames`): never blocks, and bounds what it holds."""

from __future__ import annotations

from typing import Any

import orjson

from flexiroaster.stages.process.inside.frames import HEADER_BYTES


class FrameTooLarge(Exception):
    """A frame is longer than it may be."""


class FrameReader:
    """Cuts a stream into frames."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._buffer = bytearray()

    def feed(self, chunk: bytes) -> list[dict[str, Any]]:
        self._buffer += chunk
        frames = []
        while len(self._buffer) >= HEADER_BYTES:
            size = int.from_bytes(self._buffer[:HEADER_BYTES], "big")
            if size > self._max_bytes:
                raise FrameTooLarge
            if len(self._buffer) < HEADER_BYTES + size:
                break
            frames.append(orjson.loads(memoryview(self._buffer)[HEADER_BYTES : HEADER_BYTES + size]))
            del self._buffer[: HEADER_BYTES + size]
        return frames


def framed(body: bytes) -> bytes:
    return len(body).to_bytes(HEADER_BYTES, "big") + body
