"""The tree of an expression, read from its tokens: the CEL package keeps its own to itself.

It is for checks only. What is not read here is no error: CEL itself says what can be read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from flexiroaster.engine.expressions.analysis import MACROS
from flexiroaster.engine.expressions.tokens import Token, literal_text, tokens

Constant = Literal["null", "bool", "int", "uint", "double", "string", "bytes"]
MOST_WORDS = 300
"""Of a longer one nothing is known: its tree would be too deep to walk."""
_DEEPEST = 30
"""Of signs within brackets, and of choices within choices."""
_One = TypeVar("_One")


@dataclass(frozen=True, slots=True)
class Node:
    """`start` and `end` are its place in the source."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Literally(Node):
    kind: Constant


@dataclass(frozen=True, slots=True)
class Named(Node):
    name: str


@dataclass(frozen=True, slots=True)
class Member(Node):
    """`holder.name`, and `holder['name']`."""

    holder: Node
    name: str


@dataclass(frozen=True, slots=True)
class Index(Node):
    holder: Node
    key: Node


@dataclass(frozen=True, slots=True)
class Call(Node):
    """`f(a, b)`, and `a.f(b)`, which is the same."""

    function: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Macro(Node):
    """`items.map(variable, body)`; `bodies` has a second one where `map` filters first."""

    function: str
    items: Node
    variable: str
    bodies: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Unary(Node):
    operator: str
    operand: Node


@dataclass(frozen=True, slots=True)
class Binary(Node):
    """`at` is where its operator stands."""

    operator: str
    left: Node
    right: Node
    at: int


@dataclass(frozen=True, slots=True)
class Choice(Node):
    condition: Node
    first: Node
    second: Node


@dataclass(frozen=True, slots=True)
class Listed(Node):
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Mapped(Node):
    entries: tuple[tuple[Node, Node], ...]


def parse(source: str) -> Node | None:
    """None for what is not read here."""
    words = list(tokens(source))
    if len(words) > MOST_WORDS:
        return None
    reader = _Reader(words)
    try:
        tree = reader.choice()
    except _Unread:
        return None
    return tree if reader.at_end() else None


class _Unread(Exception):
    """Something that this reader does not know."""


_LEVELS = (("||",), ("&&",), ("<", "<=", ">", ">=", "==", "!=", "in"), ("+", "-"), ("*", "/", "%"))
"""From the loosest; all group from the left."""
_CONSTANTS: dict[str, Constant] = {"true": "bool", "false": "bool", "null": "null"}


class _Reader:
    def __init__(self, words: list[Token]) -> None:
        self.words = words
        self.position = 0
        self.depth = 0

    def at_end(self) -> bool:
        return self.position == len(self.words)

    def choice(self) -> Node:
        condition = self._binary(0)
        if not self._take("?"):
            return condition
        first = self._binary(0)
        self._expect(":")
        second = self._deeper(self.choice)
        return Choice(condition.start, second.end, condition, first, second)

    def _binary(self, level: int) -> Node:
        if level == len(_LEVELS):
            return self._unary()
        left = self._binary(level + 1)
        while self._text() in _LEVELS[level]:
            operator = self._next()
            right = self._binary(level + 1)
            left = Binary(left.start, right.end, operator.text, left, right, operator.start)
        return left

    def _unary(self) -> Node:
        if self._text() not in {"!", "-"}:
            return self._members(self._primary())
        operator, turns = self._next(), 1
        while self._take(operator.text):
            turns += 1
        operand = self._deeper(self._unary)
        if turns % 2 == 0:  # CEL leaves out what turns twice, whatever the value is
            return replace(operand, start=operator.start)
        return Unary(operator.start, operand.end, operator.text, operand)

    def _members(self, node: Node) -> Node:
        while True:
            if self._take("."):
                name = self._name()
                node = (
                    self._called(name, node) if self._text() == "(" else Member(node.start, name.end, node, name.text)
                )
            elif self._take("["):
                node = self._indexed(node)
            else:
                return node

    def _indexed(self, holder: Node) -> Node:
        first = self._at(self.position)
        key = self.choice()
        end = self._expect("]").end
        text = literal_text(first) if first is not None and isinstance(key, Literally) else None
        return Index(holder.start, end, holder, key) if text is None else Member(holder.start, end, holder, text)

    def _called(self, name: Token, receiver: Node) -> Node:
        arguments, end = self._enclosed("(", ")", self.choice)
        if name.text not in MACROS:
            return Call(receiver.start, end, name.text, (receiver, *arguments))
        if len(arguments) not in {2, 3} or not isinstance(arguments[0], Named):
            raise _Unread
        return Macro(receiver.start, end, name.text, receiver, arguments[0].name, arguments[1:])

    def _primary(self) -> Node:
        word = self._at(self.position)
        if word is None:
            raise _Unread
        match word.kind, word.text:
            case "punctuation", "(":
                return self._bracketed()
            case "punctuation", "[":
                items, end = self._enclosed("[", "]", self.choice)
                return Listed(word.start, end, items)
            case "punctuation", "{":
                entries, end = self._enclosed("{", "}", self._entry)
                return Mapped(word.start, end, entries)
            case "string", text:
                self.position += 1
                prefix = text.partition(text[-1])[0]
                return Literally(word.start, word.end, "bytes" if "b" in prefix.lower() else "string")
            case "number", text:
                self.position += 1
                return Literally(word.start, word.end, _number(text))
            case "name", text:
                return self._named(text)
            case _:
                raise _Unread

    def _bracketed(self) -> Node:
        """What stands in brackets is quoted with them."""
        opening = self._expect("(")
        inner = self.choice()
        return replace(inner, start=opening.start, end=self._expect(")").end)

    def _named(self, text: str) -> Node:
        word = self._next()
        if text in _CONSTANTS:
            return Literally(word.start, word.end, _CONSTANTS[text])
        if self._text() != "(":
            return Named(word.start, word.end, text)
        arguments, end = self._enclosed("(", ")", self.choice)
        return Call(word.start, end, text, arguments)

    def _entry(self) -> tuple[Node, Node]:
        key = self.choice()
        self._expect(":")
        return key, self.choice()

    def _enclosed(self, opening: str, closing: str, one: Callable[[], _One]) -> tuple[tuple[_One, ...], int]:
        self._expect(opening)
        found: list[_One] = []
        while self._text() != closing:
            found.append(one())
            if not self._take(","):
                break
        return tuple(found), self._expect(closing).end

    def _deeper(self, read: Callable[[], Node]) -> Node:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise _Unread
        node = read()
        self.depth -= 1
        return node

    def _name(self) -> Token:
        word = self._next()
        if word.kind != "name":
            raise _Unread
        return word

    def _take(self, text: str) -> bool:
        taken = self._text() == text
        self.position += taken
        return taken

    def _expect(self, text: str) -> Token:
        word = self._next()
        if word.text != text:
            raise _Unread
        return word

    def _next(self) -> Token:
        word = self._at(self.position)
        if word is None:
            raise _Unread
        self.position += 1
        return word

    def _text(self) -> str:
        """Of the next token that is no text in quotes."""
        word = self._at(self.position)
        return word.text if word is not None and word.kind != "string" else ""

    def _at(self, position: int) -> Token | None:
        return self.words[position] if position < len(self.words) else None


def _number(text: str) -> Constant:
    if text[-1] in "uU":
        return "uint"
    is_hex = text[:2] in {"0x", "0X"}
    return "double" if not is_hex and any(sign in text for sign in ".eE") else "int"
