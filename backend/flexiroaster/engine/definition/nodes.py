"""Values with their places: what the YAML and the JSON reader both make."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field

Scalar = str | int | float | bool | None
Path = tuple[str | int, ...]


@dataclass(slots=True)
class ScalarNode:
    """`start` and `end` count characters of the source."""

    value: Scalar
    start: int
    end: int
    text: str = ""
    """The text as written, before it became a number or a truth value; keys are taken from it."""


@dataclass(slots=True)
class ListNode:
    start: int
    end: int = 0
    items: list[Node] = field(default_factory=list)


@dataclass(slots=True)
class MapNode:
    """`entries` keeps the place of each key beside its value."""

    start: int
    end: int = 0
    entries: dict[str, tuple[int, Node]] = field(default_factory=dict)


Node = ScalarNode | ListNode | MapNode


def plain_value(node: Node) -> object:
    """The JSON value, each alias a copy of its own. Depth was bounded while reading."""
    match node:
        case ScalarNode():
            return node.value
        case ListNode():
            return [plain_value(item) for item in node.items]
        case MapNode():
            return {key: plain_value(value) for key, (_, value) in node.entries.items()}


_LINE_BREAK = re.compile(r"\r\n|\n|\r")


class Source:
    """A text with its lines."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._starts = [0, *(match.end() for match in _LINE_BREAK.finditer(text))]

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column, counted from 1."""
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def line_at(self, offset: int) -> str:
        line = bisect_right(self._starts, offset)
        end = self._starts[line] if line < len(self._starts) else len(self.text)
        return self.text[self._starts[line - 1] : end].rstrip("\r\n")


def find(root: Node, path: Path) -> tuple[Node, int, bool]:
    """The node at a path of the *normalised* document, where its key stands, and whether it was reached.

    Flat stage keys were moved into `config`: a step into a `config` that is not written is left out. What is
    missing is answered by the nearest thing around it.
    """
    node, key_start = root, root.start
    for position, step in enumerate(path):
        if isinstance(node, MapNode) and isinstance(step, str) and step in node.entries:
            key_start, node = node.entries[step]
        elif isinstance(node, ListNode) and isinstance(step, int) and step < len(node.items):
            node = node.items[step]
            key_start = node.start
        elif not (step == "config" and position + 1 < len(path)):
            return node, key_start, False
    return node, key_start, True
