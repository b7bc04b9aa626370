from __future__ import annotations

from flexiroaster.runtime.attempt import LINE_LIMIT
from flexiroaster.stages.base import LogLevel
from flexiroaster.stages.process.output import LAST_LINES, LONGEST_LINE, BoundedLog, LineReader


class Sink:
    def __init__(self, max_bytes: int = 1 << 30, max_lines: int = 10_000) -> None:
        self.lines: list[str] = []
        self.log = BoundedLog(self._say, max_bytes, max_lines)
        self.reader = LineReader(self.log)

    def _say(self, level: LogLevel, message: str) -> None:
        self.lines.append(message)

    def close(self) -> list[str]:
        self.reader.close()
        self.log.close()
        return self.lines


def test_lines_are_joined_across_chunks_and_told_at_once() -> None:
    sink = Sink()
    sink.reader.feed(b"one\ntw")
    assert sink.lines == ["one"]
    sink.reader.feed("o \u00e4".encode()[:-1])
    sink.reader.feed("\u00e4".encode()[-1:] + b"\n\nlast")
    assert sink.close() == ["one", "two ä", "", "last"]


def test_colours_stay_and_a_progress_bar_shows_its_last_state() -> None:
    sink = Sink()
    sink.reader.feed(b"\x1b[31mred\x1b[0m\r\n10%\r50%\r100%\nbad \xff\0\n")
    assert sink.close() == ["\x1b[31mred\x1b[0m", "100%", "bad \ufffd\ufffd"]


def test_long_line_is_cut_with_a_count() -> None:
    sink = Sink()
    for _ in range(10):
        sink.reader.feed(b"x" * 1_000_000)
    sink.reader.feed(b"\nnext\n")
    cut = 10_000_000 - LONGEST_LINE
    assert sink.close() == ["x" * LONGEST_LINE + f" … {cut:,} bytes omitted", "next"]


def test_cut_line_is_no_longer_than_a_line_of_the_log() -> None:
    """Else the log would cut it again, and the count with it."""
    sink = Sink()
    sink.reader.feed(b"x" * 999_999_999 + b"\n")
    sink.log.line("info", b"y" * 999_999_999)
    assert [len(line) <= LINE_LIMIT and line.endswith(" bytes omitted") for line in sink.close()] == [True, True]


def test_short_chunks_are_counted_as_long_ones_are() -> None:
    for size in (1, 7, 50, 51, 4096):
        sink = Sink(max_lines=10)
        text = b"".join(b"%d\n" % number for number in range(1000))
        for start in range(0, len(text), size):
            sink.reader.feed(text[start : start + size])
        lines = sink.close()
        assert lines[:11] == [*map(str, range(10)), f"… {1000 - 10 - LAST_LINES:,} lines omitted"]
        assert lines[11:] == [str(number) for number in range(1000 - LAST_LINES, 1000)]


def test_many_lines_are_counted_and_the_end_is_shown() -> None:
    sink = Sink(max_lines=1000)
    sink.reader.feed(b"".join(b"%d\n" % number for number in range(1_000_000)))
    lines = sink.close()
    assert lines[:1000] == [str(number) for number in range(1000)]
    assert lines[1000] == f"… {1_000_000 - 1000 - LAST_LINES:,} lines omitted"
    assert lines[1001:] == [str(number) for number in range(1_000_000 - LAST_LINES, 1_000_000)]


def test_bytes_are_bounded_too() -> None:
    sink = Sink(max_bytes=100)
    sink.reader.feed(b"x" * 49 + b"\n" + b"y" * 49 + b"\n" + b"z\n" * (LAST_LINES + 5))
    lines = sink.close()
    assert lines[:3] == ["x" * 49, "y" * 49, "… 5 lines omitted"]
    assert lines[3:] == ["z"] * LAST_LINES
