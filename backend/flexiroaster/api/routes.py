"""Every route that needs nothing but the services; `main` adds sign-in, the socket and the dashboard."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI

from flexiroaster.api import (
    admin,
    approvals,
    artifacts,
    assistant,
    bulk,
    catalog,
    executions,
    exposition,
    health,
    insights,
    logs,
    maintenance,
    metrics,
    pipelines,
    pools,
    projects,
    reruns,
    signals,
    triggers,
    versions,
    workers,
)
from flexiroaster.api.description import install_description
from flexiroaster.services.container import Services

TAGS = [
    {"name": "Pipelines", "description": "Definitions, their versions, and starting them."},
    {"name": "Triggers", "description": "What starts executions by itself, and when."},
    {"name": "Executions", "description": "What ran, stage by stage."},
    {"name": "Approvals", "description": "Questions that wait for a person."},
    {"name": "Pools", "description": "What stages share, and how many may use it at a time."},
    {"name": "Workers", "description": "What runs stages, and what it runs."},
    {"name": "Artifacts", "description": "Tables and files that stages kept."},
    {"name": "Logs", "description": "Log lines, kept and live."},
    {"name": "Metrics", "description": "Numbers over many executions."},
    {"name": "Insights", "description": "What is to be expected, what is abnormal, what to change."},
    {"name": "Catalog", "description": "Stage types, schemas, and this server."},
    {"name": "Sign-in", "description": "Accounts and sessions."},
    {"name": "Server", "description": "Is it there, is it well."},
]


ROOMS = (
    pipelines,
    versions,
    triggers,
    executions,
    reruns,
    bulk,
    approvals,
    signals,
    pools,
    workers,
    artifacts,
    logs,
    maintenance,
    metrics,
    exposition,
    insights,
    projects,
    assistant,
    catalog,
    admin,
    health,
)


def include_routes(app: FastAPI) -> None:
    for room in ROOMS:
        add_routes(app, room.router)
    install_description(app)


def add_routes(app: FastAPI, router: APIRouter) -> None:
    """Its routes as they are: `include_router` would build each of them again at the first request."""
    app.router.routes.extend(router.routes)


def install_services(app: FastAPI, services: Services) -> None:
    """What the routes work with. Before the first request."""
    app.state.services = services
