"""Collecting problems, with their places."""

from __future__ import annotations

import re
from collections.abc import Collection

from flexiroaster.engine.definition.nodes import Node, Path, ScalarNode, Source, find
from flexiroaster.engine.errors import Problem, Severity
from flexiroaster.engine.expressions import did_you_mean
from flexiroaster.engine.plurals import counted
from flexiroaster.engine.quoting import quoted, shortened

MAX_PROBLEMS = 200
MAX_KEPT = 1_000
"""Problems with their places; those that come after are counted."""
MAX_COMPARISONS = 100_000
"""About half a second."""
_LONGEST_SUGGESTION = 500
"""A longer one is a text to read, no cure to take over."""


class Findings:
    """Problems in the order they are found; `sorted` gives them by line. `root` is None for a document from Python."""

    def __init__(self, source: Source | None = None, root: Node | None = None) -> None:
        self.source = source
        self.root = root
        self._problems: dict[tuple[str, Path, str], Problem] = {}
        self._comparisons_left = MAX_COMPARISONS
        self._errors = 0
        self._more = 0
        self._are_all = True

    def add(
        self,
        code: str,
        message: str,
        path: Path = (),
        *,
        found: object = None,
        suggestion: str | None = None,
        severity: Severity = "error",
        at_key: bool = False,
        offset: int | None = None,
        within: str | None = None,
    ) -> None:
        """`at_key` points at the key instead of its value; `within` at this text inside the value, `offset`
        characters further on."""
        if len(self._problems) >= MAX_KEPT and (severity == "warning" or self.has_errors):
            self._more += 1
            return
        self._errors += severity == "error"
        line, column = self._place(path, at_key, offset, within)
        cure = suggestion if suggestion is None or len(suggestion) <= _LONGEST_SUGGESTION else None
        self._problems.setdefault(
            (code, path, message),
            Problem(code, message, path_text(path), line, column, shown_value(found), cure, severity),
        )

    def add_at(self, code: str, message: str, offset: int | None, *, suggestion: str | None = None) -> None:
        """A problem of the text itself, at a place in it."""
        line, column = self.source.position(offset) if self.source and offset is not None else (None, None)
        self._errors += 1
        self._problems.setdefault(
            (code, (offset or 0,), message), Problem(code, message, "", line, column, None, suggestion)
        )

    @property
    def has_errors(self) -> bool:
        return self._errors > 0

    def enough(self) -> bool:
        """Whether there are more errors than anybody is shown. Who asks leaves further ones out, as `sorted` then says:
        explaining thousands would take minutes."""
        if self._errors <= MAX_PROBLEMS:
            return False
        self._are_all = False
        return True

    def sorted(self) -> list[Problem]:
        ordered = sorted(self._problems.values(), key=lambda problem: (problem.line or 0, problem.column or 0))
        if len(ordered) <= MAX_PROBLEMS:
            return ordered
        errors_first = sorted(ordered, key=lambda problem: problem.severity != "error")[:MAX_PROBLEMS]
        more = len(ordered) - MAX_PROBLEMS + self._more
        count = counted(more, "more problem") if self._are_all else "more problems"
        return [
            *errors_first,
            Problem("too_many_problems", f"… and {count}.", severity=errors_first[0].severity),
        ]

    def closest(self, name: str, known: Collection[str]) -> str | None:
        """Did you mean …? Silent once many names were compared: thousands of wrong names need no thousand hints."""
        self._comparisons_left -= len(known)
        return did_you_mean(name, known) if self._comparisons_left >= 0 else None

    def line(self, path: Path) -> int | None:
        return self._place(path, False, None, None)[0]

    def _place(self, path: Path, at_key: bool, offset: int | None, within: str | None) -> tuple[int | None, int | None]:
        if self.source is None or self.root is None:
            return None, None
        node, key_start, reached = find(self.root, path)
        if at_key or not reached:
            return self.source.position(key_start if at_key and reached else node.start)
        if within and isinstance(node, ScalarNode):
            start = self.source.text.find(within, node.start, node.end)
            if start >= 0:
                return self.source.position(start + (offset or 0))
        return self.source.position(node.start)


_SIMPLE_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


def path_text(path: Path) -> str:
    """`stages[3].config.when`; keys that are no names stand in quotes."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _SIMPLE_KEY.fullmatch(step):
            text += f".{shortened(step)}" if text else shortened(step)
        else:
            text += f"[{quoted(step)}]"
    return text


def shown_value(value: object) -> object:
    """What a problem says it found: never more than a line."""
    if isinstance(value, str):
        return shortened(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, dict):
        return f"a mapping of {len(value)}"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    return type(value).__name__
