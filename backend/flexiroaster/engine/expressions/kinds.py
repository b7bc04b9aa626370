"""Which values the operators and functions of expressions take, and which they give.

All of it is what the CEL package does (a test compares), which is a little more than the standard: a list joined with a
mapping is a list, and minus makes true of false.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import product


class Kind(StrEnum):
    """The words are those of problems."""

    NULL = "null"
    BOOL = "true or false"
    INT = "a whole number"
    UINT = "an unsigned number"
    DOUBLE = "a decimal number"
    STRING = "text"
    BYTES = "bytes"
    TIMESTAMP = "a timestamp"
    DURATION = "a duration"
    LIST = "a list"
    MAP = "a mapping"
    TYPE = "a type"


Kinds = frozenset[Kind]

ANY: Kinds = frozenset(Kind)
NOTHING: Kinds = frozenset()
BOOL = frozenset({Kind.BOOL})
INT = frozenset({Kind.INT})
LIST = frozenset({Kind.LIST})
MAP = frozenset({Kind.MAP})
STRING = frozenset({Kind.STRING})
DOUBLE = frozenset({Kind.DOUBLE})
UINT = frozenset({Kind.UINT})
BYTES = frozenset({Kind.BYTES})
TIMESTAMP = frozenset({Kind.TIMESTAMP})
DURATION = frozenset({Kind.DURATION})
TYPE = frozenset({Kind.TYPE})
NULL = frozenset({Kind.NULL})
NUMBERS = INT | UINT | DOUBLE
JSON_NUMBERS = INT | DOUBLE
"""Of JSON, and of what Python functions give: `3.0` counts as a whole number there."""
KEYS = INT | UINT | STRING | BOOL
WITH_MEMBERS = LIST | MAP

_Pairs = Mapping[tuple[Kind, Kind], Kind]


def _same(*kinds: Kind) -> dict[tuple[Kind, Kind], Kind]:
    return {(kind, kind): kind for kind in kinds}


_ARITHMETIC = _same(Kind.INT, Kind.UINT, Kind.DOUBLE)
_ORDERED: dict[tuple[Kind, Kind], Kind] = {
    **dict.fromkeys(product(NUMBERS, NUMBERS), Kind.BOOL),
    **{(kind, kind): Kind.BOOL for kind in STRING | BOOL | BYTES | TIMESTAMP | DURATION},
}
_BINARY: Mapping[str, _Pairs] = {
    "+": {
        **_ARITHMETIC,
        **_same(Kind.STRING, Kind.BYTES, Kind.LIST, Kind.DURATION),
        (Kind.LIST, Kind.MAP): Kind.LIST,
        (Kind.TIMESTAMP, Kind.DURATION): Kind.TIMESTAMP,
    },
    "-": {
        **_ARITHMETIC,
        **_same(Kind.DURATION),
        (Kind.TIMESTAMP, Kind.TIMESTAMP): Kind.DURATION,
        (Kind.TIMESTAMP, Kind.DURATION): Kind.TIMESTAMP,
    },
    "*": _ARITHMETIC,
    "/": _ARITHMETIC,
    "%": _same(Kind.INT, Kind.UINT),
    **dict.fromkeys(("<", "<=", ">", ">="), _ORDERED),
    "in": {
        **{(kind, Kind.LIST): Kind.BOOL for kind in ANY},
        **{(kind, Kind.MAP): Kind.BOOL for kind in KEYS},
    },
}


def of_binary(operator: str, left: Kinds, right: Kinds) -> Kinds:
    """What it may give; nothing where it surely fails. Not for `&&` and `||`, which overlook a failing side."""
    pairs = _BINARY.get(operator)
    if pairs is None:  # == and != compare all with all
        return BOOL if left and right else NOTHING
    return frozenset(pairs[pair] for pair in product(left, right) if pair in pairs)


_UNARY: Mapping[str, Kinds] = {"!": BOOL, "-": INT | DOUBLE | BOOL}


def of_unary(operator: str, operand: Kinds) -> Kinds:
    return operand & _UNARY[operator]


@dataclass(frozen=True, slots=True)
class Signature:
    """`takes` says what each argument may be: further ones may be anything, as may all where their number is another
    than one of `counts`.
    """

    takes: tuple[Kinds, ...]
    gives: Kinds
    counts: range


def _of(gives: Kinds, *takes: Kinds, least: int | None = None) -> Signature:
    return Signature(takes, gives, range(len(takes) if least is None else least, len(takes) + 1))


_TEXT = STRING | TYPE
"""For functions of Python, to which a type comes as its name."""
_TEXT_OR_TIME = STRING | TIMESTAMP
_NUMBER_OR_LIST = NUMBERS | LIST
_OF_TIME = _of(INT, TIMESTAMP)

FUNCTIONS: Mapping[str, Signature] = {
    "abs": _of(JSON_NUMBERS, _NUMBER_OR_LIST),
    "bool": _of(BOOL, BOOL | STRING),
    "bytes": _of(BYTES, STRING | BYTES),
    "contains": _of(BOOL, STRING, STRING),
    "date": _of(STRING, _TEXT_OR_TIME, STRING, least=1),
    "double": _of(DOUBLE, NUMBERS | STRING),
    "duration": _of(DURATION, STRING | DURATION),
    "endsWith": _of(BOOL, STRING, STRING),
    "format_time": _of(STRING, _TEXT_OR_TIME, _TEXT, _TEXT, least=2),
    "get": _of(ANY, LIST | MAP | NULL, ANY, ANY, least=2),
    "getDate": _OF_TIME,
    "getDayOfMonth": _OF_TIME,
    "getDayOfWeek": _OF_TIME,
    "getDayOfYear": _OF_TIME,
    "getFullYear": _OF_TIME,
    "getHours": _of(INT, TIMESTAMP | DURATION),
    "getMilliseconds": _of(INT, TIMESTAMP | DURATION),
    "getMinutes": _of(INT, TIMESTAMP | DURATION),
    "getMonth": _OF_TIME,
    "getSeconds": _of(INT, TIMESTAMP | DURATION),
    "int": _of(INT, NUMBERS | STRING),
    "join": _of(STRING, LIST, _TEXT, least=1),
    "json": _of(STRING, ANY),
    "keys": _of(LIST, MAP),
    "lower": _of(STRING, _TEXT),
    "matches": _of(BOOL, STRING, STRING),
    "replace": _of(STRING, _TEXT, _TEXT, _TEXT),
    "round": _of(JSON_NUMBERS, _NUMBER_OR_LIST, INT | UINT | BOOL, least=1),
    "size": _of(INT, STRING | BYTES | LIST | MAP),
    "split": _of(LIST, _TEXT, _TEXT),
    "startsWith": _of(BOOL, STRING, STRING),
    "string": _of(STRING, ANY),
    "sum": _of(JSON_NUMBERS, LIST),
    "timestamp": _of(TIMESTAMP, STRING | TIMESTAMP),
    "trim": _of(STRING, _TEXT),
    "type": _of(TYPE, ANY),
    "uint": _of(UINT, NUMBERS | STRING),
    "upper": _of(STRING, _TEXT),
    "values": _of(LIST, MAP),
}


def named(kinds: Kinds) -> str | None:
    """In a sentence; None where it could be nearly anything."""
    known = kinds - TYPE if kinds & STRING else kinds
    names = ["a number"] if known >= JSON_NUMBERS else []
    names += sorted(kind.value for kind in (known - JSON_NUMBERS if names else known))
    return " or ".join(names) if 0 < len(names) <= _MOST_NAMED else None


_MOST_NAMED = 3
