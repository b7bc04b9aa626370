"""The description of the API: complete, in step with the code, and kept in the repository."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import orjson
import pytest

from flexiroaster.web.docs import openapi_text
from tests.api.server_app import ServerApp

MAKE_WHAT_IS_NOT_THERE = {"setPool"}
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
        if "{" in path and operation["operationId"] not in MAKE_WHAT_IS_NOT_THERE:
            assert "404" in answers, f"{method} {path}"
        for status in answers:
            if status >= "400":
                content = answers[status]["content"]["application/json"]
                assert content["schema"] == {"$ref": "#/components/schemas/ErrorResponse"}
                assert set(content["example"]) == {"detail", "code", "request_id", "problems"}


def test_every_operation_says_what_it_does_and_takes(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        where = f"{method} {path}"
        assert operation.get("description"), where
        for parameter in operation.get("parameters", ()):
            assert parameter.get("description"), f"{where}: {parameter['name']}"
        for status, answer in operation["responses"].items():
            assert answer["description"] != "Successful Response", f"{where}: {status}"


def test_every_body_has_an_example_and_can_be_refused(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        if "requestBody" in operation:
            for content in operation["requestBody"]["content"].values():
                assert "example" in content or "examples" in content["schema"], f"{method} {path}"
            assert {"413", "415", "422"} <= set(operation["responses"]), f"{method} {path}"


def test_every_stored_thing_may_be_out_of_reach(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        if "security" in operation:
            assert "503" in operation["responses"], f"{method} {path}"


def test_every_example_is_what_it_is_an_example_of(document: dict[str, Any]) -> None:
    shown = 0
    for name, schema in document["components"]["schemas"].items():
        for property_, about in schema.get("properties", {}).items():
            check = jsonschema_rs.Draft202012Validator({**about, "components": document["components"]})
            for example in about.get("examples", ()):
                assert check.is_valid(example), f"{name}.{property_}: {example!r}"
                shown += 1
    assert shown > 200


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
