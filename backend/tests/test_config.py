"""Settings: defaults, sources and the sentence for each wrong value."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from flexiroaster.artifact_store import make_artifacts
from flexiroaster.artifacts.s3 import Bucket, S3Artifacts
from flexiroaster.config import PREFIX, Settings, variable
from flexiroaster.engine.errors import ConfigurationError

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith(PREFIX):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    monkeypatch.chdir(tmp_path)


def test_everything_is_kept_in_one_folder(tmp_path: Path) -> None:
    settings = Settings.load()
    folder = tmp_path / "share" / "flexiroaster"
    assert settings.data_folder == folder
    assert settings.database_url == f"sqlite:///{folder}/flexiroaster.db"
    assert settings.artifacts_folder == folder / "artifacts"
    assert settings.data_dirs == (folder / "files",)
    assert settings.embedded


def test_option_wins_over_variable_over_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("FLEXIROASTER_PORT=1111\nFLEXIROASTER_LOG_LEVEL=debug\nFLEXIROASTER_CONCURRENCY=3\n")
    monkeypatch.setenv("FLEXIROASTER_PORT", "2222")
    monkeypatch.setenv("FLEXIROASTER_CONCURRENCY", "4")
    settings = Settings.load(port=3333, concurrency=None)
    assert (settings.port, settings.concurrency, settings.log_level) == (3333, 4, "debug")


def test_lists_are_split_as_people_write_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEXIROASTER_DATA_DIRS", f"/data{os.pathsep}/more data")
    monkeypatch.setenv("FLEXIROASTER_HTTP_ALLOW", "10.0.0.7:8080, intern:80")
    settings = Settings.load()
    assert settings.data_dirs == (Path("/data"), Path("/more data"))
    assert settings.http_allow == ("10.0.0.7:8080", "intern:80")


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("PORT", "abc", "FLEXIROASTER_PORT is 'abc': Write a whole number."),
        ("PORT", "99999", "FLEXIROASTER_PORT is '99999': Write a value less than or equal to 65535."),
        ("CODE_STAGES", "perhaps", "FLEXIROASTER_CODE_STAGES is 'perhaps': Write true or false."),
        ("LOG_LEVEL", "loud", "FLEXIROASTER_LOG_LEVEL is 'loud': Write a value 'debug', 'info', 'warning' or 'error'."),
        ("BROKER_URL", "kafka://:pw@x", "FLEXIROASTER_BROKER_URL is 'kafka://:***@x': Write amqp://user:password@host"),
        ("BROKER_URL", "amqp://x", "FLEXIROASTER_BROKER_URL is for several processes, and SQLite has one"),
        ("REDIS_URL", "localhost:6379", "FLEXIROASTER_REDIS_URL is 'localhost:6379': Write redis://"),
        ("REDIS_URL", "redis://:secret@", "FLEXIROASTER_REDIS_URL is 'redis://:***@': Write redis://"),
        ("REDIS_URL", "redis://x", "FLEXIROASTER_REDIS_URL is for several servers, and SQLite has one"),
        (
            "ARTIFACTS_URL",
            "s3:///p",
            "FLEXIROASTER_ARTIFACTS_URL is 's3:///p': Write s3://bucket or s3://bucket/prefix",
        ),
        ("ARTIFACTS_URL", "s3://me:pw@b/p", "FLEXIROASTER_ARTIFACTS_URL is 's3://me:***@b/p': Write s3://bucket"),
        ("S3_ENDPOINT_URL", "minio:9000", "FLEXIROASTER_S3_ENDPOINT_URL is 'minio:9000': Write its address without"),
        (
            "S3_PUBLIC_URL",
            "https://a:b@c",
            "FLEXIROASTER_S3_PUBLIC_URL is 'https://a:***@c': Write its address without",
        ),
        ("S3_ENCRYPTION", "rot13", "FLEXIROASTER_S3_ENCRYPTION is 'rot13': Write a value 'AES256', 'aws:kms' or"),
        ("S3_ACCESS_KEY_ID", "key", "go together: set FLEXIROASTER_S3_SECRET_ACCESS_KEY too, or neither."),
        ("S3_SECRET_ACCESS_KEY", "secret", "go together: set FLEXIROASTER_S3_ACCESS_KEY_ID too, or neither."),
        (
            "ASSISTANT_URL",
            "llm",
            "FLEXIROASTER_ASSISTANT_URL is 'llm': Write where its API begins, without keys: https://",
        ),
        (
            "ASSISTANT_URL",
            "http://me:pw@h",
            "FLEXIROASTER_ASSISTANT_URL is 'http://me:***@h': Write where its API begins",
        ),
        ("ASSISTANT_URL", "http://h/v1", "go together: set FLEXIROASTER_ASSISTANT_MODEL too, or neither."),
        ("ASSISTANT_MODEL", "small", "go together: set FLEXIROASTER_ASSISTANT_URL too, or neither."),
        ("S3_KMS_KEY", "key", "FLEXIROASTER_S3_KMS_KEY needs FLEXIROASTER_S3_ENCRYPTION=aws:kms: set it too"),
        ("ARTIFACTS_URL", "folder", "FLEXIROASTER_ARTIFACTS_URL is 'folder': Write file:///absolute/folder"),
        ("DATABASE_URL", "mysql://x", "FLEXIROASTER_DATABASE_URL is 'mysql://x': Write sqlite:////absolute/path.db"),
        ("DATABASE_URL", "oracle://me:pw@h/x", "FLEXIROASTER_DATABASE_URL is 'oracle://me:***@h/x': Write sqlite"),
        ("PUBLIC_URL", "example.com", "FLEXIROASTER_PUBLIC_URL is 'example.com': Write the address people type"),
        ("PUBLIC_URL", "https://a/b", "FLEXIROASTER_PUBLIC_URL is 'https://a/b': Write the address people type"),
        ("HTTP_ALLOW", "a:1,b", "FLEXIROASTER_HTTP_ALLOW is 'a:1,b': 'b' is no host:port."),
        ("TRUSTED_PROXIES", "nginx", "FLEXIROASTER_TRUSTED_PROXIES is 'nginx': 'nginx' is no address or network."),
        ("SECRET_KEY", "short", "FLEXIROASTER_SECRET_KEY is not usable: It has fewer than 32 bytes."),
        (
            "HOST",
            "0.0.0.0",
            "FLEXIROASTER_HOST is '0.0.0.0', which other machines can reach: set FLEXIROASTER_PUBLIC_URL",
        ),
        ("ADMIN_EMAIL", "a@b.c", "go together: set FLEXIROASTER_ADMIN_PASSWORD too, or neither."),
        ("ADMIN_PASSWORD", "0123456789", "go together: set FLEXIROASTER_ADMIN_EMAIL too, or neither."),
        ("CONCURRENCY", "0", "FLEXIROASTER_CONCURRENCY is '0': Write a value greater than or equal to 1."),
        ("DATABSE_URL", "x", "FLEXIROASTER_DATABSE_URL is no setting. Did you mean FLEXIROASTER_DATABASE_URL?"),
    ],
)
def test_a_wrong_value_is_one_sentence_with_its_cure(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, sentence: str
) -> None:
    monkeypatch.setenv(f"{PREFIX}{name}", value)
    with pytest.raises(ConfigurationError) as caught:
        Settings.load()
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_secret_is_never_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEXIROASTER_SECRET_KEY", "only-this-short")
    with pytest.raises(ConfigurationError) as caught:
        Settings.load()
    assert "only-this-short" not in str(caught.value)


def test_other_machines_may_reach_it_where_its_address_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEXIROASTER_HOST", "0.0.0.0")
    monkeypatch.setenv("FLEXIROASTER_PUBLIC_URL", "https://roaster.example.com/")
    assert Settings.load().url() == "https://roaster.example.com"


def test_example_file_names_every_setting_with_its_default(tmp_path: Path) -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    shown = dict(line.removeprefix("# ").split("=", 1) for line in lines if line.startswith(f"# {PREFIX}"))
    assert set(shown) == {variable(name) for name in Settings.model_fields}
    home = tmp_path / "share" / "flexiroaster"
    settings = Settings.load()
    for name in Settings.model_fields:
        default = getattr(settings, name)
        text = shown[variable(name)].replace("$HOME/.local/share/flexiroaster", str(home))
        if name == "concurrency":
            assert text.isdigit()
        elif name in {"data_dirs", "code_dirs"}:
            assert text == os.pathsep.join(map(str, default))
        elif isinstance(default, bool):
            assert text == str(default).lower()
        elif isinstance(default, float):
            assert float(text) == default
        else:
            assert text == ("" if default in (None, ()) else str(default)), name


def test_s3_is_put_together_from_its_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://minio:9000/")
    settings = Settings.load(
        data_folder=tmp_path,
        artifacts_url="s3://bucket/some/prefix/",
        s3_access_key_id="key",
        s3_secret_access_key="tell-nobody",
        s3_encryption="aws:kms",
        s3_kms_key="its-id",
    )
    assert settings.artifacts_in_s3
    assert settings.artifacts_folder == tmp_path / "artifacts-cache"
    assert "tell-nobody" not in repr(settings)
    store = make_artifacts(settings)
    assert isinstance(store, S3Artifacts)
    assert store._bucket == Bucket(
        "bucket",
        "some/prefix",
        endpoint="http://minio:9000",
        access_key_id="key",
        secret_access_key="tell-nobody",
        encryption="aws:kms",
        kms_key="its-id",
    )
    assert store.uri("e/a.txt") == "s3://bucket/some/prefix/e/a.txt"
    assert "tell-nobody" not in repr(store._bucket)
