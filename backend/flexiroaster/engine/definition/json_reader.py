"""JSON text → nodes with places. Strict: no NaN, no comments, no duplicate keys, and no recursion."""

from __future__ import annotations

import re
from json.decoder import JSONDecodeError, scanstring  # type: ignore[attr-defined]

from flexiroaster.engine.definition.limits import (
    MAX_DEPTH,
    MAX_VALUES,
    Refused,
    check_characters,
    check_number,
    too_deep,
    too_many_values,
)
from flexiroaster.engine.definition.nodes import ListNode, MapNode, Node, ScalarNode, Source

_BLANK = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)
_WORDS = {"true": True, "false": False, "null": None}
_WORD = re.compile(r"[A-Za-z]+|-Infinity")
_MAX_DIGITS = 400


def read_json(source: Source, duplicates: list[tuple[str, int, int]]) -> Node:
    """Raises `Refused`. Duplicate keys go to `duplicates`: the key, and where it stands first and again."""
    return _Reader(source.text, duplicates).read()


class _Reader:
    def __init__(self, text: str, duplicates: list[tuple[str, int, int]]) -> None:
        self.text = text
        self.duplicates = duplicates
        self.at = 0
        self.values = 0
        self.open: list[ListNode | MapNode] = []
        self.keys: list[tuple[str, int]] = []
        """The key each open mapping waits with for its value; lists have an empty one."""

    def read(self) -> Node:
        root = self._value()
        while self.open:
            node = self._close_or_next()
            if node is not None and not self.open:
                root = node
        self._blank()
        if self.at < len(self.text):
            raise self._unexpected("The document ended before this")
        return root

    def _value(self) -> Node:
        """A scalar, or an opened list or mapping, which goes on the stack."""
        self._blank()
        self.values += 1
        if self.values > MAX_VALUES:
            raise too_many_values(self.at)
        character = self.text[self.at : self.at + 1]
        if character in ("{", "["):
            if len(self.open) >= MAX_DEPTH:
                raise too_deep(self.at)
            node: ListNode | MapNode = MapNode(self.at) if character == "{" else ListNode(self.at)
            self.open.append(node)
            self.keys.append(("", 0))
            self.at += 1
            return node
        if character == '"':
            start = self.at
            value = self._string()
            return ScalarNode(value, start, self.at, value)
        return self._word_or_number()

    def _close_or_next(self) -> Node | None:
        """One step in the innermost open list or mapping. Gives it back when it is complete."""
        node = self.open[-1]
        closing = "}" if isinstance(node, MapNode) else "]"
        self._blank()
        count = len(node.entries) if isinstance(node, MapNode) else len(node.items)
        started = count > 0 or self.keys[-1][1] > 0
        if self.text.startswith(closing, self.at):
            self.at += 1
            node.end = self.at
            self.open.pop()
            self.keys.pop()
            return node
        if started:
            self._expect(",", f"`,` or `{closing}`")
        if isinstance(node, MapNode):
            self._entry(node)
        else:
            node.items.append(self._value())
        return None

    def _entry(self, node: MapNode) -> None:
        self._blank()
        start = self.at
        if not self.text.startswith('"', start):
            raise self._unexpected("A key in double quotes was expected")
        key = self._string()
        self._expect(":", "`:`")
        self.keys[-1] = (key, start + 1)
        value = self._value()
        if key in node.entries:
            self.duplicates.append((key, node.entries[key][0], start))
        else:
            node.entries[key] = (start, value)

    def _string(self) -> str:
        start = self.at
        try:
            value, self.at = scanstring(self.text, start + 1, True)
        except JSONDecodeError as error:
            raise Refused(
                "json_syntax", f"This is not JSON: {error.msg[0].lower()}{error.msg[1:]}.", error.pos
            ) from error
        text = str(value)
        check_characters(text, start)
        return text

    def _word_or_number(self) -> ScalarNode:
        start = self.at
        number = _NUMBER.match(self.text, start)
        if number is not None and not self.text.startswith("-Infinity", start):
            self.at = number.end()
            value = _number(number)
            check_number(value, number[0], start)
            return ScalarNode(value, start, self.at, number[0])
        word = _WORD.match(self.text, start)
        if word is not None and word[0] in _WORDS:
            self.at = word.end()
            return ScalarNode(_WORDS[word[0]], start, self.at, word[0])
        if word is not None and word[0] in {"NaN", "Infinity", "-Infinity"}:
            raise Refused("not_finite", f"{word[0]} is not a finite number: JSON cannot hold it.", start)
        raise self._unexpected("A value was expected")

    def _expect(self, character: str, what: str) -> None:
        self._blank()
        if not self.text.startswith(character, self.at):
            raise self._unexpected(f"{what} was expected")
        self.at += 1

    def _blank(self) -> None:
        match = _BLANK.match(self.text, self.at)
        self.at = match.end() if match else self.at

    def _unexpected(self, sentence: str) -> Refused:
        found = self.text[self.at : self.at + 1]
        what = f"but here is {found!r}" if found else "but the text ends here"
        suggestion = "write text and keys in double quotes" if found == "'" else None
        if found in {"}", "]"} and self.text[: self.at].rstrip().endswith(","):
            suggestion = "remove the `,` before it"
        return Refused(
            "json_syntax", f"This is not JSON: {sentence[0].lower()}{sentence[1:]}, {what}.", self.at, suggestion
        )


def _number(match: re.Match[str]) -> int | float:
    if match[1] or match[2]:
        return float(match[0])
    return int(match[0]) if len(match[0]) <= _MAX_DIGITS else float("inf")
