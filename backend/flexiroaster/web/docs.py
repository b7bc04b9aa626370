"""`/docs` and `/openapi.json`. Swagger UI comes from this server: no page of ours loads anything from elsewhere."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, HTMLResponse, Response

from flexiroaster.auth.permissions import open_to_all

PAGE_METHODS = ["GET", "HEAD"]
"""Link checkers and proxies ask for the headers alone."""
STATIC = Path(__file__).parent / "static"
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>FlexiRoaster API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/docs.js"></script>
</body>
</html>
"""


def install_docs(app: FastAPI) -> None:
    """For an app that was made with `docs_url=None, redoc_url=None, openapi_url=None`."""

    @app.api_route("/docs", methods=PAGE_METHODS, include_in_schema=False)
    @open_to_all
    def docs() -> Response:
        return HTMLResponse(PAGE)

    @app.api_route("/docs/{name}", methods=PAGE_METHODS, include_in_schema=False)
    @open_to_all
    def docs_file(name: str) -> Response:
        path = docs_files().get(name)
        if path is None:
            raise HTTPException(404, "There is nothing at this address.")
        return FileResponse(path, headers={"cache-control": "max-age=3600"})

    @app.api_route("/openapi.json", methods=PAGE_METHODS, include_in_schema=False)
    @open_to_all
    def openapi() -> Response:
        return Response(openapi_text(app), media_type="application/json")


def openapi_text(app: FastAPI) -> bytes:
    """The API's description, as it is also kept in the repository: the same bytes for the same API."""
    import orjson

    return orjson.dumps(app.openapi(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


@cache
def docs_files() -> dict[str, Path]:
    # Found without importing the package, of which only its files are wanted.
    spec = find_spec("fastapi_swagger")
    assert spec is not None
    resources = Path(next(iter(spec.submodule_search_locations or []))) / "resources"
    return {"docs.js": STATIC / "docs.js"} | {
        name: resources / name for name in ("swagger-ui-bundle.js", "swagger-ui.css")
    }
