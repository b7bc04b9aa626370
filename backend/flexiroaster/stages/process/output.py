"""What the processes of a stage print, as log lines within bounds."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from flexiroaster.stages.base import LogLevel

LONGEST_LINE = 15_900
"""Bytes; with a note of NOTE_BYTES about what was cut off it still is a line of the log, which takes 16,000
characters."""
NOTE_BYTES = 40
MOST_LINES = 10_000
LAST_LINES = 50
"""Of what is omitted, the end is shown: it usually says why."""

Say = Callable[[LogLevel, str], None]


class BoundedLog:
    """Passes lines on until `max_bytes` or MOST_LINES, then counts; `close` tells the count and the last lines."""

    def __init__(self, say: Say, max_bytes: int, max_lines: int = MOST_LINES) -> None:
        self._say = say
        self._bytes_left = max_bytes
        self._lines_left = max_lines
        self._omitted = 0
        self._last: deque[tuple[LogLevel, bytes]] = deque(maxlen=LAST_LINES)

    @property
    def full(self) -> bool:
        return self._omitted > 0

    def line(self, level: LogLevel, line: bytes) -> None:
        line = cut(line)
        self._lines_left -= 1
        self._bytes_left -= len(line) + 1
        if self._lines_left >= 0 and self._bytes_left >= 0 and not self._omitted:
            self._say(level, shown(line))
        else:
            self._omitted += 1
            self._last.append((level, line))

    def omit(self, lines: int) -> None:
        """Count lines that nobody will see."""
        self._omitted += lines

    def close(self) -> None:
        omitted = self._omitted - len(self._last)
        if omitted > 0:
            self._say("warning", f"… {omitted:,} lines omitted")
        for level, line in self._last:
            self._say(level, shown(line))
        self._last.clear()
        self._omitted = 0


class LineReader:
    """Cuts a stream of bytes into lines; of a line without end only its beginning is held."""

    def __init__(self, log: BoundedLog, level: LogLevel = "info") -> None:
        self._log = log
        self._level = level
        self._rest = b""
        self._cut = 0

    def feed(self, chunk: bytes) -> None:
        if self._log.full:
            chunk = self._without_most(chunk)
        first, *others = chunk.split(b"\n")
        self._grow(first)
        for line in others:
            self._end()
            self._grow(line)

    def close(self) -> None:
        if self._rest:
            self._end()

    def _without_most(self, chunk: bytes) -> bytes:
        """The end of a chunk whose other lines are only counted, which is a hundred times faster."""
        before, *last = chunk.rsplit(b"\n", LAST_LINES + 1)
        if len(last) <= LAST_LINES:
            return chunk
        self._log.omit(before.count(b"\n") + 1)
        self._rest, self._cut = b"", 0
        return b"\n".join(last)

    def _grow(self, part: bytes) -> None:
        room = LONGEST_LINE - len(self._rest)
        self._rest += part[:room]
        self._cut += max(0, len(part) - room)

    def _end(self) -> None:
        self._log.line(self._level, cut(self._rest, self._cut))
        self._rest, self._cut = b"", 0


def cut(line: bytes, more: int = 0) -> bytes:
    """A line of bearable length, with a count of what is missing. `more` bytes are missing already."""
    more += max(0, len(line) - LONGEST_LINE - NOTE_BYTES)
    return line[:LONGEST_LINE] + f" … {more:,} bytes omitted".encode() if more else line


def shown(line: bytes) -> str:
    """A line as text, colours kept; of a progress bar drawn over itself the last state."""
    text = line.rstrip(b"\r").rpartition(b"\r")[2].decode("utf-8", "replace")
    return text.replace("\0", "\ufffd")
