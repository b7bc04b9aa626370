"""The OpenAPI document, without a server: `python -m flexiroaster.api.openapi` writes backend/openapi.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

from fastapi import FastAPI

import flexiroaster
from flexiroaster.api import auth
from flexiroaster.api.routes import TAGS, include_routes
from flexiroaster.services.accounts import Accounts

PATH = Path(__file__).parents[2] / "openapi.json"


def described_app() -> FastAPI:
    """Every route of the server on an app that cannot answer: no service is behind it."""
    app = FastAPI(title="FlexiRoaster API", version=flexiroaster.__version__, openapi_tags=TAGS)
    app.include_router(auth.create_router(cast("Accounts", None), public_url="http://127.0.0.1:8000"))
    include_routes(app)
    return app


def document() -> dict[str, Any]:
    return described_app().openapi()


def text() -> str:
    """Sorted, so that a change of a route changes its lines alone."""
    return json.dumps(document(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PATH.write_text(text(), encoding="utf-8")
