"""What the API's description says of every route alike: told once, here, so that no route can forget it.

Answers that any route may give, bodies that may be refused, and examples by the name of a property: one name means one
thing everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.models import Schema
from fastapi.routing import APIRoute
from pydantic.json_schema import models_json_schema

from flexiroaster.api.responses import SCHEMAS, described
from flexiroaster.api.schemas import ErrorResponse

DONE = {"200": "Done", "201": "Made", "202": "Accepted: it goes on from here by itself"}
NAMELESS = "Successful Response"
BODY_REFUSED = (413, 415)
STORED = (503,)

EXECUTION = "0195f0c2-7c1e-7a53-9d2e-0c3a5f1b2d4e"
ARTIFACT = "0195f0c2-9b1d-7e0f-8a77-51f0a6d2c911"
AT = "2026-03-04T06:00:12.345678Z"
EXAMPLES: dict[str, Any] = {
    "access_token": "eyJhbGciOiJIUzI1NiIsImtpZCI6IjEifQ…",
    "actor": "ada@example.com",
    "artifact_id": ARTIFACT,
    "asked_at": AT,
    "at": AT,
    "attempt": 1,
    "avg_duration": 12.4,
    "bytes": 18_204,
    "by": "ada@example.com",
    "code": "invalid_rows",
    "column": "amount",
    "comment": "Looks right.",
    "counts": {"success": 3, "failed": 1},
    "created_at": AT,
    "created_by": "ada@example.com",
    "data_dirs": ["/srv/flexiroaster/files"],
    "description": "Checks the orders of the day and sums them by region",
    "digest": "3b5d5c3712955042212316173ccf37be8000c30e5fd6a34b1bb1e2b1c9f0a5d2",
    "duration_seconds": 12.4,
    "email": "ada@example.com",
    "ended_at": "2026-03-04T06:00:24.745678Z",
    "execution_id": EXECUTION,
    "executions_24h": 48,
    "expires_in": 900,
    "failed_stage": "check",
    "file": "orders.csv",
    "idempotency_key": "orders-2026-03-04",
    "inputs": {"day": "2026-03-04"},
    "instance": "7c9e6679f1d84c0b9a1e2f3d4c5b6a79",
    "kind": "table",
    "labels": {"team": "sales"},
    "last_seq": 14,
    "line": 7,
    "media_type": "application/vnd.apache.parquet",
    "needs": ["load"],
    "needed": True,
    "note": "Allow one row in a hundred to be wrong",
    "number": 42,
    "outputs": {"rows": 1910},
    "p50_seconds": 11.9,
    "p95_duration": 31.0,
    "p95_seconds": 31.0,
    "password": "a quiet green river",
    "path": "stages[1].type",
    "pipeline_id": "daily_orders",
    "pipeline_name": "Daily orders",
    "queued_seconds": 0.004,
    "ready_at": AT,
    "request_id": "5f0c2a9e81b34d67",
    "reused": ["load"],
    "row": 6,
    "rows": 1910,
    "seq": 14,
    "source": "id: daily_orders\nname: Daily orders\nstages:\n  - {id: load, type: input, path: orders.csv}\n",
    "stage": "check",
    "stages_total": 4,
    "started_at": AT,
    "success_rate": 97.9,
    "suggestion": "Correct the rows at their source and retry.",
    "to_run": ["check", "by_region", "publish"],
    "total_pipelines": 12,
    "total_rows": 1910,
    "updated_at": AT,
    "usual_seconds": 11.9,
    "version": 3,
    "wait_seconds": 0.004,
}
"""By the name of a property, wherever its type fits and nothing nearer is said."""
BODIES: dict[str, Any] = {
    "login": {"username": "ada@example.com", "password": "a quiet green river"},
    "setup": {"token": "1XGwTUphr…", "email": "ada@example.com", "password": "a quiet green river"},
}
"""By operation, for bodies that say nothing themselves."""


def operation_id(route: APIRoute) -> str:
    """For routes that name none: short and stable, since generated clients call their functions by it."""
    first, *rest = route.name.split("_")
    return first + "".join(word.title() for word in rest)


def install_description(app: FastAPI) -> None:
    """From then on the app describes itself completely; what it describes is still to be asked for later."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        known = app.openapi_schema
        return known if known is not None else completed(plain())

    app.openapi = openapi  # type: ignore[method-assign]


def completed(document: dict[str, Any]) -> dict[str, Any]:
    """The document itself, with what was missing."""
    for operation in _operations(document):
        _complete(operation)
    components = document.setdefault("components", {})
    schemas = components["schemas"] = _with_errors(components.get("schemas", {}))
    for schema in schemas.values():
        for name, about in schema.get("properties", {}).items():
            if name in EXAMPLES and not _says_example(about) and _fits(EXAMPLES[name], about):
                about["examples"] = [EXAMPLES[name]]
    return document


def _with_errors(schemas: dict[str, Any]) -> dict[str, Any]:
    """What `responses.described` refers to, written as FastAPI writes the others."""
    _, errors = models_json_schema([(ErrorResponse, "serialization")], ref_template=SCHEMAS + "{model}")
    written = {
        name: Schema.model_validate(about).model_dump(mode="json", by_alias=True, exclude_none=True)
        for name, about in errors["$defs"].items()
    }
    return dict(sorted({**written, **schemas}.items()))


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for methods in document["paths"].values():
        yield from methods.values()


def _complete(operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    for status, answer in responses.items():
        if answer.get("description") == NAMELESS:
            answer["description"] = DONE.get(status, NAMELESS)
    body = operation.get("requestBody")
    more = (*(BODY_REFUSED if body else ()), *(STORED if operation.get("security") else ()))
    for number in more:
        responses.setdefault(str(number), described(number))
    operation["responses"] = dict(sorted(responses.items()))
    for content in (body or {}).get("content", {}).values():
        if operation["operationId"] in BODIES and "example" not in content:
            content["example"] = BODIES[operation["operationId"]]


def _says_example(about: dict[str, Any]) -> bool:
    return bool({"example", "examples", "const", "$ref"} & about.keys())


def _fits(example: Any, about: dict[str, Any]) -> bool:
    """Whether the example is of a type that the property takes."""
    kinds = {one.get("type") for one in about.get("anyOf", [about])}
    if any("enum" in one and example not in one["enum"] for one in about.get("anyOf", [about])):
        return False
    match example:
        case bool():
            return "boolean" in kinds
        case str():
            return "string" in kinds
        case int():
            return bool({"integer", "number"} & kinds)
        case float():
            return "number" in kinds
        case list():
            items = next(
                (one.get("items", {}) for one in about.get("anyOf", [about]) if one.get("type") == "array"), None
            )
            return items is not None and all(_fits(item, items) for item in example)
        case _:
            return "object" in kinds
