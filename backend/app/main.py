"""`uvicorn app.main:app` from the folder backend/: the API, the socket and the built dashboard in one ASGI app."""

from __future__ import annotations

from flexiroaster.lean_imports import lean_imports

with lean_imports():
    from flexiroaster.main import app_from_environment

app = app_from_environment()
