"""Values with `${{ }}` in them.

A text that is exactly one `${{ … }}` keeps the type of its value; in a longer text each is replaced by its text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flexiroaster.engine.expressions.errors import ExpressionError
from flexiroaster.engine.expressions.program import Expression
from flexiroaster.engine.expressions.tokens import end_of_expression
from flexiroaster.engine.expressions.values import MAX_DEPTH, as_text
from flexiroaster.engine.quoting import on_one_line

OPENING = "${{"
CLOSING = "}}"
EVERYTHING = "*"
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Piece:
    """An expression in a text; `start` is where its `${{` stands, `inner` where the expression begins."""

    source: str
    start: int
    inner: int
    end: int


def is_templated(value: object) -> bool:
    return isinstance(value, str) and OPENING in value


def pieces(text: str) -> Iterator[Piece]:
    """The expressions of a text, unread. Raises `ExpressionError` where one is not closed."""
    position = 0
    while (start := text.find(OPENING, position)) >= 0:
        inner = start + len(OPENING)
        end = end_of_expression(text, inner)
        if end is None:
            raise ExpressionError(
                f"The expression `{on_one_line(text[start:])}` is not closed: write }}}} at its end.",
                code="expression_unclosed",
                source=text[inner:],
                offset=start,
            )
        position = end + len(CLOSING)
        yield Piece(text[inner:end], start, inner, position)


@dataclass(frozen=True, slots=True)
class Template:
    """A JSON value whose texts may hold expressions, compiled."""

    value: Any
    compiled: Mapping[str, tuple[str | Expression, ...]]
    """By text: its parts in order. Texts without expressions are not in it."""

    @staticmethod
    def parse(value: Any) -> Template:
        """Raises `ExpressionError`, with `offset` counted from the start of the text that holds the expression."""
        compiled: dict[str, tuple[str | Expression, ...]] = {}
        for _, text in templated_texts(value):
            if text not in compiled:
                compiled[text] = tuple(_parts(text))
        return Template(value, compiled)

    @property
    def is_static(self) -> bool:
        return not self.compiled

    def render(self, scope: Mapping[str, Any]) -> Any:
        """A JSON value of its own, nothing shared with the definition. Raises `ExpressionError`."""
        return self._render(self.value, scope)

    def references(self) -> set[tuple[str, str]]:
        """`{("results", "fetch"), ("inputs", "day")}`; the name is `*` where all of a namespace may be read."""
        return {
            (reference.root, str(reference.path[0]) if reference.path else EVERYTHING)
            for expression in self.expressions()
            for reference in expression.analysis.references
        }

    def expressions(self) -> Iterator[Expression]:
        for parts in self.compiled.values():
            for part in parts:
                if isinstance(part, Expression):
                    yield part

    def _render(self, value: Any, scope: Mapping[str, Any]) -> Any:
        match value:
            case str():
                return _fill(self.compiled[value], scope) if value in self.compiled else value
            case Mapping():
                return {key: self._render(item, scope) for key, item in value.items()}
            case list() | tuple():
                return [self._render(item, scope) for item in value]
            case _:
                return value


def templated_texts(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Every text with `${{` in it, and where it stands."""
    if len(path) > MAX_DEPTH:
        raise ExpressionError(f"The value is nested deeper than {MAX_DEPTH} levels.", code="expression_limit")
    if isinstance(value, str):
        if OPENING in value:
            yield path, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from templated_texts(item, (*path, key))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from templated_texts(item, (*path, index))


def whole_expression(text: str) -> str | None:
    """The expression when the text is exactly one `${{ … }}`, blanks around it aside. Raises `ExpressionError`."""
    stripped = text.strip()
    if not stripped.startswith(OPENING):
        return None
    first = next(pieces(stripped))
    return first.source if first.end == len(stripped) else None


def _parts(text: str) -> Iterator[str | Expression]:
    whole = whole_expression(text)
    if whole is not None:
        yield _located(whole, text.index(OPENING) + len(OPENING))
        return
    position = 0
    for piece in pieces(text):
        if piece.start > position:
            yield text[position : piece.start]
        yield _located(piece.source, piece.inner)
        position = piece.end
    if position < len(text):
        yield text[position:]


def _located(source: str, inner: int) -> Expression:
    """Compile; the offset of an error counts from the start of the text, not of the expression."""
    leading = len(source) - len(source.lstrip())
    try:
        return Expression.compile(source.strip())
    except ExpressionError as error:
        raise ExpressionError(
            str(error),
            code=error.code,
            source=error.source,
            offset=inner + leading + (error.offset or 0),
            suggestion=error.suggestion,
        ) from error


def _fill(parts: tuple[str | Expression, ...], scope: Mapping[str, Any]) -> Any:
    if len(parts) == 1 and isinstance(parts[0], Expression):
        return parts[0].evaluate(scope)
    return "".join(part if isinstance(part, str) else as_text(part.evaluate(scope)) for part in parts)
