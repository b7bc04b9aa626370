"""Functions whose value is as large as one of their arguments says: that argument must be a small number.

DuckDB does not count such a value against its memory limit before it exists: `repeat('x', 1000000000)` took 20 GB.
"""

from __future__ import annotations

import re

from sqlglot import exp

LARGEST = 10_000
"""Characters, or elements."""

_WIDE_FORMAT = re.compile(r"\{[^}]*\{|\*|\d{5,}")
"""A width that is taken from an argument, or has five digits."""


def oversized(node: exp.Func) -> str | None:
    """What is wrong with a call's size, None for a call that is bounded."""
    match node:
        case exp.GenerateSeries() if not isinstance(node.parent, exp.Table):
            return "a list of numbers cannot be made here: write `FROM range(…)` in a `sql` operation"
        case exp.Repeat():
            return _bounded(node.args.get("times"), "repeat")
        case exp.Pad():
            return _bounded(node.args.get("expression"), "lpad" if node.args.get("is_left") else "rpad")
        case exp.Format():
            return _bounded_format(node.this, "format")
        case exp.Anonymous() if node.name.lower() == "printf":
            return _bounded_format(next(iter(node.expressions), None), "printf")
        case _:
            return None


def _bounded(size: exp.Expr | None, function: str) -> str | None:
    if isinstance(size, exp.Literal) and not size.is_string and str(size.this).isdigit() and int(size.this) <= LARGEST:
        return None
    return f"the length in `{function}` must be written as a number of at most {LARGEST:,}"


def _bounded_format(pattern: exp.Expr | None, function: str) -> str | None:
    if isinstance(pattern, exp.Literal) and pattern.is_string and not _WIDE_FORMAT.search(str(pattern.this)):
        return None
    return f"the pattern in `{function}` must be a text in quotes, with widths of at most four digits"
