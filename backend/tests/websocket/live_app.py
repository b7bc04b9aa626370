"""A real server on a free port in a thread, and clients that wait for what they expect."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import Any

import socketio
import uvicorn
from fastapi import FastAPI
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as websocket
from websockets.exceptions import ConnectionClosed

from flexiroaster.auth.tokens import Clock, utc_now
from flexiroaster.bus.local import LocalBus
from flexiroaster.engine.events import Event, EventType
from flexiroaster.services.accounts import Accounts
from flexiroaster.websocket.limits import SocketLimits
from flexiroaster.websocket.server import create_socket, mount_socket
from tests.api.auth_app import make_app

PATIENCE = 60.0
"""Seconds after which a test that waits for a signal fails: far more than any machine needs, however loaded."""
SOCKET_PATH = "/socket.io/?EIO=4&transport=websocket"
AT = datetime(2026, 1, 1, tzinfo=UTC)


def event(
    seq: int,
    type: EventType = EventType.STAGE_STARTED,
    execution: str = "e1",
    pipeline: str = "p1",
    index: int = 0,
    **payload: Any,
) -> Event:
    stage = None if type.startswith("execution_") else "load"
    return Event(type, execution, pipeline, seq, AT, stage, None if stage is None else index, payload)


class Journal:
    """What the database is to the socket: events are kept before they are published."""

    def __init__(self, bus: LocalBus) -> None:
        self._bus = bus
        self._events: dict[str, list[Event]] = {"e1": [], "e2": []}
        self.pipelines = {"p1", "p2"}
        self.lookups: list[tuple[str, int]] = []

    def record(self, *events: Event) -> None:
        for one in events:
            if one.seq:
                self._events.setdefault(one.execution_id, []).append(one)
        self._bus.publish(list(events))

    def history(self, execution_id: str, after: int, limit: int) -> list[Event]:
        self.lookups.append((execution_id, after))
        return [one for one in list(self._events[execution_id]) if one.seq > after][:limit]

    def exists(self, kind: str, id: str) -> bool:
        return id in (self._events if kind == "execution" else self.pipelines)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @property
    def port(self) -> int:
        return int(self.servers[0].sockets[0].getsockname()[1])


class Running:
    def __init__(self, accounts: Accounts, bus: LocalBus, journal: Journal, port: int) -> None:
        self.accounts = accounts
        self.bus = bus
        self.journal = journal
        self.url = f"http://127.0.0.1:{port}"


@contextmanager
def running(
    accounts: Accounts,
    limits: SocketLimits | None = None,
    origins: tuple[str, ...] = (),
    clock: Clock = utc_now,
) -> Iterator[Running]:
    bus = LocalBus()
    journal = Journal(bus)
    app: FastAPI = make_app(accounts, cors_origins=origins)
    limits = limits or SocketLimits()
    socket = create_socket(bus, accounts, journal.history, journal.exists, origins, clock=clock, limits=limits)
    mount_socket(app, socket)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await socket.shutdown()

    app.router.lifespan_context = lifespan
    config = uvicorn.Config(
        app, port=0, log_config=None, proxy_headers=False, ws_max_size=1_000_000, timeout_graceful_shutdown=1
    )
    server = _Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert server.ready.wait(PATIENCE)
        yield Running(accounts, bus, journal, server.port)
    finally:
        server.should_exit = True
        thread.join(PATIENCE)
        assert not thread.is_alive()


class Client:
    """Keeps what it receives, in order."""

    def __init__(self) -> None:
        self.socket = socketio.AsyncClient(reconnection=False, request_timeout=PATIENCE)
        self.received: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        self.gone = asyncio.Event()
        self.socket.on("*", self._keep)
        self.socket.on("disconnect", self._on_disconnect)

    async def connect(self, url: str, auth: Any, **more: Any) -> None:
        await self.socket.connect(url, auth=auth, transports=["websocket"], wait_timeout=PATIENCE, **more)

    async def subscribe(self, room: Any, after: Any = None) -> dict[str, Any]:
        request = {"room": room} if after is None else {"room": room, "after": after}
        return await self.ask("subscribe", request)

    async def ask(self, name: str, *arguments: Any) -> dict[str, Any]:
        answer: dict[str, Any] = await self.socket.call(name, *arguments, timeout=PATIENCE)
        return answer

    async def next(self) -> tuple[str, Any]:
        return await asyncio.wait_for(self.received.get(), PATIENCE)

    async def until(self, name: str) -> Any:
        """The payload of the next event of that name; what comes before it is left out."""
        while True:
            found, payload = await self.next()
            if found == name:
                return payload

    async def all_until(self, name: str) -> list[tuple[str, Any]]:
        """What comes before the next event of that name."""
        before: list[tuple[str, Any]] = []
        while True:
            found, payload = await self.next()
            if found == name:
                return before
            before.append((found, payload))

    async def ended(self) -> None:
        await asyncio.wait_for(self.gone.wait(), PATIENCE)

    async def _keep(self, name: str, payload: Any = None) -> None:
        self.received.put_nowait((name, payload))

    async def _on_disconnect(self, *_: Any) -> None:
        self.gone.set()


def raw_socket(server: Running, **options: Any) -> websocket:
    """A connection of which every packet is the test's own; nothing but the server ends it."""
    address = server.url.replace("http", "ws") + SOCKET_PATH
    return websocket(address, open_timeout=PATIENCE, ping_interval=None, compression=None, **options)


async def received(raw: ClientConnection) -> str:
    return str(await asyncio.wait_for(raw.recv(), PATIENCE))


async def until_closed(raw: ClientConnection) -> int:
    """How many packets came before the server closed the connection."""
    count = 0
    while True:
        try:
            await received(raw)
        except ConnectionClosed:
            return count
        count += 1


@asynccontextmanager
async def connected(server: Running, token: str, **more: Any) -> AsyncIterator[Client]:
    """A client that has been greeted and is in the dashboard."""
    client = Client()
    try:
        await client.connect(server.url, {"token": token}, **more)
        await client.until("connected")
        # The greeting comes before the room is joined; an acknowledged request comes after it.
        await client.ask("unsubscribe", {"room": "pipeline:none"})
        yield client
    finally:
        await client.socket.disconnect()
