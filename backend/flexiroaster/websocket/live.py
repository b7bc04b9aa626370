"""The connections of this process: letting them in, sending them events, and seeing them out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

import structlog
from engineio import packet as engineio_packet
from socketio import AsyncServer
from socketio.exceptions import ConnectionRefusedError as Refused

from flexiroaster.auth.errors import Unauthenticated
from flexiroaster.auth.identity import Caller, SessionsEnded
from flexiroaster.auth.permissions import may
from flexiroaster.auth.tokens import Clock
from flexiroaster.bus.port import Bus
from flexiroaster.engine.events import Event
from flexiroaster.services.accounts import Accounts
from flexiroaster.websocket.allowance import Allowance, ItemRation
from flexiroaster.websocket.bridge import Bridge
from flexiroaster.websocket.limits import SocketLimits
from flexiroaster.websocket.packets import event_packet, payload_of
from flexiroaster.websocket.rooms import (
    DASHBOARD,
    DASHBOARD_STAGE_EVENTS,
    ROOM_OPERATIONS,
    Connection,
    Room,
    Rooms,
    is_for_dashboard,
)
from flexiroaster.websocket.subscriptions import Answer, Exists, History, Subscriptions

log = structlog.get_logger(__name__)

GREETING = "Connected to FlexiRoaster"


class Live:
    """Used on the event loop only, but for `_sessions_ended`."""

    def __init__(
        self,
        server: AsyncServer,
        bus: Bus,
        accounts: Accounts,
        history: History,
        exists: Exists,
        clock: Clock,
        limits: SocketLimits,
    ) -> None:
        self._server = server
        self._accounts = accounts
        self._clock = clock
        self._limits = limits
        self._rooms = Rooms()
        self._subscriptions = Subscriptions(self._rooms, history, exists, limits)
        items = ItemRation(limits.item_events_per_second)
        self._bridge = Bridge(bus, self._deliver, self._tell_all_omitted, items)
        self._stage_events = Allowance(limits.dashboard_stage_events_per_second, self._tell_dashboard_omitted)
        self._execution_events = Allowance(limits.dashboard_execution_events_per_second, self._tell_dashboard_omitted)
        self._connections: dict[str, Connection] = {}
        self._strangers: dict[str, float] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._rounds: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._forget_hook = accounts.on_sessions_ended(self._sessions_ended)

    def start(self) -> None:
        """Safe to call again; the first request does."""
        if self._rounds is None:
            self._loop = asyncio.get_running_loop()
            self._rounds = self._spawn(self._make_rounds())

    async def stop(self) -> None:
        """Hang up on everybody. Safe to call twice."""
        self._forget_hook()
        self._bridge.stop()
        self._stage_events.stop()
        self._execution_events.stop()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for transport_sid in list(self._server.eio.sockets):
            await self.hang_up(transport_sid)

    # What clients ask for

    async def connect(self, sid: str, environ: dict[str, Any], auth: object = None) -> None:
        """Raises `Refused` with a sentence, and the code in its data."""
        caller = await self._caller(auth)
        transport_sid = self._server.manager.eio_sid_from_sid(sid, "/")
        if transport_sid is None:
            raise Refused("The connection has ended.", {"code": "closed"})
        theirs = sum(known.caller.user_id == caller.user_id for known in self._connections.values())
        if theirs >= self._limits.sockets_per_user:
            message = f"You have {theirs} connections open, which is the most: close a tab."
            raise Refused(message, {"code": "too_many_connections"})
        connection = Connection(sid, transport_sid, caller, self._limits.requests_per_second)
        self._connections[sid] = connection
        self._bridge.start()
        assert self._loop is not None
        seconds = max(0.0, (caller.expires_at - self._clock()).total_seconds())
        connection.ending = self._loop.call_later(seconds, self._end_expired, connection)
        # A task of its own, which runs after the library has queued its answer to this handler.
        self._spawn(self._welcome(connection))

    def disconnect(self, sid: str, *_reason: object) -> None:
        connection = self._connections.pop(sid, None)
        if connection is None:
            return
        connection.open = False
        if connection.ending is not None:
            connection.ending.cancel()
        self._rooms.leave_all(connection)
        if not self._connections:
            self._bridge.stop()  # publishing costs nothing while nobody listens

    async def subscribe(self, sid: str, request: object = None, *_more: object) -> dict[str, Any]:
        return await self._answer(sid, request, self._subscriptions.subscribe)

    async def unsubscribe(self, sid: str, request: object = None, *_more: object) -> dict[str, Any]:
        return await self._answer(sid, request, self._subscriptions.unsubscribe)

    async def _answer(self, sid: str, request: object, ask: Any) -> dict[str, Any]:
        connection = self._connections.get(sid)
        if connection is None:
            return Answer(False, error="The connection has ended.", code="closed").to_ack()
        if not connection.may_ask(time.monotonic()):
            return Answer(False, error="Too many requests: wait a second.", code="too_many_requests").to_ack()
        try:
            answer: Answer = await ask(connection, request)
        except Exception:
            log.exception("socket.request_failed", user=connection.caller.user_id)
            answer = Answer(False, error="Something went wrong in the server: try again.", code="internal_error")
        return answer.to_ack()

    async def _caller(self, auth: object) -> Caller:
        token = auth.get("token") if isinstance(auth, dict) else None
        if not isinstance(token, str) or not token:
            message = "Sign in first: send the access token as auth: {token}."
            raise Refused(message, {"code": "unauthenticated"})
        try:
            caller = self._accounts.known_caller(token)
            if caller is None:
                caller = await asyncio.to_thread(self._accounts.user_of, token)
        except Unauthenticated as error:
            raise Refused(str(error), {"code": error.code}) from error
        except Exception as error:
            log.exception("socket.sign_in_failed")
            message = "The server cannot look up your session at this moment: try again."
            raise Refused(message, {"code": "unavailable"}) from error
        return caller

    async def _welcome(self, connection: Connection) -> None:
        if not connection.open:
            return
        await self._emit(connection, "connected", {"message": GREETING})
        if may(connection.caller.role, ROOM_OPERATIONS["dashboard"]):
            self._rooms.join(connection, Room("dashboard"))

    # Sending

    async def _deliver(self, event: Event) -> None:
        dashboard = is_for_dashboard(event) and self._rooms.has_members(DASHBOARD) and self._admits(event)
        listeners = self._rooms.listeners(event, dashboard=dashboard)
        if listeners:
            await self._send(listeners, event_packet(event.type.value, payload_of(event)))

    def _admits(self, event: Event) -> bool:
        return (self._stage_events if event.type in DASHBOARD_STAGE_EVENTS else self._execution_events).take()

    async def _tell_dashboard_omitted(self, count: int) -> None:
        await self._send(list(self._rooms.members(DASHBOARD)), event_packet("events_omitted", {"count": count}))

    async def _tell_all_omitted(self, count: int) -> None:
        """The process itself fell behind, or, with 0, lost messages of others: every listener has to ask for what it
        misses.
        """
        if count:
            log.warning("socket.events_dropped", count=count)
        await self._send(list(self._connections.values()), event_packet("events_omitted", {"count": count}))

    async def _emit(self, connection: Connection, name: str, payload: dict[str, Any]) -> None:
        await self._send([connection], event_packet(name, payload))

    async def _send(self, listeners: list[Connection], packet: engineio_packet.Packet) -> None:
        for connection in listeners:
            transport = self._server.eio.sockets.get(connection.transport_sid)
            if transport is None or transport.closed or not connection.open:
                continue
            if transport.queue.qsize() >= self._limits.packets_waiting:
                connection.open = False
                log.warning("socket.too_slow", user=connection.caller.user_id)
                self._spawn(self.hang_up(connection.transport_sid))
                continue
            try:
                await transport.send(packet)
            except Exception as error:  # it closed this moment
                log.debug("socket.send_failed", user=connection.caller.user_id, error=str(error))

    # Seeing them out

    def _sessions_ended(self, ended: SessionsEnded) -> None:
        """In the thread that ended them."""
        loop = self._loop
        if loop is None or loop.is_closed():
            return
        try:
            loop.call_soon_threadsafe(self._end_sessions, ended)
        except RuntimeError:  # closed in between
            return

    def _end_sessions(self, ended: SessionsEnded) -> None:
        for connection in list(self._connections.values()):
            caller = connection.caller
            if caller.user_id == ended.user_id and ended.session in (None, caller.session):
                self._spawn(self._end(connection, "session_ended", "The session has ended: sign in again."))

    def _end_expired(self, connection: Connection) -> None:
        message = "The access token has expired: connect again with a new one."
        self._spawn(self._end(connection, "token_expired", message))

    async def _end(self, connection: Connection, code: str, message: str) -> None:
        if not connection.open:
            return
        await self._emit(connection, "session_ended", {"code": code, "message": message})
        connection.open = False
        self._rooms.leave_all(connection)
        await self._server.disconnect(connection.sid)

    async def _make_rounds(self) -> None:
        pause = min(self._limits.seconds_to_sign_in, self._limits.seconds_between_rounds) / 2
        looked_up = time.monotonic()
        while True:
            await asyncio.sleep(pause)
            try:
                await self._see_strangers_out()
                if time.monotonic() - looked_up >= self._limits.seconds_between_rounds:
                    looked_up = time.monotonic()
                    await self._look_up_sessions()
            except Exception:
                log.exception("socket.round_failed")

    async def _see_strangers_out(self) -> None:
        """Transports that never signed in, or were signed out and did not hang up."""
        now = time.monotonic()
        known = {connection.transport_sid for connection in self._connections.values()}
        strangers = [sid for sid in self._server.eio.sockets if sid not in known]
        self._strangers = {sid: self._strangers.get(sid, now) for sid in strangers}
        for sid, since in list(self._strangers.items()):
            if now - since >= self._limits.seconds_to_sign_in:
                await self.hang_up(sid)

    async def _look_up_sessions(self) -> None:
        by_session: dict[tuple[str, str, str], list[Connection]] = {}
        for connection in self._connections.values():
            caller = connection.caller
            by_session.setdefault((caller.user_id, caller.session, caller.role), []).append(connection)
        for connections in by_session.values():
            if await asyncio.to_thread(self._accounts.is_live, connections[0].caller):
                continue
            for connection in connections:
                await self._end(connection, "session_ended", "The session has ended: sign in again.")

    async def hang_up(self, transport_sid: str) -> None:
        """Without waiting for a client that does not read."""
        transport = self._server.eio.sockets.pop(transport_sid, None)
        self._strangers.pop(transport_sid, None)
        if transport is None:
            return
        try:
            await transport.close(wait=False, abort=True, reason=self._server.eio.reason.SERVER_DISCONNECT)
        except Exception as error:
            log.debug("socket.close_failed", error=str(error))
        while not transport.queue.empty():
            transport.queue.get_nowait()
            transport.queue.task_done()
        transport.queue.put_nowait(None)  # the writer's sign to end

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
