"""How messages quote what somebody wrote: never more of it than a reader takes in."""

from __future__ import annotations

from collections.abc import Iterable

QUOTE_LIMIT = 80
MOST_NAMES = 20


def shortened(text: str, limit: int = QUOTE_LIMIT) -> str:
    """At most `limit` characters."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def quoted(text: str, limit: int = QUOTE_LIMIT) -> str:
    """In quotes, with escapes for what cannot be seen."""
    return repr(shortened(text, limit))


def on_one_line(text: str, limit: int = QUOTE_LIMIT) -> str:
    """Expressions and other code, which may have line breaks."""
    return shortened(" ".join(text.split()), limit)


def without_middle(text: str, limit: int = 2 * QUOTE_LIMIT) -> str:
    """For sentences of a library, which quote at their beginning and explain at their end."""
    half = limit // 2
    return text if len(text) <= limit else f"{text[:half]} … {text[-half:]}"


def listed(names: Iterable[str], last: str = ", ") -> str:
    """`a, b, c`, or with ` or ` as `last` `a, b or c`; of many the first."""
    every = [shortened(name) for name in names]
    if len(every) > MOST_NAMES:
        return f"{', '.join(every[:MOST_NAMES])} and {len(every) - MOST_NAMES:,} more"
    return f"{', '.join(every[:-1])}{last}{every[-1]}" if len(every) > 1 else "".join(every)
