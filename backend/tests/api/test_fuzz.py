"""Every operation with arbitrary values, made from the API's own description.

Whatever is sent: never a 5xx, and every answer is one that the description knows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.api.server_app import URL, ServerApp, server_app
from tests.api.test_openapi import KEPT

PIPELINE = "daily_orders"
EXECUTION = "0195f0c2-7c1e-7a53-9d2e-0c3a5f1b2d4e"
ARTIFACT = "0195f0c2-9b1d-7e0f-8a77-51f0a6d2c911"
KNOWN: dict[str, Any] = {
    "pipeline_id": PIPELINE,
    "execution_id": EXECUTION,
    "artifact_id": ARTIFACT,
    "stage": "check",
    "version": 1,
    "other": 1,
    "type": "noop",
    "name": "cpu_heavy",
}
EXAMPLES = 12

CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)
LISTS = ("/api/pipelines", "/api/executions", f"/api/pipelines/{PIPELINE}/executions", "/api/logs")


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerApp]:
    with pytest.MonkeyPatch.context() as patch, server_app(tmp_path_factory.mktemp("fuzz"), running=False) as app:
        patch.setattr("flexiroaster.api.logs.LONGEST_SECONDS", 0)
        seed(app)
        yield app


@pytest.fixture(scope="module")
def schema(fuzzed: ServerApp) -> Any:
    return schemathesis.openapi.from_asgi("/openapi.json", Started(fuzzed.app), headers={"Host": "127.0.0.1:8000"})


class Started:
    """The app without its lifespan, which the tool would run around each request."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self.app(scope, receive, send)
            return
        for phase in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{phase}.complete"})


def make_pipeline(app: ServerApp) -> None:
    body = {"id": PIPELINE, "name": "Daily orders", "stages": [{"id": "check", "type": "noop"}]}
    assert app.client.post("/api/pipelines", json=body).status_code in (201, 409)


def seed(app: ServerApp) -> None:
    make_pipeline(app)
    history = app.history
    history.execution(PIPELINE, 1, id=EXECUTION, status="failed", failed_stage="check", error={"message": "no"})
    history.stage_run(EXECUTION, 0, stage="check", status="failed", error={"message": "no"})
    history.artifact(ARTIFACT, EXECUTION, stage="check")
    history.log("a line", execution_id=EXECUTION, pipeline_id=PIPELINE)
    history.event(EXECUTION, 1)


def operations() -> list[tuple[str, str]]:
    document = orjson.loads(KEPT.read_bytes())
    return [(method, path) for path, methods in document["paths"].items() for method in methods]


@pytest.mark.parametrize(("method", "path"), operations())
def test_no_request_upsets_the_server(fuzzed: ServerApp, schema: Any, method: str, path: str) -> None:
    make_pipeline(fuzzed)  # the operation before may have been its deletion
    operation = schema[path][method]
    right, wrong = (operation.as_strategy(generation_mode=mode) for mode in GenerationMode)

    @given(case=st.one_of(right, wrong), known=st.booleans())
    @settings(
        max_examples=EXAMPLES, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    def check(case: Case, known: bool) -> None:
        if known:  # hardly anything is found by an arbitrary id
            case.path_parameters = {name: KNOWN.get(name, value) for name, value in case.path_parameters.items()}
        case.call_and_validate(base_url=URL, headers={"authorization": "Bearer admin"}, checks=list(CHECKS))
        for listed in LISTS:
            assert fuzzed.client.get(listed).status_code == 200, f"{listed} broke after {case.as_curl_command()}"

    check()
