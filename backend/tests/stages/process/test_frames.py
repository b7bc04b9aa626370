"""What goes over the sockets between the server and its code processes."""

from __future__ import annotations

import socket

from flexiroaster.stages.process.inside.frames import read_frame, write_frame


def test_frames_arrive_one_by_one_and_end() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        write_frame(theirs.fileno(), b'{"a": 1}')
        write_frame(theirs.fileno(), b"2")
        theirs.close()
        assert [read_frame(ours.fileno()) for _ in range(3)] == [{"a": 1}, 2, None]


def test_an_end_that_was_killed_before_it_read_is_an_end() -> None:
    """A supervisor that failed of it left behind whoever had gone out of its group."""
    ours, theirs = socket.socketpair()
    with ours:
        write_frame(ours.fileno(), b'{"started": 7}')
        theirs.close()
        assert read_frame(ours.fileno()) is None
