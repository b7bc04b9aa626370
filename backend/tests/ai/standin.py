"""A stand-in for an OpenAI-compatible endpoint: a real server on this machine, with answers of the test's choice."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = str | tuple[int, bytes] | Callable[[BaseHTTPRequestHandler], None]
"""What the model says; or a status with a body; or what writes the whole answer."""


class Standin(ThreadingHTTPServer):
    """Answers with `answers`, one after the other, and keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[Answer] = []
        self.asked: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.is_asked = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    @property
    def sent(self) -> str:
        """All that left."""
        return json.dumps([body for _, _, body in self.asked])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Silent where the one who asked has hung up."""


class Handler(BaseHTTPRequestHandler):
    server: Standin

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, dict(self.headers), body))
        answer = self.server.answers.pop(0)
        self.server.is_asked.set()
        if callable(answer):
            answer(self)
            return
        if isinstance(answer, str):
            answer = 200, json.dumps({"choices": [{"message": {"role": "assistant", "content": answer}}]}).encode()
        status, content = answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


@contextmanager
def standing_in() -> Iterator[Standin]:
    with Standin() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
