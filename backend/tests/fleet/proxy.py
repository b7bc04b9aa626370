"""A way to a server that can be cut without either side being told, as when a cable is pulled."""

from __future__ import annotations

import socket
import threading
from types import TracebackType

CHUNK = 65_536


class Proxy:
    """`with Proxy(port) as way:` carries connections from `way.port` to a port of this machine. What is sent while it
    is cut arrives when it is healed.
    """

    def __init__(self, target: int | None = None) -> None:
        """`target` may be set later, before somebody comes."""
        self.target = target
        self._whole = threading.Event()
        self._whole.set()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self._open: list[socket.socket] = []

    def __enter__(self) -> Proxy:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _tb: TracebackType | None
    ) -> None:
        self._listening.close()
        self._whole.set()
        for one in self._open:
            one.close()

    def cut(self) -> None:
        self._whole.clear()

    def heal(self) -> None:
        self._whole.set()

    def _accept(self) -> None:
        while True:
            try:
                here, _ = self._listening.accept()
            except OSError:
                return  # closed
            there = socket.create_connection(("127.0.0.1", self.target))
            self._open += [here, there]
            for source, target in ((here, there), (there, here)):
                threading.Thread(target=self._carry, args=(source, target), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(CHUNK):
                self._whole.wait()
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # one side is gone
