"""What an expression mentions, read without evaluating it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from flexiroaster.engine.expressions.tokens import Token, literal_text, tokens

MACROS = frozenset({"map", "filter", "all", "exists", "exists_one"})
COPYING = frozenset({"map", "filter"})
"""Macros that make a list; the CEL package copies what there is of it for each further element."""
LITERALS = frozenset({"true", "false", "null", "in"})
TYPE_NAMES = frozenset({"bool", "bytes", "double", "int", "list", "map", "null_type", "string", "type", "uint"})
"""`type(x) == int` mentions a type, not a variable."""
_OPENING = {"(": ")", "[": "]", "{": "}"}
_CLOSING = frozenset(_OPENING.values())


@dataclass(frozen=True, slots=True)
class Reference:
    """A name with the members that follow it: `results.fetch['rows']` is ("results", ("fetch", "rows")).

    `kept` says that it may become an element of the list that a `map` makes.
    """

    root: str
    path: tuple[str | int, ...]
    start: int
    end: int
    kept: bool = False


@dataclass(slots=True)
class Analysis:
    references: list[Reference] = field(default_factory=list)
    calls: list[Token] = field(default_factory=list)
    macros: int = 0
    macro_depth: int = 0
    bracket_depth: int = 0
    pluses: int = 0
    commas: int = 0
    unknown: Token | None = None
    bound: dict[str, int] = field(default_factory=dict)
    """Variables that macros bring in, with the place of the first."""
    copies: list[int] = field(default_factory=list)
    """Of each macro that makes a list: to which power of the lists' length the number of copied elements grows."""
    chained: int = 0
    """How many macros may go through a list that one before them made."""
    lengthens: bool = False
    """Whether a list is made of lists that are made here too."""
    keeps_elements: bool = False
    """Whether the lists made hold elements of other lists as they are, not only members of these."""


def analyse(source: str) -> Analysis:
    return _Reader(list(tokens(source))).read()


@dataclass(slots=True)
class _Bracket:
    macro: str | None = None
    variable: str | None = None
    holds_copying: bool = False

    @property
    def is_macro(self) -> bool:
        return self.macro is not None


class _Reader:
    """One pass over the tokens, with the stack of open brackets."""

    def __init__(self, words: list[Token]) -> None:
        self.words = words
        self.open: list[_Bracket] = []
        self.beside: Counter[int] = Counter()
        self.found = Analysis()

    def read(self) -> Analysis:
        position = 0
        while position < len(self.words):
            position = self._step(position)
        return self.found

    def _step(self, position: int) -> int:
        word = self.words[position]
        if word.kind == "name":
            return self._name(position)
        if word.kind == "unknown" and self.found.unknown is None:
            self.found.unknown = word
        if word.text in _OPENING:
            self._open(position)
        elif word.text in _CLOSING and self.open:
            self._close()
        elif word.text == "+":
            self.found.pluses += 1
        elif word.text == ",":
            self.found.commas += 1
        return position + 1

    def _open(self, position: int) -> None:
        self.open.append(self._macro_bracket(position) or _Bracket())
        self.found.bracket_depth = max(self.found.bracket_depth, len(self.open))
        self.found.macro_depth = max(self.found.macro_depth, sum(bracket.is_macro for bracket in self.open))

    def _macro_bracket(self, position: int) -> _Bracket | None:
        """The bracket of `.map(x, …)`: x is a variable until it closes."""
        if self._text(position) != "(" or self._text(position - 1) not in MACROS or self._text(position - 2) != ".":
            return None
        self.found.macros += 1
        variable = self._at(position + 1)
        macro = self._text(position - 1)
        if variable is None or variable.kind != "name" or self._text(position + 2) != ",":
            return _Bracket(macro)
        self.found.bound.setdefault(variable.text, variable.start)
        return _Bracket(macro, variable.text)

    def _close(self) -> None:
        closed = self.open.pop()
        if closed.macro not in COPYING:
            return
        around = [bracket for bracket in self.open if bracket.is_macro]
        for bracket in around:
            bracket.holds_copying = True
        # It runs once for each element of those around it, and each run copies as the square of its own length; what a
        # map inside makes is as long again.
        self.beside[len(around)] += 1
        self.found.chained = max(self.found.chained, self.beside[len(around)] - 1)
        lengthens = closed.macro == "map" and closed.holds_copying
        self.found.copies.append(len(around) + 2 + lengthens)
        self.found.lengthens |= lengthens
        self.found.keeps_elements |= closed.macro == "filter"

    def _name(self, position: int) -> int:
        word = self.words[position]
        is_member = self._text(position - 1) == "." and self._ends_operand(position - 2)
        if self._text(position + 1) == "(":
            if word.text not in MACROS or not is_member:
                self.found.calls.append(word)
            return position + 1
        if is_member or word.text in LITERALS or word.text in TYPE_NAMES:
            return position + 1
        path, after = self._members(position + 1)
        kept = self._in_map() and not (self._text(after) == "." and self._text(after + 2) == "(")
        if all(bracket.variable != word.text for bracket in self.open):
            self.found.references.append(Reference(word.text, path, word.start, self.words[after - 1].end, kept))
        elif kept and not path and not (self.open[-1].is_macro and self._text(position - 1) == "("):
            self.found.keeps_elements = True
        return after

    def _in_map(self) -> bool:
        """Whether the innermost macro here is a map."""
        innermost = next((bracket for bracket in reversed(self.open) if bracket.is_macro), None)
        return innermost is not None and innermost.macro == "map"

    def _members(self, position: int) -> tuple[tuple[str | int, ...], int]:
        """The members that can be known now: `.name` that is no call, `['name']` and `[0]`."""
        path: list[str | int] = []
        while True:
            following = self._at(position + 1)
            if self._text(position) == "." and following is not None and following.kind == "name":
                if self._text(position + 2) == "(":
                    break
                path.append(following.text)
                position += 2
            elif self._text(position) == "[" and following is not None and self._text(position + 2) == "]":
                key = _index(following)
                if key is None:
                    break
                path.append(key)
                position += 3
            else:
                break
        return tuple(path), position

    def _ends_operand(self, position: int) -> bool:
        word = self._at(position)
        return word is not None and (word.kind in {"name", "string", "number"} or word.text in _CLOSING)

    def _at(self, position: int) -> Token | None:
        return self.words[position] if 0 <= position < len(self.words) else None

    def _text(self, position: int) -> str:
        word = self._at(position)
        return word.text if word is not None else ""


def _index(token: Token) -> str | int | None:
    if token.kind == "number" and token.text.isdigit() and len(token.text) < 10:
        return int(token.text)
    return literal_text(token)
