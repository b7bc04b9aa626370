"""The Socket.IO server, and what it speaks.

A client connects with `{token}` in the `auth` object and is in the room `dashboard` at once. It may emit `subscribe`
{room, after?} and `unsubscribe` {room}, acknowledged as `subscriptions.Answer` says; whatever else it emits is ignored.
The server emits `connected` {message}, the engine's events under their own names, `events_omitted` {count} when there
were too many, with 0 when messages of other servers were lost, and `session_ended` {code, message} before it hangs up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import socketio
import structlog
from starlette.applications import Starlette

from flexiroaster.auth.permissions import open_to_all
from flexiroaster.auth.tokens import Clock, utc_now
from flexiroaster.bus.port import Bus
from flexiroaster.services.accounts import Accounts
from flexiroaster.websocket.limits import SocketLimits
from flexiroaster.websocket.live import Live
from flexiroaster.websocket.packets import Orjson
from flexiroaster.websocket.subscriptions import Exists, History

log = structlog.get_logger(__name__)

DEFAULT_LIMITS = SocketLimits()


class LiveServer(socketio.AsyncServer):  # type: ignore[misc]
    """An AsyncServer whose own tasks start with its first request and end with `shutdown`."""

    live: Live
    _is_shut = False

    async def handle_request(self, *args: Any, **kwargs: Any) -> Any:
        self.live.start()
        return await super().handle_request(*args, **kwargs)

    async def _handle_eio_message(self, eio_sid: str, data: Any) -> None:
        """A client that speaks something else is sent away; the library would write a traceback for each packet."""
        try:
            await super()._handle_eio_message(eio_sid, data)
        except (ValueError, IndexError, TypeError) as error:
            log.debug("socket.not_understood", error=str(error))
            await self.live.hang_up(eio_sid)

    async def shutdown(self) -> None:
        """Send everybody away. Call it when the web server begins to stop, because that waits for open polls. Safe to
        call twice.
        """
        if self._is_shut:
            return
        self._is_shut = True
        await self.live.stop()
        await super().shutdown()


def create_socket(
    bus: Bus,
    accounts: Accounts,
    history: History,
    exists: Exists,
    origins: Sequence[str] = (),
    *,
    clock: Clock = utc_now,
    limits: SocketLimits = DEFAULT_LIMITS,
) -> LiveServer:
    """`origins` are allowed beside the server's own. `history(execution_id, after, limit)` and `exists(kind, id)` are
    called in a thread.
    """
    allowed = frozenset(origin.lower() for origin in origins)

    def is_allowed(origin: str | None, environ: dict[str, Any]) -> bool:
        return origin is not None and (origin.lower() in allowed or _is_own(origin, environ))

    server = LiveServer(
        async_mode="asgi",
        cors_allowed_origins=is_allowed,
        max_http_buffer_size=limits.packet_bytes,
        json=Orjson,
        namespaces=["/"],
    )
    server.live = live = Live(server, bus, accounts, history, exists, clock, limits)
    for name, handler in (
        ("connect", live.connect),
        ("disconnect", live.disconnect),
        ("subscribe", live.subscribe),
        ("unsubscribe", live.unsubscribe),
    ):
        server.on(name, handler)
    return server


def mount_socket(app: Starlette, server: LiveServer) -> None:
    """At /socket.io, behind whatever guards the app. Before a route that takes every path."""
    app.mount("/socket.io", open_to_all(socketio.ASGIApp(server, socketio_path="/socket.io")), name="socket")


def _is_own(origin: str, environ: dict[str, Any]) -> bool:
    """The same host and port as it was asked under; the Host itself is checked before."""
    scheme, _, where = origin.partition("://")
    return scheme in ("http", "https") and where.lower() == environ.get("HTTP_HOST", "").lower()
