"""Every route that needs nothing but the services; `main` adds sign-in, the socket and the dashboard."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.routing import APIRoute

from flexiroaster.api import (
    approvals,
    artifacts,
    bulk,
    catalog,
    executions,
    health,
    logs,
    metrics,
    pipelines,
    reruns,
    signals,
)
from flexiroaster.services.container import Services

TAGS = [
    {"name": "Pipelines", "description": "Definitions, their versions, and starting them."},
    {"name": "Executions", "description": "What ran, stage by stage."},
    {"name": "Approvals", "description": "Questions that wait for a person."},
    {"name": "Artifacts", "description": "Tables and files that stages kept."},
    {"name": "Logs", "description": "Log lines, kept and live."},
    {"name": "Metrics", "description": "Numbers over many executions."},
    {"name": "Catalog", "description": "Stage types, schemas, and this server."},
    {"name": "Sign-in", "description": "Accounts and sessions."},
    {"name": "Server", "description": "Is it there, is it well."},
]


def operation_id(route: APIRoute) -> str:
    """For routes that name none: short and stable, since generated clients call their functions by it."""
    first, *rest = route.name.split("_")
    return first + "".join(word.title() for word in rest)


def include_routes(app: FastAPI) -> None:
    for room in (pipelines, executions, reruns, bulk, approvals, signals, artifacts, logs, metrics, catalog, health):
        app.include_router(room.router)


def install_services(app: FastAPI, services: Services) -> None:
    """What the routes work with. Before the first request."""
    app.state.services = services
