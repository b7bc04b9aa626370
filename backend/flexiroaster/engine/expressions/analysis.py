"""What an expression mentions, read without evaluating it."""

from __future__ import annotations

from dataclasses import dataclass, field

from flexiroaster.engine.expressions.tokens import Token, literal_text, tokens

MACROS = frozenset({"map", "filter", "all", "exists", "exists_one"})
LITERALS = frozenset({"true", "false", "null", "in"})
TYPE_NAMES = frozenset({"bool", "bytes", "double", "int", "list", "map", "null_type", "string", "type", "uint"})
"""`type(x) == int` mentions a type, not a variable."""
_OPENING = {"(": ")", "[": "]", "{": "}"}
_CLOSING = frozenset(_OPENING.values())


@dataclass(frozen=True, slots=True)
class Reference:
    """A name with the members that follow it: `results.fetch['rows']` is ("results", ("fetch", "rows")).

    `whole` says that the value is used as it is or by a member known only when evaluating.
    """

    root: str
    path: tuple[str | int, ...]
    start: int
    end: int


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


def analyse(source: str) -> Analysis:
    return _Reader(list(tokens(source))).read()


@dataclass(slots=True)
class _Bracket:
    is_macro: bool
    variable: str | None = None


class _Reader:
    """One pass over the tokens, with the stack of open brackets."""

    def __init__(self, words: list[Token]) -> None:
        self.words = words
        self.open: list[_Bracket] = []
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
            self.open.pop()
        elif word.text == "+":
            self.found.pluses += 1
        elif word.text == ",":
            self.found.commas += 1
        return position + 1

    def _open(self, position: int) -> None:
        self.open.append(self._macro_bracket(position) or _Bracket(is_macro=False))
        self.found.bracket_depth = max(self.found.bracket_depth, len(self.open))
        self.found.macro_depth = max(self.found.macro_depth, sum(bracket.is_macro for bracket in self.open))

    def _macro_bracket(self, position: int) -> _Bracket | None:
        """The bracket of `.map(x, …)`: x is a variable until it closes."""
        if self._text(position) != "(" or self._text(position - 1) not in MACROS or self._text(position - 2) != ".":
            return None
        self.found.macros += 1
        variable = self._at(position + 1)
        if variable is None or variable.kind != "name" or self._text(position + 2) != ",":
            return _Bracket(is_macro=True)
        self.found.bound.setdefault(variable.text, variable.start)
        return _Bracket(is_macro=True, variable=variable.text)

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
        if all(bracket.variable != word.text for bracket in self.open):
            self.found.references.append(Reference(word.text, path, word.start, self.words[after - 1].end))
        return after

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
