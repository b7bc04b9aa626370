"""Where the next page of an http answer is: values in, values out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from flexiroaster.engine.errors import StageFailed
from flexiroaster.stages.http_config import CursorPages, LinkPages, NumberedPages, OffsetPages
from flexiroaster.stages.json_path import Missing, find, kind

Paging = CursorPages | NumberedPages | OffsetPages | LinkPages


@dataclass(frozen=True, slots=True)
class Step:
    """What to change in the first request: another URL, or parameters of the query or the JSON body."""

    url: str | None = None
    query: Mapping[str, Any] = field(default_factory=dict)
    json: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page:
    """What one answer held. `number` counts from 1, `seen` counts the rows of all pages so far."""

    document: Any
    number: int
    rows: int
    seen: int
    link: str | None = None


def first_step(paging: Paging) -> Step:
    match paging:
        case NumberedPages():
            return Step(query=_numbered(paging, paging.start))
        case OffsetPages():
            return Step(query={paging.param: 0, paging.limit_param: paging.limit})
        case _:
            return Step()


def next_step(paging: Paging, page: Page) -> Step | None:
    """None after the last page."""
    match paging:
        case CursorPages():
            return _after_cursor(paging, page.document)
        case LinkPages():
            return Step(url=page.link) if page.link else None
        case NumberedPages():
            last = page.rows < (paging.size or 1)
            return None if last else Step(query=_numbered(paging, paging.start + page.number))
        case OffsetPages():
            last = page.rows < paging.limit
            return None if last else Step(query={paging.param: page.seen, paging.limit_param: paging.limit})


def _numbered(paging: NumberedPages, number: int) -> dict[str, Any]:
    size = {paging.size_param: paging.size} if paging.size_param and paging.size else {}
    return {paging.param: number} | size


def _after_cursor(paging: CursorPages, document: Any) -> Step | None:
    try:
        cursor = find(document, paging.next)
    except Missing:
        return None
    if cursor is None or cursor == "" or cursor is False:
        return None
    if not isinstance(cursor, (str, int)) or isinstance(cursor, bool):
        raise StageFailed(
            f"paginate.next {paging.next} is {kind(cursor)}: name the text or number of the next page.",
            code="http_paginate",
            kind="data",
        )
    if paging.param is None:
        return Step(url=str(cursor))
    if paging.send_in == "json":
        return Step(json={paging.param: cursor})
    return Step(query={paging.param: cursor})


def rows_of(document: Any, path: str | None) -> list[Any]:
    """The rows of an answer. Without a path: the answer itself, or the only list in it."""
    if path is not None:
        return _listed(document, path)
    if isinstance(document, list):
        return document
    lists = [name for name, value in document.items() if isinstance(value, list)] if isinstance(document, dict) else []
    if len(lists) == 1:
        return list(document[lists[0]])
    found = f"an object with the lists {', '.join(lists)}" if lists else f"{kind(document)} without a list"
    raise StageFailed(
        f"The answer is {found}: name its rows, such as rows: $.{lists[0] if lists else 'items'}.",
        code="http_rows",
        kind="data",
    )


def _listed(document: Any, path: str) -> list[Any]:
    try:
        rows = find(document, path)
    except Missing as missing:
        raise StageFailed(f"rows: {path} is not in the answer: {missing}.", code="http_rows", kind="data") from None
    if not isinstance(rows, list):
        raise StageFailed(f"rows: {path} is {kind(rows)}, not a list.", code="http_rows", kind="data")
    return rows


def with_query(url: str, query: Mapping[str, Any]) -> str:
    """`url` with parameters set; those it has already under the same names are replaced, null leaves one out."""
    if not query:
        return url
    parts = urlsplit(url)
    kept = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name not in query]
    added = [(name, _text(item)) for name, value in query.items() for item in _items(value)]
    return urlunsplit(parts._replace(query=urlencode(kept + added)))


def _items(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
