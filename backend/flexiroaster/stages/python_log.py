"""What a `python` stage prints, as log lines within bounds."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from flexiroaster.stages.base import LogLevel

LONGEST_LINE = 16_000
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

    def line(self, level: LogLevel, line: bytes) -> None:
        self._lines_left -= 1
        self._bytes_left -= min(len(line), LONGEST_LINE) + 1
        if self._lines_left >= 0 and self._bytes_left >= 0 and not self._omitted:
            self._say(level, shown(line))
        else:
            self._omitted += 1
            self._last.append((level, line[:LONGEST_LINE]))

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

    def __init__(self, log: BoundedLog) -> None:
        self._log = log
        self._rest = b""
        self._cut = 0

    def feed(self, chunk: bytes) -> None:
        first, *others = chunk.split(b"\n")
        self._grow(first)
        for line in others:
            self._end()
            self._grow(line)

    def close(self) -> None:
        if self._rest:
            self._end()

    def _grow(self, part: bytes) -> None:
        room = LONGEST_LINE + 1 - len(self._rest)
        self._rest += part[:room]
        self._cut += max(0, len(part) - room)

    def _end(self) -> None:
        note = f" … {self._cut:,} bytes omitted".encode() if self._cut else b""
        self._log.line("info", self._rest + note)
        self._rest, self._cut = b"", 0


def shown(line: bytes) -> str:
    """A line as text, colours kept; of a progress bar drawn over itself the last state."""
    text = line.rstrip(b"\r").rpartition(b"\r")[2].decode("utf-8", "replace")
    return text.replace("\0", "\ufffd")
