"""Frames on a stream socket: four bytes of length, then JSON. And messages with descriptors."""

from __future__ import annotations

import json
import os
import socket
from array import array
from typing import Any

HEADER_BYTES = 4
MOST_DESCRIPTORS = 8
_NOT_INHERITED: int = getattr(socket, "MSG_CMSG_CLOEXEC", 0)


def read_frame(fd: int) -> Any:
    """The next frame, None at the end of the stream."""
    body = read_body(fd)
    return None if body is None else json.loads(body)


def read_body(fd: int) -> bytes | None:
    header = _exactly(fd, HEADER_BYTES)
    return None if header is None else _exactly(fd, int.from_bytes(header, "big"))


def write_frame(fd: int, body: bytes) -> None:
    view = memoryview(len(body).to_bytes(HEADER_BYTES, "big") + body)
    while view:
        view = view[os.write(fd, view) :]


def receive(end: socket.socket, size: int) -> tuple[bytes, list[int]]:
    """A message with descriptors, which programs that are started do not get."""
    descriptors = array("i")
    room = socket.CMSG_LEN(MOST_DESCRIPTORS * descriptors.itemsize)
    message, more, _, _ = end.recvmsg(size, room, _NOT_INHERITED)
    for level, kind, data in more:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors.frombytes(data)
    if not _NOT_INHERITED:
        for fd in descriptors:
            os.set_inheritable(fd, False)
    return message, list(descriptors)


def _exactly(fd: int, size: int) -> bytes | None:
    parts = []
    while size:
        try:
            part = os.read(fd, min(size, 1 << 20))
        except ConnectionResetError:  # the other end was killed before it read what we had written
            return None
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
