"""One HTTP request at a time, guarded: checked addresses, redirects followed by hand, bounds on time and size.

Imports httpx and is therefore imported when an http stage first runs.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache, partial
from types import TracebackType
from typing import Any

import httpcore
import httpx

from flexiroaster.engine.errors import StageFailed
from flexiroaster.stages.http_guard import Guard

MAX_REDIRECTS = 5
CONNECT_SECONDS = 10.0
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_HARMLESS = frozenset({"accept", "accept-language", "user-agent"})
"""All that is carried to another host: every other header may be a credential."""
_FAILURES = (
    httpx.HTTPError,
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.UnsupportedProtocol,
    OSError,
)
BASE_HEADERS = {"User-Agent": "FlexiRoaster", "Accept": "*/*", "Accept-Encoding": "gzip, deflate"}


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None


@dataclass(slots=True)
class Reply:
    """An answer whose body is not read yet; it must be read inside the block of `HttpClient.send`."""

    response: httpx.Response
    url: str
    max_bytes: int
    reading: Callable[[], AbstractContextManager[None]]
    """Turns what fails while reading the body into StageFailed."""

    @property
    def status(self) -> int:
        return self.response.status_code

    @property
    def headers(self) -> httpx.Headers:
        return self.response.headers

    @property
    def media_type(self) -> str:
        return str(self.headers.get("content-type", "")).partition(";")[0].strip().lower()

    @property
    def encoding(self) -> str:
        return self.response.charset_encoding or "utf-8"

    def next_link(self) -> str | None:
        """The `rel="next"` of the Link header."""
        return self.response.links.get("next", {}).get("url")

    def chunks(self) -> Iterator[bytes]:
        """The decoded body. Raises StageFailed once it is larger than allowed."""
        seen = 0
        for chunk in self._parts():
            seen += len(chunk)
            if seen > self.max_bytes:
                raise too_large(self.url, self.max_bytes)
            yield chunk

    def read(self) -> bytes:
        return b"".join(self.chunks())

    def beginning(self, size: int) -> bytes:
        """The first bytes of the body, for an error message."""
        kept = b""
        for chunk in self._parts():
            kept += chunk
            if len(kept) >= size:
                break
        return kept[:size]

    def _parts(self) -> Iterator[bytes]:
        with self.reading():
            yield from self.response.iter_bytes()


class HttpClient:
    """Used by one attempt of one stage; `abort` may be called from any thread and ends what is under way."""

    def __init__(self, guard: Guard, *, timeout_seconds: float, max_bytes: int, follow_redirects: bool = True) -> None:
        self._guard = guard
        self._timeout_seconds = timeout_seconds
        self._max_bytes = max_bytes
        self._follow = follow_redirects
        self._backend = CheckedBackend(guard)
        self._client = httpx.Client(
            transport=_Transport(self._backend),
            timeout=httpx.Timeout(timeout_seconds, connect=min(CONNECT_SECONDS, timeout_seconds)),
            headers=BASE_HEADERS,
            trust_env=False,
        )

    def __enter__(self) -> HttpClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()
        self._backend.close()

    def abort(self) -> None:
        self._backend.abort()

    @contextmanager
    def send(self, request: Request) -> Iterator[Reply]:
        """The final answer after redirects. What fails on the way is raised as StageFailed of kind `transient`.

        The time limit covers the whole request, the reading of its body included.
        """
        expired = threading.Event()

        def expire() -> None:
            expired.set()
            self.abort()

        timer = threading.Timer(self._timeout_seconds, expire)
        timer.daemon = True
        timer.start()
        try:
            with self._follow_redirects(request, expired) as reply:
                yield reply
        finally:
            timer.cancel()

    @contextmanager
    def _follow_redirects(self, request: Request, expired: threading.Event) -> Iterator[Reply]:
        for _ in range(MAX_REDIRECTS + 1):
            url = without_query(request.url)
            reading = partial(self._explaining, url, expired)
            with reading():
                response = self._send_once(request)
            try:
                target = response.headers.get("location") if response.status_code in _REDIRECTS else None
                if not (self._follow and target):
                    yield Reply(response, url, self._max_bytes, reading)
                    return
                request = redirected(request, response.status_code, target)
            finally:
                response.close()
        raise StageFailed(
            f"{without_query(request.url)} came after more than {MAX_REDIRECTS} redirects: give the final URL.",
            code="http_redirects",
        )

    def _send_once(self, request: Request) -> httpx.Response:
        self._guard.check_url(request.url)
        try:
            built = self._client.build_request(
                request.method, request.url, headers=dict(request.headers), content=request.content
            )
        except httpx.InvalidURL as error:
            raise StageFailed(f"The URL {without_query(request.url)!r} is not valid: {error}.", code="url") from error
        response = self._client.send(built, stream=True)
        declared = response.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > self._max_bytes and request.method != "HEAD":
            response.close()
            raise too_large(without_query(request.url), self._max_bytes)
        if "," in response.headers.get("content-encoding", ""):  # nested compression multiplies a bomb
            response.close()
            raise StageFailed(f"{without_query(request.url)} answers with nested compression.", code="http_encoding")
        return response

    @contextmanager
    def _explaining(self, url: str, expired: threading.Event) -> Iterator[None]:
        try:
            yield
        except _FAILURES as error:
            raise self._explained(error, url, expired=expired.is_set()) from error

    def _explained(self, error: Exception, url: str, *, expired: bool) -> StageFailed:
        if expired or isinstance(error, (httpx.TimeoutException, httpcore.TimeoutException)):
            return StageFailed(
                f"{url} did not answer within {self._timeout_seconds:g} s.", code="http_timeout", kind="transient"
            )
        if "CERTIFICATE_VERIFY" in str(error):
            return StageFailed(f"The certificate of {url} was not accepted: {error}.", code="http_certificate")
        reason = str(error) or error.__class__.__name__
        return StageFailed(f"{url} could not be reached: {reason}.", code="http_connection", kind="transient")


def redirected(request: Request, status: int, location: str) -> Request:
    """The request that follows a redirect, as browsers do it, with nothing secret carried to another host."""
    target = str(httpx.URL(request.url).join(location))
    same = same_origin(request.url, target)
    headers = {name: value for name, value in request.headers.items() if same or name.lower() in _HARMLESS}
    becomes_get = (status == 303 and request.method != "HEAD") or (status in {301, 302} and request.method == "POST")
    if becomes_get:
        kept = {name: value for name, value in headers.items() if not name.lower().startswith("content-")}
        return Request("GET", target, kept)
    if request.content and not same:
        raise StageFailed(
            f"{without_query(request.url)} redirects to another host ({without_query(target)}), "
            f"which would be sent the request's body: give that URL if this is right.",
            code="http_redirects",
        )
    return Request(request.method, target, headers, request.content)


def same_origin(first: str, second: str) -> bool:
    """The same host, and the same scheme and port or a plain upgrade from http to https."""
    one, two = httpx.URL(first), httpx.URL(second)
    if one.host != two.host:
        return False
    upgrade = (one.scheme, two.scheme) == ("http", "https") and one.port is None and two.port is None
    return upgrade or (one.scheme, one.port) == (two.scheme, two.port)


def moved_to(request: Request, url: str) -> Request:
    """The same request for another page; credentials stay with their host."""
    target = str(httpx.URL(request.url).join(url))
    if same_origin(request.url, target):
        return Request(request.method, target, request.headers, request.content)
    headers = {name: value for name, value in request.headers.items() if name.lower() in _HARMLESS}
    return Request(request.method, target, headers, request.content)


def without_query(url: str) -> str:
    """A URL for messages and results: queries often hold keys."""
    return url.partition("#")[0].partition("?")[0]


def too_large(url: str, max_bytes: int) -> StageFailed:
    return StageFailed(
        f"The response of {url} is larger than {max_bytes / 1e6:g} MB: ask for less, or raise max_response_mb.",
        code="http_too_large",
    )


class CheckedBackend(httpcore.NetworkBackend):
    """Opens connections to the addresses that the guard has checked, and to nothing else.

    TLS still verifies the name, because httpcore takes it from the URL and not from here.
    """

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._inner = httpcore.SyncBackend()
        self._twins: list[Any] = []
        self._lock = threading.Lock()
        self._aborted = False

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        failure: Exception = httpcore.ConnectError("it has no address")
        for address in self._addresses(host, port):
            self._refuse_if_aborted()
            try:
                return self._kept(self._inner.connect_tcp(address, port, timeout, local_address, socket_options))
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.NetworkStream:
        raise httpcore.UnsupportedProtocol("Unix sockets are closed to http stages.")

    def abort(self) -> None:
        """Wake whoever reads or writes: closing a socket would not, shutting it down does."""
        with self._lock:
            self._aborted = True
            for twin in self._twins:
                with suppress(OSError):
                    twin.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with self._lock:
            for twin in self._twins:
                twin.close()
            self._twins.clear()

    def _addresses(self, host: str, port: int) -> list[str]:
        try:
            return self._guard.addresses(host, port)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"the host name {host!r} is unknown ({error})") from error

    def _kept(self, stream: httpcore.NetworkStream) -> httpcore.NetworkStream:
        # A duplicate, because TLS takes the socket object over and leaves the first one detached.
        twin = stream.get_extra_info("socket").dup()
        with self._lock:
            self._twins.append(twin)
        if self._aborted:
            self.abort()
        return stream

    def _refuse_if_aborted(self) -> None:
        if self._aborted:
            raise httpcore.ConnectError("aborted")


class _Transport(httpx.BaseTransport):
    """httpx over an httpcore pool with our backend, which httpx's own transport does not let one choose."""

    def __init__(self, backend: CheckedBackend) -> None:
        self._pool = httpcore.ConnectionPool(ssl_context=tls(), network_backend=backend)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        assert isinstance(request.stream, httpx.SyncByteStream)
        answer = self._pool.handle_request(
            httpcore.Request(
                method=request.method,
                url=httpcore.URL(
                    scheme=request.url.raw_scheme,
                    host=request.url.raw_host,
                    port=request.url.port,
                    target=request.url.raw_path,
                ),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        return httpx.Response(answer.status, headers=answer.headers, stream=_Body(answer), extensions=answer.extensions)

    def close(self) -> None:
        self._pool.close()


class _Body(httpx.SyncByteStream):
    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        return self._answer.iter_stream()

    def close(self) -> None:
        self._answer.close()


@cache
def tls() -> ssl.SSLContext:
    return httpx.create_ssl_context()
