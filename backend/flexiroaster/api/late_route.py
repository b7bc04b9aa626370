"""Routes that are built when they are first asked for."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from typing import Any

from fastapi.routing import APIRoute
from pydantic.warnings import UnsupportedFieldAttributeWarning
from starlette.routing import compile_path

warnings.filterwarnings("ignore", category=UnsupportedFieldAttributeWarning)
"""As FastAPI does around what it builds: ours is built after that, and would warn in the middle of the log."""


class LateRoute(APIRoute):
    """Knows its path and methods from the start, and reads its endpoint's signature, with all the models in it, when
    anybody wants to know more: of a hundred routes a server that has just started needs one.

    What is wrong with a signature is therefore found by who describes the API, as the tests do, not by a start.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        self._late: Callable[[], None] | None = lambda: super(LateRoute, self).__init__(path, endpoint, **options)
        self._building = threading.RLock()
        self.path, self.endpoint = path, endpoint
        self.methods = {method.upper() for method in options.get("methods") or ("GET",)}
        self.path_regex, self.path_format, self.param_convertors = compile_path(path)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in ("_late", "_building"):
            raise AttributeError(name)
        with self._building:
            build, self._late = self._late, None
            if build is not None:
                try:
                    build()
                except BaseException:  # perhaps no file could be opened to import from: the next one who asks tries
                    self._late = build
                    raise
            if name not in self.__dict__:
                raise AttributeError(f"{type(self).__name__} has no attribute {name!r}.")
            return self.__dict__[name]
