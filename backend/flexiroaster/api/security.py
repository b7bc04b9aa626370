"""What every request passes before the application: limits, Host, Origin; and what every response carries.

Pure ASGI. Install it on the outermost app, with the socket mounted inside, so that both are behind it. uvicorn must run
with `proxy_headers=False`: it would believe X-Forwarded-For from 127.0.0.1, and with it any limit by address is gone.
"""

from __future__ import annotations

import ipaddress
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

import structlog
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flexiroaster.api.errors import BodyTooLarge, install_error_handlers, refusal, unexpected_response

log = structlog.get_logger(__name__)

BODY_LIMIT = 2_000_000
HEADER_LIMIT = 64_000
LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "::1")
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
PROBE_PATH = "/health"
"""Answered whatever Host an orchestrator's probe writes: it says nothing a rebound page could use."""
SOCKET_PATH = "/socket.io/"
"""Keeps its slash: its clients write it so."""

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
"""Styles may be inline: the editor and the graph set them at run time. Scripts may not."""

HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)


def install_security(
    app: FastAPI,
    public_url: str,
    allowed_hosts: Sequence[str] = (),
    cors_origins: Sequence[str] = (),
    trusted_proxies: Sequence[str] = (),
) -> None:
    """Error shape, limits, Host and Origin checks, headers; CORS for exactly `cors_origins`.

    `allowed_hosts` are names beside the loopback ones and that of `public_url`. `trusted_proxies` are addresses or
    networks whose X-Forwarded-For and X-Forwarded-Proto are believed.
    """
    install_error_handlers(app)
    app.router.redirect_slashes = False
    public = urlsplit(public_url)
    app.add_middleware(
        Front,
        hosts=frozenset(
            name.lower().strip("[]") for name in (*LOOPBACK_HOSTS, public.hostname, *allowed_hosts) if name
        ),
        origins=frozenset({f"{public.scheme}://{public.netloc}".lower(), *map(str.lower, cors_origins)}),
        proxies=tuple(ipaddress.ip_network(proxy) for proxy in trusted_proxies),
    )
    if cors_origins:
        # Outermost: a page in development must be able to read errors too.
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(cors_origins),
            allow_credentials=True,
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match"],
            expose_headers=["ETag", "Retry-After", "X-Next-Cursor", "X-Request-ID"],
        )


@dataclass(frozen=True, slots=True)
class Refused:
    status: int
    code: str
    detail: str


@dataclass(slots=True)
class Seen:
    """The headers that decide, collected in one pass."""

    size: int = 0
    hosts: int = 0
    host: bytes = b""
    origin: bytes | None = None
    length: bytes | None = None
    forwarded_for: bytes = b""
    forwarded_proto: bytes = b""


