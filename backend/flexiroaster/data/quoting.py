"""Names and values as SQL text. Everything that enters a statement as text passes through here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any


def name(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


def names(identifiers: Iterable[str]) -> str:
    return ", ".join(name(identifier) for identifier in identifiers)


def literal(value: Any) -> str:
    """A scalar, path, list or mapping as a DuckDB literal. Lists become `[…]`, mappings `{…}`."""
    match value:
        case None:
            return "NULL"
        case bool():
            return "TRUE" if value else "FALSE"
        case int() | float():
            return repr(value)
        case str() | Path():
            return "'" + str(value).replace("'", "''") + "'"
        case Mapping():
            return "{" + ", ".join(f"{literal(str(key))}: {literal(item)}" for key, item in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(literal(item) for item in value) + "]"
        case _:
            raise TypeError(f"{type(value).__name__} has no SQL literal")


def exact_path(path: Path) -> str:
    """DuckDB expands glob characters in file names; in brackets each stands for itself."""
    return "".join(f"[{char}]" if char in "*?[" else char for char in str(path))


def paths(files: Iterable[Path]) -> str:
    """One path or a list of them, as literals."""
    exact = [exact_path(file) for file in files]
    return literal(exact[0] if len(exact) == 1 else exact)


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """` Did you mean 'x'?`, or the known names, or nothing when there are none."""
    options = list(known)
    by_lower = {option.lower(): option for option in options}
    close = get_close_matches(wrong.lower(), by_lower, n=1, cutoff=0.6)
    if close:
        return f" Did you mean {by_lower[close[0]]!r}?"
    if not options:
        return ""
    shown = ", ".join(options[:20]) + (", …" if len(options) > 20 else "")
    return f" There are: {shown}."
