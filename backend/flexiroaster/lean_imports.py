"""Importing in less time and memory."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

UNUSED = ("aiohttp", "requests", "websocket", "kombu", "redis", "cryptography", "pydantic.v1", "rich", "watchfiles")
"""What our libraries import by the way where it is installed, and a server does not use through them: python-socketio
its clients' HTTP libraries and its message queues, PyJWT signatures by pairs of keys, FastAPI old models, structlog
pretty tracebacks, uvicorn its reloader. They can do without.
"""


@contextmanager
def lean_imports() -> Iterator[None]:
    """Wrap what a server imports before it serves. Nothing stays blocked afterwards."""
    with uncollected(), left_out(*UNUSED), models_built_at_first_use():
        yield


@contextmanager
def models_built_at_first_use() -> Iterator[None]:
    """Of Pydantic's models that are made meanwhile, those that are never used by themselves are never built: most of
    ours are only parts of what a route takes or answers, FastAPI's of OpenAPI wait for somebody who asks for that.
    """
    from pydantic import BaseModel, ConfigDict

    usual = BaseModel.model_config
    BaseModel.model_config = ConfigDict(defer_build=True)
    try:
        yield
    finally:
        BaseModel.model_config = usual


@contextmanager
def uncollected() -> Iterator[None]:
    """Wrap what makes objects that stay, as imports do: looking for garbage among them, over and over, takes a tenth of
    the time.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.freeze()


@contextmanager
def left_out(*names: str) -> Iterator[None]:
    """What is imported meanwhile finds these not installed, unless they are loaded already."""
    modules: dict[str, Any] = sys.modules
    blocked = [name for name in names if name not in modules]
    modules.update(dict.fromkeys(blocked))
    try:
        yield
    finally:
        for name in blocked:
            if modules.get(name, name) is None:
                del modules[name]
