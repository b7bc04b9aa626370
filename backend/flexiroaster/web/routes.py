"""`/` and every address of the dashboard. Added last: whatever no API route took."""

from __future__ import annotations

from fastapi import FastAPI, HTTPException, Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from flexiroaster.web.dashboard import Dashboard

SERVER_PATHS = ("api", "health", "docs", "redoc", "openapi.json", "socket.io")
"""First segments that belong to the server: an unknown address there is an error, not a page."""
NOT_BUILT = (
    "<!doctype html><title>FlexiRoaster</title><h1>The dashboard is not built</h1>"
    "<p>Run <code>make setup</code> in the checkout, then load this page again. "
    "The API is at <a href=/docs>/docs</a>.</p>"
)


def wants_page(request: Request) -> bool:
    """Whether a browser asks for a document: it alone names text/html."""
    return "text/html" in request.headers.get("accept", "")


def install_dashboard(app: FastAPI, dashboard: Dashboard | None, version: str) -> None:
    @app.get("/", include_in_schema=True, summary="Name and version; the dashboard for browsers", tags=["Server"])
    def root(request: Request) -> Response:
        if wants_page(request):
            return dashboard.page(request) if dashboard else HTMLResponse(NOT_BUILT, status_code=503)
        return JSONResponse({"message": "FlexiRoaster API", "version": version}, headers={"vary": "accept"})

    @app.get("/{path:path}", include_in_schema=False)
    def anything(path: str, request: Request) -> Response:
        if path.partition("/")[0] not in SERVER_PATHS and dashboard is not None:
            found = dashboard.file(path, request)
            if found is not None:
                return found
            if wants_page(request):
                return dashboard.page(request)
        raise HTTPException(404, "There is nothing at this address.")
