"""The description of the API: complete, in step with the code, and kept in the repository."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from flexiroaster.web.docs import openapi_text
from tests.api.server_app import ServerApp

KEPT = Path(__file__).parents[2] / "openapi.json"


@pytest.fixture
def document(server: ServerApp) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(openapi_text(server.app))
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def test_the_kept_document_is_in_step(server: ServerApp) -> None:
    assert KEPT.read_bytes() == openapi_text(server.app), "Run `make generate`, and commit backend/openapi.json."


def test_every_operation_has_a_short_name_of_its_own(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(names)) == len(names)
    assert [name for name in names if not re.fullmatch(r"[a-z][A-Za-z]{1,30}", name)] == []


def test_every_operation_has_summary_and_tag(document: dict[str, Any]) -> None:
    known = {tag["name"] for tag in document["tags"]}
    missing = [
        path
        for _, path, operation in operations(document)
        if not operation.get("summary") or not set(operation.get("tags", ())) <= known or not operation.get("tags")
    ]
    assert missing == []


def test_every_guarded_operation_describes_its_refusals(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        if "security" not in operation:
            continue
        answers = operation["responses"]
        assert {"401", "403", "422", "429"} <= set(answers), f"{method} {path}"
        if "{" in path:
            assert "404" in answers, f"{method} {path}"
        for status in answers:
            if status >= "400":
                content = answers[status]["content"]["application/json"]
                assert content["schema"] == {"$ref": "#/components/schemas/ErrorResponse"}
                assert set(content["example"]) == {"detail", "code", "request_id", "problems"}


def test_every_body_has_an_example(document: dict[str, Any]) -> None:
    for _, path, operation in operations(document):
        if path.startswith(("/api/pipelines", "/api/executions")) and "requestBody" in operation:
            assert all("example" in content for content in operation["requestBody"]["content"].values()), path


def test_the_specifications_addresses_are_there(document: dict[str, Any]) -> None:
    wanted = {
        ("get", "/health"),
        ("get", "/api/pipelines"),
        ("post", "/api/pipelines"),
        ("get", "/api/pipelines/{pipeline_id}"),
        ("delete", "/api/pipelines/{pipeline_id}"),
        ("post", "/api/pipelines/{pipeline_id}/execute"),
        ("get", "/api/pipelines/{pipeline_id}/executions"),
        ("get", "/api/metrics"),
        ("get", "/api/metrics/history"),
        ("get", "/api/logs"),
        ("get", "/api/logs/stream"),
    }
    assert wanted <= {(method, path) for method, path, _ in operations(document)}
