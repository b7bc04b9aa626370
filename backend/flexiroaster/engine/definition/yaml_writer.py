"""A document as YAML that people like to read, and that reads back as the same document.

Block style, keys in their order, quotes only where YAML 1.2 needs them, short lists of words on one line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from flexiroaster.engine.definition.core_schema import resolve

WIDTH = 100
_MAX_SIMPLE_KEY = 120
_PLAIN = re.compile(r"[A-Za-z_/$.(<+~=0-9^;][^\x00-\x1f]*|[^\x00-\x7f][^\x00-\x1f]*|-[A-Za-z0-9/.][^\x00-\x1f]*")
_BREAKS_PLAIN = re.compile(r": |:$| #|\s$|^\.\.\.|^---|^<<$")
_BREAKS_FLOW = re.compile(r"[,\[\]{}]|:$|\$\{\{")


def to_yaml(document: Mapping[str, Any]) -> str:
    """Of JSON values; the result ends with a line break."""
    if not document:
        return "{}\n"
    return "\n".join(_mapping(document, 0)) + "\n"


def _mapping(value: Mapping[str, Any], indent: int) -> Iterator[str]:
    blank = " " * indent
    for key, item in value.items():
        name = _text(key)
        if len(name) > _MAX_SIMPLE_KEY:
            yield f"{blank}? {_double_quoted(key)}"
            head = f"{blank}:"
        else:
            head = f"{blank}{name}:"
        yield from _entry(head, item, indent)


def _entry(head: str, value: Any, indent: int) -> Iterator[str]:
    """A key or a dash with what follows it, on its line or below."""
    if isinstance(value, Mapping) and value:
        yield head
        yield from _mapping(value, indent + 2)
    elif isinstance(value, list | tuple) and value:
        flow = _flow(value)
        if flow is not None and len(head) + len(flow) < WIDTH:
            yield f"{head} {flow}"
        else:
            yield head
            yield from _sequence(value, indent + 2)
    else:
        first, *rest = _scalar(value, indent + 2)
        yield f"{head} {first}"
        yield from rest


def _sequence(items: list[Any] | tuple[Any, ...], indent: int) -> Iterator[str]:
    blank = " " * indent
    for item in items:
        if isinstance(item, Mapping) and item:
            first, *rest = _mapping(item, indent + 2)
            yield f"{blank}- {first[indent + 2 :]}"
            yield from rest
        else:
            yield from _entry(f"{blank}-", item, indent)


def _flow(items: list[Any] | tuple[Any, ...]) -> str | None:
    """`[a, b]` for plain words and numbers; None when that would need quotes or more."""
    words = []
    for item in items:
        if isinstance(item, Mapping | list | tuple):
            return None
        word = _text(item) if isinstance(item, str) else _scalar(item, 0)[0]
        if isinstance(item, str) and (word != item or _BREAKS_FLOW.search(word)):
            return None
        words.append(word)
    return f"[{', '.join(words)}]"


def _scalar(value: Any, indent: int) -> list[str]:
    match value:
        case None:
            return ["null"]
        case bool():
            return ["true" if value else "false"]
        case int() | float():
            return [repr(value)]
        case str():
            return _block(value, indent) or [_text(value)]
        case Mapping():
            return ["{}"]
        case _:
            return ["[]"]


def _text(text: str) -> str:
    if _is_plain(text):
        return text
    if text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    return _double_quoted(text)


def _is_plain(text: str) -> bool:
    return (
        text.isprintable()
        and _PLAIN.fullmatch(text) is not None
        and _BREAKS_PLAIN.search(text) is None
        and resolve(text) is text
    )


def _block(text: str, indent: int) -> list[str] | None:
    """`|` for text of several lines; None where a block could not say it exactly."""
    lines = text.split("\n")
    if len(lines) < 2 or not lines[0].strip() or lines[0][0] in " \t" or not any(lines):
        return None
    if not all(line.replace("\t", " ").isprintable() and (line.strip() or not line) for line in lines):
        return None
    ending = len(text) - len(text.rstrip("\n"))
    mark = "|-" if ending == 0 else "|" if ending == 1 else "|+"
    body = lines if ending == 0 else lines[:-1]
    blank = " " * indent
    return [mark, *(f"{blank}{line}" if line else "" for line in body)]


def _double_quoted(text: str) -> str:
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(character if character.isprintable() else _escaped(character) for character in quoted)


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
