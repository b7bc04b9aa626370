"""Settings: one frozen object, read once at the start from FLEXIROASTER_* variables, a `.env` file and options.

Every default is written here and nowhere else. A wrong value raises `ConfigurationError` with one sentence that names
the variable, the value and the cure.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import unquote, urlsplit

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from flexiroaster.engine.errors import ConfigurationError

PREFIX = "FLEXIROASTER_"
CLIENT_VARIABLES = ("URL", "TOKEN")
"""Read by the command line's client commands, not by the server."""
KEY_BYTES = 32
TOKEN_CHARACTERS = 16
BROKERS = ("amqp", "amqps", "redis", "rediss")


def default_data_folder() -> Path:
    """`$XDG_DATA_HOME/flexiroaster`, by default `~/.local/share/flexiroaster`."""
    base = os.environ.get("XDG_DATA_HOME")
    return Path(base).expanduser() / "flexiroaster" if base else Path.home() / ".local" / "share" / "flexiroaster"


def _words(value: object) -> object:
    return tuple(word for word in value.replace(",", " ").split() if word) if isinstance(value, str) else value


def _folders(value: object) -> object:
    return tuple(part for part in value.split(os.pathsep) if part) if isinstance(value, str) else value


class Settings(BaseSettings):
    """What the server is told. Fields without a value here are derived from the data folder."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        frozen=True,
        extra="ignore",
        env_ignore_empty=True,
        hide_input_in_errors=True,
    )

    data_folder: Path = Field(
        default_factory=default_data_folder,
        description="Everything that is kept: database, keys, artifacts, files.",
    )
    database_url: str = Field(
        default_factory=lambda given: f"sqlite:///{given['data_folder'] / 'flexiroaster.db'}",
        description="sqlite:////absolute/path.db or postgresql://user:password@host:5432/name.",
    )
    artifacts_url: str = Field(
        default_factory=lambda given: (given["data_folder"] / "artifacts").as_uri(),
        description="Where results that are too large for the database are kept: file:///absolute/folder or "
        "s3://bucket/prefix.",
    )
    artifacts_cache_gb: float = Field(
        10.0, gt=0, le=100_000, description="How much of what is kept in S3 is also kept here, in the data folder."
    )
    artifacts_download: Literal["redirect", "stream"] = Field(
        "redirect",
        description="With S3, whether a download comes from the bucket, by a link that soon expires, or through the "
        "server.",
    )
    s3_endpoint_url: str | None = Field(
        default_factory=lambda: os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None,
        description="The address of an S3 server other than Amazon's.",
    )
    s3_public_url: str | None = Field(
        None, description="That server's address as browsers know it, where that is another one."
    )
    s3_region: str | None = Field(None, description="The bucket's region; by default as AWS_REGION says.")
    s3_path_style: bool = Field(
        True, description="Whether the bucket stands in the path of an address, or before the host's name."
    )
    s3_access_key_id: str | None = Field(
        None, description="By default the AWS_* variables or the machine's role say who the server is."
    )
    s3_secret_access_key: SecretStr | None = Field(None, description="The access key's secret.")
    s3_encryption: Literal["AES256", "aws:kms", "aws:kms:dsse"] | None = Field(
        None, description="How S3 is told to encrypt; by default as the bucket says."
    )
    s3_kms_key: str | None = Field(None, description="The id of the key for aws:kms; by default the account's.")
    broker_url: str | None = Field(
        None,
        description="With several processes on one PostgreSQL: amqp://user:password@host:5672/vhost or "
        "redis://:password@host:6379/1. Work is told to workers through it.",
    )
    redis_url: str | None = Field(
        None,
        description="With several servers on one PostgreSQL: redis://:password@host:6379/0. They tell each other "
        "through it, and count failed sign-ins together.",
    )
    data_dirs: Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_folders)] = Field(
        default_factory=lambda given: (given["data_folder"] / "files",),
        description="Folders that file stages may read and write, separated by ':'; the first resolves relative paths.",
    )
    host: str = Field("127.0.0.1", description="The address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="The port to listen on; 0 takes a free one.")
    public_url: str | None = Field(
        None,
        description="The address people type, where it is not http://host:port: decides hosts, origins and cookies.",
    )
    trusted_proxies: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)] = Field(
        (), description="Addresses or networks of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed."
    )
    secret_key: SecretStr | None = Field(
        None, description="Signs tokens; at least 32 characters. Without it one is made and kept in the data folder."
    )
    admin_email: str | None = Field(None, description="The first administrator, made at the first start.")
    admin_password: SecretStr | None = Field(None, description="The first administrator's password.")
    metrics_token: SecretStr | None = Field(
        None, description="What a scraper sends to read /metrics, and nothing else; at least 16 characters."
    )
    code_stages: bool = Field(False, description="Whether pipelines may run `python` and `shell` stages.")
    code_dirs: Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_folders)] = Field(
        default_factory=lambda given: (given["data_folder"] / "code",),
        description="Folders that code stages import modules from and find scripts in, separated by ':'. Whoever may "
        "write there runs code here.",
    )
    code_confined: bool = Field(
        True,
        description="Whether code stages are kept from the server's files and processes, where the system can.",
    )
    http_allow: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)] = Field(
        (), description="host:port entries that http stages may reach although they are private addresses."
    )
    spark_url: str | None = Field(
        None,
        description="The Spark cluster that data stages with `engine: spark` run on: spark://host:7077, "
        "sc://host:15002 (Spark Connect), or local[*] for this machine.",
    )
    spark_options: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)] = Field(
        (), description="Spark's own settings, such as spark.executor.memory=8g, separated by commas."
    )
    concurrency: int = Field(
        default_factory=lambda: 2 * (os.cpu_count() or 1) + 2,
        ge=1,
        le=1000,
        description="Stages that run at the same time.",
    )
    wait_for_disk: bool = Field(
        False,
        description="Whether every step waits for the disk. Without it an accepted execution still does, and a step "
        "survives the end of the process; a power cut may take the last steps, which are then run again.",
    )
    lease_seconds: float = Field(
        30.0,
        ge=2,
        le=3600,
        description="With PostgreSQL: how long a server may be silent before the others on its database take over what "
        "it ran.",
    )
    grace_seconds: float = Field(
        10.0, ge=0, le=600, description="How long a stop waits for running stages before it hands them back."
    )
    retention_days: int = Field(
        180,
        ge=0,
        le=36_500,
        description="For how many days after its end an execution is kept, with its results, events, log lines and "
        "artifacts; 0 keeps them for ever.",
    )
    log_retention_days: int = Field(
        90,
        ge=0,
        le=36_500,
        description="For how many days log lines are kept, where that is shorter; 0: as executions.",
    )
    ai: bool = Field(
        True,
        description="Whether predictions, insights and suggestions are made. The label ai=off keeps a pipeline out.",
    )
    assistant_url: str | None = Field(
        None,
        description="Where the API of an OpenAI-compatible endpoint begins: https://host/v1. It explains failures and "
        "drafts pipelines of projects that an administrator has switched on; nothing is sent without.",
    )
    assistant_model: str | None = Field(None, description="The model it is asked for.")
    assistant_api_key: SecretStr | None = Field(None, description="The key it asks for, if any.")
    assistant_timeout_seconds: float = Field(
        120.0, ge=1, le=900, description="How long a question may take, with all tries."
    )
    examples: bool = Field(True, description="Whether the first start loads the example pipelines.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="The least severe line shown.")
    log_format: Literal["auto", "console", "json"] = Field(
        "auto", description="auto writes for people on a terminal and JSON elsewhere."
    )

    @classmethod
    def load(cls, **options: Any) -> Settings:
        """Read everything. `options` (from the command line) win over variables; None means not given."""
        given = {name: value for name, value in options.items() if value is not None}
        _refuse_typos()
        try:
            return cls(**given)
        except ValidationError as error:
            raise ConfigurationError(_sentence(error, given)) from None

    @field_validator("data_folder")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return Path(value).expanduser().absolute()

    @field_validator("data_dirs", "code_dirs")
    @classmethod
    def _absolute_folders(cls, value: tuple[Path, ...]) -> tuple[Path, ...]:
        if not value:
            raise ValueError("Name at least one folder.")
        return tuple(Path(folder).expanduser().absolute() for folder in value)

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: str) -> str:
        scheme = value.partition("://")[0]
        if scheme.partition("+")[0] not in {"sqlite", "postgresql", "postgres"}:
            raise ValueError(
                "Write sqlite:////absolute/path.db or postgresql://user:password@host:5432/name, "
                "or leave it out to keep everything in the data folder."
            )
        return "postgresql" + value.removeprefix("postgres") if scheme == "postgres" else value

    @field_validator("artifacts_url")
    @classmethod
    def _known_artifacts(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme == "s3":
            if not parts.hostname or parts.port or "@" in parts.netloc or parts.query or parts.fragment:
                raise ValueError("Write s3://bucket or s3://bucket/prefix; keys go into variables of their own.")
            return value.rstrip("/")
        if parts.scheme != "file" or not parts.path.startswith("/") or parts.netloc not in {"", "localhost"}:
            raise ValueError(
                "Write file:///absolute/folder or s3://bucket/prefix, or leave it out to keep them in the data folder."
            )
        return value

    @field_validator("broker_url")
    @classmethod
    def _known_broker(cls, value: str | None) -> str | None:
        parts = urlsplit(value or "")
        if value is not None and (parts.scheme not in BROKERS or not parts.hostname):
            raise ValueError(
                "Write amqp://user:password@host:5672/vhost for RabbitMQ or redis://:password@host:6379/1 for Redis "
                "(amqps://, rediss:// for TLS), or leave it out."
            )
        return value

    @field_validator("redis_url")
    @classmethod
    def _known_redis(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme == "unix" and parts.path:
            return value
        if parts.scheme not in {"redis", "rediss"} or not parts.hostname:
            raise ValueError("Write redis://:password@host:6379/0, rediss:// for TLS, or leave it out.")
        return value

    @field_validator("public_url")
    @classmethod
    def _web_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path not in {"", "/"} or parts.query:
            raise ValueError("Write the address people type, without a path: https://flexiroaster.example.com.")
        return value.rstrip("/")

    @field_validator("s3_endpoint_url", "s3_public_url")
    @classmethod
    def _s3_server(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc or parts.query:
            raise ValueError("Write its address without bucket and keys: https://minio.example.com:9000.")
        return value.rstrip("/")

    @field_validator("assistant_url")
    @classmethod
    def _assistant_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc or parts.query:
            raise ValueError("Write where its API begins, without keys: https://host/v1.")
        return value.rstrip("/").removesuffix("/chat/completions")

    @field_validator("secret_key")
    @classmethod
    def _long_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value().encode()) < KEY_BYTES:
            raise ValueError(
                f"It has fewer than {KEY_BYTES} bytes. Make one with: "
                "python -c 'import secrets; print(secrets.token_urlsafe(48))', or leave it out."
            )
        return value

    @field_validator("metrics_token")
    @classmethod
    def _long_token(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < TOKEN_CHARACTERS:
            raise ValueError(f"It has fewer than {TOKEN_CHARACTERS} characters: take a longer one, or leave it out.")
        return value

    @field_validator("http_allow")
    @classmethod
    def _host_and_port(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for entry in value:
            host, colon, port = entry.rpartition(":")
            if not colon or not host or not port.isdigit() or int(port) > 65535:
                raise ValueError(f"{entry!r} is no host:port. Write entries such as 10.0.0.7:8080,10.0.0.8:80.")
        return value

    @field_validator("spark_url")
    @classmethod
    def _spark_cluster(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"local(\[(\*|\d+)\])?|yarn|(spark|sc|k8s)://\S+", value):
            raise ValueError("Write spark://host:7077, sc://host:15002, or local[*] for this machine.")
        return value

    @field_validator("spark_options")
    @classmethod
    def _named_options(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for option in value:
            if not re.fullmatch(r"spark\.[\w.\-]+=.+", option):
                raise ValueError(f"{option!r} is no option of Spark. Write options such as spark.executor.memory=8g.")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for entry in value:
            try:
                ipaddress.ip_network(entry)
            except ValueError:
                raise ValueError(
                    f"{entry!r} is no address or network. Write entries such as 127.0.0.1,10.1.0.0/16."
                ) from None
        return value

    @model_validator(mode="after")
    def _administrator_in_full(self) -> Settings:
        if (self.admin_email is None) != (self.admin_password is None):
            missing = "ADMIN_PASSWORD" if self.admin_password is None else "ADMIN_EMAIL"
            raise ValueError(
                f"{PREFIX}ADMIN_EMAIL and {PREFIX}ADMIN_PASSWORD go together: set {PREFIX}{missing} too, or neither."
            )
        if self.admin_email is not None and "@" not in self.admin_email:
            raise ValueError(f"{PREFIX}ADMIN_EMAIL is {self.admin_email!r}: Write an address such as ada@example.com.")
        return self

    @model_validator(mode="after")
    def _broker_between_processes(self) -> Settings:
        if self.broker_url is not None and self.embedded:
            raise ValueError(
                f"{PREFIX}BROKER_URL is for several processes, and SQLite has one: name a PostgreSQL in "
                f"{PREFIX}DATABASE_URL, or unset it."
            )
        return self

    @model_validator(mode="after")
    def _redis_between_servers(self) -> Settings:
        if self.redis_url is not None and self.embedded:
            raise ValueError(
                f"{PREFIX}REDIS_URL is for several servers, and SQLite has one: name a PostgreSQL in "
                f"{PREFIX}DATABASE_URL, or unset it."
            )
        return self

    @model_validator(mode="after")
    def _s3_in_full(self) -> Settings:
        if (self.s3_access_key_id is None) != (self.s3_secret_access_key is None):
            missing = "S3_SECRET_ACCESS_KEY" if self.s3_secret_access_key is None else "S3_ACCESS_KEY_ID"
            raise ValueError(
                f"{PREFIX}S3_ACCESS_KEY_ID and {PREFIX}S3_SECRET_ACCESS_KEY go together: set {PREFIX}{missing} too, or "
                "neither."
            )
        if self.s3_kms_key is not None and self.s3_encryption not in {"aws:kms", "aws:kms:dsse"}:
            raise ValueError(f"{PREFIX}S3_KMS_KEY needs {PREFIX}S3_ENCRYPTION=aws:kms: set it too, or leave both out.")
        return self

    @model_validator(mode="after")
    def _assistant_in_full(self) -> Settings:
        if (self.assistant_url is None) != (self.assistant_model is None):
            missing = "ASSISTANT_MODEL" if self.assistant_model is None else "ASSISTANT_URL"
            raise ValueError(
                f"{PREFIX}ASSISTANT_URL and {PREFIX}ASSISTANT_MODEL go together: set {PREFIX}{missing} too, or neither."
            )
        return self

    @model_validator(mode="after")
    def _reachable_on_purpose(self) -> Settings:
        if not is_loopback(self.host) and self.public_url is None:
            raise ValueError(
                f"{PREFIX}HOST is {self.host!r}, which other machines can reach: set {PREFIX}PUBLIC_URL to the address "
                f"people will type (such as http://192.168.1.20:{self.port}), or listen on 127.0.0.1."
            )
        return self

    @property
    def artifacts_folder(self) -> Path:
        """Where artifacts are on this machine, or copies of them."""
        if self.artifacts_in_s3:
            return self.data_folder / "artifacts-cache"
        return Path(unquote(urlsplit(self.artifacts_url).path))

    @property
    def artifacts_in_s3(self) -> bool:
        return self.artifacts_url.startswith("s3://")

    @property
    def embedded(self) -> bool:
        """Whether the database is SQLite, which one process alone may serve."""
        return self.database_url.startswith("sqlite")

    @property
    def log_json(self) -> bool:
        return self.log_format == "json" or (self.log_format == "auto" and not os.isatty(2))

    def url(self, port: int | None = None) -> str:
        """What to type into a browser; `port` where the system chose it."""
        host = "127.0.0.1" if self.host in {"0.0.0.0", "::"} else self.host  # noqa: S104
        shown = f"[{host}]" if ":" in host else host
        return self.public_url or f"http://{shown}:{self.port if port is None else port}"


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def variable(field: str) -> str:
    return PREFIX + field.upper()


def _refuse_typos() -> None:
    """A variable that is nearly one of ours was meant to be one; ignoring it would be worse than stopping."""
    known = {variable(name) for name in Settings.model_fields} | {PREFIX + name for name in CLIENT_VARIABLES}
    for name in sorted(os.environ):
        if name.startswith(PREFIX) and name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.85)
            if near:
                raise ConfigurationError(f"{name} is no setting. Did you mean {near[0]}?")


_CURES = {
    "int_parsing": "Write a whole number.",
    "float_parsing": "Write a number.",
    "bool_parsing": "Write true or false.",
}


def _sentence(error: ValidationError, options: dict[str, Any]) -> str:
    """The first thing wrong, as a sentence for the person who set it."""
    first = error.errors(include_url=False)[0]
    reason = str(first["msg"]).removeprefix("Value error, ")
    if not first["loc"]:
        return reason
    field = str(first["loc"][0])
    name = variable(field) + (f" (--{field.replace('_', '-')})" if field in options else "")
    cure = _CURES.get(first["type"]) or reason.replace("Input should be", "Write a value").rstrip(".") + "."
    if field in {"secret_key", "admin_password", "s3_secret_access_key", "metrics_token", "assistant_api_key"}:
        return f"{name} is not usable: {cure}"
    given = options.get(field, os.environ.get(variable(field), _in_file(field)))
    return f"{name} is {_without_password(str(given))!r}: {cure}"


def _without_password(value: str) -> str:
    return re.sub(r"(://[^:/@]*):[^@]*@", r"\1:***@", value)


def _in_file(field: str) -> str | None:
    from dotenv import dotenv_values

    return dotenv_values(".env").get(variable(field))
