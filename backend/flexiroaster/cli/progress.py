"""How `run` shows an execution while it runs: a live table on a terminal, one line for each change elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import typer

from flexiroaster.cli.words import count, duration, plain
from flexiroaster.engine.plurals import counted

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live

    from flexiroaster.engine.events import Event

MARKS = {
    "pending": "·",
    "queued": "·",
    "running": "▶",
    "retrying": "↻",
    "waiting": "⏸",
    "cancelling": "▶",
    "success": "✓",
    "failed": "✗",
    "timed_out": "✗",
    "skipped": "–",
    "cancelled": "⊘",
}
COLOURS = {
    "running": "cyan",
    "retrying": "yellow",
    "waiting": "yellow",
    "success": "green",
    "failed": "red",
    "timed_out": "red",
    "cancelled": "yellow",
}
UNCHANGED = frozenset({"pending", "queued"})
LINES_OUTSIDE_THE_TABLE = 6
MOST_ITEM_LINES = 20


@dataclass(slots=True)
class StageLine:
    """What is known of one stage run; `since` is on the monotonic clock while it runs."""

    stage: str
    type: str
    index: int = 0
    status: str = "pending"
    attempt: int = 0
    rows: int | None = None
    seconds: float | None = None
    since: float | None = None
    note: str = ""

    @property
    def name(self) -> str:
        return f"{self.stage}[{self.index}]" if self.index else self.stage

    def changed(self, payload: Mapping[str, Any], now: float) -> None:
        self.status = str(payload.get("status", self.status))
        self.attempt = int(payload.get("attempt") or self.attempt)
        self.rows = payload.get("rows", self.rows)
        self.seconds = payload.get("duration_seconds", self.seconds)
        self.since = now if self.status == "running" else None
        error = payload.get("error") or {}
        self.note = str(payload.get("reason") or error.get("message") or "")

    def took(self, now: float) -> float | None:
        return now - self.since if self.since is not None else self.seconds


class Progress(Protocol):
    def __enter__(self) -> Progress: ...
    def __exit__(self, *_: object) -> None: ...
    def hear(self, events: Sequence[Event]) -> None:
        """A bus listener: called from any thread."""
        ...

    def aside(self) -> AbstractContextManager[None]:
        """What moves on the screen stands still meanwhile: somebody is asked something."""
        ...


class Board:
    """The stage runs of one execution, kept up to date by its events."""

    def __init__(self, stages: Sequence[tuple[str, str]], later: Mapping[str, str] | None = None) -> None:
        """`later` has the types of stages that are shown once they begin."""
        self.lock = threading.Lock()
        self._types = {**(later or {}), **dict(stages)}
        self._lines = {(stage, 0): StageLine(stage, type) for stage, type in stages}

    def hear(self, event: Event) -> StageLine | None:
        """The line that changed, None where the event is about no stage.

        Items of foreach stages get lines only when they fail, and of these the first few.
        """
        if event.stage is None:
            return None
        key = (event.stage, event.index or 0)
        line = self._lines.get(key)
        if "items" in event.payload and line is not None and line.status == "running":
            line.note = items_text(event.payload["items"])
            return None
        if "status" not in event.payload or (event.index and line is None and not self._takes_item(event)):
            return None
        if line is None:
            line = self._lines[key] = StageLine(event.stage, self._types.get(event.stage, ""), key[1])
        line.changed(event.payload, time.monotonic())
        return line

    def _takes_item(self, event: Event) -> bool:
        of_items = sum(index > 0 for _, index in self._lines)
        return event.payload["status"] in ("failed", "timed_out") and of_items < MOST_ITEM_LINES

    @property
    def lines(self) -> list[StageLine]:
        return list(self._lines.values())


def items_text(items: Any) -> str:
    """How far the items of a foreach stage are; empty for what is no progress."""
    if not isinstance(items, dict):
        return ""
    done = f"{items['count'] - items['left']:,} of {items['count']:,} items"
    return f"{done}, {items['failed']:,} failed" if items.get("failed") else done


class Quiet:
    """Shows nothing: for `--json`."""

    def __enter__(self) -> Quiet:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def hear(self, events: Sequence[Event]) -> None:
        return None

    def aside(self) -> AbstractContextManager[None]:
        return nullcontext()


class PlainLines:
    """One line for each change of a stage, as a log has them."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def __enter__(self) -> PlainLines:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def hear(self, events: Sequence[Event]) -> None:
        for event in events:
            with self._board.lock:
                line = self._board.hear(event)
                if line is not None and line.status not in UNCHANGED:
                    typer.echo(_plain(line))

    def aside(self) -> AbstractContextManager[None]:
        return nullcontext()


class LiveTable:
    """The whole board, redrawn in place a few times a second; it stays on the screen at the end."""

    def __init__(self, board: Board, console: Console, title: str) -> None:
        self._board = board
        self._console = console
        self._title = title
        self._live: Live | None = None

    def __enter__(self) -> LiveTable:
        from rich.live import Live

        self._live = Live(console=self._console, get_renderable=self._draw, refresh_per_second=10)
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def hear(self, events: Sequence[Event]) -> None:
        with self._board.lock:
            for event in events:
                self._board.hear(event)

    @contextmanager
    def aside(self) -> Iterator[None]:
        if self._live is not None:
            self._live.stop()
        try:
            yield
        finally:
            if self._live is not None:
                self._live.start()

    def _draw(self) -> RenderableType:
        from rich.table import Table

        now = time.monotonic()
        table = Table(title=self._title, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for heading, justify in (("", "left"), ("stage", "left"), ("type", "left"), ("state", "left")):
            table.add_column(heading, justify=justify, no_wrap=True)  # type: ignore[arg-type]
        table.add_column("rows", justify="right")
        table.add_column("time", justify="right")
        table.add_column("", overflow="ellipsis", no_wrap=True, ratio=1)
        with self._board.lock:
            lines, hidden = _fitting(self._board.lines, self._console.size.height - LINES_OUTSIDE_THE_TABLE)
            for line in lines:
                table.add_row(*_cells(line, now), style=COLOURS.get(line.status, "dim"))
        if hidden:
            table.caption = f"and {hidden} more"
            table.caption_justify = "left"
        return table


def _cells(line: StageLine, now: float) -> tuple[str, ...]:
    took = line.took(now)
    return (
        MARKS.get(line.status, "?"),
        line.name,
        line.type,
        plain(line.status),
        "" if line.rows is None else count(line.rows),
        "" if took is None else duration(took),
        "" if line.status in {"success", "failed", "timed_out"} else line.note,
    )


def _fitting(lines: list[StageLine], height: int) -> tuple[list[StageLine], int]:
    """As many lines as the terminal has room for: what waits for its turn goes first, then what ended."""
    room = max(height, 5)
    if len(lines) <= room:
        return lines, 0
    order = {"failed": 0, "timed_out": 0, "running": 1, "retrying": 1, "waiting": 1, "cancelling": 1, "success": 2}
    ranked = sorted(range(len(lines)), key=lambda i: (order.get(lines[i].status, 3), -i))
    kept = sorted(ranked[:room])
    return [lines[i] for i in kept], len(lines) - room


def _plain(line: StageLine) -> str:
    parts = [f"{line.name}: {plain(line.status)}"]
    if line.status == "running" and line.attempt > 1:
        parts.append(f"attempt {line.attempt}")
    if line.rows is not None and line.status == "success":
        parts.append(counted(line.rows, "row"))
    if line.seconds is not None and line.since is None:
        parts.append(duration(line.seconds))
    if line.note:
        parts.append(line.note)
    return ", ".join(parts)
