"""The files that containers are made and run by, read as what reads them in earnest does."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
KUBERNETES = ROOT / "deploy" / "kubernetes"
ROLES = ("api", "worker", "scheduler")
_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<how>[-?])(?P<rest>[^}]*))?\}")


def compose() -> dict[str, Any]:
    """As it is written."""
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return loaded


def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose()["services"]
    return found


def ours() -> dict[str, dict[str, Any]]:
    """The services that run our own image."""
    return {name: service for name, service in services().items() if "build" in service}


def variables() -> dict[str, str | None]:
    """What compose asks of its environment, and the default where there is one."""
    text = (ROOT / "docker-compose.yml").read_text()
    found = list(_VARIABLE.finditer(text))
    required = {match["name"] for match in found if match["how"] == "?"}
    return {match["name"]: None if match["name"] in required else match["rest"] for match in found}


def filled(text: str, given: Mapping[str, str]) -> str:
    """As compose interpolates."""
    return _VARIABLE.sub(lambda match: given.get(match["name"]) or match["rest"] or "", text)


def dockerfile() -> str:
    """With continued lines joined."""
    return (ROOT / "Dockerfile").read_text().replace("\\\n", " ")


def image_environment() -> dict[str, str]:
    """What the last stage sets of ours."""
    return dict(re.findall(r"(FLEXIROASTER_\w+)=(\S+)", dockerfile()))


def manifests() -> Iterator[tuple[Path, dict[str, Any]]]:
    """Every object of every file but the kustomization."""
    for path in sorted(KUBERNETES.glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            if document["kind"] != "Kustomization":
                yield path, document


def of_kind(kind: str) -> dict[str, dict[str, Any]]:
    return {document["metadata"]["name"]: document for _, document in manifests() if document["kind"] == kind}


def pods() -> dict[str, dict[str, Any]]:
    """Pod templates by the name of what makes them."""
    return {name: found["spec"]["template"] for kind in ("Deployment", "Job") for name, found in of_kind(kind).items()}
