"""The container files are well formed, and agree with the settings, the commands and each other."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import typer
import yaml

from flexiroaster.api.security import PROBE_PATH
from flexiroaster.cli.main import app
from flexiroaster.config import PREFIX, Settings, variable
from tests.deployment import files
from tests.deployment.files import KUBERNETES, ROLES, ROOT

TOOLS = Path(sys.executable).parent
GIVEN = {
    "FLEXIROASTER_PUBLIC_URL": "https://flexi.example.com",
    "FLEXIROASTER_ADMIN_EMAIL": "ada@example.com",
    "FLEXIROASTER_ADMIN_PASSWORD": "a long password of hers",
    "FLEXIROASTER_SECRET_KEY": "0123456789abcdef0123456789abcdef",
    "POSTGRES_PASSWORD": "p",
    "REDIS_PASSWORD": "r",
    "RABBITMQ_PASSWORD": "m",
    "S3_ACCESS_KEY": "flexiroaster",
    "S3_SECRET_KEY": "s",
}
KNOWN = {variable(name) for name in Settings.model_fields}


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith(PREFIX):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def settings_of(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    assert set(environment) & KNOWN
    assert {name for name in environment if name.startswith(PREFIX)} <= KNOWN
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return Settings.load()


def parsed(arguments: list[str]) -> None:
    """Fails as the command line would, without running anything."""
    command: Any = typer.main.get_command(app)
    context = command.context_class(command, info_name="flexiroaster")
    while hasattr(command, "commands"):
        name, command, arguments = command.resolve_command(context, arguments)
        group = hasattr(command, "commands")
        context = (
            command.context_class(command, info_name=name, parent=context)
            if group
            else command.make_context(name, list(arguments), parent=context)
        )


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(TOOLS / command[0]), *command[1:]], capture_output=True, text=True, check=False)


# ── each by itself ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_compose_file_is_well_formed() -> None:
    done = run("check-jsonschema", "--builtin-schema", "vendor.compose-spec", str(ROOT / "docker-compose.yml"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dockerfile_is_well_formed() -> None:
    done = run("hadolint", str(ROOT / "Dockerfile"))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("version", ["1.30", "1.34", "1.37"])
def test_kubernetes_takes_the_manifests(version: str) -> None:
    for path, document in files.manifests():
        try:
            kubernetes_validate.validate(document, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            pytest.fail(f"{path.name}: {error.message}")


def test_the_kustomization_names_every_manifest_but_the_example() -> None:
    named = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())["resources"]
    there = {path.name for path in KUBERNETES.glob("*.yaml")}
    assert sorted(named) == sorted(there - {"kustomization.yaml", "secret.example.yaml"})


def test_what_the_image_copies_is_there_and_sent() -> None:
    sent = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = re.findall(r"^COPY (?!--from)(.+)$", files.dockerfile(), re.MULTILINE)
    sources = [source for line in copied for source in line.split()[:-1]]
    assert sources
    for source in sources:
        assert (ROOT / source).exists(), source
        assert any(source == kept or source.startswith(f"{kept}/") for kept in sent), source


def test_the_lock_of_the_image_is_the_tested_one() -> None:
    """The versions of the tests, every library with its hashes, and no address of an index."""
    text, tested = ((ROOT / "backend" / f"requirements-{name}.lock").read_text() for name in ("image", "dev"))
    pinned = set(re.findall(r"^(\S+==\S+)", text, re.MULTILINE))
    assert pinned <= set(re.findall(r"^(\S+==\S+)", tested, re.MULTILINE))
    names = {pin.partition("==")[0] for pin in pinned}
    assert {"fastapi", "celery", "redis", "scikit-learn", "psycopg-binary"} <= names
    assert "://" not in text
    assert "pytest" not in names


# ── with the settings and the commands ──────────────────────────────────────────────────────────────────────────────


def test_compose_asks_for_what_the_example_names() -> None:
    example = (ROOT / "deploy" / "compose.env.example").read_text()
    named = dict(re.findall(r"^(\w+)=(.*)$", example, re.MULTILINE))
    asked = files.variables()
    assert set(named) == set(asked) - {"FLEXIROASTER_VERSION"}
    assert {name for name, default in asked.items() if default is None} == set(GIVEN) - {"FLEXIROASTER_PUBLIC_URL"}
    for name, default in asked.items():
        if default:
            assert named.get(name, default) == default


@pytest.mark.parametrize("role", [*ROLES, "migrate"])
def test_settings_take_what_compose_gives(role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    written = files.ours()[role]["environment"]
    given = {name: files.filled(value, GIVEN) for name, value in written.items()}
    settings = settings_of(files.image_environment() | given, monkeypatch)
    assert settings.database_url == "postgresql://flexiroaster:p@postgres:5432/flexiroaster"
    assert (settings.artifacts_in_s3, settings.s3_endpoint_url) == (True, "http://s3:8333")
    assert settings.broker_url == "amqp://flexiroaster:m@rabbitmq:5672//"
    assert settings.redis_url == "redis://:r@redis:6379/0"
    assert settings.public_url == "https://flexi.example.com"


def test_settings_take_what_kubernetes_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    given = files.of_kind("ConfigMap")["flexiroaster"]["data"] | files.of_kind("Secret")["flexiroaster"]["stringData"]
    settings = settings_of(files.image_environment() | given, monkeypatch)
    assert settings.artifacts_in_s3
    assert not settings.embedded
    for name, pod in files.pods().items():
        sources = pod["spec"]["containers"][0]["envFrom"]
        assert sources == [{"configMapRef": {"name": "flexiroaster"}}, {"secretRef": {"name": "flexiroaster"}}], name


def test_commands_are_ours() -> None:
    in_compose = {name: service["command"] for name, service in files.ours().items()}
    in_kubernetes = {
        name.removeprefix("flexiroaster-"): pod["spec"]["containers"][0]["args"] for name, pod in files.pods().items()
    }
    assert set(in_compose) == set(in_kubernetes) == {*ROLES, "migrate"}
    for arguments in [*in_compose.values(), *in_kubernetes.values(), ["up"], ["health"]]:
        parsed(list(arguments))
    with pytest.raises(Exception, match="No such command"):
        parsed(["everything"])
    assert 'ENTRYPOINT ["flexiroaster"]' in files.dockerfile()
    assert 'CMD ["flexiroaster", "health"]' in files.dockerfile()


def test_all_speak_of_the_same_port() -> None:
    port = int(files.image_environment()["FLEXIROASTER_PORT"])
    assert port == Settings.model_fields["port"].default
    assert re.findall(r"^EXPOSE (\d+)$", files.dockerfile(), re.MULTILINE) == [str(port)]
    assert files.services()["api"]["expose"] == [str(port)]
    nginx = (ROOT / "deploy" / "nginx.conf").read_text()
    assert f"http://api:{port};" in nginx
    assert re.findall(r"listen (\d+);", nginx) == ["3000"]
    assert files.services()["dashboard"]["ports"] == ["3000:3000"]
    (container,) = files.pods()["flexiroaster-api"]["spec"]["containers"]
    assert container["ports"] == [{"name": "http", "containerPort": port}]
    assert files.of_kind("Service")["flexiroaster"]["spec"]["ports"][0]["targetPort"] == "http"


def test_health_is_asked_where_it_is_answered() -> None:
    (container,) = files.pods()["flexiroaster-api"]["spec"]["containers"]
    assert container["readinessProbe"]["httpGet"]["path"] == PROBE_PATH
    checked = files.services()["dashboard"]["healthcheck"]["test"][-1]
    assert checked.removeprefix("http://127.0.0.1:3000") in re.findall(
        r"location = (\S+)", (ROOT / "deploy" / "nginx.conf").read_text()
    )
    for role in ("worker", "scheduler"):
        (container,) = files.pods()[f"flexiroaster-{role}"]["spec"]["containers"]
        assert container["livenessProbe"]["exec"]["command"] == ["flexiroaster", "health"]


# ── with each other ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_everything_that_goes_on_is_looked_after() -> None:
    """It says whether it is well, has limits, and comes again when it dies."""
    for name, service in files.services().items():
        assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}, name
        if name in ("migrate", "bucket"):
            assert service["restart"].startswith("on-failure"), name
            continue
        assert service["restart"] == "unless-stopped", name
        assert "healthcheck" in service or "build" in service, name  # our image has its own


def test_nothing_starts_before_what_it_needs() -> None:
    services = files.services()
    for name, service in services.items():
        for needed, how in service.get("depends_on", {}).items():
            ends = services[needed]["restart"].startswith("on-failure")
            assert how["condition"] == ("service_completed_successfully" if ends else "service_healthy"), (name, needed)
    for role in ROLES:
        assert set(services[role]["depends_on"]) == {"migrate", "bucket", "postgres", "redis", "rabbitmq"}


def test_a_stop_waits_longer_than_the_server_does() -> None:
    given = files.ours()["api"]["environment"]
    assert int(files.compose()["x-flexiroaster"]["stop_grace_period"].rstrip("s")) > int(
        given[variable("grace_seconds")]
    )
    grace = int(files.of_kind("ConfigMap")["flexiroaster"]["data"][variable("grace_seconds")])
    for role in ROLES:
        assert files.pods()[f"flexiroaster-{role}"]["spec"]["terminationGracePeriodSeconds"] > grace


def test_nothing_of_ours_runs_as_root_or_may_become_it() -> None:
    user = re.findall(r"^USER (\d+):(\d+)$", files.dockerfile(), re.MULTILINE)
    assert len(user) == 1
    uid = int(user[0][0])
    assert uid > 0
    for name, pod in files.pods().items():
        spec = pod["spec"]
        assert (spec["securityContext"]["runAsUser"], spec["securityContext"]["runAsNonRoot"]) == (uid, True), name
        inner = spec["containers"][0]["securityContext"]
        assert (inner["allowPrivilegeEscalation"], inner["readOnlyRootFilesystem"]) == (False, True), name
        assert inner["capabilities"]["drop"] == ["ALL"]
        assert spec["automountServiceAccountToken"] is False
    for name, service in files.ours().items():
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"]), name
        assert service["security_opt"] == ["no-new-privileges:true"]


def test_what_has_to_be_written_to_is_a_volume() -> None:
    """The root file systems are read-only."""
    folder, data = (files.image_environment()[variable(name)] for name in ("data_folder", "data_dirs"))
    for name, service in files.ours().items():
        mounted = [volume.rpartition(":")[2] for volume in service["volumes"]]
        assert data in mounted, name
        assert any(folder.startswith(f"{place}/") for place in mounted), name
        assert service["tmpfs"][0].startswith("/tmp"), name
    for name, pod in files.pods().items():
        (container,) = pod["spec"]["containers"]
        mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        assert {volume["name"] for volume in pod["spec"]["volumes"]} == set(mounts), name
        assert folder.startswith(mounts["data"] + "/"), name
        assert mounts["tmp"] == "/tmp"
        assert mounts.get("files", data) == data


def test_selectors_find_the_pods() -> None:
    for name, found in files.of_kind("Deployment").items():
        labels = found["spec"]["template"]["metadata"]["labels"]
        assert found["spec"]["selector"]["matchLabels"] == labels, name
    labels = {name: pod["metadata"]["labels"] for name, pod in files.pods().items()}
    assert files.of_kind("Service")["flexiroaster"]["spec"]["selector"] == labels["flexiroaster-api"]
    for name, budget in files.of_kind("PodDisruptionBudget").items():
        assert budget["spec"]["selector"]["matchLabels"] == labels[name]
    backend = files.of_kind("Ingress")["flexiroaster"]["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]
    assert backend == {"name": "flexiroaster", "port": {"name": "http"}}
    host = files.of_kind("Ingress")["flexiroaster"]["spec"]["rules"][0]["host"]
    assert files.of_kind("ConfigMap")["flexiroaster"]["data"][variable("public_url")] == f"https://{host}"


def test_secrets_are_in_no_file() -> None:
    """The examples name them and leave them open."""
    example = (ROOT / "deploy" / "compose.env.example").read_text()
    for name in ("FLEXIROASTER_ADMIN_PASSWORD", "FLEXIROASTER_SECRET_KEY", "POSTGRES_PASSWORD", "S3_SECRET_KEY"):
        assert f"\n{name}=\n" in example
    for name, value in files.of_kind("Secret")["flexiroaster"]["stringData"].items():
        assert "CHANGE-ME" in value or ":PASSWORD@" in value, name
    assert "deploy/compose.env" in (ROOT / ".gitignore").read_text().splitlines()


def test_secrets_are_made_once(tmp_path: Path) -> None:
    target = tmp_path / "compose.env"
    subprocess.run([sys.executable, ROOT / "scripts" / "compose-env", target], check=True, capture_output=True)
    made = dict(re.findall(r"^(\w+)=(.*)$", target.read_text(), re.MULTILINE))
    assert target.stat().st_mode & 0o777 == 0o600
    assert all(made.values())
    assert len(made["FLEXIROASTER_SECRET_KEY"]) >= 32
    assert len({made[name] for name in made if name.endswith(("PASSWORD", "KEY"))}) == 7
    again = target.read_text()
    subprocess.run([sys.executable, ROOT / "scripts" / "compose-env", target], check=True, capture_output=True)
    assert target.read_text() == again
