"""The stage that calls a web service."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlencode, urlsplit

import orjson

from flexiroaster.data.table import TableRef
from flexiroaster.engine.errors import ErrorKind, StageFailed
from flexiroaster.engine.outcome import Cancelled, Succeeded
from flexiroaster.stages.base import Stage, StageContext, StageExample
from flexiroaster.stages.http_config import BasicAuth, BearerAuth, Connection, HttpConfig
from flexiroaster.stages.http_guard import Guard, Resolve, system_resolve
from flexiroaster.stages.http_pages import Page, Step, first_step, next_step, rows_of, with_query
from flexiroaster.stages.json_lines import MEDIA_TYPE, JsonLines

if TYPE_CHECKING:
    from flexiroaster.stages.http_client import HttpClient, Reply, Request

TRANSIENT_STATUS = frozenset({408, 425, 429, *range(500, 600)})
SHOWN_BODY = 500
PROGRESS_BYTES = 8_000_000
_HIDDEN_HEADERS = frozenset({"set-cookie", "www-authenticate", "proxy-authenticate"})


class HttpStage(Stage):
    type = "http"
    summary = "Calls a web service: an API, a file, a web hook."
    description = (
        "Sends one request, or one per page, and hands the answer on. The result is `{status, url, headers, data}`; "
        "`data` is the JSON or text of the answer, or a table when `rows` or `paginate` is given "
        "(then with `rows` and `pages`). With `response: file` the answer is kept as an artifact under `file`.\n\n"
        "Answers 408, 425, 429 and 5xx, broken connections and timeouts fail with the kind `transient`, so that the "
        "stage's `retry` applies, after the time that `Retry-After` says. Other unexpected answers fail for good.\n\n"
        "Only public addresses are reached. An administrator opens others by `FLEXIROASTER_HTTP_ALLOW=host:port`. "
        "POST and PATCH carry an `Idempotency-Key` that is the same for every attempt."
    )
    Config = HttpConfig
    examples = (
        StageExample("Fetch JSON", {"url": "https://api.example.com/orders", "query": {"day": "${{ inputs.day }}"}}),
        StageExample(
            "All pages as one table",
            {
                "url": "https://api.example.com/orders",
                "auth": {"type": "bearer", "token": "${{ secrets.shop_token }}"},
                "rows": "$.items",
                "paginate": {"type": "cursor", "next": "$.next", "max_pages": 500},
            },
            "The cursor may be the URL of the next page, or a value sent in `param`.",
        ),
        StageExample(
            "Tell another system",
            {
                "method": "POST",
                "url": "https://hooks.example.com/done",
                "json": {"rows": "${{ results.clean.rows }}"},
                "expected_status": [200, 202],
            },
        ),
        StageExample(
            "Keep a file", {"url": "https://example.com/report.pdf", "response": "file", "request_timeout": "5m"}
        ),
    )

    def __init__(self, resolve: Resolve = system_resolve) -> None:
        self._resolve = resolve

    def run(self, config: HttpConfig, context: StageContext) -> Succeeded | Cancelled:
        from flexiroaster.stages.http_client import HttpClient

        client = HttpClient(
            Guard(context.http_allow, self._resolve),
            timeout_seconds=config.request_timeout.total_seconds(),
            max_bytes=int(config.max_response_mb * 1e6),
            follow_redirects=config.follow_redirects,
        )
        with client, context.on_cancel(client.abort):
            try:
                return Exchange(config, context, client).outcome()
            except StageFailed:
                if context.cancelled.is_set():
                    return Cancelled()
                raise


class Exchange:
    """One run of an http stage: its requests and what becomes of the answers."""

    def __init__(self, config: HttpConfig, context: StageContext, client: HttpClient) -> None:
        self._config = config
        self._context = context
        self._client = client
        self._origin = first_request(config, context)

    def outcome(self) -> Succeeded:
        if self._config.makes_table:
            return self._table()
        with self._send(self._origin) as reply:
            return self._single(reply)

    def _single(self, reply: Reply) -> Succeeded:
        form = self._config.response if self._config.response != "auto" else form_of(reply)
        if form == "file":
            return Succeeded(summary(reply) | {"file": self._kept(reply)})
        content = reply.read()
        data = document(reply, content) if form == "json" else content.decode(reply.encoding, "replace")
        return Succeeded(summary(reply) | {"data": data}, bytes=len(content))

    def _kept(self, reply: Reply) -> dict[str, Any]:
        media_type = reply.media_type or "application/octet-stream"
        name = file_name(reply.url)
        with (
            self._context.artifact(name, kind="file", media_type=media_type) as draft,
            draft.path.open("wb") as file,
        ):
            told = 0
            for chunk in reply.chunks():
                file.write(chunk)
                if file.tell() - told >= PROGRESS_BYTES:
                    told = file.tell()
                    self._context.progress(told, None, "bytes")
        return {"artifact_id": draft.id, "uri": draft.uri, "bytes": draft.bytes, "media_type": media_type}

    def _table(self) -> Succeeded:
        with self._context.artifact("data.jsonl", kind="table", media_type=MEDIA_TYPE) as draft:
            with draft.path.open("wb") as file:
                lines = JsonLines(file)
                last = self._write_pages(lines)
            columns = lines.columns()
            draft.rows = lines.rows
            draft.schema = [column.model_dump() for column in columns]
        table = TableRef(
            table=draft.uri, format="jsonl", columns=columns, rows=lines.rows, bytes=draft.bytes, artifact_id=draft.id
        )
        result = last | {"data": table.to_json(), "rows": lines.rows}
        return Succeeded(result, rows=lines.rows, bytes=draft.bytes)

    def _write_pages(self, lines: JsonLines) -> dict[str, Any]:
        """Write the rows of every page; gives what the result says of the answers."""
        paging = self._config.paginate
        step = first_step(paging) if paging else Step()
        steps = {repr(step)}
        number = 0
        while True:
            number += 1
            with self._send(applied(self._origin, step, self._config)) as reply:
                content = document(reply, reply.read())
                told = summary(reply) | {"pages": number, "complete": True}
                link = reply.next_link()
            rows = lines.write(rows_of(content, self._config.rows))
            self._context.progress(lines.rows)
            following = next_step(paging, Page(content, number, rows, lines.rows, link)) if paging else None
            if paging is None or following is None:
                return told
            if number >= paging.max_pages:
                self._context.log("warning", f"Stopped after {number} pages (max_pages), but there are more.")
                return told | {"complete": False}
            step = following
            if repr(step) in steps:
                raise StageFailed(f"Page {number} names a page again that was read before.", code="http_paginate")
            steps.add(repr(step))

    @contextmanager
    def _send(self, request: Request) -> Iterator[Reply]:
        with self._client.send(request) as reply:
            self._context.log("info", f"{request.method} {reply.url} answered {reply.status}", status=reply.status)
            if not self._config.expects(reply.status):
                raise unexpected(reply)
            yield reply


def first_request(config: HttpConfig, context: StageContext) -> Request:
    from flexiroaster.stages.http_client import Request

    connection = connection_of(config)
    content, content_type = encoded_body(config)
    headers = {name.lower(): value for name, value in (connection.headers | config.headers).items()}
    if content_type:
        headers.setdefault("content-type", content_type)
    auth = config.auth or connection.auth
    if auth:
        headers["authorization"] = authorization(auth)
    if config.method in {"POST", "PATCH"} and config.paginate is None:
        headers.setdefault("idempotency-key", context.idempotency_key)
    url = joined(connection.url, config.path)
    return Request(config.method, with_query(url, config.query), checked_headers(headers), content)


def connection_of(config: HttpConfig) -> Connection:
    if isinstance(config.connection, str):
        raise StageFailed(
            f"There is no connection {config.connection!r} on this server: write url and auth into the stage, "
            f"or give the connection as an object.",
            code="unknown_connection",
        )
    return config.connection or Connection(url=config.url or "")


def joined(url: str, path: str | None) -> str:
    return url if not path else f"{url.rstrip('/')}/{path.lstrip('/')}"


def encoded_body(config: HttpConfig) -> tuple[bytes | None, str | None]:
    """The bytes to send and their type."""
    if config.has_json:
        return orjson.dumps(config.json_body), "application/json"
    if config.form is not None:
        return urlencode(config.form, doseq=True).encode(), "application/x-www-form-urlencoded"
    if config.body is not None:
        return config.body.encode(), None
    return None, None


def authorization(auth: BasicAuth | BearerAuth) -> str:
    if isinstance(auth, BearerAuth):
        return f"Bearer {auth.token.get_secret_value()}"
    pair = f"{auth.username}:{auth.password.get_secret_value()}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if not name or not name.isascii() or any(char in name for char in " :\r\n\0"):
            raise StageFailed(f"The header name {name!r} is not valid: use letters, digits and dashes.", code="header")
        if not value.isascii() or any(char in value for char in "\r\n\0"):
            raise StageFailed(f"The header {name!r} holds a line break or letters outside ASCII.", code="header")
    return dict(headers)


def applied(origin: Request, step: Step, config: HttpConfig) -> Request:
    """The first request, changed for one page."""
    from flexiroaster.stages.http_client import moved_to

    if step.url is not None:
        return moved_to(origin, step.url)
    if step.json:
        body = config.json_body if isinstance(config.json_body, dict) else {}
        headers = {"content-type": "application/json", **origin.headers}
        return replace(origin, content=orjson.dumps(body | dict(step.json)), headers=headers)
    return replace(origin, url=with_query(origin.url, step.query))


def form_of(reply: Reply) -> str:
    """What an answer is, by its Content-Type."""
    media_type = reply.media_type
    if media_type == "application/json" or media_type.endswith("+json"):
        return "json"
    return "text" if not media_type or media_type.startswith("text/") or media_type.endswith("xml") else "file"


def document(reply: Reply, content: bytes) -> Any:
    """The JSON of an answer; an empty one is null."""
    if not content.strip():
        return None
    if reply.encoding.lower().replace("_", "-") not in {"utf-8", "ascii", "us-ascii"}:
        content = content.decode(reply.encoding, "replace").encode()
    try:
        return orjson.loads(content.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        start = content[:80].decode("utf-8", "replace")
        raise StageFailed(
            f"The answer of {reply.url} is not JSON: {error}; it begins with {start!r}.", code="http_json", kind="data"
        ) from error


def summary(reply: Reply) -> dict[str, Any]:
    headers = {name: value for name, value in reply.headers.items() if name.lower() not in _HIDDEN_HEADERS}
    return {"status": reply.status, "url": reply.url, "headers": headers}


def file_name(url: str) -> str:
    """A safe name for an artifact from the last part of a URL."""
    name = PurePosixPath(unquote(urlsplit(url).path)).name
    safe = "".join(char if char.isalnum() or char in "._-" else "_" for char in name).lstrip(".")
    return safe[-100:] or "response"


def unexpected(reply: Reply) -> StageFailed:
    transient = reply.status in TRANSIENT_STATUS
    kind: ErrorKind = "transient" if transient else "permanent"
    text = reply.beginning(4 * SHOWN_BODY).decode(reply.encoding, "replace")[:SHOWN_BODY].strip()
    said = f": {text}" if text else " with an empty body."
    return StageFailed(
        f"{reply.url} answered {reply.status}{said}",
        code="http_status",
        kind=kind,
        retry_after_seconds=retry_after(reply.headers, datetime.now(UTC)) if transient else None,
        details={"status": reply.status},
    )


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds from the header `Retry-After`, given as seconds or as a date (measured by the server's own clock)."""
    value = headers.get("retry-after", "").strip()
    if value.replace(".", "", 1).isdigit():
        return float(value)
    until, since = http_date(value), http_date(headers.get("date", "")) or now
    return max(0.0, (until - since).total_seconds()) if until else None


def http_date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
