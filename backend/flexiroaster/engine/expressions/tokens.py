"""Words of the Common Expression Language (CEL).

The `cel` package keeps its syntax tree to itself, so what the checks need to know before anything is evaluated
(names, nesting, where an expression ends in a text) is read from the tokens.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

TokenKind = Literal["string", "number", "name", "punctuation", "unknown"]

_TOKEN = re.compile(
    r"""
    (?P<space>   \s+ | //[^\n]* )
  | (?P<string>  (?:[rR][bB]?|[bB][rR]?)? (?: \"{3}(?s:.*?)\"{3} | '{3}(?s:.*?)'{3} ) )
  | (?P<raw>     (?:[rR][bB]?|[bB][rR]) (?: "[^"\n]*" | '[^'\n]*' ) )
  | (?P<quoted>  [bB]? (?: "(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*' ) )
  | (?P<number>  0x[0-9a-fA-F]+[uU]? | (?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[uU]? )
  | (?P<name>    [A-Za-z_][A-Za-z0-9_]* )
  | (?P<punctuation> && | \|\| | [<>=!]= | [-+*/%!?:.,<>()\[\]{}] )
  | (?P<unknown> . )
    """,
    re.VERBOSE | re.ASCII,
)
_KINDS: dict[str, TokenKind] = {
    "string": "string",
    "raw": "string",
    "quoted": "string",
    "number": "number",
    "name": "name",
    "punctuation": "punctuation",
    "unknown": "unknown",
}


@dataclass(frozen=True, slots=True)
class Token:
    kind: TokenKind
    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


def tokens(source: str, start: int = 0) -> Iterator[Token]:
    """Never fails: what CEL does not know comes as `unknown`, one character at a time."""
    position = start
    while (match := _TOKEN.match(source, position)) is not None:
        position = match.end()
        kind = _KINDS.get(match.lastgroup or "")
        if kind is not None:
            yield Token(kind, match[0], match.start())


def end_of_expression(text: str, start: int) -> int | None:
    """Where the `}}` stands that closes an expression beginning at `start`; None when there is none.

    A `}}` inside a string or closing two maps does not count.
    """
    depth = 0
    for token in tokens(text, start):
        if token.text == "{":
            depth += 1
        elif token.text == "}":
            if depth == 0 and text.startswith("}}", token.start):
                return token.start
            depth -= 1
            if depth < 0:
                return None
    return None


_SIMPLE_STRING = re.compile(r"""(["'])((?:(?!\1)[^\\\n])*)\1""")


def literal_text(token: Token) -> str | None:
    """The value of a string without escapes, as member names are written; None for any other token."""
    match = _SIMPLE_STRING.fullmatch(token.text) if token.kind == "string" else None
    return match[2] if match else None
