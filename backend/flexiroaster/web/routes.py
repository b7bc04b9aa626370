"""`/` and every address of the dashboard: whatever no route of the API took."""

from __future__ import annotations

from fastapi import FastAPI, Request
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import Receive, Scope, Send

from flexiroaster.auth.permissions import open_to_all
from flexiroaster.web.dashboard import Dashboard

SERVER_PATHS = ("api", "health", "docs", "redoc", "openapi.json", "socket.io")
"""First segments that belong to the server: an unknown address there is an error, not a page."""
NOT_BUILT = (
    "<!doctype html><title>FlexiRoaster</title><h1>The dashboard is not built</h1>"
    "<p>Run <code>make setup</code> in the checkout, then load this page again. "
    "The API is at <a href=/docs>/docs</a>.</p>"
)


def install_dashboard(app: FastAPI, dashboard: Dashboard | None, version: str) -> None:
    """After all routes: unknown addresses go to the dashboard from then on."""

    @app.head("/", include_in_schema=False)
    @app.get("/", summary="Name and version; the dashboard for browsers", tags=["Server"])
    @open_to_all
    def root(request: Request) -> Response:
        """JSON unless `Accept` names text/html. Without a credential."""
        if wants_page(request):
            return dashboard.page(request) if dashboard else HTMLResponse(NOT_BUILT, status_code=503)
        return JSONResponse({"message": "FlexiRoaster API", "version": version}, headers={"vary": "accept"})

    async def anything_else(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
            return
        request = Request(scope, receive)
        response = await run_in_threadpool(found, request)
        if response is None:
            raise HTTPException(404, "There is nothing at this address.")
        await response(scope, receive, send)

    def found(request: Request) -> Response | None:
        path = request.url.path.removeprefix("/")
        if dashboard is None or request.method not in {"GET", "HEAD"} or path.partition("/")[0] in SERVER_PATHS:
            return None
        return dashboard.file(path, request) or (dashboard.page(request) if wants_page(request) else None)

    app.router.default = anything_else


def wants_page(request: Request) -> bool:
    """Whether a browser asks for a document: it alone names text/html."""
    return "text/html" in request.headers.get("accept", "")