class Front:
    def __init__(
        self,
        app: ASGIApp,
        *,
        hosts: frozenset[str],
        origins: frozenset[str],
        proxies: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = (),
    ) -> None:
        self._app = app
        self._origins = origins
        self._proxies = proxies
        self._knows_host = lru_cache(256)(lambda host: _host_name(host) in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        id = secrets.token_hex(8)
        scope["state"] = {**scope.get("state", {}), "request_id": id}
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=id)
        seen = _look(scope)
        _strip_slash(scope)
        self._resolve_client(scope, seen)
        refused = self._refuse(scope, seen)
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send, refused)
            return
        sender = _Sender(send, id, private=scope["path"].startswith("/api/"))
        if refused is not None:
            await refusal(refused.status, refused.detail, refused.code, id)(scope, receive, sender)
            return
        await self._http(scope, _counted(receive) if scope["method"] not in SAFE_METHODS else receive, sender, id)

    async def _http(self, scope: Scope, receive: Receive, send: _Sender, id: str) -> None:
        try:
            await self._app(scope, receive, send)
        except ClientDisconnect:
            log.debug("request.client_gone", path=scope["path"])
        except Exception:
            log.exception("request.failed", method=scope["method"], path=scope["path"])
            if send.started:
                raise  # the server closes the connection, so that half an answer is not taken for a whole one
            response: Response = unexpected_response(id)
            await response(scope, receive, send)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send, refused: Refused | None) -> None:
        if refused is None:
            await self._app(scope, receive, send)
            return
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": refused.detail[:120]})

    def _refuse(self, scope: Scope, seen: Seen) -> Refused | None:
        if seen.size > HEADER_LIMIT:
            return Refused(431, "headers_too_large", f"The headers are larger than {HEADER_LIMIT // 1000} kB.")
        if "\x00" in scope["path"] or b"%00" in scope["query_string"]:
            return Refused(400, "invalid_text", "The address holds the character NUL: leave it out.")
        if scope["path"] != PROBE_PATH and (seen.hosts != 1 or not self._knows_host(seen.host)):
            return Refused(
                400,
                "unknown_host",
                f"This server does not answer to the name {_shown(seen.host)}: "
                "set FLEXIROASTER_PUBLIC_URL to the address people type.",
            )
        changes = scope["type"] == "websocket" or scope["method"] not in SAFE_METHODS
        if changes and seen.origin is not None and not self._knows_origin(seen.origin, seen.host):
            return Refused(
                403,
                "foreign_origin",
                f"Pages of {_shown(seen.origin)} may not use this server: open it at its own address, "
                "which FLEXIROASTER_PUBLIC_URL names.",
            )
        if seen.length is not None and (not seen.length.isdigit() or int(seen.length[:20]) > BODY_LIMIT):
            return Refused(413, "too_large", str(BodyTooLarge(BODY_LIMIT).detail))
        return None

    def _knows_origin(self, origin: bytes, host: bytes) -> bool:
        """Its own, under whatever name it was reached by, or a configured one."""
        text = origin.decode("latin-1").lower()
        scheme, _, where = text.partition("://")
        return text in self._origins or (scheme in ("http", "https") and where == host.decode("latin-1").lower())

    def _resolve_client(self, scope: Scope, seen: Seen) -> None:
        """Behind a configured proxy, the nearest address that is no such proxy; otherwise what is connected."""
        client = scope.get("client")
        if not self._proxies or client is None or not self._is_proxy(client[0]):
            return
        hops = [hop.strip() for hop in seen.forwarded_for.decode("latin-1").split(",") if hop.strip()]
        for hop in reversed(hops):
            scope["client"] = (hop, 0)
            if not self._is_proxy(hop):
                break
        scheme = seen.forwarded_proto.decode("latin-1").rpartition(",")[2].strip().lower()
        if scheme in ("http", "https"):
            scope["scheme"] = scheme if scope["type"] == "http" else {"http": "ws", "https": "wss"}[scheme]

    def _is_proxy(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._proxies)


class _Sender:
    """Adds what every response carries, and remembers whether it has begun."""

    __slots__ = ("_id", "_private", "_send", "started")

    def __init__(self, send: Send, id: str, *, private: bool) -> None:
        self._send = send
        self._id = id
        self._private = private
        self.started = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            headers = list(message.get("headers", ()))
            present = {name.lower() for name, _ in headers}
            headers.extend(header for header in HEADERS if header[0] not in present)
            if self._private and b"cache-control" not in present:
                headers.append((b"cache-control", b"no-store"))
            headers.append((b"x-request-id", self._id.encode()))
            message = {**message, "headers": headers}
        await self._send(message)


def _counted(receive: Receive) -> Receive:
    """Counts what really arrives: a chunked body declares no length."""
    received = 0

    async def counting() -> Message:
        nonlocal received
        message = await receive()
        if message["type"] == "http.request":
            received += len(message.get("body", b""))
            if received > BODY_LIMIT:
                raise BodyTooLarge(BODY_LIMIT)
        return message

    return counting


def _look(scope: Scope) -> Seen:
    seen = Seen()
    for name, value in scope["headers"]:
        seen.size += len(name) + len(value)
        if name == b"host":
            seen.host = value
            seen.hosts += 1
        elif name == b"origin":
            seen.origin = value
        elif name == b"content-length":
            seen.length = value
        elif name == b"x-forwarded-for":
            seen.forwarded_for += b"," + value
        elif name == b"x-forwarded-proto":
            seen.forwarded_proto = value
    return seen


def _strip_slash(scope: Scope) -> None:
    """`/x/` is `/x`: no redirect, which would lose a body or a header on its way."""
    path = scope["path"]
    if len(path) > 1 and path.endswith("/") and path != SOCKET_PATH:
        scope["path"] = path[:-1]
        raw = scope.get("raw_path")
        if raw and raw.endswith(b"/"):
            scope["raw_path"] = raw[:-1]


def _host_name(host: bytes) -> str:
    """Without port, brackets and the dot of a complete name; empty for what is no host."""
    found = _HOST.fullmatch(host.decode("latin-1").lower())
    return (found["literal"] or found["name"]).removesuffix(".") if found else ""


_HOST = re.compile(r"(?:\[(?P<literal>[0-9a-f:.]+)\]|(?P<name>[^:\[\]/@?#\s]+))(?::\d{1,5})?")


def _shown(value: bytes) -> str:
    return repr(value[:100].decode("ascii", "replace"))
