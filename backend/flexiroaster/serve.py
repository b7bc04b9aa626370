"""The server's process: its socket, its signals, and the moment it is ready."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn

from flexiroaster.config import Settings
from flexiroaster.data_folder import unusable
from flexiroaster.engine.errors import ConfigurationError
from flexiroaster.lean_imports import lean_imports
from flexiroaster.main import Server, make_app, make_server
from flexiroaster.process import tune_interpreter
from flexiroaster.roles import EVERYTHING, Role
from flexiroaster.server_file import RunningServer, forget_server
from flexiroaster.services.ends import Ends
from flexiroaster.websocket.server import DEFAULT_LIMITS, LiveServer

CONNECTION_GRACE_SECONDS = 3
"""How long a stop waits for answers under way; streams and sockets are cut after it and connect again."""
BACKLOG = 2048


def serve(settings: Settings, on_ready: Callable[[Server, int], None], role: Role = EVERYTHING) -> None:
    """Serve until SIGINT or SIGTERM. `on_ready` is called with the port once connections are answered.

    Raises `ConfigurationError` where something stands in the way.
    """
    role.check(settings)
    tune_interpreter()
    listening = listen(settings.host, settings.port)
    port = int(listening.getsockname()[1])
    server = make_server(settings, role)
    try:
        with lean_imports():
            app = make_app(server, settings.url(port))
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            lifespan="on",
            timeout_graceful_shutdown=CONNECTION_GRACE_SECONDS,
            ws_max_size=DEFAULT_LIMITS.packet_bytes,
            backlog=BACKLOG,
        )
        ends = app.state.services.ends
        _Process(config, server, app.state.live, ends, lambda: _ready(server, port, on_ready)).run([listening])
    finally:
        forget_server(settings.data_folder)
        server.stop()


def listen(host: str, port: int) -> socket.socket:
    """Bound already, so that a port which is taken is said before anything else happens."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except socket.gaierror as error:
        raise ConfigurationError(
            f"FLEXIROASTER_HOST is {host!r}, which is no address of this machine ({error.strerror}): write 127.0.0.1."
        ) from None
    except OSError as error:
        raise ConfigurationError(
            f"Port {port} of {host} cannot be used ({os.strerror(error.errno or 0)}): stop what uses it, or choose "
            "another with FLEXIROASTER_PORT (--port; 0 takes a free one)."
        ) from None
    return listening


def _ready(server: Server, port: int, on_ready: Callable[[Server, int], None]) -> None:
    url = f"http://{'127.0.0.1' if server.settings.host in ('0.0.0.0', '::') else server.settings.host}:{port}"  # noqa: S104
    try:
        RunningServer(url, os.getpid(), server.facts.instance).write(server.folder.path)
    except OSError as error:
        raise unusable(server.folder.path, error, "data folder") from error
    on_ready(server, port)


class _Process(uvicorn.Server):
    """uvicorn, with a word when it is ready, work stopped at the first signal, and exit status 0 after a stop."""

    def __init__(
        self, config: uvicorn.Config, server: Server, live: LiveServer, ends: Ends, on_ready: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._server = server
        self._live = live
        self._ends = ends
        self._on_ready = on_ready

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        # uvicorn raises the signals it caught once more when it is done: without these the process would end by them,
        # with another status than 0.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda _number, _frame: None)
        super().run(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Before uvicorn waits for open connections: those of the dashboard stay open until they are sent away, and who
        # waits for the end of an execution until it is told that there is none yet.
        self._ends.stop()
        await self._live.shutdown()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._server.take_no_more_work()
        super().handle_exit(sig, frame)
