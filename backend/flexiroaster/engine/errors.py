"""The errors of FlexiRoaster: what happened, which item, and the cure."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any, Literal


class FlexiRoasterError(Exception):
    """Base of every error raised on purpose. `code` is stable and documented; the text is for people."""

    code = "error"


class NotFound(FlexiRoasterError):
    """A named thing does not exist."""

    code = "not_found"

    def __init__(self, kind: str, id: str) -> None:
        self.kind = kind
        self.id = id
        super().__init__(f"There is no {kind} {id!r}.")


class Conflict(FlexiRoasterError):
    """The request does not fit the present state (already exists, changed meanwhile, already ended)."""

    code = "conflict"

    def __init__(self, message: str, code: str = "conflict") -> None:
        self.code = code
        super().__init__(message)


class VersionChanged(Conflict):
    """The pipeline is no longer at the version that the change was made for."""

    def __init__(self, pipeline_id: str, version: int, by: str | None, at: datetime) -> None:
        self.version = version
        super().__init__(
            f"Pipeline {pipeline_id!r} is at version {version} now, changed by {by or 'somebody'} at "
            f"{at:%Y-%m-%d %H:%M:%S} UTC: read it again and repeat the change there.",
            "version_changed",
        )


class WrittenAlready(Conflict):
    """An artifact's key holds other bytes than those that were to be written there."""

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(
            f"The artifact {key!r} is there already, with other content: one attempt writes a name once. Choose "
            "another name.",
            "written_already",
        )


class InvalidRequest(FlexiRoasterError):
    """A value in a request is wrong; the message names it and the cure."""

    code = "invalid_request"

    def __init__(self, message: str, code: str = "invalid_request") -> None:
        self.code = code
        super().__init__(message)


Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a definition or its inputs. Lines and columns count from 1; None where unknown."""

    code: str
    message: str
    path: str = ""
    line: int | None = None
    column: int | None = None
    found: object = None
    suggestion: str | None = None
    severity: Severity = "error"


class InvalidDefinition(FlexiRoasterError):
    """A pipeline definition was refused. `problems` holds every one found, in order of their lines."""

    code = "invalid_definition"

    def __init__(self, problems: list[Problem], source: str | None = None) -> None:
        self.problems = problems
        self.source = source
        first = problems[0]
        where = f"line {first.line}: " if first.line else ""
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(f"{where}{first.message}{more}")


class InvalidInputs(InvalidDefinition):
    """The inputs given to an execution do not fit the pipeline's `inputs`."""

    code = "invalid_inputs"


class ConfigurationError(FlexiRoasterError):
    """A setting stops the start; the sentence names variable, value and cure."""

    code = "configuration"


@dataclass(frozen=True, slots=True)
class Location:
    """Where in the user's data or code an error lies. Rows count from 1 after the header, lines from 1 in the file."""

    file: str | None = None
    line: int | None = None
    row: int | None = None
    column: str | None = None
    value: str | None = None


ErrorKind = Literal["transient", "timeout", "permanent", "data", "cancelled", "lost", "internal"]


class StageFailed(FlexiRoasterError):
    """Raised by a stage to fail with a sentence.

    `kind` decides whether a retry may help (`transient`, `timeout`); `retry_after_seconds` is a server's wish.
    """

    code = "stage_failed"

    def __init__(
        self,
        message: str,
        *,
        code: str = "stage_failed",
        kind: ErrorKind = "permanent",
        location: Location | None = None,
        suggestion: str | None = None,
        retry_after_seconds: float | None = None,
        details: dict[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.kind: ErrorKind = kind
        self.location = location
        self.suggestion = suggestion
        self.retry_after_seconds = retry_after_seconds
        self.details = details or {}


class ArtifactsUnavailable(StageFailed):
    """The artifact store cannot be used; the message says which, why, and what to look at. A retry may help."""

    def __init__(self, message: str, *, kind: ErrorKind = "transient") -> None:
        super().__init__(message, code="artifacts_unavailable", kind=kind)


class AssistantFailed(FlexiRoasterError):
    """The text assistant gave no usable answer."""

    code = "assistant_failed"


@dataclass(frozen=True, slots=True)
class StageError:
    """What is recorded of a failed attempt."""

    message: str
    code: str = "stage_failed"
    kind: ErrorKind = "permanent"
    location: Location | None = None
    suggestion: str | None = None
    traceback: str | None = None
    retry_after_seconds: float | None = None
    details: dict[str, object] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Only what is known, so that the record stays small."""
        return {name: value for name, value in asdict(self).items() if value not in (None, {})}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> StageError:
        """What a newer release recorded besides is left out."""
        location = value.get("location")
        known = _known(cls, value)
        return cls(**known | {"location": Location(**_known(Location, location)) if location else None})


def _known(kind: type[StageError | Location], value: dict[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(kind)}
    return {name: item for name, item in value.items() if name in names}
