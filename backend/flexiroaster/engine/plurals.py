"""Counts as people read them."""

from __future__ import annotations


def counted(number: int, singular: str, plural: str | None = None) -> str:
    """`1 row`, `2 rows`, `1,234 rows`; `plural` where an `s` does not make it."""
    return f"{number:,} {singular if number == 1 else plural or f'{singular}s'}"
