"""What a definition may say of the process of a code stage. Every default is here."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pydantic import Field, GetJsonSchemaHandler, field_validator
from pydantic_core import CoreSchema

from flexiroaster.engine.errors import StageError
from flexiroaster.engine.field_types import Duration
from flexiroaster.stages.base import StageConfig
from flexiroaster.stages.process.inside import MARKER

TAKEN_OVER = ("PATH", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR")
"""The server's variables that code gets too. Any other may hold a secret, a proxy's password for one."""
OUTPUT_FACTOR = 100
"""What is printed beyond the limit is counted and thrown away; this many times the limit ends the stage."""


class ProcessConfig(StageConfig):
    """Config keys that all code stages have."""

    env: dict[str, str | int | float | bool] = Field(
        default_factory=dict,
        description="Environment variables. Of the server's own it gets PATH, TZ, SSL_CERT_FILE and SSL_CERT_DIR only.",
    )
    memory_mb: int = Field(
        1024, ge=32, le=1_048_576, description="The most memory all its processes may use together, in MB."
    )
    cpu_seconds: int | None = Field(
        None, ge=1, description="The most processor time all its processes may use together, in seconds."
    )
    file_mb: int = Field(10_240, ge=1, description="The largest file it may write, in MB.")
    max_processes: int = Field(256, ge=1, le=100_000, description="The most processes it may have at a time.")
    max_open_files: int = Field(1024, ge=16, le=1_048_576, description="The most files a process may have open.")
    max_output_mb: float = Field(
        8, gt=0, le=9, description="The most it may print into the log, in MB; the rest is counted and left out."
    )
    max_result_mb: float = Field(
        10, gt=0, le=100, description="The largest result, in MB. Larger ones belong into a table or a file."
    )
    grace: Duration = Field(
        timedelta(seconds=10),
        description="The time between asking it to end (SIGTERM) and killing it (SIGKILL).",
        json_schema_extra={"default": "10s"},
    )

    @field_validator("env")
    @classmethod
    def _plain_names(cls, env: dict[str, str | int | float | bool]) -> dict[str, str | int | float | bool]:
        for name, value in env.items():
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) or name == MARKER or "\0" in str(value):
                raise ValueError(f"{name!r} cannot be set: use names of letters, digits and _.")
        return env

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """What a stage does comes before the limits of its processes, in forms and on the reference page."""
        schema = handler.resolve_ref_schema(handler(core))
        shared = ProcessConfig.model_fields
        properties = schema.get("properties", {})
        schema["properties"] = dict(sorted(properties.items(), key=lambda item: item[0] in shared))
        return schema

    def environment(self, home: str) -> dict[str, str]:
        taken_over = {name: os.environ[name] for name in TAKEN_OVER if name in os.environ}
        given = {name: _text(value) for name, value in self.env.items()}
        return {"PATH": os.defpath, "LANG": "C.UTF-8", "HOME": home, "TMPDIR": home, **taken_over, **given}

    @property
    def result_bytes(self) -> int:
        return int(self.max_result_mb * 1e6)

    @property
    def log_bytes(self) -> int:
        return int(self.max_output_mb * 1e6)

    @property
    def limits(self) -> Limits:
        return Limits(
            memory_bytes=self.memory_mb << 20,
            cpu_seconds=self.cpu_seconds,
            file_bytes=self.file_mb << 20,
            processes=self.max_processes,
            open_files=self.max_open_files,
            output_bytes=self.log_bytes * OUTPUT_FACTOR,
        )

    def breach(self, limit: str) -> StageError:
        """The error of a stage that went over a limit: which one, how much it is, and the cure."""
        match limit:
            case "memory":
                what, cure = size(self.memory_mb), "Raise memory_mb, or work through the data in parts."
            case "cpu":
                what, cure = f"{self.cpu_seconds} s", "Raise cpu_seconds, or do less in one stage."
            case "file":
                what, cure = size(self.file_mb), "Raise file_mb, or write several smaller files."
            case "processes":
                what, cure = f"{self.max_processes} at a time", "Raise max_processes, or start fewer at a time."
            case "open_files":
                what, cure = f"{self.max_open_files} at a time", "Raise max_open_files, or close files after use."
            case _:
                most = size(int(self.max_output_mb * OUTPUT_FACTOR))
                what, cure = most, f"Print less: the log shows the first {self.max_output_mb:g} MB only."
        ended = "stopped" if limit in {"file", "open_files"} else "killed"
        names = {"cpu": "processor time", "open_files": "open file", "processes": "process"}
        return StageError(f"stage {ended}: {names.get(limit, limit)} limit {what}", f"{limit}_limit", suggestion=cure)


@dataclass(frozen=True, slots=True)
class Limits:
    memory_bytes: int
    cpu_seconds: int | None
    file_bytes: int
    processes: int
    open_files: int
    output_bytes: int

    def of_each(self) -> dict[str, Any]:
        """What the kernel holds each process to."""
        return {
            "memory_bytes": self.memory_bytes,
            "cpu_seconds": self.cpu_seconds,
            "file_bytes": self.file_bytes,
            "open_files": self.open_files,
        }

    def of_all(self) -> dict[str, Any]:
        """What the supervisor holds all of them together to."""
        return {
            "memory_bytes": self.memory_bytes,
            "cpu_seconds": self.cpu_seconds,
            "processes": self.processes,
        }


def size(megabytes: int) -> str:
    return f"{megabytes // 1024} GB" if megabytes % 1024 == 0 else f"{megabytes} MB"


def _text(value: str | float) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
